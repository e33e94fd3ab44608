"""Two models on the same rows: their labels joined, their figures, what is said beside them."""

import json
from pathlib import Path

import numpy as np
import pytest

from tamis.errors import Cancelled, DataError, InvalidSetting
from tamis.evaluation.conditions import parse
from tamis.ml.model import Model
from tamis.ml.promotion import Rivals, contest, rows_for
from tamis.ml.training import train
from tamis.testing import tiny_base

WORDS = {"delivery": "where is my parcel", "payment": "you charge my card", "praise": "what a lovely shop"}


def rows(topics, count=20, *, wrong=0):
    made = []
    for n in range(count):
        for place, topic in enumerate(topics):
            said = topics[(place + 1) % len(topics)] if n < wrong else topic
            tags = [said] if n % 2 else []
            made.append({"text": f"{WORDS[topic]} {'please ' * (n % 3)}{n}", "labels": {"topic": said, "tags": tags}})
    return made


def write(path: Path, made) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models of two topics, of three, and of one target alone."""
    folder = tmp_path_factory.mktemp("models")
    base = str(tiny_base(folder / "base"))
    two, three = ["delivery", "payment"], ["delivery", "payment", "praise"]

    def made(name, given) -> Model:
        return train(write(folder / f"{name}.jsonl", given), base=base, out=folder / name, epochs=4)

    alone = [{"text": row["text"], "labels": {"topic": row["labels"]["topic"]}} for row in rows(two)]
    return {"two": made("two", rows(two)), "three": made("three", rows(three)), "alone": made("alone", alone)}


def judged(rivals, given, text, tmp_path, **more):
    part = rows_for(rivals, write(tmp_path / "test.jsonl", given))
    return contest(rivals, part.data, parse(text), **more)


def test_equal_models_differ_in_nothing(models, tmp_path):
    rivals = Rivals(models["two"], "two@2", models["two"], "two@1")
    report = judged(
        rivals, rows(["delivery", "payment"], 15), "accuracy >= current and micro_f1 of tags >= current", tmp_path
    )
    assert report.passed
    assert (report.candidate, report.current, report.rows) == ("two@2", "two@1", 30)
    assert report.targets.keys() == {"topic", "tags"}
    for table in report.targets.values():
        assert table.rows == 30
        for each in table.figures:
            assert each.difference == 0
            assert each.candidate == each.current
    assert report.lost == report.gained == report.remarks == ()
    evaluated = models["two"].evaluate(tmp_path / "test.jsonl").targets
    figures = {each.figure: each.candidate for each in report.targets["tags"].figures}
    for name in ("micro_f1", "macro_f1", "samples_jaccard", "ece"):
        assert figures[name] == pytest.approx(getattr(evaluated["tags"], name), abs=2e-6)
    assert report.targets["topic"].figures[0].candidate == pytest.approx(evaluated["topic"].accuracy, abs=1e-6)


def test_a_model_with_a_new_label_is_better_on_its_rows(models, tmp_path):
    rivals = Rivals(models["three"], "three@1", models["two"], "two@1")
    report = judged(
        rivals,
        rows(["delivery", "payment", "praise"]),
        "recall of topic/praise >= 0.9 and accuracy > current surely",
        tmp_path,
    )
    assert report.gained == ("topic/praise", "tags/praise")
    assert report.lost == ()
    assert report.passed
    recall = next(each for each in report.targets["topic"].figures if each.figure == "recall")
    assert (recall.label, recall.current) == ("praise", 0)


def test_a_lost_label_is_refused_unless_it_is_allowed(models, tmp_path):
    rivals = Rivals(models["two"], "two@1", models["three"], "three@1")
    given = rows(["delivery", "payment"])
    report = judged(rivals, given, "accuracy >= 0", tmp_path)
    assert report.lost == ("topic/praise", "tags/praise")
    assert report.conditions[0].holds
    assert not report.passed
    assert judged(rivals, given, "accuracy >= 0", tmp_path, allow_label_changes=True).passed


def test_a_lost_target_too_and_one_that_is_new_has_no_current_figures(models, tmp_path):
    given = rows(["delivery", "payment"])
    assert judged(
        Rivals(models["alone"], "alone@1", models["two"], "two@1"), given, "accuracy >= 0", tmp_path
    ).lost == ("tags",)
    report = judged(Rivals(models["two"], "two@1", models["alone"], "alone@1"), given, "micro_f1 >= current", tmp_path)
    topic, tags = report.conditions
    assert (topic.target, topic.why) == ("topic", "")
    assert (tags.target, tags.holds) == ("tags", True)
    assert "no current model" in tags.why
    assert report.targets["tags"].figures[0].current is None


def test_without_a_current_model(models, tmp_path):
    report = judged(
        Rivals(models["two"], "two@1"),
        rows(["delivery", "payment"]),
        "accuracy >= current and accuracy >= 0.5",
        tmp_path,
    )
    assert report.passed
    assert report.current is None
    assert report.targets["topic"].figures[0].difference is None


def test_rows_that_were_learnt_from_are_told_of(models, tmp_path):
    report = judged(Rivals(models["two"], "two@1"), rows(["delivery", "payment"]), "accuracy >= 0", tmp_path)
    assert any("learnt from these very rows" in remark for remark in report.remarks)
    both = Rivals(models["three"], "three@1", models["two"], "two@1")
    report = judged(both, rows(["delivery", "payment"]), "accuracy >= 0", tmp_path)
    assert [remark for remark in report.remarks if "very rows" in remark] == [
        "two@1 learnt from these very rows: give rows that neither model has seen."
    ]


def test_rows_that_thresholds_were_chosen_by_are_told_of(models, tmp_path):
    given = rows(["delivery", "payment"], 30)
    chosen = models["two"].with_thresholds("recall>=0.5", data=str(write(tmp_path / "more.jsonl", given)))
    report = judged(Rivals(chosen, "two@2"), given, "accuracy >= 0", tmp_path)
    assert any("thresholds of two@2 were chosen by these very rows" in remark for remark in report.remarks)
    report = judged(
        Rivals(models["alone"], "alone@1", chosen, "two@2"), given, "accuracy >= 0", tmp_path, allow_label_changes=True
    )
    assert not any("very rows" in remark for remark in report.remarks)


def test_a_target_that_the_rows_do_not_mention_is_told_of(models, tmp_path):
    given = [
        {"text": row["text"], "labels": {"topic": row["labels"]["topic"]}} for row in rows(["delivery", "payment"])
    ]
    report = judged(Rivals(models["two"], "two@1"), given, "micro_f1 >= 0", tmp_path, allow_unmeasured=True)
    assert report.targets.keys() == {"topic"}
    assert [each.target for each in report.conditions] == ["topic"]
    assert any("nothing about the target tags" in remark for remark in report.remarks)
    with pytest.raises(InvalidSetting, match="the data says nothing about tags"):
        judged(Rivals(models["two"], "two@1"), given, "samples_jaccard >= 0", tmp_path)


def test_how_long_one_text_takes_is_measured_where_it_is_asked_for(models, tmp_path):
    rivals = Rivals(models["two"], "two@1", models["alone"], "alone@1")
    given = rows(["delivery", "payment"])
    report = judged(rivals, given, "p50_ms <= 10000 and p50_ms <= current * 10000", tmp_path, allow_label_changes=True)
    assert report.passed
    assert report.p50_ms.keys() == {"candidate", "current"}
    assert all(value > 0 for value in report.p50_ms.values())
    assert judged(rivals, given, "accuracy >= 0", tmp_path).p50_ms == {}


def test_rows_that_cannot_be_used_and_a_caller_who_left(models, tmp_path):
    rivals = Rivals(models["two"], "two@1")
    with pytest.raises(DataError, match="expected are"):
        rows_for(rivals, write(tmp_path / "other.jsonl", [{"text": "a", "labels": {"x": "y", "z": "y"}}]))

    def left():
        raise Cancelled

    part = rows_for(rivals, write(tmp_path / "test.jsonl", rows(["delivery", "payment"])))
    with pytest.raises(Cancelled):
        contest(rivals, part.data, parse("accuracy >= 0"), check=left)


def test_scores_of_many_rows_are_joined_in_their_order(models, tmp_path, monkeypatch):
    from tamis.ml import promotion

    rivals = Rivals(models["two"], "two@1")
    part = rows_for(rivals, write(tmp_path / "test.jsonl", rows(["delivery", "payment"])))
    whole = promotion._said(models["two"], part.data, lambda: None)["topic"]
    monkeypatch.setattr(promotion, "AT_ONCE", 7)
    pieces = promotion._said(models["two"], part.data, lambda: None)["topic"]
    assert np.array_equal(whole.given, pieces.given)
    assert whole.scores == pytest.approx(pieces.scores, abs=1e-6)


def test_a_target_of_which_the_rows_say_nothing_holds_back_the_promotion(models, tmp_path):
    rivals = Rivals(models["two"], "two@2", models["two"], "two@1")
    given = [
        {"text": row["text"], "labels": {"topic": row["labels"]["topic"]}} for row in rows(["delivery", "payment"])
    ]
    report = judged(rivals, given, "micro_f1 >= current - 0.5pp", tmp_path)
    assert not report.passed
    assert [(each.target, each.holds) for each in report.conditions] == [("topic", True), ("tags", False)]
    assert "name the column of its labels" in report.conditions[1].why
    allowed = judged(rivals, given, "micro_f1 >= current - 0.5pp", tmp_path, allow_unmeasured=True)
    assert allowed.passed
    assert [each.target for each in allowed.conditions] == ["topic"]
    assert judged(rivals, given, "micro_f1 of topic >= current - 0.5pp", tmp_path).passed
