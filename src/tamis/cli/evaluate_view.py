"""An evaluation in the terminal: what the figures mean, the figures, the weakest labels and the top confusions."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tamis.cli.layout import cut, figures_table, marked, title
from tamis.evaluation.figures import LabelFigures, MultiReport, SingleReport
from tamis.evaluation.report import EvaluationReport
from tamis.evaluation.verdict import percent, span, verdict, weakest

FIGURES = {
    "accuracy": "accuracy",
    "subset_accuracy": "whole rows right",
    "micro_f1": "micro-F1",
    "macro_f1": "macro-F1",
    "weighted_f1": "weighted F1",
    "samples_jaccard": "samples Jaccard",
    "mean_average_precision": "mean average precision",
    "coverage": "coverage",
    "selective_accuracy": "right of those answered",
    "oos_recall": "out of scope, turned away",
    "oos_auroc": "out-of-scope AUROC",
    "ece": "calibration error",
    "log_loss": "log loss",
    "brier": "Brier score",
}
UNBOUNDED = ("log_loss", "brier")
MOST_LABELS = 10
MOST_CONFUSIONS = 5
BAR = 14
UNSEEN = " (not in the model)"
NAME = 30  # characters of a label that fit beside the figures in 80 columns


def show(report: EvaluationReport, console: Console) -> None:
    """Print the report, a target at a time."""
    parts = [part for name, target in report.targets.items() for part in _target(name, target)]
    console.print(*parts, sep="\n")


def _target(name: str, report: SingleReport | MultiReport) -> Iterator[RenderableType]:
    kind = "single-label" if isinstance(report, SingleReport) else "multi-label"
    yield title(f"Target {name}", f"{kind}, {len(report.per_label):,} labels, {report.n:,} rows")
    yield from (marked(*remark) for remark in verdict(report))
    if not report.n:
        return
    yield Padding(_figures(report), (1, 0, 0, 0))
    tested = weakest(report)
    yield title("Weakest labels" if len(tested) > MOST_LABELS else "Labels", _more(tested))
    yield _labels(tested[:MOST_LABELS])
    if report.confusions:
        yield title("Most frequent confusions")
        yield _confusions(report)


def _more(tested: list[LabelFigures]) -> str:
    return f"{MOST_LABELS} of {len(tested):,}, lowest F1 first" if len(tested) > MOST_LABELS else "lowest F1 first"


def _figures(report: SingleReport | MultiReport) -> Table:
    table = figures_table("figure", "value", "95% interval", "constant answer")
    for name, word in FIGURES.items():
        value = getattr(report, name, None)
        if value is None:
            continue
        share = name not in UNBOUNDED
        constant = getattr(report.baseline, name, None)
        table.add_row(
            word,
            Text(percent(value) if share else f"{value:.3f}", style="bold"),
            span(getattr(report, f"{name}_ci", None), share=share),
            Text("" if constant is None else percent(constant), style="dim"),
        )
    return table


def _labels(labels: list[LabelFigures]) -> Table:
    table = figures_table("label", "F1", "precision", "recall", "rows", "")
    table.columns[-1].justify = "left"
    for figures in labels:
        f1 = figures.f1 or 0.0
        name = cut(figures.label, NAME - len(UNSEEN)) + UNSEEN if figures.unseen else cut(figures.label, NAME)
        style = "green" if f1 >= 0.9 else "yellow" if f1 >= 0.5 else "red"
        bar = Text("━" * max(1, round(BAR * f1)), style=style)
        cells = (percent(f1), percent(figures.precision), percent(figures.recall), f"{figures.support:,}")
        table.add_row(Text(name, style="dim" if figures.unseen else ""), *cells, bar)
    return table


def _confusions(report: SingleReport | MultiReport) -> Table:
    actual = "carries" if isinstance(report, SingleReport) else "lacks"
    table = figures_table(actual, "was given", "rows", text=2)
    for confusion in report.confusions[:MOST_CONFUSIONS]:
        table.add_row(Text(cut(confusion.actual, NAME)), Text(cut(confusion.given, NAME)), f"{confusion.rows:,}")
    return table
