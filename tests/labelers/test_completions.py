"""Bodies of endpoints, whole and hostile."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelers.stub_endpoint import completion
from tamis.labelers.completions import LONGEST_COMPLAINT, Completion, NoCompletion, complaint_of, read_completion


def body_of(**changes: object) -> bytes:
    return json.dumps(completion("hi") | changes).encode()


def test_a_completion_is_read() -> None:
    found = read_completion(body_of())
    assert found == Completion("hi", "", "stop", 100, 10)
    assert not found.was_cut
    assert not found.was_filtered


def test_refusals_cuts_and_filters_are_told() -> None:
    assert read_completion(json.dumps(completion(None, refusal="No.")).encode()).refusal == "No."
    assert read_completion(json.dumps(completion("{", finish="length")).encode()).was_cut
    assert read_completion(json.dumps(completion(None, finish="content_filter")).encode()).was_filtered


def test_of_an_answer_in_parts_only_text_counts() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}, 3]
    message = {"message": {"content": parts}, "finish_reason": "stop"}
    assert read_completion(body_of(choices=[message])).content == "a"


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        {"prompt_tokens": -3, "completion_tokens": "9"},
        {"prompt_tokens": 0},
        {"prompt_tokens": 10**12},
        {"prompt_tokens": True},
        {"prompt_tokens": 1.5},
    ],
)
def test_wrong_counts_of_tokens_are_none(usage: object) -> None:
    found = read_completion(body_of(usage=usage))
    assert found.prompt_tokens is None
    assert found.completion_tokens is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": "x"}]}',
        b'{"choices": {"0": 1}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_completion_is_told(body: bytes) -> None:
    with pytest.raises(NoCompletion):
        read_completion(body)


def test_an_error_in_a_good_answer_is_an_error() -> None:
    with pytest.raises(NoCompletion, match="overloaded") as caught:
        read_completion(b'{"error": {"message": "overloaded", "code": 503}}')
    assert caught.value.status == 503


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"error": {"message": "bad", "code": "x", "param": "p", "type": "t"}}', "bad (x, p, t)"),
        (b'{"error": "bad"}', "bad"),
        (b'{"detail": [{"loc": ["body", "seed"], "msg": "Extra", "type": "e"}]}', "Extra"),
        (b'{"message": {"detail": "bad"}}', "bad"),
        (b"<html>\n<b>bad</b>", "<html> <b>bad</b>"),
        (b"\xff\x00\x1b[2J", "\\x1b"),
    ],
)
def test_complaints_are_found_in_any_shape(body: bytes, says: str) -> None:
    assert says in complaint_of(body)


def test_complaints_are_short_lines() -> None:
    assert len(complaint_of(b"x" * 10_000)) == LONGEST_COMPLAINT
    assert "\n" not in complaint_of(b"a\nb")


def test_what_was_kept_comes_back() -> None:
    kept = Completion("hi", "", "stop", 1, 2, 0.5)
    assert Completion.of(json.loads(json.dumps(kept.to_json()))) == kept
    assert Completion.of({"content": 3}) is None
    assert Completion.of({}) is None


@pytest.mark.parametrize(
    "damage",
    [
        *({"prompt_tokens": "7"}, {"prompt_tokens": -5}, {"completion_tokens": float("nan")}),
        *({"completion_tokens": 10**300}, {"seconds": float("nan")}, {"seconds": -1.0}, {"seconds": "1"}),
    ],
)
def test_what_was_kept_and_damaged_is_none(damage: dict[str, object]) -> None:
    assert Completion.of(Completion("hi", "", "stop", 1, 2, 0.5).to_json() | damage) is None


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "message", "content", "usage", "error", "code", "finish_reason", "prompt_tokens"]
                ),
                inner,
            )
        ),
    )
)
def test_no_body_is_a_surprise(value: object) -> None:
    body = json.dumps(value).encode()
    assert isinstance(complaint_of(body), str)
    with suppress(NoCompletion):
        read_completion(body)
