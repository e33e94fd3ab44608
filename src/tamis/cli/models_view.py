"""The models of a home in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tamis.cli.layout import cut, figures_table, plain
from tamis.cli.models import FIGURES, Entry
from tamis.evaluation.verdict import percent

NAME = 24
MOST_TARGETS = 20


def show(entries: Sequence[Entry], home: Path, console: Console) -> None:
    """Print each model, then those that cannot be opened, then where they are."""
    for entry in entries:
        if not entry.trouble:
            _show_one(entry, console)
    for entry in entries:
        if entry.trouble:
            console.print(Text(f"✗ {entry.name}: {plain(str(entry.trouble))}", style="red"), soft_wrap=True)
    console.print(Text(f"In {plain(str(home))}", style="dim"), soft_wrap=True)


def _show_one(entry: Entry, console: Console) -> None:
    """A line for the version, one for its other names, and one for each target."""
    aliases = ", ".join(entry.more.get("aliases", ()))
    told = f"  {entry.created:%Y-%m-%d %H:%M}, {entry.size_mb:,.1f} MB" if entry.created else ""
    put_away = ", archived" if entry.more.get("archived") else ""
    parts = ((entry.name, "bold"), (f" = {plain(aliases)}" if aliases else "", "cyan"), (told + put_away, "dim"))
    console.print(Text.assemble(*parts), soft_wrap=True)
    if entry.more.get("ft"):
        console.print(Text("  " + plain(str(entry.more["ft"])), style="dim"), soft_wrap=True)
    table = figures_table("", "", "", text=1)
    table.show_header = False
    for target, _, labels in entry.targets[:MOST_TARGETS]:
        name, value, rows = entry.figure(target)
        figure = f"{FIGURES[name]} {percent(value)} on {rows}" if name else "not measured"
        count = f"{labels:,} label{'' if labels == 1 else 's'}"
        table.add_row(Text("  " + cut(target, NAME)), count, Text(figure, style="dim"))
    if len(entry.targets) > MOST_TARGETS:
        table.add_row(Text(f"  and {len(entry.targets) - MOST_TARGETS:,} more", style="dim"))
    table.columns[-1].justify = "left"
    console.print(table)
