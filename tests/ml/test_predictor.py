from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tamis.errors import DamagedArtifact, InvalidSetting
from tamis.ml.manifest import FORMAT
from tamis.ml.model import load
from tamis.ml.predictor import LabelScores, checked, is_one
from tamis.schema import Message, plain_text

FIXTURE = Path(__file__).parent / "fixtures" / f"format-{FORMAT}"
WORDS = [
    "parcel",
    "card",
    "refund",
    "where",
    "Where",
    "is",
    "my",
    "?",
    "please",
    "xyz",
    "été",
    "包裹",
    "👋🏽",
    "a" * 300,
]
CHAT = [{"role": "user", "content": "where is my parcel"}]

texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
chats = st.lists(st.builds(Message, st.sampled_from(["user", "assistant", "system"]), texts), max_size=4).map(tuple)
many = st.lists(st.one_of(texts, chats), min_size=1, max_size=8)


@given(inputs=many, order=st.randoms())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_score_does_not_depend_on_its_batch(tiny_model, inputs, order):
    together = tiny_model.scores(inputs)
    shuffled = order.sample(range(len(inputs)), len(inputs))
    other_way = tiny_model.scores([inputs[i] for i in shuffled] + ["something else entirely"])
    for name, scores in together.items():
        assert np.isfinite(scores).all()
        np.testing.assert_allclose(other_way[name][:-1], scores[shuffled], atol=1e-5)
        for row, each in enumerate(inputs):
            np.testing.assert_allclose(tiny_model.scores([each])[name][0], scores[row], atol=1e-5)


def test_single_label_scores_sum_to_one_and_the_others_are_independent(tiny_model):
    scores = tiny_model.scores(["where is my parcel", "refund the card", ""])
    np.testing.assert_allclose(scores["intent"].sum(axis=1), 1, atol=1e-6)
    assert not np.allclose(scores["topics"].sum(axis=1), 1, atol=1e-2)
    assert scores["intent"].dtype == scores["topics"].dtype == np.float32


def test_answers_are_what_scores_and_rules_come_to(tiny_model):
    inputs = ["where is my parcel please", "xyz", "please refund the card now", "thank you for the login it is fine"]
    scores = tiny_model.scores(inputs)
    labels = tiny_model.predictor.labels(inputs)
    rule = tiny_model.manifest.target("intent").abstain.threshold
    thresholds = tiny_model.predictor.thresholds("topics")
    for row, prediction in enumerate(tiny_model.classify(inputs)):
        intent, topics = prediction["intent"], prediction["topics"]
        best = tiny_model.targets[0].labels[scores["intent"][row].argmax()]
        assert intent.abstained == (intent.evidence < np.float32(rule))
        assert topics.evidence is None
        assert intent.labels == (() if intent.abstained else (best,))
        assert intent.confidence == pytest.approx(scores["intent"][row].max())
        given_labels = zip(tiny_model.targets[1].labels, scores["topics"][row] >= thresholds, strict=True)
        assert topics.labels == tuple(label for label, yes in given_labels if yes)
        assert not topics.abstained
        assert labels["intent"][row] == intent.labels
        assert labels["topics"][row] == topics.labels
        assert list(intent.scores.values()) == pytest.approx(scores["intent"][row].tolist(), abs=1e-6)


def test_it_abstains_where_it_is_not_sure_and_answers_where_it_is(tiny_model):
    unlike, like = tiny_model.classify(["xyz", "where is my parcel please"])
    assert unlike["intent"].abstained
    assert unlike["intent"].labels == ()
    assert unlike["intent"].label is None
    assert like["intent"].labels == ("where",)


def test_predictions_go_to_json(tiny_model):
    found = tiny_model.classify("where is my parcel please").to_json()
    assert found["intent"]["labels"] == ["where"]
    assert set(found["topics"]["scores"]) == {"account", "billing", "delivery", "none"}


def test_chats_as_messages_and_as_objects_are_the_same(tiny_model):
    as_messages = (Message("user", "where is my parcel"),)
    np.testing.assert_array_equal(
        tiny_model.scores([CHAT, "x"])["intent"], tiny_model.scores([as_messages, "x"])["intent"]
    )


def test_content_in_parts_is_read_as_in_training(tiny_model):
    parts = [{"type": "text", "text": "where is"}, {"type": "text", "text": "my parcel"}, "please"]
    chat = [{"role": "assistant", "content": None}, {"role": "user", "content": parts}]
    assert checked([chat]) == [(Message("assistant", ""), Message("user", "where is\nmy parcel\nplease"))]
    np.testing.assert_array_equal(
        tiny_model.scores([chat])["intent"], tiny_model.scores([checked([chat])[0]])["intent"]
    )


def test_scores_that_are_no_numbers_are_refused(tiny_model):
    logits = {"intent": np.zeros((3, 4), dtype=np.float32), "topics": np.zeros((3, 4), dtype=np.float32)}
    logits["topics"][1, 2] = np.nan
    with pytest.raises(DamagedArtifact, match=r"target 'topics' \(input 1\)"):
        tiny_model.predictor.scores_of(logits)
    logits["topics"][1, 2] = -np.inf
    with pytest.raises(DamagedArtifact):
        tiny_model.predictor.scores_of(logits)


def test_threads_get_what_one_gets(tiny_model):
    inputs = [f"where is my {word} number {n}" for n in range(40) for word in ("parcel", "card")]
    alone = [tiny_model.classify(text).to_json() for text in inputs]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            assert [found.to_json() for found in threads.map(tiny_model.classify, inputs)] == alone


@pytest.mark.parametrize(
    "text",
    ["", " ", "\x00", "\ud800", "a\udfffb", "👋" * 1000, "مرحبا", "x" * 100_000, "parcel " * 15_000, "\n\n\t", "İ ﬁ ²"],
    ids=range(11),
)
def test_any_text_has_scores(tiny_model, text):
    alone, together = tiny_model.scores([text]), tiny_model.scores([text, "where is my parcel"])
    for name in alone:
        assert np.isfinite(alone[name]).all()
        np.testing.assert_allclose(alone[name][0], together[name][0], atol=1e-5)


def test_a_few_are_as_each_alone(tiny_model):
    texts = ["where is my parcel", "", "card 12", "x" * 100]
    together = tiny_model.scores(texts)
    for row, text in enumerate(texts):
        for name, scores in tiny_model.scores([text]).items():
            np.testing.assert_array_equal(scores[0], together[name][row])


def test_nothing_in_nothing_out(tiny_model):
    assert tiny_model.classify([]) == []
    assert tiny_model.scores([])["intent"].shape == (0, 4)
    assert tiny_model.predictor.labels([]) == {"intent": [], "topics": []}


def test_anything_that_can_be_iterated(tiny_model):
    wanted = tiny_model.scores(["a", "b"])["intent"]
    for inputs in (iter(["a", "b"]), ("a", "b"), np.array(["a", "b"]), {"a": 1, "b": 2}.keys()):
        np.testing.assert_array_equal(tiny_model.scores(inputs)["intent"], wanted)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["a", None], r"Input 1 is None"),
        (["a", float("nan")], r"Input 1 is of type float"),
        (["a", b"b"], r"Input 1 is of type bytes"),
        (["a", ["b"]], r"Input 1 is a chat, and its message 0 is of type str"),
        ([[{"role": "user"}]], r"Input 0 is a chat, and its message 0 is without a role and a content"),
        ([[{"role": "user", "content": 3}]], r"the content of its message 0 is a number, not a string"),
        (
            [CHAT, [*CHAT, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]],
            r"Input 1 is a chat, and the content of its message 1 has a part of type 'image_url' that is not text",
        ),
        ([[{"role": "user", "content": [None]}]], r"the content of its message 0 has a part that is not text"),
        ([[{"role": "user", "content": {"text": "a"}}]], r"the content of its message 0 is an object"),
        ([[Message("user", 3)]], r"the content of its message 0 is a number"),
        ([[*CHAT, {"role": 1, "content": "x"}]], r"message 1 is without"),
        ([{"text": "a"}], r"Input 0 is of type dict"),
        ("a", r"The inputs are of type str, not a list"),
        (3, r"The inputs are of type int"),
        (None, r"The inputs are None"),
    ],
)
def test_other_inputs_are_refused_by_index(tiny_model, inputs, message):
    with pytest.raises(InvalidSetting, match=message):
        tiny_model.scores(inputs)


def test_one_input_or_several():
    assert is_one("a")
    assert is_one(CHAT)
    assert is_one((Message("user", "a"),))
    for several in ([], ["a"], [CHAT], iter("a"), ()):
        assert not is_one(several)


def test_strings_of_other_types_become_plain_ones():
    class Text(str):
        pass

    (one,) = checked([Text("a")])
    assert type(one) is str
    assert checked([[Message("user", "a")]]) == [(Message("user", "a"),)]


def test_label_scores_are_a_mapping():
    scores = LabelScores({"a": 0, "b": 1}, np.array([0.25, 0.75], dtype=np.float32))
    assert scores == {"a": 0.25, "b": 0.75}
    assert repr(scores) == "{'a': 0.25, 'b': 0.75}"
    assert len(scores) == 2
    assert scores.get("c") is None
    with pytest.raises(KeyError):
        scores["c"]


def test_more_inputs_than_are_held_at_once(tiny_model, monkeypatch):
    monkeypatch.setattr("tamis.ml.predictor.AT_ONCE", 3)
    inputs = [f"where is my parcel {n}" for n in range(10)]
    found = tiny_model.classify(iter(inputs))
    assert [p["intent"].label for p in found] == [tiny_model.classify([text])[0]["intent"].label for text in inputs]
    assert plain_text(inputs[0])


def test_a_model_of_before_abstains_by_its_highest_score():
    model = load(FIXTURE)
    rule = model.manifest.target("intent").abstain
    assert rule.evidence is None
    inputs = ["where is my parcel please", "xyz", "please refund the card now", "", "a zebra"]
    scores = model.scores(inputs)["intent"].max(axis=1)
    answers = [prediction["intent"] for prediction in model.classify(inputs)]
    assert [answer.abstained for answer in answers] == (scores < np.float32(rule.threshold)).tolist()
    assert [answer.evidence for answer in answers] == pytest.approx(scores.tolist())
    assert any(answer.abstained for answer in answers)


def test_scores_are_of_targets_alone_and_predictions_know_the_rest(tiny_model):
    assert set(tiny_model.scores(["a"])) == {"intent", "topics"}
    assert set(tiny_model.manifest.target("intent").abstain.evidence) == {"others", "nearness", "seen"}
    known, unknown = (tiny_model.classify(text)["intent"] for text in ("where is my parcel", "zebra opera galaxy"))
    assert known.evidence > unknown.evidence
    assert unknown.abstained
