"""An evaluation report as trackers show it: figures by name, and confusion matrices as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tamis.evaluation.figures import SingleReport
from tamis.evaluation.report import EvaluationReport, TargetReport
from tamis.ml.trackers.tracker import Results, Table

MOST_CELLS = 2000
PREFIX = "held_out"


def results_of(report: EvaluationReport | None, facts: Mapping[str, Any]) -> Results:
    """Return the report on held-out rows, where there is one, and the facts."""
    if report is None:
        return Results(facts=facts)
    figures = {
        f"{PREFIX}/{name}/{figure}": float(value)
        for name, target in report.targets.items()
        for figure, value in target
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    tables = tuple(_table(name, target) for name, target in report.targets.items())
    return Results({f"{PREFIX}/rows": float(report.n), **figures}, tables, facts)


def _table(name: str, report: TargetReport) -> Table:
    labels = tuple(label.label for label in report.per_label)
    if not isinstance(report, SingleReport):
        return Table(
            name, ("label", "right", "missed", "wrongly given", "rightly not given"), _by_label(report), labels, False
        )
    right = [(label.label, label.label, label.hits) for label in report.per_label if label.hits]
    wrong = [(pair.actual, pair.given, pair.rows) for pair in report.confusions]
    cells = sorted([*right, *wrong], key=lambda cell: -cell[2])[:MOST_CELLS]
    return Table(name, ("actual", "given", "rows"), tuple(cells), labels, True)


def _by_label(report: TargetReport) -> tuple[tuple[str | int, ...], ...]:
    """One confusion matrix of two by two a label, a row each."""
    first = sorted(report.per_label, key=lambda label: -label.support)[:MOST_CELLS]
    return tuple(
        (
            label.label,
            label.hits,
            label.support - label.hits,
            label.given - label.hits,
            report.n - label.support - label.given + label.hits,
        )
        for label in first
    )
