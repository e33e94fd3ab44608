"""Where tasks run: a seam of one method, and the executor that starts a process on this machine.

An executor starts what it is told and says how that goes; it knows neither jobs' states nor the database.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from time import monotonic
from typing import IO, Literal, Protocol, cast

import psutil

from tamis.jobs.relaying import Relay

JOB, BATCH = "job", "batch"

LAST_WORDS_S = 0.5
"""How long what the children said last is waited for: something that they started may outlive them."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a child is to do: the attempt number fences what an earlier child may still write."""

    kind: Literal["job", "batch"]
    id: str
    attempt: int
    owner: str


class Running(Protocol):
    """A task that was started."""

    def exit_code(self) -> int | None:
        """None while it runs, else 0 for an orderly end, -N for death by signal N, or another number."""

    def memory_mb(self) -> float:
        """The most memory that it was seen to hold so far, in MB of 10^6 bytes."""

    def stop(self, *, kill: bool = False) -> None:
        """Ask it to hand its task back, or end it at once."""


class Executor(Protocol):
    """Runs tasks somewhere."""

    def start(self, task: Task) -> Running:
        """Start a task and return at once."""


class LocalExecutor:
    """A child process of this one for each task.

    Importing numpy and the trainer takes a good part of a second: a spare child has done that already and waits for a
    task. A child ends when its standard input does, so that none outlives this process, however it dies. What it says
    is logged here.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Take what children's environment has beside this process's own."""
        self._environment = {**os.environ, **(environment or {})}
        self._spare: _Child | None = None
        self._relays: list[Relay] = []

    def start(self, task: Task) -> Running:
        """Give the task to the spare child, or to a new one."""
        for _ in range(2):
            child = self._take()
            child.relay.job = task.id
            with suppress(BrokenPipeError):  # the spare died while it waited: take a fresh one
                pipe = cast("IO[bytes]", child.process.stdin)
                pipe.write(json.dumps(asdict(task)).encode() + b"\n")
                pipe.flush()
                break
            child.process.wait()
        return LocalChild(child.process)

    def prepare(self) -> None:
        """Make sure that a spare child waits."""
        if self._spare is None or self._spare.process.poll() is not None:
            self._spare = self._new()

    def close(self) -> None:
        """End the spare child, and pass on what others said last."""
        if self._spare is not None:
            self._spare.process.kill()
            self._spare.process.wait()
            cast("IO[bytes]", self._spare.process.stdin).close()
            self._spare = None
        until = monotonic() + LAST_WORDS_S
        for relay in self._relays:
            relay.wait(max(0.0, until - monotonic()))

    def _take(self) -> _Child:
        spare, self._spare = self._spare, None
        if spare is not None and spare.process.poll() is None:
            return spare
        return self._new()

    def _new(self) -> _Child:
        process = subprocess.Popen(
            [sys.executable, "-m", "tamis.jobs", "child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,  # an interrupt at the keyboard is for the server alone: it hands jobs back
        )
        relay = Relay(cast("IO[bytes]", process.stdout))
        self._relays = [relay, *(each for each in self._relays if not each.wait(0))]
        return _Child(process, relay)


@dataclass(frozen=True, slots=True)
class _Child:
    """A process that waits for a task, or has one, and what passes on what it says."""

    process: subprocess.Popen[bytes]
    relay: Relay


class LocalChild:
    """A child process at work."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Watch the process."""
        self._process = process
        self._peak_mb = 0.0

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        code = self._process.poll()
        if code is not None:
            with suppress(BrokenPipeError):
                cast("IO[bytes]", self._process.stdin).close()
        return code

    def memory_mb(self) -> float:
        """Look at the process's memory, and return the most that was seen."""
        with suppress(psutil.Error):
            info = psutil.Process(self._process.pid).memory_info()
            self._peak_mb = max(self._peak_mb, info.rss / 1e6)
        return round(self._peak_mb, 1)

    def stop(self, *, kill: bool = False) -> None:
        """Ask it to hand its task back, or end it at once."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
