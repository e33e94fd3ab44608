"""Where commands print: results on stdout, progress and complaints on stderr."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tamis.data.rows import printable
from tamis.errors import TamisError

out = Console(highlight=False, emoji=False)  # FILE:100: is a place, not a picture
err = Console(stderr=True, highlight=False, emoji=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def show_error(error: TamisError) -> None:
    """Print an error as its user should read it: what is wrong and what to do."""
    code = f" [dim]{error.code}[/]" if error.code != TamisError.code else ""
    err.print(f"[bold red]error[/]{code}  {escape(printable(str(error)))}", soft_wrap=True)


def print_json(value: object) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json_line(value) + "\n")


def json_line(value: object) -> str:
    """Return the value as one line of JSON; what stdout cannot encode (half a surrogate pair) is escaped."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        line.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return line
