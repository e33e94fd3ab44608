"""A data check as one HTML page with charts.

It shows a finished report and counts nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tamis.data.checks.report import CheckReport, Finding, Lengths, Place, TargetReport, differences
from tamis.data.languages import NAMES
from tamis.data.review.page import review_sections
from tamis.data.review.report import Review
from tamis.data.rows import printable
from tamis.pages import Cell, CellValue, Page

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_TARGETS = 20  # targets with charts of their own
_TABLE_LABELS = 5_000
_CHART_LABELS = 30
_NAME = 28  # characters of a label's name in a chart
_HEAT = [[0.0, "rgba(27,138,138,0.06)"], [1.0, "rgb(27,138,138)"]]
_SERIES = ("#1b8a8a", "#e08a2c", "#6a7fd1")


def check_page(report: CheckReport, review: Review | None = None) -> Page:
    """Return the page of a report, and of a review of the same data."""
    names = [file.name for file in report.files]
    page = Page("Data check", ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else ""))
    _summary(page, report)
    _findings(page, report)
    if review is not None:
        review_sections(page, review)
    for target in report.targets[:_TARGETS]:
        _target(page, target, report.splits)
    if len(report.targets) > _TARGETS:
        _further_targets(page, report.targets[_TARGETS:])
    _texts(page, report)
    _likeness(page, report)
    _rejects(page, report)
    return page


def _summary(page: Page, report: CheckReport) -> None:
    page.section("Summary").note(report.verdict, "ok" if report.ready else "error")
    facts: list[tuple[str, CellValue]] = [(f"{split.capitalize()} rows", rows) for split, rows in report.rows.items()]
    facts += [("Rejected rows", report.rejects.count), ("Targets", len(report.targets))]
    page.facts([*facts, ("Labels", sum(len(target.labels) for target in report.targets))])
    page.table(
        ["File", "Split", "Rows", "Rejected", "Read as"],
        [[file.name, file.split, file.rows, file.rejected, file.error or file.detected] for file in report.files],
        numeric={2, 3},
    )


def _findings(page: Page, report: CheckReport) -> None:
    page.section("Findings", "What should be known before training, and what will be done about it.")
    if not report.findings:
        page.note("Nothing to report.", "ok")
    for finding in report.findings:
        page.note(f"{finding.message} {finding.action}", finding.severity)
        if finding.where:
            with page.details(_examples_of(finding)):
                rows = list(_place_rows(finding))
                told = any(row[-1] for row in rows)
                headers = ["Where", "Text", "Different labels"] if told else ["Where", "Text"]
                page.table(headers, rows if told else [row[:2] for row in rows], sortable=False)


def _examples_of(finding: Finding) -> str:
    shown = len(finding.where)
    return f"{shown:,} of {finding.count:,} shown" if finding.count > shown else "Where"


def _place_rows(finding: Finding) -> Iterator[list[CellValue]]:
    for group in finding.where:
        for place, labels in zip(group, differences(group), strict=True):
            yield [_short_place(place), place.text, labels]


def _short_place(place: Place) -> str:
    return f"{place.file.rsplit('/', 1)[-1]}:{place.line}"


def _target(page: Page, target: TargetReport, splits: Sequence[str]) -> None:
    kind = "multi-label" if target.is_multi else "single-label"
    none = f" None label: {', '.join(target.none_labels)}." if target.none_labels else ""
    page.section(f"Target {printable(target.name)}", f"A {kind} target with {len(target.labels):,} labels.{none}")
    page.facts(_target_facts(target, splits))
    if target.labels:
        page.figure(_distribution(target, splits), _distribution_caption(target, splits))
    rows: list[list[CellValue]] = [
        [
            label.label,
            *(label.rows.get(split, 0) for split in splits),
            _share(label.rows.get(splits[0], 0), target, splits),
        ]
        for label in target.labels[:_TABLE_LABELS]
    ]
    shown = f"The {_TABLE_LABELS:,} most frequent of" if len(target.labels) > _TABLE_LABELS else "All"
    with page.details(f"{shown} {len(target.labels):,} labels", opened=len(target.labels) <= 10):
        page.table(
            ["Label", *map(str.capitalize, splits), f"Share of {splits[0]}"], rows, numeric=range(1, len(splits) + 2)
        )
    if target.is_multi:
        page.figure(_labels_per_row(target, splits), "Labels a row: the share of rows that carry so many.", height=300)
    if any(target.without_label.values()) or any(target.unknown.values()):
        page.figure(_said(target, splits), "What the rows say: the share with labels, with none, and without a word.")
    if target.cooccurrence:
        page.figure(*_heat_map(target), min_width=260 + 22 * len(target.cooccurrence.labels))


def _further_targets(page: Page, targets: Sequence[TargetReport]) -> None:
    page.section("Further targets").table(
        ["Target", "Kind", "Labels", "Rows known", "Rows unknown"],
        [
            [
                target.name,
                "multi-label" if target.is_multi else "single-label",
                len(target.labels),
                sum(target.known.values()),
                sum(target.unknown.values()),
            ]
            for target in targets
        ],
        numeric={2, 3, 4},
    )


def _target_facts(target: TargetReport, splits: Sequence[str]) -> list[tuple[str, CellValue]]:
    first = splits[0]
    known = target.known.get(first, 0)
    facts: list[tuple[str, CellValue]] = [("Labels", len(target.labels)), (f"Known in {first}", known)]
    facts.append((f"Unknown in {first}", target.unknown.get(first, 0)))
    if target.is_multi:
        facts.append(("Rows without a label", _percent(target.without_label.get(first, 0), known)))
    if target.ratio is not None:
        facts.append(("Most to least frequent", f"{target.ratio:,.1f} to 1"))
    if target.effective_labels is not None:
        facts.append(("Effective labels", f"{target.effective_labels:,.1f}"))
    return facts


def _distribution(target: TargetReport, splits: Sequence[str]) -> Figure:
    from plotly import graph_objects

    shown = target.labels[:_CHART_LABELS]
    names = _unique([_short(label.label) for label in shown])
    figure = graph_objects.Figure()
    for number, split in enumerate(splits):
        known = target.known.get(split, 0)
        if not known:
            continue
        rows = [label.rows.get(split, 0) for label in shown]
        figure.add_bar(
            name=split,
            orientation="h",
            x=[100 * count / known for count in rows],
            y=names,
            customdata=rows,
            marker_color=_SERIES[number % len(_SERIES)],
            hovertemplate="%{y}: %{customdata:,} rows (%{x:.2f} %)",
        )
    figure.update_layout(
        barmode="group",
        bargap=0.25,
        height=max(220, 90 + len(shown) * (10 + 8 * len(splits))),
        showlegend=len(splits) > 1,
        xaxis={"ticksuffix": " %", "rangemode": "tozero"},
        yaxis={"type": "category", "dtick": 1, "autorange": "reversed"},
    )
    return figure


def _distribution_caption(target: TargetReport, splits: Sequence[str]) -> str:
    hidden = len(target.labels) - _CHART_LABELS
    more = f" The {_CHART_LABELS} most frequent of {len(target.labels):,} labels." if hidden > 0 else ""
    return f"The share of rows that carry each label{', by split' if len(splits) > 1 else ''}.{more}"


def _labels_per_row(target: TargetReport, splits: Sequence[str]) -> Figure:
    from plotly import graph_objects

    figure = graph_objects.Figure()
    for number, split in enumerate(splits):
        widths = target.labels_per_row.get(split)
        if not widths:
            continue
        total = max(sum(widths.values()), 1)
        figure.add_bar(
            name=split,
            x=list(widths),
            y=[100 * rows / total for rows in widths.values()],
            customdata=list(widths.values()),
            marker_color=_SERIES[number % len(_SERIES)],
            hovertemplate="%{x} labels: %{customdata:,} rows (%{y:.1f} %)",
        )
    figure.update_layout(
        showlegend=len(splits) > 1, xaxis={"dtick": 1, "title": "labels a row"}, yaxis={"ticksuffix": " %"}
    )
    if max((width for widths in target.labels_per_row.values() for width in widths), default=0) > 15:
        figure.update_xaxes(dtick=None)
    return figure


def _said(target: TargetReport, splits: Sequence[str]) -> Figure:
    """The share of rows, by split, that carry labels, that say "none of them", and that do not mention the target."""
    from plotly import graph_objects

    none, unknown = target.without_label, target.unknown
    carrying = {split: target.known.get(split, 0) - none.get(split, 0) for split in splits}
    figure = graph_objects.Figure()
    for color, (name, rows) in zip(
        _SERIES, (("with labels", carrying), ("no label", none), ("unknown", unknown)), strict=True
    ):
        counts = [rows.get(split, 0) for split in splits]
        if not any(counts):
            continue
        totals = [max(target.known.get(split, 0) + unknown.get(split, 0), 1) for split in splits]
        figure.add_bar(
            name=name,
            orientation="h",
            x=[100 * count / total for count, total in zip(counts, totals, strict=True)],
            y=list(splits),
            customdata=counts,
            marker_color=color,
            hovertemplate="%{y}: %{customdata:,} rows (%{x:.1f} %)",
        )
    figure.update_layout(
        barmode="stack",
        height=130 + 30 * len(splits),
        showlegend=True,
        legend={"traceorder": "normal"},
        xaxis={"ticksuffix": " %", "range": [0, 100]},
        yaxis={"type": "category", "autorange": "reversed"},
    )
    return figure


def _heat_map(target: TargetReport) -> tuple[Figure, str]:
    """Of the rows with one label, the share that carry another; the diagonal is left empty."""
    from plotly import graph_objects

    pairs = target.cooccurrence
    if pairs is None:
        raise ValueError(f"target {target.name!r} has no pairs of labels to show")
    names = _unique([_short(label, 24) for label in pairs.labels])
    size = len(names)
    shares = [
        [None if i == j else round(100 * pairs.rows[i][j] / max(pairs.rows[i][i], 1), 2) for j in range(size)]
        for i in range(size)
    ]
    figure = graph_objects.Figure(
        graph_objects.Heatmap(
            z=shares,
            x=names,
            y=names,
            customdata=pairs.rows,
            colorscale=_HEAT,
            zmin=0,
            colorbar={"ticksuffix": " %", "thickness": 10, "outlinewidth": 0},
            hovertemplate="%{z:.1f} % of the rows with %{y}<br>carry %{x} too (%{customdata:,} rows)<extra></extra>",
            hoverongaps=False,
            xgap=1,
            ygap=1,
        )
    )
    figure.update_layout(
        height=160 + 22 * max(size, 6),
        yaxis={"autorange": "reversed", "type": "category", "dtick": 1, "showgrid": False, "ticks": ""},
        xaxis={"type": "category", "dtick": 1, "tickangle": -60, "showgrid": False, "ticks": ""},
    )
    shown = f" The {size} most frequent of {pairs.of:,} labels." if pairs.of > size else ""
    return figure, f"Of the rows that carry the label on the left, the share that carry the label below too.{shown}"


def _texts(page: Page, report: CheckReport) -> None:
    if not report.lengths:
        return
    page.section("Texts", _window_line(report))
    rows: list[list[CellValue]] = [
        [
            lengths.split,
            lengths.unit,
            Cell(f"{lengths.mean:,.1f}", lengths.mean),
            *_quantiles(lengths),
            lengths.measured,
        ]
        for lengths in report.lengths
    ]
    headers = ["Split", "Unit", "Mean", "5 %", "Median", "95 %", "99 %", "Longest", "Rows measured"]
    page.table(headers, rows, numeric=range(2, 9))
    unit = "tokens" if any(lengths.unit == "tokens" for lengths in report.lengths) else "words"
    page.figure(_length_chart([lengths for lengths in report.lengths if lengths.unit == unit]), f"Lengths in {unit}.")
    if report.languages:
        names = list(dict.fromkeys(code for languages in report.languages for code in languages.shares))
        page.paragraph("Hints on languages, from scripts and common words; short texts often cannot be told.")
        page.table(
            ["Language", *(languages.split.capitalize() for languages in report.languages)],
            [
                [NAMES[code], *(_cell_percent(languages.shares.get(code, 0.0)) for languages in report.languages)]
                for code in names
            ],
            numeric=range(1, len(report.languages) + 1),
        )


def _quantiles(lengths: Lengths) -> tuple[int, ...]:
    return lengths.p5, lengths.median, lengths.p95, lengths.p99, lengths.longest


def _window_line(report: CheckReport) -> str:
    window = report.window
    if window is None:
        return ""
    if window.tokens is None:
        return f"The base model {window.base} has no window: texts of any length are read whole."
    return f"{window.share_over:.1%} of the texts are over the {window.tokens:,} tokens that {window.base} sees."


def _length_chart(all_lengths: Sequence[Lengths]) -> Figure:
    from plotly import graph_objects

    figure = graph_objects.Figure()
    for number, lengths in enumerate(all_lengths):
        total = max(sum(rows for _, _, rows in lengths.bins), 1)
        figure.add_scatter(
            name=lengths.split,
            x=[low for low, _, _ in lengths.bins],
            y=[100 * rows / total for _, _, rows in lengths.bins],
            customdata=[f"{low:,} to {high - 1:,}" for low, high, _ in lengths.bins],
            mode="lines",
            line={"shape": "hv", "width": 2, "color": _SERIES[number % len(_SERIES)]},
            fill="tozeroy" if len(all_lengths) == 1 else None,
            hovertemplate="%{customdata}: %{y:.1f} % of the rows",
        )
    figure.update_layout(
        height=300,
        showlegend=len(all_lengths) > 1,
        xaxis={"title": all_lengths[0].unit, "rangemode": "tozero"},
        yaxis={"ticksuffix": " %", "rangemode": "tozero"},
    )
    return figure


def _likeness(page: Page, report: CheckReport) -> None:
    likeness = report.likeness
    if not likeness.repeats:
        return
    page.section("Equal and similar texts", "Near duplicates are an estimate: about four fifths of the text in common.")
    page.table(
        ["Split", "Exact repeats", "But for case and spaces", "Near duplicates"],
        [[repeat.split, repeat.exact, repeat.loose, repeat.near] for repeat in likeness.repeats],
        numeric={1, 2, 3},
    )
    if likeness.overlaps:
        page.table(
            ["Rows of", "That stand in", "Same text", "Share", "Nearly the same"],
            [[lap.split, lap.other, lap.same, _cell_percent(lap.share), lap.near] for lap in likeness.overlaps],
            numeric={2, 3, 4},
        )
    if len(report.splits) > 1:
        page.paragraph(f"Counted over {', '.join(report.splits[:-1])} and {report.splits[-1]} together:")
    page.facts(
        [
            ("Texts with different labels", likeness.conflicts),
            ("Rows of these", likeness.conflict_rows),
            ("Near duplicates labelled otherwise", likeness.near_conflicts),
        ]
    )


def _rejects(page: Page, report: CheckReport) -> None:
    rejects = report.rejects
    if not rejects.count:
        return
    page.section("Rejected rows", f"{rejects.count:,} rows cannot be used; the first of each kind:")
    page.table(["Reason", "Rows"], [[code, count] for code, count in rejects.by_code.items()], numeric={1})
    page.table(
        ["Where", "Cause", "Cure", "Begins with"],
        [[f"{row.file.rsplit('/', 1)[-1]}:{row.line}", row.cause, row.cure, row.raw] for row in rejects.first],
        sortable=False,
    )


def _short(name: str, most: int = _NAME) -> str:
    name = printable(name)
    return name if len(name) <= most else name[: most - 1] + "…"


def _unique(names: Sequence[str]) -> list[str]:
    """Names made different where cutting made them equal: a chart would merge them."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def _share(rows: int, target: TargetReport, splits: Sequence[str]) -> Cell:
    return _cell_percent(rows / max(target.known.get(splits[0], 0), 1))


def _cell_percent(share: float) -> Cell:
    return Cell(f"{share:.1%}", share)


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"
