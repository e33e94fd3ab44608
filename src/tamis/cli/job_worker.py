"""The process that runs the jobs, beside the server: started with it, started again where it dies, stopped with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

LOOK_S = 0.2
MOST_PAUSE_S = 30.0
HEALTHY_S = 30.0
"""A worker that lived so long did not fail at its start."""

_log = logging.getLogger("tamis.serve")


class Process(Protocol):
    """A process that can be started, again too, and stopped."""

    def ensure(self) -> bool:
        """Start it unless it runs; return whether that was needed."""

    def stop(self) -> None:
        """Let it end."""


@contextmanager
def kept_running(process: Process) -> Iterator[None]:
    """Keep a process running for as long as this lasts."""
    over = threading.Event()
    process.ensure()
    keeper = threading.Thread(target=_keep, args=(process, over), name="job worker", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        process.stop()


def _keep(process: Process, over: threading.Event) -> None:
    """Look now and then; one that keeps dying at its start is waited for longer and longer."""
    pause, since = LOOK_S, monotonic()
    while not over.wait(pause):
        if not process.ensure():
            continue
        _log.error("the job worker had ended, and was started again")
        pause = LOOK_S if monotonic() - since > HEALTHY_S else min(pause * 2, MOST_PAUSE_S)
        since = monotonic()
