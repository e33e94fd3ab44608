"""What was read, and what was left out of it, in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from tamis.cli.console import err
from tamis.cli.layout import figures_table, plain

if TYPE_CHECKING:
    from tamis.data.loading import Tally
    from tamis.data.rows import Note

SHOWN = 5
"""Rows of a file that are told one by one."""


def say_left_out(
    tallies: Sequence[Tally], notes: Mapping[str, Iterable[Note]], rejects: Path | None = None, *, shown: int = SHOWN
) -> None:
    """Say on stderr which rows were left out and why, and what was noticed on others.

    Args:
        tallies: what became of each file.
        notes: remarks on the whole, by split.
        rejects: where all the rejected rows are.
        shown: rows of a file that are told one by one.
    """
    for tally in tallies:
        for bad in tally.first[:shown]:
            _say("left out", "yellow", str(bad))
        if tally.rejected > shown:
            _say("left out", "yellow", f"... and {tally.rejected - shown:,} more rows of {tally.file}")
        for note in tally.notes:
            _say("note", "dim", f"{Path(tally.file).name}: {note}")
        for warning in tally.detected.warnings if tally.detected else ():
            _say("note", "dim", f"{Path(tally.file).name}: {warning}")
    for split, remarks in notes.items():
        for note in remarks:
            _say("note", "dim", f"{split} data: {note}")
    rejected = sum(tally.rejected for tally in tallies)
    if rejects and rejected:
        _say("note", "dim", f"all {rejected:,} are in {rejects}")


def say_remark(text: str) -> None:
    """Say on stderr what was noticed before anything is learnt."""
    _say("note", "dim", text)


def files_table(tallies: Sequence[Tally]) -> RenderableType:
    """A line a file: what for, how many rows, how it was read."""
    rejected = any(tally.rejected for tally in tallies)
    table = figures_table("file", "for", "rows", *(["left out"] if rejected else []), "read as", text=2)
    for column in (table.columns[0], table.columns[-1]):
        column.justify, column.no_wrap, column.overflow = "left", False, "fold"
    for tally in tallies:
        out = [Text(f"{tally.rejected:,}", style="yellow" if tally.rejected else "dim")] if rejected else []
        read_as = tally.detected.describe() if tally.detected else ""
        name = Path(tally.file).name or tally.file
        table.add_row(Text(plain(name)), tally.split, f"{tally.rows:,}", *out, Text(plain(read_as), style="dim"))
    return table


def _say(what: str, style: str, text: str) -> None:
    err.print(Text.assemble((what, style), "  ", plain(text)), soft_wrap=True)
