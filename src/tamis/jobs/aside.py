"""Work for one caller in a process of its own, which takes no more than it may and outlives nobody.

What the process is told and answers is one line of JSON each; its errors are raised here as if they had happened here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Any, cast

import psutil

from tamis.errors import LimitExceeded, TamisError
from tamis.jobs.relaying import Relay
from tamis.jobs.sentences import OUT_OF_MEMORY, sentence_of

LOOK_S = 0.05

Check = Callable[[], None]
"""Called often while the process is at work; raises what is to end it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the process may take, and what is said where it takes more."""

    seconds: float
    memory_mb: float
    too_much: str = "It takes more time or memory than it may."


def run_aside(kind: str, told: Mapping[str, Any], home: Path, bounds: Bounds, check: Check) -> dict[str, Any]:
    """Return what `python -m tamis.jobs KIND` answers. Blocks until then, and leaves no process behind.

    Raises:
        LimitExceeded: it takes more time or memory than it may.
        TamisError: what went wrong there. Or what `check` raised.
    """
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(
            [sys.executable, "-m", "tamis.jobs", kind],
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=subprocess.PIPE,
            env={**os.environ, "TAMIS_HOME": str(home)},
            start_new_session=True,
        )
        relay = Relay(cast("IO[bytes]", process.stderr))
        pipe = cast("IO[bytes]", process.stdin)  # held open: the process ends when this one does
        try:
            with suppress(BrokenPipeError):  # it could not even begin: how it ended says so
                pipe.write(json.dumps(told, default=str).encode() + b"\n")
                pipe.flush()
            _wait(process, bounds, check)
        finally:
            process.kill()
            process.wait()
            with suppress(BrokenPipeError):
                pipe.close()
            relay.wait(LOOK_S)
        answer.seek(0)
        return understood(answer.read(), process.returncode, kind, bounds)


def _wait(process: subprocess.Popen[bytes], bounds: Bounds, check: Check) -> None:
    """Wait for its end; raise where it is to be ended."""
    end = monotonic() + bounds.seconds
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_S)
            return
        check()
        if monotonic() > end or _memory_mb(process.pid) > bounds.memory_mb:
            raise _too_much(bounds)


def _memory_mb(pid: int) -> float:
    with suppress(psutil.Error):
        return float(psutil.Process(pid).memory_info().rss / 1e6)
    return 0.0


def answered(work: Callable[[], Mapping[str, Any]], home: Path) -> bytes:
    """Return what the process says: what its work comes to, or what went wrong with it."""
    try:
        done = work()
    except (TamisError, OSError, MemoryError) as error:
        code, message = sentence_of(error, home)
        context = error.context if isinstance(error, TamisError) else {}
        return json.dumps({"code": code, "message": message, "context": context}, default=str).encode()
    return json.dumps(done).encode()


def understood(answer: bytes, code: int, kind: str = "measure", bounds: Bounds = Bounds(0.0, 0.0)) -> dict[str, Any]:
    """Return what a process answered, or raise the error that it told of."""
    if not answer:
        raise _too_much(bounds) if code < 0 else TamisError(f"The process of the {NAMES[kind]} ended with {code}.")
    told: dict[str, Any] = json.loads(answer)
    if told.get("code") == OUT_OF_MEMORY:
        raise _too_much(bounds)
    if "code" in told:
        error = {each.code: each for each in _kinds(TamisError)}.get(told["code"], TamisError)
        raise error(told["message"], **told["context"])
    return told


NAMES = {"measure": "dry run", "review": "review", "promote": "promotion", "rows": "dataset", "operate": "operation"}


def _kinds(parent: type[TamisError]) -> Iterator[type[TamisError]]:
    yield parent
    for kind in parent.__subclasses__():
        yield from _kinds(kind)


def _too_much(bounds: Bounds) -> LimitExceeded:
    return LimitExceeded(bounds.too_much)
