import numpy as np
import pytest
from rich.console import Console

from tamis.cli.evaluate_view import show
from tamis.cli.layout import MARKS
from tamis.data.truth import SingleTruth, multi_truth
from tamis.evaluation.report import EvaluationReport, evaluate_target
from tamis.pages import Severity
from tamis.schema import Kind, Target

HOSTILE = "[red]x[/red]\x1b[2J a name that is far longer than a column of the table has room for"


def report_of(labels: int, *, rows: int = 400) -> EvaluationReport:
    rng = np.random.default_rng(0)
    names = (HOSTILE, *(f"label_{at}_with_a_long_name_as_intents_have" for at in range(1, labels)))
    codes = rng.integers(0, labels, rows).astype(np.int32)
    logits = rng.normal(size=(rows, labels)) + 3 * np.eye(labels)[codes]
    scores = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    codes[::9] = labels
    single = Target(name="intent", kind=Kind.SINGLE_LABEL, labels=names)
    multi = Target(name="topics", kind=Kind.MULTI_LABEL, labels=names)
    truth = SingleTruth(codes, labels, ("unseen",))
    carried = multi_truth([[code] if code < labels else [] for code in codes.tolist()], labels)
    found = {
        "intent": evaluate_target(single, truth, scores, abstained=scores.max(axis=1) < 0.3, resamples=50),
        "topics": evaluate_target(multi, carried, scores, resamples=50),
    }
    return EvaluationReport(n=rows, targets=found)


def shown(report: EvaluationReport, width: int = 80) -> str:
    console = Console(width=width, highlight=False, force_terminal=False)
    with console.capture() as capture:
        show(report, console)
    return capture.get()


@pytest.mark.parametrize("labels", [2, 30])
def test_every_line_fits_eighty_columns(labels):
    lines = shown(report_of(labels)).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("intent  single-label" in line for line in lines)


def test_figures_intervals_and_verdict_are_there():
    report = report_of(30)
    text = shown(report)
    target = report.targets["intent"]
    low, high = target.accuracy_ci
    assert f"{100 * target.accuracy:.1f}%" in text
    assert f"{100 * low:.1f} to {100 * high:.1f}" in text
    for word in ("macro-F1", "coverage", "calibration error", "samples Jaccard", "mean average precision"):
        assert word in text
    assert "✓ Right for" in text
    assert "! 45 rows carry a label that the model does not have" in text


def test_ten_weakest_labels_and_the_top_confusions():
    text = shown(report_of(30))
    assert "Weakest labels  10 of 31, lowest F1 first" in text
    assert "unseen (not in the model)" in text
    assert "Most frequent confusions" in text
    assert "━" in text


def test_labels_can_neither_style_nor_steer_the_terminal():
    text = shown(report_of(2))
    assert "\x1b" not in text
    assert "[red]x[/red]\\x1b[2J" in text


def test_a_target_without_rows_is_said_to_be_unmeasured():
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"))
    nothing = evaluate_target(target, SingleTruth(np.full(3, -1, np.int32), 2), np.ones((3, 2), np.float32) / 2)
    text = shown(EvaluationReport(n=3, targets={"t": nothing}))
    assert "✗ No row says anything about this target" in text
    assert "figure" not in text


def test_every_severity_has_a_mark():
    assert set(MARKS) == set(Severity.__args__)
