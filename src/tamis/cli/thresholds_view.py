"""Thresholds and abstain rules in the terminal: what each gives, what is not kept of what was asked, what others do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import floor

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tamis.cli.layout import cut, figures_table, marked, title
from tamis.evaluation.verdict import percent
from tamis.ml.answering import AnswerTable, RuleAt
from tamis.ml.rethresholding import OTHERS, LabelAt, ThresholdTable

NAME, SHORTER = 26, 18  # characters of a label that fit beside the figures in 80 columns, and beside more of them
FIGURES = {"micro_f1": "micro-F1", "macro_f1": "macro-F1"}
ROWS = {"held_out": "rows held out in training", "data": "rows given"}
NOTHING = (
    "The model keeps no counts of held-out rows (an earlier version of Tamis made it, or there were too few): give "
    "labelled rows with --data FILE to see what its thresholds give."
)

NO_EVIDENCE = (
    "The model keeps no evidence of held-out rows (an earlier version of Tamis made it, it was grown from another, or "
    "there were too few): give labelled rows with --data FILE to see what its rule gives, and to choose another."
)


def show(tables: Mapping[str, ThresholdTable], console: Console, *, others: bool) -> None:
    """Print the thresholds of each target; `others`: and what other thresholds would give."""
    _print([part for name, table in tables.items() for part in _target(name, table, others)], console)


def show_answers(tables: Mapping[str, AnswerTable], console: Console, *, others: bool) -> None:
    """Print how much each single-label target answers, and how right; `others`: and what other rules would give."""
    _print([part for name, table in tables.items() for part in _answers(name, table, others)], console)


def _print(parts: list[RenderableType], console: Console) -> None:
    if parts:
        console.print(*parts, sep="\n")


def _answers(name: str, table: AnswerTable, others: bool) -> Iterator[RenderableType]:
    counted = f", {table.rows:,} {ROWS[table.source]}" if table.source else ""
    yield title(f"Target {name}", f"one of {len(table.target.labels):,} labels{counted}")
    if table.counts is None:
        yield marked("info", NO_EVIDENCE)
    rules = [("now", table.rule)] if table.before is None else [("before", table.before), ("now", table.rule)]
    rules += [("", rule) for rule in table.others()] if others else []
    shown = figures_table("", "may cost", "answered", "of these right", *_outside(rules))
    for when, rule in rules:
        cells = (f"{100 * rule.loss:g}%", _percent(rule.coverage), _percent(rule.accuracy))
        outside = [_percent(rule.oos_recall)] if _outside(rules) else []
        shown.add_row(when, *cells, *outside)
    yield shown


def _outside(rules: list[tuple[str, RuleAt]]) -> list[str]:
    return ["out of scope silent"] if any(rule.oos_recall is not None for _, rule in rules) else []


def _target(name: str, table: ThresholdTable, others: bool) -> Iterator[RenderableType]:
    counted = f", {table.rows:,} {ROWS[table.source]}" if table.source else ""
    yield title(f"Target {name}", f"{len(table.labels):,} labels{counted}")
    if table.counts is None:
        yield marked("info", NOTHING)
    yield _labels(table)
    yield from _promises(table)
    if table.figures:
        yield Text.assemble(*_figures(table))
    if others and table.counts is not None:
        yield title("At one threshold for all", "precision / recall in percent")
        yield _others(table)


def _labels(table: ThresholdTable) -> Table:
    changed = any(label.before is not None for label in table.labels)
    asked = _asked_alone(table)
    columns = ["threshold", "precision", "recall", "F1", "rows"]
    columns = [*(["before"] if changed else []), *columns, *(["surely"] if asked else [])]
    shown = figures_table("label", *columns)
    for label in table.labels:
        before = [] if not changed else ["" if label.before is None else f"{label.before:.3f}"]
        share = [_percent(label.precision), _percent(label.recall), _percent(label.f1)]
        rows = "" if label.support is None else f"{label.support:,}"
        cells: list[str | Text] = [*before, Text(f"{label.threshold:.3f}", style="bold"), *share, rows]
        sure = [Text("") if label.label in table.together else _surely(label)] if asked else []
        shown.add_row(Text(cut(label.label, SHORTER if changed or asked else NAME)), *cells, *sure)
    return shown


def _asked_alone(table: ThresholdTable) -> bool:
    return any(label.bound is not None and label.label not in table.together for label in table.labels)


def _promises(table: ThresholdTable) -> Iterator[Text]:
    """What holds for all labels together, and what the figures mean."""
    every = [label for label in table.labels if label.label in table.together and label.bound is not None]
    for label in every[:1]:
        told = f"All {len(table.together):,} labels together, {label.asked}: surely "
        yield Text.assemble(told, _surely(label), (", which a label alone may miss", "dim"))
    if every or _asked_alone(table):
        yield Text("surely: at least this, with a probability of 95%", style="dim")


def _surely(label: LabelAt) -> Text:
    """What the precision or recall that was asked for surely is, and whether that is enough."""
    if label.asked is None:
        return Text("")
    known = "?" if label.bound is None else f"{floor(100 * label.bound):d}%"
    return Text(f"{known} {'✓' if label.kept else '✗'}", style="green" if label.kept else "yellow")


def _figures(table: ThresholdTable) -> Iterator[str | tuple[str, str]]:
    """A line with the averages, and what they were before."""
    for name, word in FIGURES.items():
        yield f"{word} "
        yield percent(table.figures[name]), "bold"
        if table.before is not None:
            yield f" (before {percent(table.before[name])})", "dim"
        yield "  "


def _others(table: ThresholdTable) -> Table:
    shown = figures_table("label", *(f"{threshold:g}" for threshold in OTHERS))
    columns = [table.at(threshold) for threshold in OTHERS]
    for place, label in enumerate(table.labels):
        shown.add_row(Text(cut(label.label, NAME)), *(_pair(*column[place]) for column in columns))
    return shown


def _pair(precision: float | None, recall: float | None) -> str:
    return " / ".join("–" if share is None else f"{100 * share:.0f}" for share in (precision, recall))


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(share)
