"""What a child says, logged by its worker: the child's own lines as they are, any other line as one of its output.

A child logs JSON whatever the operator chose: its worker writes it in the form that was chosen. Libraries, and a
process that crashes, print what they like; here each line of that becomes a line of the log.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import IO

from tamis.logs import read_record

LONGEST = 2**20
"""Bytes of a line; what is longer is several."""

TRACKER = "tracker: "
"""How lines of a tracker's library begin; any other output is of something that went wrong."""


class Relay:
    """Passes on what comes out of a pipe, until its other end is closed."""

    def __init__(self, pipe: IO[bytes]) -> None:
        """Begin; `job` is the id of the job or batch that the lines are about, once that is known."""
        self.job = ""
        self._pipe = pipe
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until all is passed on, at most so long; return whether it is."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with self._pipe, suppress(OSError, ValueError):  # closed from elsewhere
            while line := self._pipe.readline(LONGEST):
                self._pass_on(line.decode("utf-8", "replace").rstrip())

    def _pass_on(self, line: str) -> None:
        record = read_record(line)
        if record is None and line.startswith(TRACKER):
            record = _output("tamis.jobs.tracker", logging.INFO, line.removeprefix(TRACKER))
        elif record is None and line:
            record = _output("tamis.jobs.output", logging.WARNING, line)
        if record is not None and (log := logging.getLogger(record.name)).isEnabledFor(record.levelno):
            record.job = self.job
            log.handle(record)


def _output(name: str, level: int, line: str) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, line, None, None)
