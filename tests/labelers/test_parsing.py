"""Answers are read with patience, and never guessed."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.labelers.parsing import Parser, is_apology
from tamis.schema import Kind, Target

INTENT = Target.of("intent", Kind.SINGLE_LABEL, ("get_refund", "Delivery", "other, really"))
TOPICS = Target.of("topics", Kind.MULTI_LABEL, ("billing", "damaged item", "none"))
BOTH = Parser([INTENT, TOPICS])
GOOD = '{"intent": "get_refund", "topics": ["billing"]}'


@pytest.mark.parametrize(
    "said",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Sure! Here it is:\n\n{GOOD}\n\nTell me if you need more.",
        f'<think>maybe {{"intent": "Delivery"}}?</think>{GOOD}',
        f"{GOOD}\n{GOOD}",
        '{"Intent": "GET-REFUND", "TOPICS": [" Billing "]}',
        '{"reasoning": "x", "topics": "billing", "intent": ["get refund"]}',
        '{"result": {"intent": "get_refund", "topics": ["billing", "billing"]}}',
        '{"intent": "get_refund", "topics": {"billing": true, "none": false}}',
        '{"intent": "get_refund.", "topics": ["**billing**"]}',
    ],
)
def test_what_is_clear_is_understood(said: str) -> None:
    reading = BOTH.read(said)
    assert reading.labels == {"intent": ("get_refund",), "topics": ("billing",)}
    assert not reading.faults


@pytest.mark.parametrize(
    ("said", "labels", "why"),
    [
        ("", {}, "empty"),
        ("I think it is a refund", {}, "no JSON object"),
        ('{"intent": "refund", "topics": []}', {"topics": ()}, "'intent'"),
        ('{"intent": null, "topics": []}', {"topics": ()}, "null is no label"),
        ('{"intent": ["get_refund", "Delivery"], "topics": []}', {"topics": ()}, "2 labels"),
        ('{"intent": [], "topics": []}', {"topics": ()}, "0 labels"),
        ('{"intent": "get_refund"}', {"intent": ("get_refund",)}, "'topics' is missing"),
        ('{"intent": "get_refund", "topics": ["billing", "fraud"]}', {"intent": ("get_refund",)}, "fraud"),
        ('{"intent": "get_refund", "topics": ""}', {"intent": ("get_refund",)}, "no label"),
        ('{"intent": "get_refund", "topics": {"billing": 0.9}}', {"intent": ("get_refund",)}, "object"),
        ('{"intent": "get_refund", "topics": [["billing"]]}', {"intent": ("get_refund",)}, "no label"),
        ('{"intent": "get_refund", "intent": "Delivery", "topics": []}', {}, "twice"),
        (f'{GOOD} or rather {{"intent": "Delivery", "topics": []}}', {}, "several answers"),
        ('{"intent": "get_refund", "topics": [', {}, "no JSON object"),
        ('["get_refund"]', {}, "no JSON object"),
        (f"<think>It could be {GOOD}, but", {}, "ends within its thoughts"),
        (f"<think>first</think> <Reasoning>{GOOD}", {}, "ends within its thoughts"),
        ("{" * 5_000, {}, "no JSON object"),
        ('{"a":' * 5_000, {}, "no JSON object"),
    ],
)
def test_what_is_not_clear_is_no_answer(said: str, labels: dict[str, tuple[str, ...]], why: str) -> None:
    reading = BOTH.read(said)
    assert reading.labels == labels
    assert why in reading.why


@pytest.mark.parametrize(
    "said", ["Delivery", '"delivery"', "```\ndelivery\n```", "Delivery.", '{"intent": "DELIVERY"}']
)
def test_the_label_alone_is_an_answer_where_there_is_one_target(said: str) -> None:
    assert Parser([INTENT]).read(said).labels == {"intent": ("Delivery",)}


def test_a_list_alone_is_an_answer_of_the_only_target() -> None:
    assert Parser([TOPICS]).read('["billing", "none"]').labels == {"topics": ("billing", "none")}
    assert Parser([TOPICS]).read("[]").labels == {"topics": ()}
    assert not Parser([INTENT]).read('["Delivery"]').labels


def test_prose_that_mentions_a_label_is_no_answer() -> None:
    assert not Parser([INTENT]).read("It is about Delivery").labels


def test_labels_between_commas_are_several_but_where_a_label_has_one() -> None:
    assert Parser([TOPICS]).read('{"topics": "billing, damaged-item"}').labels == {
        "topics": ("billing", "damaged item")
    }
    assert Parser([INTENT]).read('{"intent": "Other, Really"}').labels == {"intent": ("other, really",)}


def test_a_spelling_that_could_be_two_labels_is_none_of_them() -> None:
    parser = Parser([Target.of("t", Kind.SINGLE_LABEL, ("a b", "a_b", "A"))])
    assert parser.read('{"t": "a_b"}').labels == {"t": ("a_b",)}
    assert not parser.read('{"t": "A-B"}').labels
    assert parser.read('{"t": "a"}').labels == {"t": ("A",)}


def test_blanks_and_marks_alone_are_no_label() -> None:
    parser = Parser([Target.of("t", Kind.SINGLE_LABEL, ("*", "a"))])
    assert not parser.read('{"t": " "}').labels
    assert parser.read('{"t": "*"}').labels == {"t": ("*",)}


@pytest.mark.parametrize(
    ("said", "apology"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I’m really sorry", True),
        ("Sorry - no.", True),
        ("I cannot label this.", True),
        ("<think>hm</think>I won't do that", True),
        ("It is a refund, sorry.", False),
        ("refund", False),
        (GOOD, False),
    ],
)
def test_refusals_in_plain_words_are_told(said: str, apology: bool) -> None:
    assert is_apology(said) is apology


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["intent", "topics", "x"]), inner),
    ).map(json.dumps)
)
def test_nothing_but_labels_ever_comes_out(said: str) -> None:
    reading = BOTH.read(said)
    assert set(reading.labels) | set(reading.faults) == {"intent", "topics"}
    assert set(reading.labels.get("intent", ())) <= set(INTENT.labels)
    assert len(reading.labels.get("intent", ("x",))) == 1
    assert set(reading.labels.get("topics", ())) <= set(TOPICS.labels)
