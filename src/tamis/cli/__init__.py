"""The command line: each command in a module of its own; it only translates.

Owns arguments, terminal output and exit codes: 0 done, 1 the input or the result is bad, 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

from tamis.cli import (  # noqa: F401  importing a command registers it
    alias,
    check,
    classify,
    compare,
    demo,
    distil,
    evaluate,
    export,
    fix,
    jobs,
    keys,
    label,
    models,
    promote,
    push,
    quickstart,
    serve,
    split,
    thresholds,
    train,
)
from tamis.cli.app import main

__all__ = ["main"]
