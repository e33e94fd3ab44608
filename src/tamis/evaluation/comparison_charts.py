"""The charts of a comparison, as plotly figures.

Contenders and labels stand on numbered axes: names that are alike once they are cut stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tamis.evaluation.charts import GOOD_SCALE, short
from tamis.evaluation.comparison import Comparison, TargetComparison
from tamis.evaluation.comparison_verdict import (
    WORDS,
    best_of,
    difference_span,
    difference_text,
    figure_text,
    is_better,
    p_text,
    seconds_text,
)
from tamis.evaluation.figures import LabelFigures
from tamis.evaluation.paired import SUBSET
from tamis.pages import Narrow

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLORS = (
    *("#1b8a8a", "#e08a2c", "#6a7fd1", "#c2557b", "#7aa33d", "#8c6d5a", "#4aa3d8", "#a06bc4", "#b59a1f", "#7a8594"),
)
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up")
MOST_BARS = 60
"""Labels times contenders up to which there is a bar for each; beyond, a coloured table is easier to read."""

MOST_LABELS = 120
MEAN = "mean over labels"
BEST = "★"
BETTER, WORSE, ALIKE = "#2a9d93", "#e08a2c", "#c9ced6"  # opaque: plotly picks the colour of the numbers on them
NAME = 26


def color(place: int) -> str:
    """The colour of a contender, by its place."""
    return COLORS[place % len(COLORS)]


def symbol(place: int) -> str:
    """The mark of a contender, by its place: where colours repeat, marks differ."""
    return SYMBOLS[place // len(COLORS) % len(SYMBOLS)]


def averages(target: TargetComparison) -> Figure:
    """The figures over all labels of each contender with their intervals, best first."""
    from plotly.graph_objects import Figure, Scatter

    names = target.ranked()
    figures = [target.main_figure, "macro_f1"] if not target.kind.startswith("multi") else _multi_figures(target)
    traces = []
    for number, figure in enumerate(figures):
        found = [(place, target.contenders[name].figures[figure]) for place, name in enumerate(names, 1)
                 if figure in target.contenders[name].figures]  # fmt: skip
        traces.append(
            Scatter(
                x=[measured.value for _, measured in found],
                y=[place + _shift(number, len(figures)) for place, _ in found],
                name=WORDS[figure],
                mode="markers",
                marker={"size": 10 if not number else 8, "color": color(number), "symbol": SYMBOLS[number]},
                error_x=_reach(found),
                customdata=[names[place - 1] for place, _ in found],
                hovertemplate=f"%{{customdata}}<br>{WORDS[figure]} %{{x:.1%}}<extra></extra>",
            )
        )
    best = best_of(target, target.main_figure)
    ticks = [f"{BEST} {short(name, 18)}" if name in best else short(name, 20) for name in names]
    return Figure(
        traces,
        {
            "xaxis": {"tickformat": ".0%", "nticks": 4, "zeroline": False},
            "yaxis": _numbered(ticks),
            "height": 130 + 46 * len(names),
        },
    )


def _multi_figures(target: TargetComparison) -> list[str]:
    return [target.main_figure, "macro_f1", SUBSET]


def _shift(number: int, count: int) -> float:
    return 0.22 * (number - (count - 1) / 2)


def _reach(found: Sequence[tuple[int, Any]]) -> dict[str, Any]:
    """How far the intervals reach to both sides."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [(m.high if m.high is not None else m.value) - m.value for _, m in found],
        "arrayminus": [m.value - (m.low if m.low is not None else m.value) for _, m in found],
        "thickness": 1.5,
        "width": 4,
    }


def _numbered(ticks: Sequence[str]) -> dict[str, Any]:
    """An axis from top to bottom with a name at each whole number."""
    return {
        "tickvals": list(range(1, len(ticks) + 1)),
        "ticktext": list(ticks),
        "range": [len(ticks) + 0.6, 0.4],
        "zeroline": False,
    }


def label_order(target: TargetComparison) -> list[int]:
    """Places of the labels that some row carries or was given, most frequent first; of very many, those that differ."""
    tables = [figures.per_label for figures in target.contenders.values()]
    used = [at for at, figures in enumerate(tables[0]) if figures.support or any(table[at].given for table in tables)]
    if len(used) > MOST_LABELS:
        spread = {at: max(t[at].f1 or 0 for t in tables) - min(t[at].f1 or 0 for t in tables) for at in used}
        used = sorted(used, key=lambda at: -spread[at])[:MOST_LABELS]
    return sorted(used, key=lambda at: (-tables[0][at].support, at))


def few(target: TargetComparison) -> bool:
    """Whether there is room for a bar a label and contender."""
    return (len(label_order(target)) + 1) * len(target.contenders) <= MOST_BARS


def label_bars(target: TargetComparison) -> Figure:
    """F1 of each label as a bar for each contender, the mean over the labels first; the best of each is marked."""
    from plotly.graph_objects import Bar, Figure

    order, names, table = _label_table(target)
    traces = [
        Bar(
            x=[row[place] for row in table],
            y=list(range(1, len(order) + 1)),
            orientation="h",
            name=short(name, 40),
            marker={"color": color(place)},
            text=[_told(row[place], row) for row in table],
            textposition="outside",
            cliponaxis=False,
            customdata=[[label, name] for label in order],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}: F1 %{x:.1%}<extra></extra>",
        )
        for place, name in enumerate(names)
    ]  # fmt: skip
    return Figure(
        traces,
        {
            "barmode": "group",
            "bargap": 0.3,
            "xaxis": {"tickformat": ".0%", "range": [0, 1.3], "tickvals": [0, 0.25, 0.5, 0.75, 1]},
            "yaxis": {**_numbered([short(label, NAME) for label in order]), "showgrid": False},
            "legend": {"traceorder": "normal"},
            "height": 130 + len(order) * (16 + 16 * len(names)),
            "font": {"size": 12},
        },
    )


def label_map(target: TargetComparison) -> Figure:
    """F1 of each label (down) and contender (across) as colours; the best of each label is marked."""
    from plotly.graph_objects import Figure, Heatmap

    order, names, table = _label_table(target)
    numbers = list(range(1, len(names) + 1))
    grid = Heatmap(
        z=table,
        x=numbers,
        y=list(range(1, len(order) + 1)),
        text=[[_told(f1, row) for f1 in row] for row in table],
        texttemplate="%{text}",
        textfont={"size": 11},
        customdata=[[[label, name] for name in names] for label in order],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}: F1 %{z:.1%}<extra></extra>",
        zmin=0,
        zmax=1,
        colorscale=GOOD_SCALE,
        showscale=False,
        xgap=1,
        ygap=1,
    )
    across = {"tickvals": numbers, "ticktext": [short(name, 18) for name in names], "tickangle": -50}
    down = _numbered([short(label, NAME) for label in order])
    return Figure(
        [grid],
        {
            "xaxis": {**across, "side": "top", "showgrid": False, "zeroline": False, "range": [0.5, len(names) + 0.5]},
            "yaxis": {**down, "showgrid": False, "range": [len(order) + 0.5, 0.5]},
            "height": 170 + 19 * len(order),
            "margin": {"t": 12, "r": 64},  # for the name of the last column
            "font": {"size": 11},
        },
    )  # fmt: skip


def label_map_narrow(target: TargetComparison) -> Narrow:
    """The same on a narrow screen: contenders by their numbers."""
    names = list(target.contenders)
    down = [short(label, 13) for label in (MEAN, *(_first(target)[at].label for at in label_order(target)))]
    layout = {
        "xaxis": {"ticktext": [str(number) for number in range(1, len(names) + 1)], "tickangle": 0},
        "yaxis": {"ticktext": down},
        "height": 80 + 19 * len(down),
        "margin": {"t": 12, "r": 8},
        "font": {"size": 10},
    }
    return Narrow(layout, 96 + 36 * len(names), _numbers(names))


def _first(target: TargetComparison) -> Sequence[LabelFigures]:
    return next(iter(target.contenders.values())).per_label


def _numbers(names: Sequence[str]) -> str:
    """Which number is which contender."""
    return "; ".join(f"{number}: {name}" for number, name in enumerate(names, 1))


def label_map_width(target: TargetComparison) -> int:
    """Pixels that `label_map` needs to stay readable."""
    return 300 + 46 * len(target.contenders)


def _label_table(target: TargetComparison) -> tuple[list[str], list[str], list[list[float]]]:
    """Names of rows and columns, and the F1 of each; the mean over the labels comes first."""
    places, names = label_order(target), list(target.contenders)
    tables = [target.contenders[name].per_label for name in names]
    means = [target.contenders[name].figures["macro_f1"].value or 0.0 for name in names]
    table = [means, *([round(each[at].f1 or 0.0, 4) for each in tables] for at in places)]
    return [MEAN, *(tables[0][at].label for at in places)], names, table


def _told(f1: float, row: Sequence[float]) -> str:
    """A percentage, marked where it is the best of the row and not that of all."""
    best = f1 == max(row) and row.count(f1) < len(row)
    return f"{100 * f1:.0f}{' ' + BEST if best else ''}"


def differences(target: TargetComparison, figure: str) -> Figure:
    """How much better each contender (down) is than each other (across); coloured where that is no chance."""
    from plotly.graph_objects import Figure, Heatmap

    names = target.ranked()
    numbers = list(range(1, len(names) + 1))
    cells = [[_cell(target, figure, one, other) for other in names] for one in names]
    grid = Heatmap(
        z=[[cell[0] for cell in row] for row in cells],
        text=[[cell[1] for cell in row] for row in cells],
        hovertext=[[cell[2] for cell in row] for row in cells],
        x=numbers,
        y=numbers,
        texttemplate="%{text}",
        hovertemplate="%{hovertext}<extra></extra>",
        zmin=-1,
        zmax=1,
        colorscale=((0, WORSE), (0.5, ALIKE), (1, BETTER)),
        showscale=False,
        xgap=2,
        ygap=2,
        hoverongaps=False,
    )
    down = [f"{short(name, NAME)}  {number}" for name, number in zip(names, numbers, strict=True)]
    bare = {"showgrid": False, "zeroline": False}
    return Figure(
        [grid],
        {
            "xaxis": {**bare, "tickvals": numbers, "side": "top", "range": [0.5, len(names) + 0.5]},
            "yaxis": {**bare, **_numbered(down), "range": [len(names) + 0.5, 0.5]},
            "height": 110 + 36 * len(names),
            "margin": {"t": 12},
        },
    )


def differences_narrow(target: TargetComparison) -> Narrow:
    """The same on a narrow screen: contenders by their numbers."""
    names = target.ranked()
    layout = {
        "yaxis": {"ticktext": [str(number) for number in range(1, len(names) + 1)]},
        "height": 60 + 32 * len(names),
        "font": {"size": 10},
    }
    return Narrow(layout, 26 + 33 * len(names), _numbers(names))


def _cell(target: TargetComparison, figure: str, one: str, other: str) -> tuple[int | None, str, str]:
    """Which way it goes (0 where that may be chance), what stands in the cell, and what is said of it."""
    pair = target.pair(figure, one, other) if one != other else None
    if pair is None or pair.value is None:
        return None, "", ""
    way = 0 if not pair.significant else 1 if is_better(figure, pair.value) else -1
    told = (
        f"{one} beside {other}: {difference_text(pair)} ({difference_span(pair)}), p {p_text(pair.p)}, corrected "
        f"{p_text(pair.p_corrected)}"
    )
    return way, difference_text(pair), told


def trade(comparison: Comparison, name: str) -> Figure:
    """How good each contender is over how long one text takes."""
    from plotly.graph_objects import Figure, Scatter

    target = comparison.targets[name]
    traces = []
    for place, contender in enumerate(comparison.contenders):
        measured = target.contenders[contender.name].figures.get(target.main_figure)
        if contender.speed.p50 is None or measured is None or measured.value is None:
            continue
        told = f"{WORDS[target.main_figure]} {figure_text(target.main_figure, measured.value)}"
        traces.append(
            Scatter(
                x=[1000 * contender.speed.p50],
                y=[measured.value],
                error_y=_reach([(0, measured)]),
                name=short(contender.name, 32),
                mode="markers",
                marker={"size": 13, "color": color(place), "symbol": symbol(place)},
                hovertext=f"{contender.name}: {told}, one text {seconds_text(contender.speed.p50)}",
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    return Figure(
        traces,
        {
            "xaxis": {"type": "log", "title": {"text": "milliseconds for one text (median)"}, "dtick": 1},
            "yaxis": {"tickformat": ".0%", "title": {"text": WORDS[target.main_figure]}, "nticks": 6},
            "legend": {"traceorder": "normal"},
            "height": 360 + 14 * len(traces),
            "showlegend": True,
        },
    )
