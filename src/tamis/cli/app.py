"""The `tamis` program: collects the commands and turns errors into messages and exit codes."""

from __future__ import annotations

import sys

import typer

from tamis.cli.console import show_error
from tamis.errors import TamisError

app = typer.Typer(
    name="tamis",
    help="A classifier factory: labelled text in, a measured and calibrated classifier out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _program() -> None:
    """Give the program commands even while it has only one."""


def main() -> None:
    """Run the program: 0 done, 1 bad input or result (said why), 2 wrong usage, 130 interrupted."""
    try:
        app()
    except TamisError as error:
        show_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe (`| head`) has gone: not an error
        sys.stderr.close()
        sys.exit(0)
