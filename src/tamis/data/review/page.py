"""A review as sections of an HTML page: findings with their rows, and the learning curve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tamis.data.review.report import Finding, Item, LearningCurve, Place, Review
from tamis.pages import Cell, CellValue, Page

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = 200
"""Rows of a finding that the page shows."""

_COLORS = ("#1b8a8a", "#e08a2c", "#6a7fd1")


def review_sections(page: Page, review: Review) -> None:
    """Add a review to a page."""
    page.section(
        "Review", "Rows and labels that deserve a second look, and what could be done. Personal data is masked."
    )
    if not review.findings:
        page.note("Nothing deserves a second look.", "ok")
    for finding in review.findings:
        fix = f" (tamis fix --apply {finding.fix})" if finding.fix else ""
        page.note(f"{finding.message} {finding.why} → {finding.suggestion}{fix}", finding.severity)
        if finding.items:
            with page.details(_summary(finding), opened=finding.code == "suspects"):
                _table(page, finding)
    for remark in review.remarks:
        page.paragraph(remark)
    if review.curve:
        _curve(page, review.curve)


def _summary(finding: Finding) -> str:
    shown = min(len(finding.items), SHOWN)
    return f"{shown:,} of {finding.count:,} shown" if finding.count > shown else f"{finding.id}: {finding.count:,}"


def _table(page: Page, finding: Finding) -> None:
    items = finding.items[:SHOWN]
    if not any(item.rows for item in items):
        page.table([finding.code.replace("_", " ").capitalize()], [[item.told] for item in items], sortable=False)
        return
    if finding.code == "suspects":
        headers = ["Likely wrong", "Where", "Text", "Label", "Proposed", "Rows like it"]
        page.table(headers, [_suspect(item, finding.target or "") for item in items], numeric={0})
        return
    page.table(["Where", "Text", "Labels", ""], [row for item in items for row in _rows(item)], sortable=False)


def _suspect(item: Item, target: str) -> list[CellValue]:
    place, *like = item.rows
    score = item.score or 0.0
    return [
        Cell(f"{score:.0%}", score),
        _where(place),
        place.text,
        " + ".join(place.labels.get(target, ())) or "(none)",
        " + ".join(item.proposed or ()) or "(none)",
        " · ".join(f"{other.line}: {other.text}" for other in like),
    ]


def _rows(item: Item) -> Iterator[list[CellValue]]:
    for number, place in enumerate(item.rows):
        labels = ", ".join(" + ".join(given) or "(none)" for given in place.labels.values())
        yield [_where(place), place.text, labels, item.told if number == 0 else ""]


def _where(place: Place) -> str:
    name = place.file.rsplit("/", 1)[-1]
    return f"{name}:{place.line}" if name else f"{place.split}:{place.line}"


def _curve(page: Page, curve: LearningCurve) -> None:
    page.section("Learning curve", curve.verdict)
    page.figure(
        _figure(curve), f"Measured on {curve.held_out:,} rows held out; dotted: what twice the rows would give."
    )
    if curve.needs:
        page.table(
            ["Label", "Target", "Rows", "F1", "Gain to expect"],
            [[need.label, need.target, need.rows, need.f1, need.gain] for need in curve.needs],
            numeric={2, 3, 4},
        )


def _figure(curve: LearningCurve) -> Figure:
    from plotly import graph_objects

    figure = graph_objects.Figure()
    rows = [point.rows for point in curve.points]
    for number, (name, metric) in enumerate(curve.metric.items()):
        color = _COLORS[number % len(_COLORS)]
        scores = [100 * point.scores[name] for point in curve.points]
        figure.add_scatter(name=f"{name}: {metric}", x=rows, y=scores, mode="lines+markers", line={"color": color})
        figure.add_scatter(
            name=f"{name}, expected",
            x=[rows[-1], 2 * rows[-1]],
            y=[scores[-1], 100 * curve.doubled[name]],
            mode="lines+markers",
            line={"color": color, "dash": "dot"},
            showlegend=False,
        )
    figure.update_layout(height=320, showlegend=True, xaxis={"title": "training rows"}, yaxis={"ticksuffix": " %"})
    return figure
