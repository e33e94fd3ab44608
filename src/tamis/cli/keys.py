"""`tamis keys`: the server's API keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.app import app
from tamis.cli.console import AsJson, out, print_json
from tamis.cli.given_model import opened

if TYPE_CHECKING:
    from tamis.store.records import KeyRecord
    from tamis.workspace.keys import Keys

keys = typer.Typer(help="Make, list and revoke the server's API keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")

Name = Annotated[str, typer.Argument(help="What the key is for, to recognise it by.")]
Scope = Annotated[
    list[str],
    typer.Option(
        help="What it may do: infer (classify, moderate, chat, batch), train (files, jobs, models), admin; repeatable."
    ),
]
Days = Annotated[int | None, typer.Option(min=1, help="Days after which it no longer works (default: never).")]
Which = Annotated[str, typer.Argument(metavar="KEY", help="Its id, its name, or how it begins.")]


@keys.command()
def create(name: Name, scope: Scope = ["infer", "train"], days: Days = None, as_json: AsJson = False) -> None:  # noqa: B006
    """Make a key and show it, this once: only its hash is kept. From then on every caller needs one."""
    with _keys() as ring:
        record, secret = ring.create(name, scope, days)
    if as_json:
        print_json({**_as_json(record), "key": secret})
        return
    out.print(secret, markup=False, soft_wrap=True)
    out.print(
        f"Keep it: it cannot be shown again. It is for {', '.join(record.scopes)}"
        + (f", until {_day(record.expires_at)}." if record.expires_at else "."),
        markup=False,
        soft_wrap=True,
    )


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys: what they are for, what they may do, when they were used last."""
    with _keys() as ring:
        records = ring.list()
    if as_json:
        print_json({"keys": [_as_json(record) for record in records]})
        return
    if not records:
        out.print("There are no keys: the server serves its own machine only. tamis keys create NAME", markup=False)
    for record in records:
        state = f"revoked {_day(record.revoked_at)}" if record.revoked_at else f"used {_day(record.last_used_at)}"
        ends = f", until {_day(record.expires_at)}" if record.expires_at else ""
        line = f"{record.id}  {record.prefix}…  {record.name}  {','.join(record.scopes)}  {state}{ends}"
        out.print(line, markup=False, soft_wrap=True)


@keys.command()
def revoke(key: Which, as_json: AsJson = False) -> None:
    """Make a key useless, within seconds."""
    with _keys() as ring:
        record = ring.revoke(key)
    if as_json:
        print_json({"revoked": record.id})
    else:
        out.print(f"The key {record.name} ({record.prefix}…) is revoked.", markup=False, soft_wrap=True)


@contextmanager
def _keys() -> Iterator[Keys]:
    with opened() as workspace:
        yield workspace.keys


def _as_json(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "name": record.name,
        "prefix": record.prefix,
        "scopes": list(record.scopes),
        "created_at": record.created_at,
        "last_used_at": record.last_used_at,
        "expires_at": record.expires_at,
        "revoked_at": record.revoked_at,
    }


def _day(moment: int | None) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d") if moment else "never"
