"""A comparison as one self-contained HTML page.

Names of contenders and labels are whatever users and files say; `tamis.pages` escapes them all.
"""

from __future__ import annotations

import re
from pathlib import Path

from tamis.evaluation import comparison_charts as charts
from tamis.evaluation.comparison import LOWER_IS_BETTER, PAIRED, SHOWN, Comparison, ContenderReport, TargetComparison
from tamis.evaluation.comparison_verdict import (
    DASH,
    WORDS,
    best_of,
    difference_span,
    difference_text,
    failures_text,
    interval_text,
    million_text,
    money_text,
    p_text,
    rate_text,
    seconds_text,
    value_text,
    verdict,
)
from tamis.evaluation.verdict import percent
from tamis.pages import Cell, CellValue, Page
from tamis.schema import Kind

MATRIX_CELL = 54  # pixels of a cell of the matrix of differences
TARGETS = 20  # targets with charts
_MARKS = re.compile(r"([:/_]|@(?!\d+$))")


def write_page(comparison: Comparison, path: str | Path) -> Path:
    """Write the page, in place of an existing file, and return its path.

    Raises:
        InvalidSetting: the place cannot be written to.
    """
    return build_page(comparison).write(path)


def build_page(comparison: Comparison) -> Page:
    """Return the page."""
    took = f" in {seconds_text(comparison.seconds)}" if comparison.seconds is not None else ""
    sampled = f", {comparison.sampled}" if comparison.sampled else ""
    page = Page(
        f"Comparison: {comparison.title}",
        f"{len(comparison.contenders)} contenders on the same {comparison.n:,} rows{sampled}{took}.",
    )
    _summary(page, comparison)
    for name, target in list(comparison.targets.items())[:TARGETS]:
        prefix = f"{name}: " if len(comparison.targets) > 1 else ""
        _target(page, name, target, comparison)
        if target.n:
            _differences(page, prefix, target)
            _labels(page, prefix, target)
    _cost(page, comparison)
    _how(page, comparison)
    return page


def _summary(page: Page, comparison: Comparison) -> None:
    page.section("Summary")
    for warning in comparison.warnings:
        page.note(warning, "warning")
    several = len(comparison.targets) > 1
    for name, target in comparison.targets.items():
        remark = verdict(target, comparison)[0]
        page.note(f"{name}: {remark.text}" if several else remark.text, remark.severity)
    headers = ["Contender", *(_headed(name, target, several) for name, target in comparison.targets.items())]
    headers += ["One text", "A million texts", "No answer", "What it is"]
    rows = [_summary_row(contender, comparison) for contender in comparison.contenders]
    page.table(headers, rows, numeric=range(1, len(headers) - 1))


def breakable(name: str) -> str:
    """A name that may be broken behind the marks in it, rather than within a word."""
    return _MARKS.sub("\\1\N{ZERO WIDTH SPACE}", name)


def _headed(name: str, target: TargetComparison, several: bool) -> str:
    word = WORDS[target.main_figure]
    return f"{name}: {word}" if several else word[0].upper() + word[1:]


def _summary_row(contender: ContenderReport, comparison: Comparison) -> list[CellValue]:
    figures = [_figure(target, contender.name, target.main_figure) for target in comparison.targets.values()]
    return [
        breakable(contender.name),
        *figures,
        _sortable(seconds_text(contender.speed.p50), contender.speed.p50),
        _sortable(million_text(contender.cost), contender.cost.million_texts),
        contender.failures,
        breakable(contender.about),
    ]


def _sortable(text: str, key: float | None) -> Cell:
    return Cell(text, -1.0 if key is None else key)


def _figure(target: TargetComparison, name: str, figure: str) -> Cell:
    """A figure to show and to sort by; the best one is marked."""
    measured = target.contenders[name].figures.get(figure)
    value = None if measured is None else measured.value
    text = value_text(figure, target.contenders[name])
    if name in best_of(target, figure):
        text = f"{charts.BEST} {text}"
    worst = 1e9 if figure in LOWER_IS_BETTER else -1.0
    return Cell(text, worst if value is None else value)


def _target(page: Page, name: str, target: TargetComparison, comparison: Comparison) -> None:
    single = target.kind is Kind.SINGLE_LABEL
    kind = "One label a row" if single else "Any number of labels a row"
    page.section(name, f"{kind}, {len(target.labels):,} labels, {target.n:,} rows.")
    told = verdict(target, comparison)
    for remark in told if len(comparison.targets) > 1 else told[1:]:  # the first stands in the summary
        page.note(remark.text, remark.severity)
    if not target.n:
        return
    page.figure(
        charts.averages(target),
        "Averages with their 95% intervals, best first. Where intervals overlap the difference may still be real: "
        "the differences below compare row by row.",
    )
    shown = [figure for figure in SHOWN[target.kind] if any(figure in c.figures for c in target.contenders.values())]
    headers = ["Contender", *(WORDS[figure][0].upper() + WORDS[figure][1:] for figure in shown)]
    rows: list[list[CellValue]] = [
        [breakable(contender), *(_figure(target, contender, figure) for figure in shown)]
        for contender in target.ranked()
    ]
    legend = f"{charts.BEST} best; – it has no such figure"
    page.table(headers, rows, numeric=range(1, len(headers)), caption=legend)
    with page.details("95% intervals"):
        intervals: list[list[CellValue]] = [
            [breakable(contender), *(interval_text(figure, target.contenders[contender]) or DASH for figure in shown)]
            for contender in target.ranked()
        ]
        page.table(headers, intervals, sortable=False)


def _differences(page: Page, prefix: str, target: TargetComparison) -> None:
    figure = target.main_figure
    test = "McNemar's exact test" if figure == "accuracy" else "the paired bootstrap"
    page.section(
        f"{prefix}Differences",
        f"Is a difference real, or luck of the rows? All contenders answered the same rows; {test} says how "
        "often such a difference would come about by chance, corrected for the number of pairs (Holm).",
    )
    width = 240 + MATRIX_CELL * len(target.contenders)
    page.figure(
        charts.differences(target, figure),
        f"{WORDS[figure][0].upper()}{WORDS[figure][1:]} of the contender on the left minus that of the one above, in "
        "points. Coloured: more than chance (p < 0.05, corrected). Grey: not to be told apart on these rows.",
        min_width=width,
        narrow=charts.differences_narrow(target),
    )
    headers = ["Figure", "Contender", f"Beside {target.against}", "95% interval", "p", "p corrected"]
    rows: list[list[CellValue]] = []
    for shown in PAIRED[target.kind]:
        for name in target.ranked():
            pair = target.pair(shown, name, target.against) if name != target.against else None
            if pair is None:
                continue
            rows.append(
                [
                    WORDS[shown],
                    breakable(name),
                    _sortable(difference_text(pair), pair.value),
                    difference_span(pair),
                    Cell(p_text(pair.p), pair.p),
                    Cell(p_text(pair.p_corrected), pair.p_corrected),
                ]
            )
    page.table(headers, rows, numeric=(2, 3, 4, 5))


def _labels(page: Page, prefix: str, target: TargetComparison) -> None:
    order = charts.label_order(target)
    page.section(
        f"{prefix}Labels", f"F1 of each label, most frequent label first. {charts.BEST} marks the best of a label."
    )
    if len(order) < len(target.labels):
        page.paragraph(f"{len(order):,} of {len(target.labels):,} labels: those without rows tell nothing.")
    if charts.few(target):
        page.figure(charts.label_bars(target), min_width=360)
    else:
        least, narrow = charts.label_map_width(target), charts.label_map_narrow(target)
        page.figure(charts.label_map(target), min_width=least, narrow=narrow)
    names = list(target.contenders)
    headers = ["Label", "Rows", *map(breakable, names)]
    with page.details(f"All {len(target.labels):,} labels as a table", opened=False):
        rows = [_label_row(target, at) for at in range(len(next(iter(target.contenders.values())).per_label))]
        page.table(headers, rows, numeric=range(1, len(headers)))


def _label_row(target: TargetComparison, at: int) -> list[CellValue]:
    tables = [figures.per_label[at] for figures in target.contenders.values()]
    first = tables[0]
    f1s = [None if not table.support and not table.given else table.f1 for table in tables]
    best = max((f1 for f1 in f1s if f1 is not None), default=None)
    alone = len({f1 for f1 in f1s if f1 is not None}) > 1
    cells = [_sortable((f"{charts.BEST} " if alone and f1 == best else "") + percent(f1), f1) for f1 in f1s]
    name = f"{first.label} (no contender has it)" if first.unseen else first.label
    return [name, first.support, *cells]


def _cost(page: Page, comparison: Comparison) -> None:
    page.section(
        "Cost and speed",
        "Models and baselines: one text at a time on this machine, after a few to warm up, and all texts together. "
        "LLMs: the requests of one text, over whatever lies between.",
    )
    for name, target in list(comparison.targets.items())[:3]:
        if target.n:
            page.figure(charts.trade(comparison, name), f"{name}: the higher the better, the further left the quicker.")
    headers = ["Contender", "One text, median", "99% within", "Texts a second, one at a time", "All together"]
    headers += ["Cost of a million texts, together"]
    headers += ["Of this run", "Prompt tokens", "Answer tokens", "From the cache", "No usable answer"]
    page.table(headers, [_cost_row(contender) for contender in comparison.contenders], numeric=range(1, 10))
    page.paragraph(
        "Costs are in the currency of the prices that were given. Where there is none: how long a million texts take "
        "on this machine."
    )


def _cost_row(contender: ContenderReport) -> list[CellValue]:
    speed, cost = contender.speed, contender.cost
    return [
        breakable(contender.name),
        _sortable(seconds_text(speed.p50), speed.p50),
        _sortable(seconds_text(speed.p99), speed.p99),
        _sortable(rate_text(speed.one_by_one_per_second), speed.one_by_one_per_second),
        _sortable(rate_text(speed.texts_per_second), speed.texts_per_second),
        _sortable(million_text(cost), cost.million_texts),
        _sortable(money_text(cost.this_run), cost.this_run),
        Cell(DASH, -1) if cost.prompt_tokens is None else cost.prompt_tokens,
        Cell(DASH, -1) if cost.completion_tokens is None else cost.completion_tokens,
        contender.cached,
        failures_text(contender) or "none",
    ]


def _how(page: Page, comparison: Comparison) -> None:
    page.section("How it was measured", "Which rows were used for what, and what the figures rest on.")
    for line in comparison.used:
        page.paragraph(line)
    resamples = max((target.resamples for target in comparison.targets.values()), default=0)
    page.paragraph(
        f"Intervals and p-values: {resamples:,} resamples of the rows, the same for all contenders (seed "
        f"{comparison.seed}); accuracy by McNemar's exact test. Corrected by Holm's method for all pairs of a figure "
        "and target, not for the number of figures and targets. A row without a usable answer counts as wrong."
    )
    rows: list[list[CellValue]] = [
        [breakable(contender), name, where]
        for name, target in comparison.targets.items()
        for contender, figures in target.contenders.items()
        if (where := figures.thresholds) is not None
    ]
    if rows:
        page.table(["Contender", "Target", "Thresholds"], rows, caption="Where thresholds come from.", sortable=False)
    for note in [*comparison.notes, *(f"{c.name}: {note}" for c in comparison.contenders for note in c.notes)]:
        page.note(note)
