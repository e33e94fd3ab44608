"""Work that goes on after a request was answered: in threads of this process, a few at a time, ended with it.

Owns what becomes of a row of a table that is worked on so: its states, where its result is kept, that whatever goes
wrong with it is written down, and how one knows that the process which was at it is dead. What is done is the caller's.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from shutil import rmtree
from time import monotonic, time
from typing import Any, Generic, Protocol, TypeVar

from tamis.errors import Cancelled, TamisError
from tamis.jobs.aside import Check
from tamis.jobs.choosing import choices_of
from tamis.jobs.sentences import sentence_of
from tamis.jobs.worker import is_dead, owner_name
from tamis.settings import Settings
from tamis.store.objects import Objects
from tamis.store.records import OperationRecord, ReviewRecord
from tamis.workspace.room import Room

QUEUED, RUNNING, SUCCESS, FAILED, CANCELLED = "QUEUED", "RUNNING", "SUCCESS", "FAILED", "CANCELLED"
STATES = (QUEUED, RUNNING, SUCCESS, FAILED, CANCELLED)
LIVE = (QUEUED, RUNNING)

STOPPED = ("interrupted", "The server was restarted while this was done: begin it again.")

SILENT_S = 24 * 3600.0
"""Seconds after which what a process of another machine was at is held to be lost: none may take as long."""

LOOK_S = 1.0
"""Seconds between looks whether what is worked on is still there."""

log = logging.getLogger(__name__)

Work = Callable[[str, Check], Mapping[str, Any]]
"""Does what has this id, and returns the columns of its result, `result_key` and `bytes` among them."""


Record = TypeVar("Record", OperationRecord, ReviewRecord)
Found = TypeVar("Found", covariant=True)


class Rows(Protocol[Found]):
    """The table of what is worked on."""

    def find(self, id: str) -> Found | None:
        """Return the row of an id."""

    def change(self, id: str, *when: Any, **columns: Any) -> Found | None:  # noqa: ANN401  (columns of either table)
        """Change a row that is (where `when` says so) in this state; None where it is not, or is not there."""


class Background(Generic[Record]):
    """Threads, made when the first work comes, and the rows that they work on."""

    def __init__(
        self, name: str, at_once: int, rows: Rows[Record], objects: Objects, room: Room, settings: Settings
    ) -> None:
        """Do so many at once; results are objects, for which there must be room."""
        self._name, self._at_once = name, at_once
        self._rows: Rows[Record] = rows
        self._objects, self._room, self._settings = objects, room, settings
        self._over = threading.Event()
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._unwritten: dict[str, tuple[str, str]] = {}

    def submit(self, work: Work, id: str) -> None:
        """Do the work on what has this id, when its turn comes."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._at_once, thread_name_prefix=self._name)
        self._threads.submit(self._do, work, id)

    def seen(self, record: Record) -> Record:
        """Return the row as it is; one that nobody is at any more has failed."""
        if record.status not in LIVE:
            return record
        why = self._unwritten.get(record.id) or (STOPPED if is_lost(record.owner, record.modified_at) else None)
        return record if why is None else self._fail(record.id, record.status, *why) or record

    def close(self) -> None:
        """End what is at work, and forget what waits."""
        self._over.set()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _do(self, work: Work, id: str) -> None:
        """Do one, and write down how it ended."""
        try:
            if self._rows.change(id, when=QUEUED, status=RUNNING, owner=owner_name()) is not None:
                self._keep(id, work(id, self._going_on(id)))
        except Cancelled:
            if self._over.is_set():
                self._fail(id, RUNNING, *STOPPED)
        except Exception as error:  # a future that nobody asks would swallow it
            if not isinstance(error, TamisError | OSError | MemoryError):
                log.error("the %s %s failed", self._name, id, exc_info=error)
            self._fail(id, RUNNING, *sentence_of(error, self._settings.home))
        finally:
            rmtree(choices_of(self._settings).work / id, ignore_errors=True)

    def _keep(self, id: str, done: Mapping[str, Any]) -> None:
        """Write down that there is a result, if there is room for it and anybody still waits."""
        kept = None
        try:
            self._room.require_for_file(done["bytes"])
            kept = self._rows.change(id, when=RUNNING, status=SUCCESS, progress=1.0, finished_at=int(time()), **done)
        finally:
            if kept is None:
                self._objects.delete(done["result_key"])

    def _going_on(self, id: str) -> Check:
        """Return what raises once the server ends, or the row is at work no more, which is looked at once a second."""
        next_look = 0.0

        def check() -> None:
            nonlocal next_look
            if self._over.is_set():
                raise Cancelled("The server was stopped.")
            if monotonic() >= next_look:
                next_look = monotonic() + LOOK_S
                record = self._rows.find(id)
                if record is None or record.status != RUNNING:
                    raise Cancelled("It was ended.")

        return check

    def _fail(self, id: str, when: str, code: str, message: str) -> Record | None:
        try:
            failed = self._rows.change(
                id, when=when, status=FAILED, error_code=code, error=message, finished_at=int(time())
            )
        except TamisError:  # the database may be what went wrong: it is written down when somebody asks again
            self._unwritten[id] = (code, message)
            return None
        self._unwritten.pop(id, None)
        return failed


def is_lost(owner: str | None, modified_at: int) -> bool:
    """Return whether the process that was at something is dead; one of another machine is if it is silent very long."""
    if owner is None:
        return False
    is_elsewhere = owner.split("/")[0] != socket.gethostname()
    return is_dead(owner) or (is_elsewhere and modified_at < time() - SILENT_S)
