"""Where commands print: results on stdout, progress and complaints on stderr."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.markup import escape

from tamis.errors import TamisError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def show_error(error: TamisError) -> None:
    """Print an error as its user should read it: what is wrong and what to do."""
    err.print(f"[bold red]error[/] [dim]{error.code}[/]  {escape(str(error))}", soft_wrap=True)


def print_json(value: object) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
