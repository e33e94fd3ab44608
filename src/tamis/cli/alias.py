"""`tamis alias`: names that programs ask for, pointed at models, moved, rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.app import app
from tamis.cli.console import AsJson, out, print_json
from tamis.cli.given_model import find_in_home, opened

if TYPE_CHECKING:
    from tamis.store.records import AliasMove
    from tamis.workspace.aliases import Alias, History

aliases = typer.Typer(help="Names for models that can be moved: set, list, roll back.", no_args_is_help=True)
app.add_typer(aliases, name="alias")

BY = "command line"
"""Who moved an alias, where it was moved here."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The alias.")]
Known = Annotated[str, typer.Argument(metavar="MODEL", help="A model of the home: NAME, NAME@3, an id, ft:...")]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="At most so many moves, the newest first.")]


@aliases.command("set")
def set_alias(name: Name, model: Known, as_json: AsJson = False) -> None:
    """Point an alias, new or not, at a model: who asks for it gets that model from then on."""
    with opened() as workspace:
        alias = workspace.aliases.set(name, find_in_home(workspace, model).id, by=BY)
    _tell(alias, as_json=as_json)


@aliases.command("list")
def list_aliases(as_json: AsJson = False) -> None:
    """List the aliases: what each points at, since when, and who moved it there."""
    from tamis.cli.alias_view import show

    with opened() as workspace:
        found = workspace.aliases.list()
        keys = {key.id: key.name for key in workspace.keys.list()}
    if as_json:
        print_json({"aliases": [_as_json(alias) for alias in found]})
    elif found:
        show(found, keys, out)
    else:
        out.print("There are no aliases yet: tamis alias set NAME MODEL", markup=False)


@aliases.command()
def history(name: Name, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Tell every move of an alias, the newest first: when, who, from where to where, why, and what was measured."""
    from tamis.cli.alias_view import show_history

    with opened() as workspace:
        found = workspace.aliases.history(name, 0, limit)
        keys = {key.id: key.name for key in workspace.keys.list()}
    if as_json:
        moves = [move_as_json(move, found) for move in found.moves]
        print_json({"alias": name, "moves": moves, "total": found.total})
    else:
        show_history(name, found, keys, out)


@aliases.command()
def rollback(name: Name, as_json: AsJson = False) -> None:
    """Point an alias at the model before; again, at the one before that. A dropped alias comes back."""
    with opened() as workspace:
        alias = workspace.aliases.roll_back(name, by=BY)
    _tell(alias, as_json=as_json)


@aliases.command()
def drop(name: Name, as_json: AsJson = False) -> None:
    """Delete an alias; the model that it points at stays, and so does its history."""
    with opened() as workspace:
        workspace.aliases.drop(name, by=BY)
    if as_json:
        print_json({"alias": name, "model": None})
    else:
        told = f"There is no alias {name} any more. Back: tamis alias rollback {name}"
        out.print(told, markup=False, soft_wrap=True)


def _tell(alias: Alias, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(alias))
    else:
        told = f"{alias.name} is now {alias.model.name}@{alias.model.version}."
        out.print(told, markup=False, soft_wrap=True)


def _as_json(alias: Alias) -> dict[str, object]:
    last = alias.last
    return {
        "alias": alias.name,
        "model": f"{alias.model.name}@{alias.model.version}",
        "id": alias.model.id,
        "moved_at": None if last is None else last.moved_at,
        "moved_by": None if last is None else last.moved_by,
        "why": None if last is None else last.why,
        "number": 0 if last is None else last.number,
    }


def move_as_json(move: AliasMove, history: History) -> dict[str, object]:
    """Return a move as JSON; a model that was deleted since is `gone`."""
    ends = {"from": (move.from_id, move.from_name), "to": (move.to_id, move.to_name)}
    models = {
        end: None if id is None else {"id": id, "model": name, "gone": id in history.gone}
        for end, (id, name) in ends.items()
    }
    told = {"number": move.number, "why": move.why, "moved_at": move.moved_at, "moved_by": move.moved_by}
    return {**told, **models, "figures": move.figures or None}
