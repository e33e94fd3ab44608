"""A review in the terminal: what deserves a look, row by row, what could be done, and whether more rows would help."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tamis.cli.layout import MARKS, bar, commands, cut, figures_table, plain, title
from tamis.data.review.edits import SetLabels
from tamis.data.review.report import Finding, Item, LearningCurve, Place, Review

SHOWN_ITEMS, SHOWN_SUSPECTS = 3, 8
"""Rows of a finding that are shown; the others are in --report and --json."""

_LABELS, _NAME = 46, 60
_CAREFUL = ("suspects", "conflicts", "dedupe", "labels", "none-labels", "leaks", "empty")
"""Fixes that hardly anybody would not want: those of the command that is proposed."""


def show_review(review: Review, files: Sequence[str], console: Console, options: Sequence[str] = ()) -> None:
    """Print the review: findings, learning curve, the command that applies what is suggested, with these options."""
    parts: list[RenderableType] = [title("Review", _how(review))]
    if not review.findings:
        parts.append(Text("Nothing deserves a second look.", "green"))
    for finding in review.findings:
        parts += [Text(), _finding(finding, console.width)]
    parts += [Text(remark, "dim") for remark in review.remarks]
    if review.curve:
        parts += list(_curve(review.curve))
    console.print(*parts, sep="\n")
    fixes = to_apply(review)
    if fixes and len(files) == 1 and Path(files[0]).is_file():
        new = Path(files[0]).with_suffix(f".fixed{Path(files[0]).suffix}")
        console.print(title("To apply what is suggested, to a new file"))
        words = ["tamis", "fix", files[0], *options, "--apply", ",".join(fixes), "--output", str(new)]
        console.print(commands({shlex.join(words): ""}), soft_wrap=True)
    console.print()


def to_apply(review: Review) -> list[str]:
    """Return the fixes that are worth proposing, as `tamis fix --apply` takes them, each once."""
    found = [finding.fix for finding in review.findings if finding.fix]
    return list(dict.fromkeys(fix for fix in found if fix.partition(":")[0].partition("=")[0] in _CAREFUL))


def _how(review: Review) -> str:
    rows = ", ".join(f"{count:,} {split} rows" for split, count in review.rows.items())
    scored = review.scored
    if scored is None:
        return f"{rows}, {review.seconds:.1f} s"
    return f"{rows}; labels judged by {scored.folds * scored.rounds} models of other rows; {review.seconds:.1f} s"


def _finding(finding: Finding, width: int) -> RenderableType:
    mark, style = MARKS[finding.severity]
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_row(Text(mark, style=style), Text.assemble((plain(finding.message), "bold"), (f"  {finding.id}", "dim")))
    table.add_row("", Text(plain(finding.why), "dim"))
    most = SHOWN_SUSPECTS if finding.code == "suspects" else SHOWN_ITEMS
    items = finding.items[:most]
    if items:
        table.add_row("", _suspects(items, width) if finding.code == "suspects" else Group(*_lines(items, width)))
    if finding.count > len(items) and items:
        table.add_row("", Text(f"… and {finding.count - len(items):,} more (--report, --json)", "dim"))
    apply = (f"  {finding.fix}", "cyan") if finding.fix else ("", "")
    table.add_row("", Text.assemble(("→ " + plain(finding.suggestion), "green"), apply))
    return table


def _suspects(items: Sequence[Item], width: int) -> RenderableType:
    """One row that is likely to be wrong a line, with the label it has and the one proposed; what is like it below."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    changes = [_change(item) for item in items]
    lines = max(len(str(place.line)) for item in items for place in item.rows[:2])
    change = min(max(map(len, changes), default=0), max(24, width * 2 // 5))
    table.add_column("likely", justify="right", width=6)
    table.add_column("line", justify="right", width=max(lines, 4))
    table.add_column("text", no_wrap=True, overflow="ellipsis", width=max(20, width - change - max(lines, 4) - 15))
    table.add_column("label → proposed", overflow="fold", width=max(change, 16))
    for item, told in zip(items, changes, strict=True):
        place, *like = item.rows
        table.add_row(f"{item.score or 0:.0%}", str(place.line), Text(plain(place.text)), told)
        if like:
            table.add_row("", Text(str(like[0].line), "dim"), Text("like: " + plain(like[0].text), "dim"), "")
    return table


def _change(item: Item) -> Text:
    """The labels that a row has, and those proposed."""
    edit = item.edits[0] if item.edits else None
    given = item.rows[0].labels.get(edit.target, ()) if isinstance(edit, SetLabels) else ()
    before, after = (cut(" + ".join(labels) or "(none)", _LABELS) for labels in (given, item.proposed or ()))
    return Text.assemble((before, "red"), " → ", (after, "green"))


def _lines(items: Sequence[Item], width: int) -> Iterator[Text]:
    for item in items:
        if not item.rows:
            yield Text("- " + cut(item.told, width - 8))
            continue
        for number, place in enumerate(item.rows[:3]):
            yield _place(place, item.told if number == 0 else "", bullet=number == 0)


def _place(place: Place, told: str, *, bullet: bool) -> Text:
    line = Text("- " if bullet else "  ", no_wrap=True, overflow="ellipsis")
    where = f"{place.split}:{place.line}" if place.split != "train" else str(place.line)
    line.append(f"{where:>6}", style="bold")
    labels = ", ".join(" + ".join(given) or "(none)" for given in place.labels.values())
    line.append("  " + cut(labels, 34), style="cyan")
    if told:
        line.append(f"  ({plain(told)})", style="dim")
    line.append("  " + plain(place.text))
    return line


def _curve(curve: LearningCurve) -> Iterator[RenderableType]:
    yield title("Learning curve", f"measured on {curve.held_out:,} rows held out")
    table = figures_table(
        "target", "measure", *(f"{point.rows:,} rows" for point in curve.points), "twice as many", text=2
    )
    for name, metric in curve.metric.items():
        scores = [f"{point.scores[name]:.1%}" for point in curve.points if name in point.scores]
        table.add_row(Text(cut(name, 30)), metric, *scores, Text(f"≈ {curve.doubled.get(name, 0):.1%}", "cyan"))
    yield table
    yield Text(curve.verdict)
    if curve.needs:
        needs = figures_table("labels that need rows most", "rows", "F1", "")
        for need in curve.needs:
            needs.add_row(Text(cut(need.label, _NAME)), f"{need.rows:,}", f"{need.f1:.2f}", bar(need.gain, 24, "cyan"))
        yield Text()
        yield needs
