"""How much each word moves the score of a label."""

import json

import numpy as np
import pytest

from tamis.errors import InvalidSetting, UndeclaredLabel
from tamis.ml import explaining
from tamis.ml.explaining import Asked, explain
from tamis.ml.pieces import Span, leave_out
from tamis.schema import Kind, Message

TEXT = "where is my parcel please"


def log_odds(score):
    return np.log(score / (1 - score))


def targets_of(model):
    return {target.is_multi: target for target in model.targets}


@pytest.mark.parametrize("is_multi", [False, True])
def test_a_weight_is_what_the_log_odds_of_the_score_lose(tiny_model, is_multi):
    target = targets_of(tiny_model)[is_multi]
    label = target.labels[0]
    found = tiny_model.explain(TEXT, target=target.name, label=label)
    (only,) = found.labels
    score = tiny_model.classify(TEXT)[target.name].scores[label]
    assert only.score == pytest.approx(score, abs=1e-6)
    assert sorted(piece.start for piece in only.pieces) == [0, 6, 9, 12, 19]
    for piece in only.pieces:
        assert TEXT[piece.start : piece.end] == piece.text
        without = leave_out(TEXT, [Span(piece.start, piece.end)])
        score_without = tiny_model.classify(without)[target.name].scores[label]
        assert piece.score == pytest.approx(score_without, abs=1e-5)
        assert piece.weight == pytest.approx(log_odds(score) - log_odds(score_without), abs=1e-3)
    assert only.score_of_nothing == pytest.approx(tiny_model.classify("")[target.name].scores[label], abs=1e-6)


def test_the_strongest_come_first_and_top_cuts(tiny_model):
    target = tiny_model.targets[0].name
    whole = tiny_model.explain(TEXT)[target]
    weights = [abs(piece.weight) for piece in whole.pieces]
    assert weights == sorted(weights, reverse=True)
    assert tiny_model.explain(TEXT, top=2)[target].pieces == whole.pieces[:2]


def test_labels_that_are_given_are_explained_else_the_first(tiny_model):
    for text in (TEXT, "", "no known word here", "my card was charged twice"):
        prediction, found = tiny_model.classify(text), tiny_model.explain(text)
        for target in tiny_model.targets:
            answer = prediction[target.name]
            labels = [each.label for each in found.labels if each.target == target.name]
            best = max(answer.scores, key=lambda label, answer=answer: answer.scores[label])
            assert labels == list(answer.labels or (best,))
            assert {each.given for each in found.labels if each.target == target.name} == {bool(answer.labels)}


def test_one_input_gives_one_and_a_list_gives_a_list(tiny_model):
    found = tiny_model.explain([TEXT, "hello"])
    assert found[0] == tiny_model.explain(TEXT)
    assert len(found) == 2
    assert tiny_model.explain([]) == []


def test_words_of_chats_are_in_their_messages(chat_model):
    chat = (Message("user", "hello"), Message("assistant", "yes please?"), Message("user", "where is my parcel"))
    for each in chat_model.explain(chat).labels:
        assert {(piece.message, piece.text) for piece in each.pieces} == {
            (0, "hello"),
            (1, "yes"),
            (1, "please?"),
            *((2, word) for word in ("where", "is", "my", "parcel")),
        }


def test_what_is_not_there_is_refused(tiny_model):
    single = targets_of(tiny_model)[False]
    with pytest.raises(InvalidSetting, match="no target 'nothing'"):
        tiny_model.explain(TEXT, target="nothing")
    with pytest.raises(UndeclaredLabel, match=f"'nothing' to explain in target '{single.name}'"):
        tiny_model.explain(TEXT, target=single.name, label="nothing")
    with pytest.raises(UndeclaredLabel, match="in the targets"):
        tiny_model.explain(TEXT, label="nothing")
    with pytest.raises(InvalidSetting, match="top is 0"):
        tiny_model.explain(TEXT, top=0)
    with pytest.raises(InvalidSetting, match="Input 1"):
        tiny_model.explain([TEXT, 3])


def test_a_label_is_explained_for_the_targets_that_have_it(tiny_model):
    single = targets_of(tiny_model)[False]
    found = tiny_model.explain(TEXT, label=single.labels[0])
    assert {each.label for each in found.labels} == {single.labels[0]}
    assert single.name in {each.target for each in found.labels}


class Counted:
    """Omissions that count."""

    def __init__(self, omissions, most, reads=None):
        self.most, self.reads, self.spans = most, reads, []
        self._omissions = omissions

    def logits(self, spans):
        self.spans += spans
        return self._omissions.logits(spans)


@pytest.fixture
def counted(tiny_model, monkeypatch):
    """A function: explain an input with so many words at most, and what was left out."""

    def made(given, most, reads=None):
        plain = tiny_model.predictor.omissions(given)
        found = Counted(plain, most, reads)
        monkeypatch.setattr(type(tiny_model.predictor), "omissions", lambda *_: found)
        return explain(tiny_model.predictor, given, Asked()), found

    return made


def test_many_words_are_looked_at_together_and_the_strongest_one_by_one(counted):
    text = " ".join(["hello"] * 60 + ["parcel"] + ["hello"] * 59)
    found, omissions = counted(text, 24)
    assert len(omissions.spans) <= 24
    pieces = sorted(found.labels[0].pieces, key=lambda piece: piece.start)
    assert [piece.text.split() for piece in pieces if "parcel" in piece.text] == [["parcel"]]
    assert " ".join(piece.text for piece in pieces) == text
    assert "120 words" in found.notes[0]


def test_what_the_model_does_not_read_is_not_looked_at(counted):
    found, omissions = counted("where is my parcel please", 100, reads=10)
    assert [text.start for text in omissions.spans] == [0, 6, 9]
    assert found.notes == ("The model reads the first 10 of 25 characters: no others are looked at.",)


def test_of_very_many_messages_the_last_are_looked_at(counted):
    chat = tuple(Message("user", f"parcel {n}") for n in range(50))
    found, omissions = counted(chat, 20)
    assert len(omissions.spans) <= 20
    assert {piece.message for piece in found.labels[0].pieces} == set(range(40, 50))
    assert "last 10 of 50 messages" in found.notes[0]


def test_hostile_texts_have_explanations_that_are_plain_json(tiny_model):
    for text in (
        "",
        " \t",
        "\ud800 \udfff x",
        "👩‍👩‍👧",
        "我喜欢猫。" * 300,
        "é" * 3000,
        "a " * 5000,
        "x" * 30_000,
        "\0",
    ):
        found = tiny_model.explain(text)
        for each in found.labels:
            assert all(text[piece.start : piece.end] == piece.text for piece in each.pieces)
            assert all(np.isfinite([piece.weight, piece.score]).all() for piece in each.pieces)
        plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
        assert list(plain["targets"]) == [target.name for target in tiny_model.targets]


def test_the_json_of_a_chat_names_messages(chat_model):
    chat = (Message("user", "where is my parcel"),)
    piece = next(iter(chat_model.explain(chat).to_json()["targets"].values()))[0]["pieces"][0]
    assert set(piece) == {"text", "message", "start", "end", "weight", "score_without"}
    text = next(iter(chat_model.explain("where is it").to_json()["targets"].values()))[0]["pieces"][0]
    assert set(text) == {"text", "start", "end", "weight", "score_without"}


def test_an_explanation_is_found_by_its_target(tiny_model):
    found = tiny_model.explain(TEXT)
    name = tiny_model.targets[0].name
    assert found[name].target == name
    with pytest.raises(KeyError):
        found["nothing"]


def test_nothing_moves_the_only_label(tiny_model):
    entry = tiny_model.manifest.targets[0].model_copy(
        update={"kind": Kind.SINGLE_LABEL, "labels": ("only",), "thresholds": None, "abstain": None}
    )
    columns = explaining._Columns(entry, ("only",))
    assert not columns.log_odds(np.ones((3, 1), dtype=np.float32)).any()
