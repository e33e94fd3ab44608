"""Aliases and their history in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from rich.console import Console
from rich.text import Text

from tamis.cli.layout import cut, figures_table, plain
from tamis.cli.promote_view import value_of
from tamis.errors import InvalidSetting
from tamis.evaluation.conditions import parse
from tamis.store.records import AliasMove
from tamis.workspace.aliases import Alias, History

NAME = 40
_WHY = {"set": "set", "promote": "promoted", "roll back": "rolled back", "drop": "dropped"}


def show(aliases: Sequence[Alias], keys: Mapping[str, str], console: Console) -> None:
    """Print a line for each alias; `keys` are the names of API keys by id."""
    table = figures_table("alias", "model", "", "since", "by", text=5)
    for alias in aliases:
        moved = (
            ("", "", "") if alias.last is None else (_WHY[alias.last.why], _when(alias.last), _who(alias.last, keys))
        )
        model = Text(cut(f"{alias.model.name}@{alias.model.version}", NAME), style="bold")
        table.add_row(Text(cut(alias.name, NAME), style="cyan"), model, *moved)
    console.print(table)


def show_history(name: str, history: History, keys: Mapping[str, str], console: Console) -> None:
    """Print a line for each move, and under a promotion what was asked and measured."""
    if not history.total:
        console.print(f"{name} was not moved since moves are noted.", markup=False, soft_wrap=True)
    for move in history.moves:
        from_name, to_name = _end(move.from_id, move.from_name, history), _end(move.to_id, move.to_name, history)
        parts = [(f"{move.number:>3}  ", "dim"), (_when(move), ""), (f"  {_WHY[move.why]:<11}  ", "")]
        ends = [(from_name or "nothing", ""), (" → ", "dim"), (to_name or "nothing", "bold")]
        console.print(Text.assemble(*parts, *ends, (f"  {_who(move, keys)}", "dim")), soft_wrap=True)
        for line in _measured(move):
            console.print(Text("       " + line, style="dim"), soft_wrap=True)
    if history.total > len(history.moves):
        console.print(f"… and {history.total - len(history.moves):,} earlier ones: --limit N", markup=False)


def _measured(move: AliasMove) -> list[str]:
    """What was measured before a promotion; it is kept for people, so nothing is taken for granted."""
    asked = move.figures.get("conditions")
    lines = [f"on {move.figures.get('rows')} rows of {plain(str(move.figures.get('data')))}"] if asked else []
    for each in asked if isinstance(asked, list) else ():
        if isinstance(each, dict):
            target = f"  {plain(str(each['target']))}" if each.get("target") else ""
            shown = partial(_number, str(each.get("condition")))
            numbers = f": {shown(each.get('value'))} against {shown(each.get('needed'))}"
            lines.append(f"{'✓' if each.get('holds') else '✗'} {plain(str(each.get('condition')))}{target}{numbers}")
    return lines


def _number(condition: str, value: object) -> str:
    if not isinstance(value, int | float):
        return "–"
    try:
        (read,) = parse(condition)
    except (InvalidSetting, ValueError):  # a later version may have written it
        return f"{value:.4g}"
    return value_of(read.figure, value)


def _end(id: str | None, name: str | None, history: History) -> str:
    if id is None:
        return ""
    return f"{plain(name or id)}{' (deleted)' if id in history.gone else ''}"


def _when(move: AliasMove) -> str:
    return datetime.fromtimestamp(move.moved_at, UTC).strftime("%Y-%m-%d %H:%M")


def _who(move: AliasMove, keys: Mapping[str, str]) -> str:
    if move.moved_by is None:
        return "over HTTP, without a key"
    return f"key {plain(keys[move.moved_by])}" if move.moved_by in keys else plain(move.moved_by)
