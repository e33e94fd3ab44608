"""A data check in the terminal: what is in the files, what is wrong, and may they be trained on."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tamis.cli.layout import MARKS, plain, title
from tamis.data.checks.report import CheckReport, Finding, LabelCount, Place, Severity, TargetReport, differences
from tamis.data.languages import NAMES

_TITLES: dict[Severity, str] = {"error": "Errors", "warning": "Warnings", "info": "Remarks"}
_FIRST_LABELS, _LAST_LABELS = 9, 3
_SHOWN_GROUPS = 3
_SHOWN_TARGETS = 12
_BAR = 16
_LABELS_WIDTH = 40
_ABOUT_LABELS = ("conflicting_labels", "near_conflicts")


def show(report: CheckReport, console: Console) -> None:
    """Print the report: files, targets, texts, findings, and the verdict last."""
    parts: list[RenderableType] = [title("Files"), _files(report)]
    for target in report.targets[:_SHOWN_TARGETS]:
        parts += [title(*_target_title(target)), _labels(target, report.splits)]
    if len(report.targets) > _SHOWN_TARGETS:
        parts.append(title(f"… {len(report.targets) - _SHOWN_TARGETS:,} more targets", "--json and --report show them"))
    if report.lengths:
        parts += [title("Texts"), _lengths(report), *_text_lines(report)]
    for severity, name in _TITLES.items():
        found = report.of_severity(severity)
        if found:
            parts += [title(name, str(len(found))), *map(_finding, found)]
    console.print(*parts, sep="\n")
    console.print()
    console.print(verdict(report))


def verdict(report: CheckReport) -> Text:
    """The last line, in the colour of its meaning."""
    warnings = bool(report.of_severity("warning"))
    style = "bold red" if not report.ready else "bold yellow" if warnings else "bold green"
    return Text(report.verdict, style=style)


def _table(*columns: str, numeric: Sequence[int] = (), shrink: int = 0) -> Table:
    """A table without lines; the column `shrink` gives way where there is little room."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(
            name,
            justify="right" if number in numeric else "left",
            no_wrap=number != shrink,
            overflow="fold" if number == shrink else "ellipsis",
        )
    return table


def _files(report: CheckReport) -> Table:
    rejected = any(file.rejected for file in report.files)
    table = _table(
        "file", "split", "rows", *(["rejected"] if rejected else []), "read as", numeric=(2, 3)[: 1 + rejected]
    )
    for column in (table.columns[0], table.columns[-1]):
        column.no_wrap, column.overflow = False, "fold"
    for file in report.files:
        bad = [Text(f"{file.rejected:,}", style="red" if file.rejected else "dim")] if rejected else []
        read_as = (
            Text("not readable", style="red") if file.error and not file.rows else Text(plain(file.detected), "dim")
        )
        table.add_row(Text(plain(Path(file.name).name or file.name)), file.split, f"{file.rows:,}", *bad, read_as)
    return table


def _target_title(target: TargetReport) -> tuple[str, str]:
    kind = "multi-label" if target.is_multi else "single-label"
    none = f", none label {', '.join(target.none_labels)}" if target.none_labels else ""
    return f"Target {target.name}", f"{kind}, {len(target.labels):,} labels{none}"


def _labels(target: TargetReport, splits: Sequence[str]) -> RenderableType:
    """Most and least frequent labels with a bar for the share of the first split."""
    first = splits[0]
    known = max(target.known.get(first, 0), 1)
    table = _table("label", *splits, "share", "", numeric=range(1, len(splits) + 2))
    most = max((label.rows.get(first, 0) for label in target.labels), default=0)
    for label in _shown_labels(target.labels):
        if isinstance(label, str):
            table.add_row(Text(label, style="dim"))
            continue
        rows = label.rows.get(first, 0)
        bar = Text("━" * max(round(_BAR * rows / most), 1 if rows else 0) if most else "", style="cyan")
        counts = [_count(label.rows.get(split, 0)) for split in splits]
        table.add_row(Text(plain(label.label)), *counts, f"{rows / known:.1%}", bar)
    for name, rows_of in (("without a label", target.without_label), ("unknown", target.unknown)):
        if any(rows_of.values()):
            counts = [_count(rows_of.get(split, 0)) for split in splits]
            table.add_row(Text(f"({name})", style="dim italic"), *counts)
    return table


def _shown_labels(labels: Sequence[LabelCount]) -> Iterator[LabelCount | str]:
    hidden = len(labels) - _FIRST_LABELS - _LAST_LABELS
    if hidden <= 1:
        yield from labels
        return
    yield from labels[:_FIRST_LABELS]
    yield f"… {hidden:,} more"
    yield from labels[-_LAST_LABELS:]


def _count(rows: int) -> Text:
    return Text(f"{rows:,}", style="" if rows else "dim")


def _lengths(report: CheckReport) -> Table:
    table = _table("split", "unit", "mean", "median", "95 %", "99 %", "longest", numeric=range(2, 7))
    for lengths in report.lengths:
        if lengths.unit != "characters":
            figures = (lengths.median, lengths.p95, lengths.p99, lengths.longest)
            table.add_row(lengths.split, lengths.unit, f"{lengths.mean:,.1f}", *(f"{figure:,}" for figure in figures))
    return table


def _text_lines(report: CheckReport) -> Iterator[Text]:
    window = report.window
    if window and window.tokens is None:
        yield Text(f"{window.base} has no window: texts of any length are read whole.", style="dim")
    elif window:
        yield Text(
            f"{window.share_over:.1%} of the texts are over {window.base}'s {window.tokens:,} tokens.", style="dim"
        )
    for languages in report.languages[:1]:
        told = [f"{NAMES[code]} {share:.0%}" for code, share in languages.shares.items() if share >= 0.005][:6]
        yield Text(f"Languages, as far as can be told ({languages.split}): {', '.join(told)}.", style="dim")


def _finding(finding: Finding) -> RenderableType:
    mark, style = MARKS[finding.severity]
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_row(Text(mark, style=style), Text.assemble(plain(finding.message), ("  " + finding.code, "dim")))
    wrapped = finding.code.startswith("bad_rows")  # cause and cure are to be read whole
    for group in finding.where[:_SHOWN_GROUPS]:
        labels = differences(group) if finding.code in _ABOUT_LABELS else [""] * len(group)
        rows = enumerate(zip(group, labels, strict=True))
        lines = [_place(place, told, bullet=number == 0, wrapped=wrapped) for number, (place, told) in rows]
        table.add_row("", Group(*lines))
    table.add_row("", Text("→ " + plain(finding.action), style="green"))
    return table


def _place(place: Place, labels: str, *, bullet: bool, wrapped: bool) -> Text:
    line = Text("- " if bullet else "  ", no_wrap=not wrapped, overflow="fold" if wrapped else "ellipsis")
    line.append(f"{plain(Path(place.file).name)}:{place.line}", style="bold")
    if labels:
        line.append("  " + textwrap.shorten(plain(labels), _LABELS_WIDTH, placeholder="…"), style="cyan")
    line.append("  " + plain(place.text))
    return line
