"""A comparison in the terminal: who is best, the differences, speed and cost; as much as the width has room for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tamis.cli.layout import cut, figures_table, marked, title
from tamis.evaluation.comparison import Comparison, PairReport, TargetComparison
from tamis.evaluation.comparison_verdict import (
    DASH,
    WORDS,
    best_of,
    difference_span,
    difference_text,
    failures_text,
    interval_text,
    is_better,
    million_text,
    p_text,
    rate_text,
    seconds_text,
    value_text,
    verdict,
)
from tamis.schema import Kind

NARROWEST, USUAL, WIDEST = 12, 24, 44  # characters of a contender's name
SHORTER = {"oos_recall": "oos turned away"}  # words that fit above a column
WIDE = 72  # characters from which a terminal has room for the usual
GAP = 2
FURTHER = {
    Kind.SINGLE_LABEL: ("oos_recall", "macro_f1", "ece", "selective_accuracy"),
    Kind.MULTI_LABEL: ("macro_f1", "subset_accuracy", "ece"),
}


class _Column(NamedTuple):
    """A column: the lower its rank, the sooner it is shown where there is little room."""

    name: str
    cells: Sequence[Text | str]
    rank: int


def show(comparison: Comparison, console: Console) -> None:
    """Print the comparison, a target at a time."""
    console.print(*_parts(comparison, console.width), sep="\n")


def _parts(comparison: Comparison, width: int) -> Iterator[RenderableType]:
    sampled = f", {comparison.sampled}" if comparison.sampled else ""
    yield Text(f"{len(comparison.contenders)} contenders on the same {comparison.n:,} rows{sampled}", style="dim")
    for warning in comparison.warnings:
        yield marked("warning", warning)
    for name, target in comparison.targets.items():
        kind = "single-label" if target.kind is Kind.SINGLE_LABEL else "multi-label"
        yield title(f"Target {name}", f"{kind}, {len(target.labels):,} labels, {target.n:,} rows")
        yield from (marked(*remark) for remark in verdict(target, comparison))
        if target.n:
            yield Padding(_figures(target, width), (1, 0, 0, 0))
    yield title("Speed and cost")
    yield _costs(comparison, width)
    for line in (*comparison.used, *comparison.notes):
        yield marked("info", line)
    for contender in comparison.contenders:
        yield from (marked("info", f"{contender.name}: {note}") for note in contender.notes)


def _figures(target: TargetComparison, width: int) -> Table:
    names = target.ranked()
    main, beside = target.main_figure, f"beside {cut(target.against, 16)}"
    pairs = [target.pair(main, name, target.against) if name != target.against else None for name in names]
    columns = [
        _Column(WORDS[main], [_value(target, name, main) for name in names], 0),
        _Column("95% interval", [interval_text(main, target.contenders[name]) for name in names], 4),
    ]
    for rank, figure in enumerate(FURTHER[target.kind]):
        if any(figure in target.contenders[name].figures for name in names):
            cells = [_value(target, name, figure) for name in names]
            columns.append(_Column(SHORTER.get(figure, WORDS[figure]), cells, 3 + 2 * rank))
    columns += [
        _Column(beside, [_difference(pair) for pair in pairs], 1),
        _Column("95% interval", ["" if pair is None else difference_span(pair) for pair in pairs], 6),
        _Column("p", ["" if pair is None else p_text(pair.p_corrected) for pair in pairs], 2),
    ]
    return _fitting("contender", names, columns, width)


def _value(target: TargetComparison, name: str, figure: str) -> Text:
    text = value_text(figure, target.contenders[name])
    return Text(text, style="bold green" if name in best_of(target, figure) else "dim" if text == DASH else "")


def _difference(pair: PairReport | None) -> Text:
    if pair is None or pair.value is None:
        return Text("")
    style = "dim" if not pair.significant else "green" if is_better(pair.figure, pair.value) else "red"
    return Text(difference_text(pair), style=style)


def _costs(comparison: Comparison, width: int) -> Table:
    contenders = comparison.contenders
    columns = [
        _Column("one text", [seconds_text(each.speed.p50) for each in contenders], 0),
        _Column("99% within", [seconds_text(each.speed.p99) for each in contenders], 2),
        _Column("one by one", [rate_text(each.speed.one_by_one_per_second) for each in contenders], 5),
        _Column("texts a second", [rate_text(each.speed.texts_per_second) for each in contenders], 4),
        _Column("a million texts", [million_text(each.cost) for each in contenders], 1),
    ]
    if any(each.failures for each in contenders):
        columns.append(_Column("no answer", [Text(failures_text(each), style="yellow") for each in contenders], 3))
    return _fitting("contender", [contender.name for contender in contenders], columns, width)


def _fitting(first: str, names: Sequence[str], columns: Sequence[_Column], width: int) -> Table:
    """A table of as many columns as there is room for, in their order."""
    least = min(max(map(len, names)), USUAL if width >= WIDE else NARROWEST)
    room = width - least - GAP
    places = set[int]()
    for place in sorted(range(len(columns)), key=lambda place: columns[place].rank):
        column = columns[place]
        needed = GAP + max(len(cell) for cell in (column.name, *column.cells))
        if column.rank and needed > room:
            break
        places.add(place)
        room -= needed
    kept = [columns[place] for place in sorted(places)]
    table = figures_table(first, *(column.name for column in kept))
    for at, name in enumerate(names):
        cells = [column.cells[at] for column in kept]
        table.add_row(Text(cut(name, min(WIDEST, least + room))), *cells)
    return table
