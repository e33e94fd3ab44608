"""The heart of a child: it renews the lease twice a second, and learns whether to stop.

A thread of its own, so that no long matrix product delays it by much. It knows no task.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Literal

BEAT_S = 0.5
LEASE_S = 15.0

log = logging.getLogger(__name__)


class Stop(StrEnum):
    """Why a child has to stop."""

    CANCEL = "cancel"  # the user wants it
    HAND_BACK = "hand back"  # the worker ends: another one goes on
    LOST = "lost"  # another attempt has the job: whatever this one writes is refused


class Heart:
    """Beats while a task runs; `stop` says why it has to end, if it has to."""

    def __init__(self, beat: Callable[[], Literal["ok", "cancel", "lost"]]) -> None:
        """Take what renews the lease and says whether the task may go on."""
        self.stop: Stop | None = None
        self._beat = beat
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def __enter__(self) -> Heart:
        """Begin to beat."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Beat no more."""
        self._over.set()
        self._thread.join(timeout=10)

    def must_stop(self) -> bool:
        """Whether the task has to end."""
        return self.stop is not None

    def _run(self) -> None:
        missed = 0.0
        while not self._over.wait(BEAT_S):
            try:
                answer = self._beat()
                missed = 0.0
            except Exception:  # the database may be away for a while: the lease is what counts
                missed += BEAT_S
                log.warning("The lease could not be renewed.", exc_info=missed <= BEAT_S)
                if missed > LEASE_S:
                    self.stop = Stop.LOST
                continue
            if answer == "cancel":
                self.stop = Stop.CANCEL
            elif answer == "lost":
                self.stop = Stop.LOST


def end_with_parent(pipe: int) -> None:
    """End this process at once when the pipe's other end is gone: the parent has died, however it did."""

    def wait() -> None:
        while True:
            try:
                if not os.read(pipe, 1024):
                    break
            except InterruptedError:
                continue
            except OSError:
                break
        os._exit(3)

    threading.Thread(target=wait, name="parent", daemon=True).start()
