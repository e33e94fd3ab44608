"""What a model says, for people: bars from the highest score down, what the answer is, the words that moved it."""

from pathlib import Path

import pytest

from tamis.endpoints import InputLimits
from tamis.ml.manifest import Abstain
from tamis.ml.registry import register
from tamis.ml.training import train
from tamis.schema import Answer, Message, plain_text
from tamis.testing import tiny_base
from tamis.workspace import trials as module
from tamis.workspace.classifying import Served
from tamis.workspace.trials import Bar, Said, explained_trials, may_explain, trials
from tamis.workspace.workspace import Workspace

TEXTS = {"delivery": "where is my parcel", "payment": "you charge my card"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model")
    rows = [
        {"text": f"{text} {'please ' * (k % 3)}", "labels": {"topic": topic, "flags": [topic] if k % 2 else []}}
        for k in range(20)
        for topic, text in TEXTS.items()
    ]
    train(rows, base=str(tiny_base(place / "base")), out=place / "made", epochs=4)
    return place / "made"


@pytest.fixture
def served(workspace: Workspace, folder: Path) -> Served:
    register(workspace.settings.home, "shop", folder)
    return workspace.classifier.served("shop")


def test_bars_stand_from_the_highest_score_down(served: Served) -> None:
    texts = ["where is my parcel", "you charge my card"]
    found = trials(texts, served)
    for trial, prediction in zip(found, served.predictor.predict(texts), strict=True):
        assert [said.name for said in trial.said] == ["topic", "flags"]
        for said in trial.said:
            answer = prediction[said.name]
            assert {bar.label: bar.score for bar in said.bars} == dict(answer.scores)
            assert [bar.score for bar in said.bars] == sorted(answer.scores.values(), reverse=True)
            assert set(said.labels) == set(answer.labels) == {bar.label for bar in said.bars if bar.given}
            assert said.best == said.bars[0]
            assert said.abstained == answer.abstained
            assert said.whys == ()


def test_labels_of_several_have_the_score_from_which_they_are_given(served: Served) -> None:
    topic, flags = trials(["where is my parcel"], served)[0].said
    assert {bar.cut for bar in topic.bars} == {None}
    thresholds = dict(zip(("delivery", "payment"), served.predictor.entries[1].thresholds or (), strict=True))
    assert {bar.label: bar.cut for bar in flags.bars} == thresholds
    assert flags.several


def test_words_are_marked_where_they_stand(served: Served) -> None:
    text = "please, where is my parcel"
    (why,) = explained_trials([text], served)[0].said[0].whys
    assert why.is_marked
    parts = why.passages[0].parts
    assert "".join(part.text for part in parts) == text
    assert max(abs(part.strength) for part in parts) == 3
    assert {part.text.strip() for part in parts if part.strength == 3} <= {"parcel", "where", "is", "my"}


def test_messages_of_a_chat_are_passages(served: Served) -> None:
    chat = (Message("user", "where is my parcel"), Message("assistant", "one\n moment"))
    trial = explained_trials([chat], served)[0]
    (why,) = trial.said[0].whys
    assert [passage.role for passage in why.passages] == ["user", "assistant"]
    assert trial.given == chat
    assert plain_text(chat)


def test_what_moves_little_is_not_marked() -> None:
    assert module._strength(2.0, 2.0) == 3
    assert module._strength(-2.0, 2.0) == -3
    assert module._strength(0.8, 2.0) == 2
    assert module._strength(0.01, 0.01) == 0
    assert module._strength(0.1, 10.0) == 0
    assert module._strength(0.0, 0.0) == 0


def test_none_of_these_is_said_where_it_is_likeliest() -> None:
    bars = (Bar("a", 0.2, None, False), Bar("b", 0.1, None, False))
    assert Said("t", False, (), True, None, 0.7, bars).is_out
    assert not Said("t", False, (), True, None, 0.1, bars).is_out
    assert not Said("t", False, ("a",), False, None, 0.7, bars).is_out


def test_the_evidence_is_told_where_it_decides(served: Served) -> None:
    topic = served.predictor.entries[0]
    for weights in (None, {"seen": 1.0}):
        entry = topic.model_copy(update={"abstain": Abstain(threshold=0.5, coverage=0.9, evidence=weights)})
        answer = Answer((), dict.fromkeys(topic.labels, 0.4), abstained=True, evidence=0.0445)
        said = module._said(entry, answer, ())
        assert (said.cut, said.evidence, said.line) == ((0.5, None, None) if weights is None else (None, 0.0445, 0.5))


def test_only_so_much_is_explained_at_a_time() -> None:
    limits = InputLimits(explained=2, explained_chars=10)
    assert may_explain(["12345", (Message("user", "12345"),)], limits)
    assert not may_explain(["1", "2", "3"], limits)
    assert not may_explain(["12345678901"], limits)
