"""A tracker's own process, `python -m tamis.ml.trackers`: it is told of a run on standard input, and reports it.

The first line is the run, each other one thing to report; answers go to standard output. What the library and its own
helpers print goes to standard error, without keys. When the process that started this one is gone, or the end takes too
long, this process ends at once, and with it those that the library started.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import IO, Any
from urllib.parse import urlsplit

from tamis.errors import TamisError
from tamis.ml.trackers.builtin import TITLES, TRACKERS
from tamis.ml.trackers.processes import kill_children
from tamis.ml.trackers.redaction import Redactor
from tamis.ml.trackers.tracker import Outcome, Results, Started, Table, TrackedRun, Tracker

END_WITHIN_S = 6.0
"""From the word that the run ended until this process does, at the latest."""

LOOK_S = 0.2
LONGEST_LINE = 2000

Say = Callable[[dict[str, Any]], None]


class _Lines:
    """What is told on standard input, one JSON object a line."""

    def __init__(self, pipe: IO[str]) -> None:
        self._pipe = pipe

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for line in self._pipe:
            yield json.loads(line)


class _Watch:
    """Ends this process when its parent is gone, or the end takes too long."""

    def __init__(self, parent: int) -> None:
        self._parent, self._until = parent, float("inf")
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def end_soon(self) -> None:
        """The run ended: from now on the parent may go, and time runs."""
        self._until = monotonic() + END_WITHIN_S

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            orphan = os.getppid() != self._parent and self._until == float("inf")
            if orphan or monotonic() > self._until:
                leave(3)
            pause.wait(LOOK_S)


def main() -> None:
    """Report one run, and leave."""
    answers = _own_output()
    lines = iter(_Lines(sys.stdin))
    first = next(lines, None)
    if first is None:
        return
    run = TrackedRun(**first["run"])
    hide = Redactor([run.key, _password(run.address)])
    _hide_in_chatter(hide)
    watch = _Watch(first["parent"])

    def say(answer: dict[str, Any]) -> None:
        with suppress(OSError):  # nobody listens any more
            answers.write(hide(json.dumps(answer)) + "\n")
            answers.flush()

    clean = _report(run, lines, watch, say)
    if clean:
        _tidy(Path(run.folder))
    say({"done": True})
    leave(0)


def _password(address: str) -> str:
    """The password that a URL may hold."""
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return address


def leave(code: int) -> None:
    """End this process now, with all that it started: no library's hooks at the end are waited for."""
    kill_children(os.getpid())
    os._exit(code)


def _report(run: TrackedRun, lines: Iterator[dict[str, Any]], watch: _Watch, say: Say) -> bool:
    """Report the run to its end; return whether its folder holds nothing that is still needed."""
    tracker = TRACKERS[run.tracker](run)
    try:
        started = tracker.start()
        _tell(started, say)
        for line in lines:
            if "end" in line:
                watch.end_soon()
                note = tracker.end(Outcome(line["end"]))
                if note:
                    say({"note": note})
                return True
            _pass_on(tracker, line)
    except TamisError as error:
        say({"problem": error.message})
        return True
    except Exception as error:  # noqa: BLE001  (of a library that was let loose on a network)
        say({"problem": _sentence(run, error)})
        return False
    return False


def _tell(started: Started, say: Say) -> None:
    say({"url": started.url})
    if started.note:
        say({"note": started.note})


def _pass_on(tracker: Tracker, line: dict[str, Any]) -> None:
    if "figures" in line:
        tracker.log(line["step"], line["figures"])
    if "results" in line:
        given = line["results"]
        tables = tuple(
            Table(
                table["target"],
                tuple(table["columns"]),
                tuple(tuple(row) for row in table["rows"]),
                tuple(table["labels"]),
                table["square"],
            )
            for table in given["tables"]
        )
        tracker.report(Results(given["figures"], tables, given["facts"]))


def _sentence(run: TrackedRun, error: Exception) -> str:
    why = (str(error).strip().splitlines() or [""])[0][:300].rstrip(".")
    title = TITLES.get(run.tracker, run.tracker)
    return (
        f"Reporting to {title} stopped ({type(error).__name__}{': ' + why if why else ''}): the job itself goes on. "
        "The server's log has the details."
    )


def _tidy(folder: Path) -> None:
    """Remove what the library wrote, unless a run in it is still to be sent."""
    if not any(folder.glob("wandb/offline-run-*")):
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another tracker of the job has its folder there
            folder.parent.rmdir()


def _own_output() -> IO[str]:
    """Return what was standard output; whoever prints from now on prints to standard error."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


def _hide_in_chatter(hide: Redactor) -> None:
    """Everything that this process and those that it starts print passes by here, line by line."""
    log = os.dup(2)
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    os.close(writer)

    def copy() -> None:
        with os.fdopen(reader, encoding="utf-8", errors="replace") as chatter:
            while line := chatter.readline(LONGEST_LINE):
                with suppress(OSError):
                    os.write(log, f"tracker: {hide(line.rstrip())}\n".encode())

    threading.Thread(target=copy, name="chatter", daemon=True).start()


if __name__ == "__main__":
    main()
