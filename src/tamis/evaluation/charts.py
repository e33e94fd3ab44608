"""The charts of a report, as plotly figures: what they show and in which colours, not where they stand on a page."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

from tamis.evaluation.figures import LabelFigures, MultiReport, SingleReport, ThresholdCurve

Cell = tuple[int, str]

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GOOD, BAD, THIRD = "#1b8a8a", "#e08a2c", "#6a7fd1"
GOOD_SCALE = ((0, "#cfe6e4"), (1, "#12706f"))  # opaque: plotly picks the colour of the numbers on them
BAD_SCALE = ((0, "#fbe6d0"), (1, "#cf4f12"))
FEW_LABELS = 12  # up to which a confusion matrix has room for names and numbers
MOST_LABELS = 40  # labels of a confusion matrix
MENU = {  # of fixed colours: plotly's own for the chosen entry is light, whatever the page is
    "x": 0,
    "xanchor": "left",
    "yanchor": "bottom",
    "bgcolor": "#f6f8fa",
    "bordercolor": "#c5ccd5",
    "font": {"color": "#1c2430", "size": 12},
}
MOST_CURVES = 60  # labels whose thresholds are shown


def confusion_labels(report: SingleReport | MultiReport, most: int = MOST_LABELS) -> tuple[LabelFigures, ...]:
    """Labels to show in the matrix: all in use, or where there are too many those of the most frequent confusions."""
    used = {figures.label: figures for figures in report.per_label if figures.support or figures.given}
    if len(used) <= most:
        return tuple(used.values())
    chosen: dict[str, None] = {}
    for confusion in report.confusions:
        chosen |= dict.fromkeys((confusion.actual, confusion.given))
        if len(chosen) >= most - 1:
            break
    return tuple(figures for name, figures in used.items() if name in chosen)


def confusion_matrix(report: SingleReport | MultiReport, labels: Sequence[LabelFigures]) -> Figure:
    """Rows by actual (down) and given (across) label: right answers in one colour, wrong ones in another.

    Labels are numbered, so that the columns need no room for names; a few labels are named across too.
    """
    from plotly.graph_objects import Figure, Heatmap

    numbers = list(range(1, len(labels) + 1))
    few = len(labels) <= FEW_LABELS
    layers = [
        Heatmap(
            z=[[cell[0] if cell else None for cell in row] for row in cells],
            x=numbers,
            y=numbers,
            hovertext=[[cell[1] if cell else "" for cell in row] for row in cells],
            hovertemplate="%{hovertext}<extra></extra>",
            texttemplate="%{z:,}" if few else None,
            colorscale=scale,
            showscale=False,
            xgap=1,
            ygap=1,
        )
        for cells, scale in zip(_confusion_cells(report, labels), (GOOD_SCALE, BAD_SCALE), strict=True)
    ]
    named = [short(figures.label, 18) for figures in labels]
    down = named if few else [f"{name} {number}" for name, number in zip(named, numbers, strict=True)]
    across = {"tickvals": numbers, "ticktext": named, "tickangle": -45} if few else {"nticks": 20}
    bare = {"showgrid": False, "zeroline": False}
    return Figure(
        layers,
        {
            "xaxis": {
                **bare,
                **across,
                "title": {"text": "answered", "standoff": 12},
                "range": [0.5, len(labels) + 0.5],
            },
            "yaxis": {**bare, "tickvals": numbers, "ticktext": down, "range": [len(labels) + 0.5, 0.5]},
            "font": {"size": 12 if few else 11},
            "height": 130 + (34 if few else 16) * len(labels),
            "margin": {"t": 12},
        },
    )


def _confusion_cells(
    report: SingleReport | MultiReport, labels: Sequence[LabelFigures]
) -> tuple[list[list[Cell | None]], list[list[Cell | None]]]:
    """Two matrices, of right answers and of wrong ones: rows, and what to say of them."""
    place = {figures.label: at for at, figures in enumerate(labels)}
    right: list[list[Cell | None]] = [[None] * len(labels) for _ in labels]
    wrong: list[list[Cell | None]] = [[None] * len(labels) for _ in labels]
    for at, figures in enumerate(labels):
        if figures.hits:
            right[at][at] = figures.hits, f"{figures.label}: right for {figures.hits:,} of {figures.support:,} rows"
    for actual, given, rows in ((c.actual, c.given, c.rows) for c in report.confusions):
        if actual in place and given in place:
            wrong[place[actual]][place[given]] = rows, f"{actual} answered as {given}: {rows:,} rows"
    return right, wrong


def reliability(report: SingleReport | MultiReport) -> Figure:
    """Share that was right against what the scores said, above how many rows each bin has."""
    from plotly.graph_objects import Bar, Figure, Scatter

    bins = [part for part in report.reliability if part.rows]
    bars = [_wilson(part.correct or 0.0, part.rows) for part in bins]
    thing = "answers" if isinstance(report, SingleReport) else "scores"
    middle = [(part.low + part.high) / 2 for part in report.reliability]
    traces = [
        Scatter(x=[0, 1], y=[0, 1], mode="lines", name="perfect", line={"dash": "dot", "color": "#8b95a3"}),
        Scatter(
            x=[part.confidence for part in bins],
            y=[part.correct for part in bins],
            customdata=[part.rows for part in bins],
            mode="lines+markers",
            name="measured",
            marker={"size": 8},
            line={"color": GOOD},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [high for _, high in bars],
                "arrayminus": [low for low, _ in bars],
                "thickness": 1,
                "width": 3,
            },
            hovertemplate=f"said %{{x:.1%}}, was %{{y:.1%}}<br>%{{customdata:,}} {thing}<extra></extra>",
        ),
        Bar(
            x=middle,
            y=[part.rows for part in report.reliability],
            yaxis="y2",
            name=thing,
            marker={"color": THIRD, "opacity": 0.6},
            showlegend=False,
            hovertemplate=f"%{{y:,}} {thing}<extra></extra>",
        ),
    ]
    return Figure(
        traces,
        {
            "xaxis": {**_share("score"), "anchor": "y2"},
            "yaxis": {**_share("was right" if isinstance(report, SingleReport) else "was true"), "domain": [0.3, 1]},
            "yaxis2": {
                "domain": [0, 0.2],
                "type": "log",
                "title": {"text": thing},
                "tickvals": [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
                "ticktext": ["1", "", "100", "", "10k", "", "1M"],
            },
            "bargap": 0.1,
            "height": 430,
        },
    )


def _wilson(share: float, rows: int) -> tuple[float, float]:
    """How far the 95 % interval of a share reaches below and above it (Wilson 1927)."""
    z2 = 1.96**2 / rows
    middle = (share + z2 / 2) / (1 + z2)
    half = sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    return max(0.0, share - middle + half), max(0.0, middle + half - share)


def coverage(report: SingleReport) -> Figure:
    """How many answers are right, and how many rows out of scope get none, over the share of rows that are answered."""
    from plotly.graph_objects import Figure, Scatter

    points = [point for point in report.coverage_curve if point.coverage]
    answered = [point.coverage for point in points]
    lines = [("answers that are right", [point.accuracy for point in points], GOOD)]
    if report.oos_rows:
        lines.append(("out of scope, turned away", [point.oos_recall for point in points], THIRD))
    traces = [
        Scatter(
            x=answered,
            y=values,
            name=name,
            mode="lines",
            line={"color": color},
            hovertemplate=f"%{{x:.1%}} answered: %{{y:.1%}} {name}<extra></extra>",
        )
        for name, values, color in lines
    ]
    layout: dict[str, Any] = {"xaxis": _share("share of rows answered"), "yaxis": _share("share")}
    if report.coverage is not None:
        layout["shapes"] = [_upright(report.coverage)]
    return Figure(traces, layout)


def _upright(at: float) -> dict[str, Any]:
    """A line where the model's own rule stands."""
    line = {"color": BAD, "dash": "dot", "width": 1.5}
    return {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def thresholds(curve: ThresholdCurve, cuts: Sequence[float]) -> Figure:
    """Precision, recall and F1 over a threshold that all labels share."""
    from plotly.graph_objects import Figure, Scatter

    lines = (("precision", curve.precision, THIRD), ("recall", curve.recall, BAD), ("F1", f1_curve(curve), GOOD))
    traces = [
        Scatter(
            x=list(cuts),
            y=list(values),
            name=name,
            mode="lines",
            line={"color": color, "width": 3 if name == "F1" else 1.5},
            hovertemplate=f"threshold %{{x:.2f}}: {name} %{{y:.1%}}<extra></extra>",
        )
        for name, values, color in lines
    ]
    return Figure(traces, {"xaxis": _share("threshold"), "yaxis": _share("all labels together")})


def label_thresholds(report: MultiReport) -> Figure:
    """Precision, recall and F1 of a label over its threshold, the model's own marked; a menu chooses the label."""
    from plotly.graph_objects import Figure, Scatter

    curves = _by_label(report)
    own = {figures.label: figures.threshold for figures in report.per_label}
    shown = [_lines(curve, report.cuts, own[str(curve.label)]) for curve in curves]
    styles = (
        *(("precision", THIRD, 1.5, "solid"), ("recall", BAD, 1.5, "solid"), ("F1", GOOD, 3, "solid")),
        ("threshold in use", "#8b95a3", 1.5, "dot"),
    )
    traces = [
        Scatter(
            x=x,
            y=y,
            name=name,
            mode="lines",
            line={"color": color, "width": width, "dash": dash},
            hovertemplate=f"threshold %{{x:.2f}}: {name} %{{y:.1%}}<extra></extra>"
            if dash == "solid"
            else "threshold in use: %{x:.3f}<extra></extra>",
        )
        for (name, color, width, dash), (x, y) in zip(styles, shown[0] if shown else (), strict=False)
    ]
    buttons = [
        {
            "label": f"{short(str(curve.label), 40)} ({curve.support:,} rows)",
            "method": "restyle",
            "args": [{"x": [x for x, _ in lines], "y": [y for _, y in lines]}],
        }
        for curve, lines in zip(curves, shown, strict=True)
    ]
    menu = {**MENU, "buttons": buttons, "y": 1.02}
    legend = {"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top"}
    return Figure(
        traces,
        {
            "xaxis": _share("threshold"),
            "yaxis": _share("this label"),
            "updatemenus": [menu],
            "legend": legend,
            "height": 430,
            "margin": {"t": 50},
        },
    )


Line = tuple[list[float | None], list[float | None]]


def _lines(curve: ThresholdCurve, cuts: Sequence[float], own: float | None) -> list[Line]:
    """Precision, recall, F1 and the threshold in use of a label, each as x and y."""
    across: list[float | None] = list(cuts)
    return [
        *((across, list(values)) for values in (curve.precision, curve.recall, f1_curve(curve))),
        ([own, own], [0.0, 1.0]),
    ]


def _by_label(report: MultiReport) -> list[ThresholdCurve]:
    return [curve for curve in report.curves if curve.label is not None and curve.support][:MOST_CURVES]


def threshold_map(report: MultiReport) -> Figure:
    """F1, or what the buttons say, by label and threshold, with a mark where the model's own threshold stands."""
    from plotly.graph_objects import Figure, Heatmap, Scatter

    curves = _by_label(report)
    own = {figures.label: figures.threshold for figures in report.per_label}
    names = [short(str(curve.label), 60) for curve in curves]
    shown = {
        "F1": [f1_curve(curve) for curve in curves],
        "precision": [list(curve.precision) for curve in curves],
        "recall": [list(curve.recall) for curve in curves],
    }
    grid = Heatmap(
        z=shown["F1"],
        x=list(report.cuts),
        y=names,
        zmin=0,
        zmax=1,
        colorscale=((0, "rgba(27,138,138,0.02)"), (1, "rgba(27,138,138,1)")),
        colorbar={"tickformat": ".0%", "thickness": 12},
        hovertemplate="%{y}<br>threshold %{x:.2f}: %{z:.1%}<extra></extra>",
    )
    marks = Scatter(
        x=[own[str(curve.label)] for curve in curves],
        y=names,
        mode="markers",
        name="threshold in use",
        marker={"symbol": "line-ns", "size": 11, "line": {"width": 3, "color": BAD}},
        hovertemplate="%{y}<br>threshold in use: %{x:.3f}<extra></extra>",
    )
    ticks = {"tickvals": names, "ticktext": [short(name, 18) for name in names], "type": "category"}
    buttons = [{"label": name, "method": "restyle", "args": [{"z": [z]}, [0]]} for name, z in shown.items()]
    menu = {**MENU, "type": "buttons", "direction": "right", "buttons": buttons, "y": 1, "pad": {"b": 6}}
    return Figure(
        [grid, marks],
        {
            "xaxis": {**_share("threshold"), "showgrid": False},
            "yaxis": {**ticks, "autorange": "reversed", "showgrid": False},
            "updatemenus": [menu],
            "height": max(260, 140 + 20 * len(curves)),
            "margin": {"t": 50},
            "font": {"size": 11 if len(curves) > 15 else 12},
        },
    )


def f1_curve(curve: ThresholdCurve) -> list[float | None]:
    """F1 at each cut; None where neither precision nor recall can be said."""
    pairs = zip(curve.precision, curve.recall, strict=True)
    return [None if recall is None else _harmonic(precision or 0.0, recall) for precision, recall in pairs]


def _harmonic(precision: float, recall: float) -> float:
    total = precision + recall
    return round(2 * precision * recall / total, 4) if total else 0.0


def short(name: str, width: int) -> str:
    """The name, cut to a width."""
    return name if len(name) <= width else name[: width - 1] + "…"


def _share(title: str) -> dict[str, Any]:
    return {"title": {"text": title}, "range": [0, 1.005], "tickformat": ".0%"}
