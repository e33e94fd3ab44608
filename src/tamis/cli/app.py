"""The `tamis` program: collects the commands and turns errors into messages and exit codes."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import tamis
from tamis.cli.console import print_json, show_error
from tamis.errors import TamisError

INTERRUPTED = 130
ORDER = (
    "quickstart",
    "check",
    "fix",
    "label",
    "split",
    "train",
    "evaluate",
    "classify",
    "thresholds",
    "compare",
    "distil",
    "models",
    "alias",
    "promote",
    "export",
    "push",
    "demo",
    "serve",
    "jobs",
    "keys",
)
"""How the commands are listed: as they are used; what is not here stands after them."""


ELSEWHERE = {
    "predict": "classify",
    "infer": "classify",
    "inference": "classify",
    "fit": "train",
    "finetune": "train",
    "fine-tune": "train",
    "eval": "evaluate",
    "test": "evaluate",
    "score": "evaluate",
    "validate": "check",
    "clean": "fix",
    "annotate": "label",
    "list": "models",
    "deploy": "serve",
    "server": "serve",
    "worker": "serve",
    "upload": "push",
    "distill": "distil",
    "calibrate": "thresholds",
    "rollback": "alias rollback",
}
"""What other programs call a command: it is named to who tries that."""


class _AsUsed(TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  whose class is typer's own
        if args[0] in ELSEWHERE and args[0] not in self.commands:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {ELSEWHERE[args[0]]!r}?")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: object) -> list[str]:
        return sorted(self.commands, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


app = typer.Typer(
    name="tamis",
    cls=_AsUsed,
    help="A classifier factory: labelled text in, a measured and calibrated classifier out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"tamis {tamis.__version__}\n")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take what stands before the command."""


def main() -> None:
    """Run the program: 0 done, 1 bad input or result (said why), 2 wrong usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a character is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    code = _run()
    try:
        sys.stdout.flush()
    except OSError as error:  # only now is it known that the disk is full, or that the reader has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code if code or isinstance(error, BrokenPipeError) else _fail(_refused(error), told=True)
    sys.exit(code)


def _run() -> int | str | None:
    """Run the command and return the exit code."""
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            sys.stderr.write("\nInterrupted.\n")
        return end.code
    except TamisError as error:
        return _fail(error)
    except OSError as error:
        return _fail(_refused(error))
    except MemoryError:
        return _fail(
            TamisError("There is not enough memory: give fewer rows or shorter texts, or use a larger machine.")
        )
    except Exception as error:  # noqa: BLE001  a user is to see no traceback, whatever happens
        return _fail(_unexpected(error))
    return 0


def _fail(error: TamisError, *, told: bool = False) -> int:
    """Say what went wrong, with `--json` on stdout too (unless that is `told` already), and return 1."""
    show_error(error)
    if "--json" in sys.argv[1:] and not told:
        with suppress(OSError):  # stdout may be what went wrong
            print_json({"error": {"code": error.code, "message": str(error)}})
    return 1


def _refused(error: OSError) -> TamisError:
    """What the operating system refused and nothing further in translated."""
    where = f"{error.filename}: " if error.filename is not None else ""
    return TamisError(f"{where}{error.strerror or error}. Make room, check the permissions, or choose another place.")


def _unexpected(error: Exception) -> TamisError:
    """A defect of Tamis: the traceback goes to a file, for the report."""
    kept = ""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="tamis-", suffix=".txt", delete=False, encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
            kept = f" The details are in {file.name}: please report them."
    except (OSError, UnicodeError):
        pass
    return TamisError(f"Something unexpected happened inside Tamis ({type(error).__name__}: {error}).{kept}")
