"""Bodies that the SDKs send are read, all else is refused at its place; answers are what the SDKs read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.endpoints import (
    CHAT_CLASSIFICATIONS,
    CHAT_MODERATIONS,
    CLASSIFICATIONS,
    ENDPOINTS,
    MODERATIONS,
    Answering,
    InputLimits,
    read_question,
    refuse_crowded,
)
from tamis.errors import InvalidRequest, LimitExceeded, TamisError
from tamis.schema import Kind, Message, Target

LIMITS = InputLimits(inputs=3, input_chars=20, request_chars=30, messages=2)
HI = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("endpoint", "body", "inputs"),
    [
        (CLASSIFICATIONS, {"model": "m", "input": "hi"}, ["hi"]),
        (CLASSIFICATIONS, {"model": "m", "input": ["hi", "ho"], "metadata": {"a": "b"}}, ["hi", "ho"]),
        (CHAT_CLASSIFICATIONS, {"model": "m", "input": {"messages": [HI]}}, [(Message("user", "hi"),)]),
        (
            CHAT_CLASSIFICATIONS,
            {"model": "m", "input": [{"messages": [{"role": "assistant", "content": None, "prefix": False}]}]},
            [(Message("assistant", ""),)],
        ),
        (
            CHAT_CLASSIFICATIONS,
            {
                "model": "m",
                "input": {
                    "messages": [
                        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
                    ]
                },
            },
            [(Message("user", "a\nb"),)],
        ),
        (MODERATIONS, {"input": "hi"}, ["hi"]),
        (MODERATIONS, {"input": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, ["a\nb"]),
        (CHAT_MODERATIONS, {"model": "m", "input": [HI, HI]}, [(Message("user", "hi"), Message("user", "hi"))]),
        (
            CHAT_MODERATIONS,
            {"model": "m", "input": [[HI], [HI]], "truncate_for_context_length": True},
            [(Message("user", "hi"),), (Message("user", "hi"),)],
        ),
    ],
)
def test_what_the_sdks_send_is_read_from_bytes_and_from_objects(endpoint: str, body: dict, inputs: list):
    for sent in (body, json.dumps(body).encode()):
        question = read_question(endpoint, sent, LIMITS)
        assert question.inputs == inputs
        assert question.model == body.get("model")


@pytest.mark.parametrize(
    ("endpoint", "body", "place"),
    [
        (CLASSIFICATIONS, b"{", ["body"]),
        (CLASSIFICATIONS, b'{"model": "m"}', ["body", "input"]),
        (CLASSIFICATIONS, b'{"model": 3, "input": "a"}', ["body", "model"]),
        (CLASSIFICATIONS, b'{"input": ["a", 3]}', ["body", "input", 1]),
        (CLASSIFICATIONS, b'{"input": []}', ["body", "input"]),
        (CHAT_CLASSIFICATIONS, b'{"input": {"messages": []}}', ["body", "input", "messages"]),
        (
            CHAT_CLASSIFICATIONS,
            b'{"input": [{"messages": [{"content": "a"}]}]}',
            ["body", "input", 0, "messages", 0, "role"],
        ),
        (
            CHAT_MODERATIONS,
            b'{"input": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}',
            ["body", "input", 0, "content", "type"],
        ),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(endpoint: str, body: bytes, place: list):
    with pytest.raises(InvalidRequest) as refused:
        read_question(endpoint, body, LIMITS)
    assert refused.value.context["loc"] == place
    assert str(refused.value).startswith(".".join(map(str, place)))


@pytest.mark.parametrize(
    ("endpoint", "body", "setting"),
    [
        (CLASSIFICATIONS, {"input": ["a"] * 4}, "max_inputs"),
        (CLASSIFICATIONS, {"input": "a" * 21}, "max_input_chars"),
        (CLASSIFICATIONS, {"input": ["a" * 16, "a" * 16]}, "max_request_chars"),
        (CHAT_CLASSIFICATIONS, {"input": {"messages": [HI] * 3}}, "max_messages"),
    ],
)
def test_more_than_a_limit_is_refused_with_its_setting(endpoint: str, body: dict, setting: str):
    with pytest.raises(LimitExceeded, match=setting) as refused:
        read_question(endpoint, body, LIMITS)
    assert refused.value.context["setting"] == setting


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ENDPOINTS), st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode()))
def test_no_bytes_break_it(endpoint: str, body: bytes):
    with pytest.raises(TamisError):
        read_question(endpoint, body, LIMITS)


TOPIC = Target(name="topic", kind=Kind.SINGLE_LABEL, labels=("b", "a"))
HARM = Target(name="harm", kind=Kind.MULTI_LABEL, labels=("threat", "safe", "insult"), none_labels=("safe",))
KIND = Target(name="kind", kind=Kind.MULTI_LABEL, labels=("spam",))
SCORES = {
    "topic": np.array([[0.25, 0.75], [1.0, 0.0]], dtype=np.float32),
    "harm": np.array([[0.1, 0.9, 0.2], [0.7, 0.9, 0.5]], dtype=np.float32),
    "kind": np.array([[0.4], [0.1]], dtype=np.float32),
}
CUTS = {"topic": None, "harm": np.array([0.5, 0.5, 0.6], dtype=np.float32), "kind": np.array([0.3], dtype=np.float32)}


def test_classifications_have_targets_and_labels_in_their_order():
    answer = Answering([TOPIC, HARM], CUTS).answer(CLASSIFICATIONS, "asked-for", SCORES)
    assert answer["model"] == "asked-for"
    assert len(answer["id"]) == 32
    assert int(answer["id"], 16)
    first = answer["results"][0]
    assert list(first) == ["topic", "harm"]
    assert list(first["topic"]["scores"]) == ["b", "a"]
    assert first["topic"]["scores"] == {"b": 0.25, "a": 0.75}
    assert answer["results"][1]["harm"]["scores"]["threat"] == pytest.approx(0.7, abs=1e-7)


def test_moderations_flag_from_the_thresholds_on_and_never_for_a_none_label():
    first, second = Answering([TOPIC, HARM], CUTS).answer(MODERATIONS, "m", SCORES)["results"]
    assert first["categories"] == {"threat": False, "safe": False, "insult": False}
    assert first["flagged"] is False
    assert first["category_scores"]["safe"] == pytest.approx(0.9, abs=1e-7)
    assert second["categories"] == {"threat": True, "safe": False, "insult": False}
    assert second["flagged"] is True
    assert second["category_applied_input_types"]["threat"] == ["text"]


def test_several_multi_label_targets_name_their_categories():
    first, second = Answering([HARM, KIND], CUTS).answer(CHAT_MODERATIONS, "m", SCORES)["results"]
    assert first["categories"] == {"harm/threat": False, "harm/safe": False, "harm/insult": False, "kind/spam": True}
    assert (first["flagged"], second["flagged"]) == (True, True)


def test_a_model_without_a_multi_label_target_cannot_moderate():
    with pytest.raises(InvalidRequest, match="cannot moderate"):
        Answering([TOPIC], CUTS).answer(MODERATIONS, "m", SCORES)


class TestLargeBodies:
    """Very many small things: each would be validated, and the server would answer nobody for seconds."""

    @pytest.mark.parametrize(
        ("endpoint", "given", "setting"),
        [
            (CLASSIFICATIONS, [1] * 60_000, "max_inputs"),
            (CLASSIFICATIONS, [""] * 60_000, "max_inputs"),
            (CHAT_CLASSIFICATIONS, [1] * 60_000, "max_inputs"),
            (CHAT_CLASSIFICATIONS, {"messages": [{"role": "a"}] * 20_000}, "max_messages"),
            (CHAT_CLASSIFICATIONS, [{"messages": [{"role": "a"}] * 1000}] * 50, "max_request_chars"),
            (CHAT_CLASSIFICATIONS, {"messages": [{"role": "a", "content": [""] * 50_000}]}, "max_request_chars"),
            (CHAT_MODERATIONS, [{"role": "a"}] * 20_000, "max_messages"),
            (CHAT_MODERATIONS, [[{"role": "a"}] * 20_000], "max_messages"),
            (CHAT_MODERATIONS, [[1]] * 60_000, "max_inputs"),
        ],
    )
    def test_are_refused_before_they_are_validated(
        self, monkeypatch: pytest.MonkeyPatch, endpoint: str, given: object, setting: str
    ) -> None:
        monkeypatch.setattr("tamis.endpoints._KINDS", {endpoint: None})
        with pytest.raises(LimitExceeded) as caught:
            read_question(endpoint, json.dumps({"model": "m", "input": given}).encode(), InputLimits(messages=10_000))
        assert caught.value.context["setting"] == setting

    @pytest.mark.parametrize(
        ("body", "values"),
        [
            (b'{"a": [1, "x, y", {"b": "\\", [{"}]}', 5),
            (b'["' + b"," * 1000 + b'"]', 1),
            (b'["unfinished, [', 1),
            (b"", 0),
        ],
    )
    def test_values_are_counted_outside_of_strings(self, body: bytes, values: int) -> None:
        refuse_crowded(body, values)
        if values:
            with pytest.raises(LimitExceeded):
                refuse_crowded(body, values - 1)

    def test_that_are_crowded_beside_their_inputs_are_refused(self) -> None:
        body = b'{"model": "m", "input": "x", "more": [' + b"{}," * 900_000 + b"{}]}"
        with pytest.raises(LimitExceeded, match="840,960 values"):
            read_question(CLASSIFICATIONS, body, InputLimits())

    @pytest.mark.parametrize("body", [b"[" * 200_000, b"1" * 200_000, b"[" + b"1," * 100_000 + b"1]", b'"' * 200_000])
    def test_that_are_no_questions(self, body: bytes) -> None:
        with pytest.raises(InvalidRequest):
            read_question(CLASSIFICATIONS, body, LIMITS)

    def test_of_few_things_are_read(self) -> None:
        body = json.dumps({"model": "m", "input": ["x" * 150_000]}).encode()
        assert read_question(CLASSIFICATIONS, body, InputLimits()).inputs == ["x" * 150_000]
        chats = [[{"role": "user", "content": "x" * 500}] * 10] * 100
        assert len(read_question(CHAT_MODERATIONS, json.dumps({"input": chats}).encode(), InputLimits()).inputs) == 100

    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_the_first_fault_of_a_list_is_told(self, endpoint: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            read_question(endpoint, {"input": [1] * 3000}, InputLimits())
        assert len(caught.value.context["details"]) <= 3


@pytest.mark.parametrize(
    ("explain", "top"),
    [(True, 10), ({}, 10), ({"top": 3}, 3), ({"top": 1000}, 1000), (False, None), (None, None)],
)
def test_explanations_are_asked_for_by_an_extra_key(explain: object, top: int | None):
    chat = {"messages": [HI]}
    for endpoint, asked in ((CLASSIFICATIONS, "hi"), (CHAT_CLASSIFICATIONS, chat)):
        body = {"model": "m", "input": asked, "explain": explain}
        assert read_question(endpoint, json.dumps(body).encode(), LIMITS).explain == top
    assert read_question(MODERATIONS, {"input": "hi", "explain": explain}, LIMITS).explain is None


@pytest.mark.parametrize("explain", [{"top": 0}, {"top": 1001}, {"top": "all"}, {"tpo": 3}, "please", []])
def test_what_is_no_wish_for_explanations_is_refused_at_its_place(explain: object):
    with pytest.raises(InvalidRequest) as refused:
        read_question(CLASSIFICATIONS, {"input": "hi", "explain": explain}, LIMITS)
    assert refused.value.context["loc"][:2] == ["body", "explain"]


def test_fewer_inputs_are_explained_than_are_classified():
    limits = InputLimits(explained=1, explained_chars=3)
    for endpoint, asked, setting in (
        (CLASSIFICATIONS, ["a", "b"], "max_explained_inputs"),
        (CLASSIFICATIONS, "abcd", "max_explained_chars"),
        (CHAT_CLASSIFICATIONS, {"messages": [HI, HI]}, "max_explained_chars"),
    ):
        assert read_question(endpoint, {"input": asked}, limits).explain is None
        with pytest.raises(LimitExceeded, match=setting) as refused:
            read_question(endpoint, {"input": asked, "explain": True}, limits)
        assert refused.value.context["loc"] == ["body", "explain"]


def test_targets_that_may_abstain_say_so_beside_their_scores():
    targets = [Target(name=name, kind=Kind.SINGLE_LABEL, labels=("a", "b")) for name in ("t", "u")]
    judged = {"t": (np.array([1.23456, -2], np.float32), np.array([False, True])), "u": None}
    answering = Answering(targets, {"t": None, "u": None}, lambda _: judged)
    scores = {name: np.full((2, 2), 0.5, dtype=np.float32) for name in ("t", "u")}
    first, second = answering.answer(CLASSIFICATIONS, "m", scores)["results"]
    assert first == {"t": {"scores": {"a": 0.5, "b": 0.5}, "abstained": False, "evidence": 1.2346}, "u": second["u"]}
    assert second["t"]["abstained"] is True
    assert second["u"] == {"scores": {"a": 0.5, "b": 0.5}}
