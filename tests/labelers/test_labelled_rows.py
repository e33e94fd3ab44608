"""Rows with an LLM's labels: as data to train on, and what became of each."""

from pathlib import Path

import pytest

from tamis.errors import NoRows
from tamis.labelers.budget import Price
from tamis.labelers.labeler import Labelled, Outcome
from tamis.labelers.labelled_rows import LabelledRows, label_rows, read_unlabelled
from tamis.schema import Answer, Example, Kind, Prediction, Target
from tamis.testing import ScriptedLabeler

INTENT = Target(name="intent", kind=Kind.SINGLE_LABEL, labels=("refund", "delivery"), oos_label="oos")
TAGS = Target.of("tags", Kind.MULTI_LABEL, ("late", "rude"))


def scripted() -> LabelledRows:
    script = {
        "whole": {"intent": ("refund",), "tags": ("late",)},
        "none": {"intent": ("delivery",), "tags": ()},
        "partly": {"intent": ("fraud",), "tags": ("rude",)},
    }
    examples = [Example(text, {}, line) for line, text in enumerate([*script, "refused"], 1)]
    return label_rows(examples, ScriptedLabeler([INTENT, TAGS], script.get))


def test_rows_have_the_form_of_labelled_data() -> None:
    rows = list(scripted().rows())
    assert [row["labels"] for row in rows] == [
        {"intent": "refund", "tags": ["late"]},
        {"intent": "delivery", "tags": []},
        {"tags": ["rude"]},
        {"intent": None, "tags": None},
    ]
    assert [row["outcome"] for row in rows] == ["answered", "answered", "invalid", "refused"]
    assert rows[2]["confidence"] == {"tags": 1.0}
    assert "why" not in rows[0]
    assert rows[3]["why"]
    assert len(list(scripted().rows(without_labels=False))) == 3


def test_what_is_known_is_learnt_from() -> None:
    examples = scripted().training()
    assert [dict(example.labels) for example in examples] == [
        {"intent": ("refund",), "tags": ("late",)},
        {"intent": ("delivery",), "tags": ()},
        {"tags": ("rude",)},
    ]
    assert examples[1].listed == {"tags"}


def test_labels_that_are_not_sure_enough_and_none_of_the_labels_are_not() -> None:
    answers = [Answer(("refund",), {}, confidence=0.6), Answer((), {}, abstained=True, confidence=1.0)]
    labelled = [Labelled(Prediction({"intent": answer}), Outcome.ANSWERED) for answer in answers]
    rows = LabelledRows((INTENT,), [Example("a", {}, 1), Example("b", {}, 2)], labelled)
    assert [row["labels"] for row in rows.rows()] == [{"intent": "refund"}, {"intent": "oos"}]
    assert [example.input for example in rows.training()] == ["a"]
    assert rows.training(0.7) == []
    assert [example.labels for example in rows.training(oos_label="oos")] == [
        {"intent": ("refund",)},
        {"intent": ("oos",)},
    ]


def test_everything_is_counted() -> None:
    found = scripted()
    assert found.outcomes() == {"answered": 2, "refused": 1, "invalid": 1, "failed": 0, "over_budget": 0}
    assert found.counts() == {"intent": {"refund": 1, "delivery": 1}, "tags": {"late": 1, "rude": 1}}
    assert found.without_labels == 1
    assert found.tokens() == (400, 40)
    assert found.cost(Price(1.0, 10.0)) == pytest.approx(0.0008)
    assert found.cost(None) is None
    twice = LabelledRows(found.targets, [found.examples[0]] * 2, [found.labelled[0]] * 2)
    assert twice.tokens() == (100, 10)
    (bad,) = found.rejected("file")
    assert (bad.file, bad.line, bad.code, bad.raw) == ("file", 4, "llm_refused", "refused")


def test_labels_of_the_file_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "f.jsonl").write_text('{"text": "a", "labels": {"x": "y"}}\n{"text": "b"}\n')
    read = read_unlabelled(tmp_path / "f.jsonl")
    assert [example.input for example in read.examples] == ["a", "b"]
    assert read.name.endswith("f.jsonl")
    assert len(read_unlabelled(tmp_path / "f.jsonl", limit=1).examples) == 1
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(NoRows):
        read_unlabelled(tmp_path / "empty.txt")
