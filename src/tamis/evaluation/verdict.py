"""What a report means, in sentences: the same ones on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tamis.evaluation.figures import LabelFigures, MultiReport, SingleReport
from tamis.pages import Severity

FEW_ROWS = 100
CLOSE, ROUGH = 0.03, 0.08  # calibration error up to which scores mean what they say, or roughly so
WEAK_F1 = 0.5
NAMED = 5

Interval = tuple[float, float]


class Remark(NamedTuple):
    """One sentence or two, and how bad it is."""

    severity: Severity
    text: str


def verdict(report: SingleReport | MultiReport) -> list[Remark]:
    """Return what a reader should take from the figures, the most important first."""
    if not report.n:
        return [Remark("error", "No row says anything about this target: nothing was measured.")]
    last = (*_abstaining(report), *_out_of_scope(report))
    return [_headline(report), *_doubts(report), _calibration(report), *_labels(report), *last]


def percent(value: float | None) -> str:
    """A share as a percentage with one digit; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f}%"


def span(interval: Interval | None, *, share: bool = True) -> str:
    """An interval in words, `92.2 to 94.0`; empty where there is none."""
    if interval is None:
        return ""
    low, high = (f"{100 * bound:.1f}" if share else f"{bound:.3f}" for bound in interval)
    return f"{low} to {high}"


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(f"“{_short(name)}”" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def _short(name: str, width: int = 40) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"


def main_figure(report: SingleReport | MultiReport) -> tuple[str, float | None, Interval | None, float | None]:
    """Name, value, interval and baseline of the figure that a target is judged by: accuracy, or micro-F1."""
    if isinstance(report, SingleReport):
        return "accuracy", report.accuracy, report.accuracy_ci, report.baseline.accuracy
    return "micro-F1", report.micro_f1, report.micro_f1_ci, report.baseline.micro_f1


def _headline(report: SingleReport | MultiReport) -> Remark:
    name, value, interval, baseline = main_figure(report)
    between = f" (95% interval {span(interval)})" if interval else ""
    constant = f"always answering {listed(report.baseline.answer, 2)}"
    if interval is not None and baseline is not None and interval[0] <= baseline:
        return Remark(
            "error",
            f"Not clearly better than a constant answer: {name} {percent(value)}{between}, {constant} gives "
            f"{percent(baseline)}.",
        )
    if isinstance(report, SingleReport):
        told = f"Right for {percent(value)} of {report.n:,} rows{between}; {constant} would be right for"
    else:
        told = f"Micro-F1 {percent(value)} on {report.n:,} rows{between}; {constant} would reach"
    return Remark("ok", f"{told} {percent(baseline)}.")


def _doubts(report: SingleReport | MultiReport) -> Iterator[Remark]:
    if report.n < FEW_ROWS:
        yield Remark("warning", f"Only {report.n:,} rows were measured: read the intervals, not the figures.")
    if report.unseen_rows:
        carry = "row carries" if report.unseen_rows == 1 else "rows carry"
        yield Remark(
            "warning",
            f"{report.unseen_rows:,} {carry} a label that the model does not have ({listed(report.unseen_labels)}): "
            f"each counts as a miss.{_without_unseen(report)}",
        )
    if report.unknown:
        rows = "1 row says" if report.unknown == 1 else f"{report.unknown:,} rows say"
        yield Remark("info", f"{rows} nothing about this target, and counted nowhere.")


def _without_unseen(report: SingleReport | MultiReport) -> str:
    seen = report.n - report.unseen_rows
    if isinstance(report, MultiReport) or not seen or report.accuracy is None:
        return ""
    return f" Of the other {seen:,}, {percent(report.accuracy * report.n / seen)} are right."


def _calibration(report: SingleReport | MultiReport) -> Remark:
    error = report.ece or 0.0
    before = f" (before calibration: {100 * report.ece_before:.1f})" if report.ece_before is not None else ""
    points = f"off by {100 * error:.1f} points on average{before}"
    if report.ece_before is not None and round(error - report.ece_before, 3) > 0 and error <= ROUGH:
        meant = "near what they say" if error <= CLOSE else "roughly right"
        return Remark("info", f"Scores are {meant}, but calibration made them a little worse on these rows: {points}.")
    if error <= CLOSE:
        return Remark("ok", f"Scores mean what they say: {points}.")
    if error <= ROUGH:
        return Remark("info", f"Scores are roughly right: {points}.")
    advice = "" if report.n < FEW_ROWS else " Validation data more like these rows would help."
    return Remark("warning", f"Scores are not to be taken at their word: {points}.{advice}")


def _labels(report: SingleReport | MultiReport) -> Iterator[Remark]:
    untested = [figures.label for figures in report.per_label if not figures.support]
    if untested:
        verb, them = ("label has", "it") if len(untested) == 1 else ("labels have", "them")
        yield Remark(
            "info", f"{len(untested):,} {verb} no row here, so nothing is known of {them}: {listed(untested)}."
        )
    weak = [label for label in weakest(report) if (label.f1 or 0) < WEAK_F1 and not label.unseen]
    if weak:
        verb = "label is" if len(weak) == 1 else "labels are"
        names = listed([label.label for label in weak])
        yield Remark("warning", f"{len(weak):,} {verb} found badly (F1 under {WEAK_F1:.1f}): {names}.")


def weakest(report: SingleReport | MultiReport) -> list[LabelFigures]:
    """The labels that some row carries, lowest F1 first; of equal ones the most frequent first."""
    tested = [figures for figures in report.per_label if figures.support]
    return sorted(tested, key=lambda figures: (figures.f1 or 0.0, -figures.support))


def _abstaining(report: SingleReport | MultiReport) -> Iterator[Remark]:
    if report.coverage is None:
        return
    kept = f"{percent(report.coverage)} of the rows got an answer"
    right = (
        f", and {percent(report.selective_accuracy)} of those answers are right" if report.selective_accuracy else ""
    )
    outside = report.unseen_abstained
    turned = f" Of the rows with a label it does not have, it turned away {percent(outside)}." if outside else ""
    yield Remark("info", f"{kept}{right}.{turned}")


def _out_of_scope(report: SingleReport | MultiReport) -> Iterator[Remark]:
    if isinstance(report, MultiReport) or not report.oos_rows:
        return
    rows = "1 row is" if report.oos_rows == 1 else f"{report.oos_rows:,} rows are"
    turned = f"; {percent(report.oos_recall)} of them got no answer" if report.oos_recall is not None else ""
    yield Remark("info", f"{rows} out of scope, and neither right nor wrong{turned}.")
