"""Work that goes on after a request was answered: in threads of this process, a few at a time, ended with it.

Owns what every such work needs: a place to wait, an end once what it works on is gone, and how one knows that the
process which did it is dead. What is done, and what is written down about it, is the caller's.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time

from tamis.errors import Cancelled
from tamis.jobs.aside import Check
from tamis.jobs.worker import is_dead

SILENT_S = 24 * 3600.0
"""Seconds after which what a process of another machine was at is held to be lost: none may take as long."""

LOOK_S = 1.0
"""Seconds between looks whether what is worked on is still there."""

log = logging.getLogger(__name__)


class Background:
    """Threads, made when the first work comes."""

    def __init__(self, at_once: int, name: str) -> None:
        """Do so many at once."""
        self._at_once, self._name = at_once, name
        self._over = threading.Event()
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def submit(self, work: Callable[[str], None], id: str) -> None:
        """Do the work on what has this id, when its turn comes."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._at_once, thread_name_prefix=self._name)
        self._threads.submit(self._do, work, id)

    def _do(self, work: Callable[[str], None], id: str) -> None:
        try:
            work(id)
        except Exception:  # a future that nobody asks would swallow it
            log.exception("the %s %s failed", self._name, id)

    def going_on(self, is_wanted: Callable[[], bool]) -> Check:
        """Return what raises once the server ends, or the work is wanted no more, which is looked at once a second."""
        next_look = 0.0

        def check() -> None:
            nonlocal next_look
            if self._over.is_set():
                raise Cancelled("The server was stopped.")
            if monotonic() >= next_look:
                next_look = monotonic() + LOOK_S
                if not is_wanted():
                    raise Cancelled("It was ended.")

        return check

    @property
    def is_over(self) -> bool:
        """Whether the server ends."""
        return self._over.is_set()

    def close(self) -> None:
        """End what is at work, and forget what waits."""
        self._over.set()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)


def is_lost(owner: str | None, modified_at: int) -> bool:
    """Return whether the process that was at something is dead; one of another machine is if it is silent very long."""
    if owner is None:
        return False
    is_elsewhere = owner.split("/")[0] != socket.gethostname()
    return is_dead(owner) or (is_elsewhere and modified_at < time() - SILENT_S)
