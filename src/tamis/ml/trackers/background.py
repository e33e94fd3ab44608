"""A tracker beside the training: in a process of its own, fed by a thread, so that it can neither fail nor slow a run.

Nothing here waits for a tracker but `end`, and that for no longer than it was told. What a tracker does not take in
time is dropped, the oldest figures first. The key goes to the process through a pipe: no argument and no variable of an
environment, which others could read or inherit, has it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from time import monotonic
from typing import IO, Any, cast

from tamis.ml.trackers.processes import kill_children
from tamis.ml.trackers.redaction import Redactor
from tamis.ml.trackers.tracker import Outcome, Results, TrackedRun

MOST_WAITING = 1000
"""Steps that wait for a tracker."""

START_WITHIN_S = 20.0
"""A tracker that has not begun so long after its start is given up at the end of the run."""

INHERITED = ("WANDB_MODE", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_INSECURE_DISABLE_SSL")
PRIVATE = ("TAMIS_", "WANDB_")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What a tracker said: where the run is, or a sentence on what became of it. Without keys."""

    url: str | None = None
    note: str = ""
    problem: str = ""


class BackgroundTracker:
    """A run that is reported in the background."""

    def __init__(self, run: TrackedRun, listener: Callable[[Told], None]) -> None:
        """Begin; `listener` is called in a thread of this object, and may fail."""
        self._run, self._listener = run, listener
        self._hide = Redactor([run.key])
        self._figures: deque[tuple[int, Mapping[str, float]]] = deque(maxlen=MOST_WAITING)
        self._results: Results | None = None
        self._outcome: Outcome | None = None
        self._changed = threading.Condition()
        self._begun, self._over = threading.Event(), threading.Event()
        self._explained = False
        self._abandoned = self._told_end = False
        self._process: subprocess.Popen[bytes] | None = None
        self._start_until = monotonic() + START_WITHIN_S
        threading.Thread(target=self._guarded, name=f"tracker {run.tracker}", daemon=True).start()

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Report the figures of a step, some time; returns at once."""
        with self._changed:
            self._figures.append((step, figures))
            self._changed.notify()

    def report(self, results: Results) -> None:
        """Report what is known at the end, some time; returns at once."""
        with self._changed:
            self._results = results
            self._changed.notify()

    def end_soon(self, outcome: Outcome) -> None:
        """Say how the run ended; returns at once."""
        with self._changed:
            self._outcome = outcome
            self._changed.notify()

    def wait(self, seconds: float, *, start_counts: bool = True) -> None:
        """Wait until all is reported, at most so long; a tracker that only begins has the rest of its time to start.

        The process is gone when this returns, unless the run was cancelled: then it ends by itself, within seconds.
        """
        until = monotonic() + seconds
        if start_counts and not self._over.is_set():
            while not (self._begun.is_set() or self._over.is_set()) and monotonic() < self._start_until:
                self._begun.wait(0.05)
            if self._begun.is_set():
                until = max(until, min(monotonic() + seconds, self._start_until))
        if self._over.wait(max(0.0, until - monotonic())) or self._outcome is Outcome.KILLED:
            return
        if self._outcome is not Outcome.HANDED_BACK:
            self._say(Told(problem=self._too_slow()))
        self.abandon()

    def abandon(self) -> None:
        """End the process now, whatever it has not reported."""
        with self._changed:
            self._abandoned = True
            self._changed.notify()
        if self._process is not None:
            kill_children(self._process.pid, itself=True)
            self._process.poll()

    def _too_slow(self) -> str:
        told = "not all was" if self._begun.is_set() else "nothing was"
        return f"The tracker was too slow: {told} reported. {self._run.folder} may hold a run that can be sent later."

    def _guarded(self) -> None:
        try:
            self._feed()
        except Exception as error:
            log.exception("The tracker cannot be run.")
            self._say(Told(problem=f"The tracker's process cannot be run ({type(error).__name__}): look at the log."))
            self._over.set()

    def _feed(self) -> None:
        """Start the process, and tell it one thing after another."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tamis.ml.trackers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
        )
        self._process = process
        threading.Thread(target=self._hear, args=(process,), name="tracker answers", daemon=True).start()
        pipe = cast("IO[bytes]", process.stdin)
        with suppress(OSError):  # it has ended, and has said why
            _tell(pipe, {"run": _plain(self._run), "parent": os.getpid()})
            while (line := self._next()) is not None:
                _tell(pipe, line)
        with suppress(OSError):
            pipe.close()

    def _next(self) -> dict[str, Any] | None:
        """Wait for what is to be told next: figures first, the end last; None after it."""
        with self._changed:
            while not (self._abandoned or self._told_end):
                if self._figures:
                    step, figures = self._figures.popleft()
                    return {"step": step, "figures": dict(figures)}
                if self._results is not None:
                    results, self._results = self._results, None
                    return {"results": _plain(results)}
                if self._outcome is not None:
                    self._told_end = True
                    return {"end": self._outcome.value}
                self._changed.wait()
        return None

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on what the process says, until it ends."""
        with cast("IO[bytes]", process.stdout) as answers:
            for line in answers:
                with suppress(ValueError):
                    self._understand(json.loads(self._hide(line.decode("utf-8", "replace"))))
        process.wait()
        if not (self._abandoned or self._explained):
            self._say(Told(problem="The tracker's process ended before its time: not all of the run is reported."))
        self._over.set()

    def _understand(self, answer: Mapping[str, Any]) -> None:
        if "url" in answer:
            self._begun.set()
            if answer["url"]:
                self._say(Told(url=str(answer["url"])))
        if answer.get("note"):
            self._say(Told(note=str(answer["note"])))
        if answer.get("problem"):
            self._explained = True
            self._say(Told(problem=str(answer["problem"])))
        self._explained = self._explained or bool(answer.get("done"))

    def _say(self, told: Told) -> None:
        try:
            self._listener(told)
        except Exception:
            log.exception("What a tracker said could not be noted.")


def _tell(pipe: IO[bytes], line: object) -> None:
    pipe.write(json.dumps(line).encode() + b"\n")
    pipe.flush()


def _plain(record: TrackedRun | Results) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in asdict(record).items()}


def _environment() -> dict[str, str]:
    """This process's own, without secrets of the server, and without what would make the run another one."""
    return {name: value for name, value in os.environ.items() if name in INHERITED or not name.startswith(PRIVATE)}
