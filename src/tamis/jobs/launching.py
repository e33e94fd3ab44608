"""The worker's process, as the server starts it: it ends with the server, however that ends, and is started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, cast

STOP_WITHIN_S = 15.0


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Take what its environment has beside this process's own."""
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tamis.jobs", "work", "--with-parent"],
            stdin=subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )

    def ensure(self) -> bool:
        """Start it again if it has ended; return whether that was so."""
        if self._process is not None and self._process.poll() is None:
            return False
        self.start()
        return True

    @property
    def pid(self) -> int | None:
        """The process's number, while it runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def stop(self) -> None:
        """Let it hand back its jobs, and end."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        cast("IO[bytes]", process.stdin).close()
