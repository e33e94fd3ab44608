"""What came of a promotion, in the terminal: both models' figures, the conditions, what moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tamis.cli.evaluate_view import FIGURES
from tamis.cli.layout import cut, figures_table, marked, plain, title
from tamis.evaluation.conditions import LOSSES, P50, parse
from tamis.evaluation.figures import Figure, IntervalFigure
from tamis.evaluation.gate import Compared, GateReport, Judged, better
from tamis.evaluation.verdict import percent, span
from tamis.workspace.promotions import Outcome

NAME, SHORTER, WIDE = 30, 16, 120
"""Characters of a name, in a narrow terminal; columns from which on a terminal is wide."""
MOST_LABELS = 10
UNSURE = 0.05
"""A p-value below which a difference is coloured."""


def show(outcome: Outcome, console: Console) -> None:
    """Print it."""
    report = outcome.report
    if report is not None:
        console.print(*_parts(report, console.width), sep="\n")
    console.print(marked("ok" if outcome.passed else "error", outcome.why))
    if outcome.moved and outcome.former is not None:
        console.print(f"  Back: tamis alias rollback {outcome.alias}", style="dim", markup=False, soft_wrap=True)


def _parts(report: GateReport, width: int) -> Iterator[RenderableType]:
    against = f"against {report.current}" if report.current else "the first of its alias"
    yield title(report.candidate, f"{against}, on {report.rows:,} rows")
    yield from (marked("warning", remark) for remark in report.remarks)
    for name, table in report.targets.items():
        yield title(f"Target {name}", f"{table.rows:,} rows")
        yield _figures(table.figures, report, wide=width >= WIDE)
    if report.p50_ms:
        took = ", ".join(f"{who} {value:.2f} ms" for who, value in report.p50_ms.items())
        yield Padding(Text(f"One text takes: {took} (the middle one)"), (1, 0, 0, 0))
    yield title("Conditions")
    yield from (_condition(each, several=len(report.targets) > 1) for each in report.conditions)
    if report.lost:
        yield marked("warning", f"{report.candidate} lacks what {report.current} has: {_listed(report.lost)}.")
    if report.gained:
        yield marked("info", f"New in {report.candidate}: {_listed(report.gained)}.")
    yield Text()


def _figures(figures: Sequence[Compared], report: GateReport, *, wide: bool) -> Table:
    if report.current is None:
        table = figures_table("figure", cut(report.candidate, NAME), "95% interval")
        for each in figures:
            table.add_row(_name(each), value_of(each.figure, each.candidate), _span(each.figure, each.candidate_ci))
        return table
    models = [cut(name, NAME if wide else SHORTER) for name in (report.candidate, report.current)]
    own = ["95% interval"] if wide else []  # each model's; that of the difference is what tells, and always there
    table = figures_table("figure", models[0], *own, models[1], *own, "difference", "95% interval")
    for each in figures:
        mine, current = value_of(each.figure, each.candidate), value_of(each.figure, each.current)
        spans = [[_span(each.figure, ci)] if wide else [] for ci in (each.candidate_ci, each.current_ci)]
        difference = (_difference(each), _signed(_span(each.figure, each.difference_ci)))
        table.add_row(_name(each), Text(mine, style="bold"), *spans[0], current, *spans[1], *difference)
    return table


def _condition(judged: Judged, *, several: bool) -> RenderableType:
    (condition,) = parse(judged.condition)
    figure = condition.figure
    text = Text(plain(judged.condition), style="" if judged.holds else "bold red")
    if several and judged.target is not None and condition.target is None:
        text.append(f"  ({plain(judged.target)})", style="dim")
    if judged.needed is not None:
        numbers = f"  {value_of(figure, judged.value)}, needed {condition.op} {value_of(figure, judged.needed)}"
        text.append(numbers, style="dim")
        if judged.surely and judged.beyond_ci is not None:
            unit = "" if figure in LOSSES or figure == P50 else " points"
            beyond = f"{_signed(_span(figure, judged.beyond_ci))}{unit}"
            text.append(f", difference {beyond}", style="dim")
    if judged.why:
        text.append(f"  {judged.why}", style="dim")
    return marked("ok" if judged.holds else "error", text)


def _name(each: Compared) -> Text:
    word = FIGURES.get(each.figure, each.figure)
    return Text(cut(word if each.label is None else f"{word} of {each.label}", NAME))


def value_of(figure: str, value: Figure) -> str:
    """A figure's value as people read it: shares in percent."""
    if value is None:
        return "–"
    if figure == P50:
        return f"{value:.2f} ms"
    return f"{value:.3f}" if figure in LOSSES else percent(value)


def _span(figure: str, interval: IntervalFigure) -> str:
    return span(interval, share=figure not in LOSSES)


def _difference(each: Compared) -> Text:
    if each.difference is None:
        return Text("–")
    told = f"{each.difference:+.3f}" if each.figure in LOSSES else f"{100 * each.difference:+.1f} pp"
    clear = each.p is not None and each.p < UNSURE
    return Text(_signed(told), style=("green" if better(each.figure, each.difference) else "red") if clear else "")


def _signed(text: str) -> str:
    return text.replace("-", "−")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LABELS:,} more" if len(names) > MOST_LABELS else ""
    return ", ".join(plain(name) for name in names[:MOST_LABELS]) + more
