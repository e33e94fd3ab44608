"""A dry run: a job's files are read in a process of their own, which takes no more than it may and outlives nobody.

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
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Any, cast

import psutil

from tamis.errors import LimitExceeded, TamisError
from tamis.jobs.relaying import Relay
from tamis.jobs.sentences import OUT_OF_MEMORY, sentence_of
from tamis.jobs.tools import Tools
from tamis.jobs.validation import Measured, measure
from tamis.store.records import JobRecord
from tamis.store.rows import record_of

LOOK_S = 0.05

Check = Callable[[], None]
"""Called often while the process is at work; raises what is to end it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a dry run may take."""

    seconds: float
    memory_mb: float


def measure_aside(job: JobRecord, home: Path, bounds: Bounds, check: Check) -> Measured:
    """Return what a job would come to. Blocks until that is known, and leaves no process behind.

    Raises:
        LimitExceeded: it takes more time or memory than it may.
        TamisError: the job cannot be trained; the message says why. Or what `check` raised.
    """
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(
            [sys.executable, "-m", "tamis.jobs", "measure"],
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
                pipe.write(json.dumps(asdict(job)).encode() + b"\n")
                pipe.flush()
            _wait(process, bounds, check)
        finally:
            process.kill()
            process.wait()
            with suppress(BrokenPipeError):
                pipe.close()
            relay.wait(LOOK_S)
        answer.seek(0)
        return _understood(answer.read(), process.returncode)


def answer(tools: Tools, told: Mapping[str, Any]) -> bytes:
    """Return what the process says: what the job comes to, or why it cannot be trained."""
    try:
        measured = measure(tools.store, tools.choices, record_of(JobRecord, told), lambda: False)
    except (TamisError, OSError, MemoryError) as error:
        code, message = sentence_of(error, tools.choices.home)
        context = error.context if isinstance(error, TamisError) else {}
        return json.dumps({"code": code, "message": message, "context": context}, default=str).encode()
    return json.dumps(asdict(measured)).encode()


def _wait(process: subprocess.Popen[bytes], bounds: Bounds, check: Check) -> None:
    """Wait for its end; raise where it is to be ended."""
    end = monotonic() + bounds.seconds
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_S)
            return
        check()
        if monotonic() > end or _memory_mb(process.pid) > bounds.memory_mb:
            raise _too_much()


def _memory_mb(pid: int) -> float:
    with suppress(psutil.Error):
        return float(psutil.Process(pid).memory_info().rss / 1e6)
    return 0.0


def _understood(answer: bytes, code: int) -> Measured:
    if not answer:
        raise _too_much() if code < 0 else TamisError(f"The process of the dry run ended with {code}.")
    told = json.loads(answer)
    if told.get("code") == OUT_OF_MEMORY:
        raise _too_much()
    if "code" in told:
        kind = {kind.code: kind for kind in _kinds(TamisError)}.get(told["code"], TamisError)
        raise kind(told["message"], **told["context"])
    return Measured(tuple(told["targets"]), told["metadata"], told["hyperparameters"])


def _kinds(parent: type[TamisError]) -> Iterator[type[TamisError]]:
    yield parent
    for kind in parent.__subclasses__():
        yield from _kinds(kind)


def _too_much() -> LimitExceeded:
    why = "Its files take more time or memory to read than a dry run may: create the job, without auto_start"
    return LimitExceeded(f"{why}, and read its metadata once it is VALIDATED.")
