"""The words behind mistakes, for the page of an evaluation."""

import pytest

from tamis.data.dataset import build
from tamis.evaluation.figures import Mistake
from tamis.evaluation.page import build_page
from tamis.ml import explained_mistakes
from tamis.ml.explained_mistakes import explain_mistakes
from tamis.schema import Example, Kind, Target

MULTI = Target(name="t", kind=Kind.MULTI_LABEL, labels=("a", "b", "c"))


def mistake(actual, given):
    return Mistake(row=0, actual=actual, given=given, loss=1.0, scores={"a": 0.9, "b": 0.6, "c": 0.1})


@pytest.mark.parametrize(
    ("actual", "given", "label"),
    [
        (("a",), ("b",), "b"),
        (("c",), ("a", "b"), "a"),
        (("a", "b", "c"), ("a",), "c"),
        (("unseen",), (), None),
        (("unseen",), ("b",), "b"),
    ],
)
def test_the_label_is_one_given_wrongly_or_else_one_that_is_missing(actual, given, label):
    assert explained_mistakes._wrong(mistake(actual, given), MULTI) == label


def test_mistakes_have_reasons_that_the_page_marks(tiny_model, tiny_rows, monkeypatch):
    single = next(target for target in tiny_model.targets if not target.is_multi)
    labels = single.labels
    known = [row for row in tiny_rows if row["labels"].get(single.name) in labels]
    wrong = [labels[(labels.index(row["labels"][single.name]) + 1) % len(labels)] for row in known]
    data = build(
        [
            Example(row["text"], {single.name: (label,)}, line)
            for line, (row, label) in enumerate(zip(known, wrong, strict=True), 1)
        ],
        tiny_model.targets,
    )
    report = tiny_model.evaluate(data)
    reasons = explain_mistakes(tiny_model.predictor, report, data)
    mistakes = report.targets[single.name].mistakes
    assert set(reasons[single.name]) == {each.row for each in mistakes}
    first = reasons[single.name][mistakes[0].row]
    assert first.label == mistakes[0].given[0]
    text = data.inputs[mistakes[0].row]
    assert all(text[mark.start : mark.end] in text.split() for mark in first.highlights)
    page = build_page(report, data, reasons=reasons).render()
    assert page.count("<mark class=") >= len(mistakes)
    assert f"<small>{first.label}: " in page
    assert "<mark class=" not in build_page(report, data).render()

    monkeypatch.setattr(type(tiny_model.predictor), "quick", False)
    monkeypatch.setattr(explained_mistakes, "SLOW_MISTAKES", 1)
    assert list(explain_mistakes(tiny_model.predictor, report, data)[single.name]) == [mistakes[0].row]
