"""Operations: work in the background that somebody asked for and that ends in one result.

Evaluations of a model on a file, comparisons, labelled rows, exports. Owns their rules: how many at a time, how long,
who may end them, what becomes of them when a server or a model goes. Each is done in a process of its own, which ends
with this one; what is done there stands in `jobs.operating`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from shutil import rmtree
from time import time
from typing import Any
from uuid import uuid4

from tamis.errors import Cancelled, Conflict, Overloaded, TamisError, UnknownOperation
from tamis.jobs.aside import Bounds, run_aside
from tamis.jobs.choosing import choices_of
from tamis.jobs.operating import act_of
from tamis.jobs.sentences import sentence_of
from tamis.jobs.worker import owner_name
from tamis.settings import Settings
from tamis.store.opening import Store
from tamis.store.records import OperationFilters, OperationRecord
from tamis.workspace.background import Background, is_lost
from tamis.workspace.room import Room

QUEUED, RUNNING, SUCCESS, FAILED, CANCELLED = "QUEUED", "RUNNING", "SUCCESS", "FAILED", "CANCELLED"
LIVE = (QUEUED, RUNNING)

AT_ONCE = 2
"""Operations that this process does at the same time."""

LONGEST_S = 6 * 3600.0
"""Seconds that one may take: a comparison may wait for an LLM."""

MOST_LIVE = 50
"""Operations that are not finished, of those of `EVERYBODYS` and of the others each; more are refused."""

EVERYBODYS = ("classify",)
"""Kinds that need no key for training: they are done one at a time, and none of the others waits for them."""

TOO_MUCH = "It takes more time or memory than it may: give fewer rows."

STOPPED = "The server was restarted while this was done: begin it again."

log = logging.getLogger(__name__)

Listing = tuple[list[OperationRecord], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOperation:
    """An operation as it is asked for.

    Attributes:
        kind: which act of `jobs.operating.ACTS` does it.
        title: what lists call it.
        told: what it works on, in JSON.
        model_id: the model whose page it belongs to, and with which it goes.
        created_by: the key it came with.
    """

    kind: str
    title: str
    told: Mapping[str, Any] = field(default_factory=dict)
    model_id: str | None = None
    created_by: str | None = None


class Operations:
    """The operations of a workspace."""

    def __init__(self, store: Store, room: Room, settings: Settings) -> None:
        """Take the store, the room that results take, and the operator's choices."""
        self._store, self._room, self._settings = store, room, settings
        self._background, self._everybodys = Background(AT_ONCE, "operation"), Background(1, "labelling")
        self._unwritten: dict[str, tuple[str, str]] = {}

    def create(self, new: NewOperation) -> OperationRecord:
        """Begin an operation in the background.

        Raises:
            InvalidRequest: there is no such kind.
            Overloaded: very many are not finished.
            LimitExceeded: the quota is used up.
            StorageFull: there is no room on the disk.
        """
        act_of(new.kind)
        self._room.require_for_file()
        if self._n_live(new.kind in EVERYBODYS) >= MOST_LIVE:
            for record in self._store.operations.list(0, None, status=LIVE)[0]:
                self._seen(record)  # some may be those of a server that is no more
            if self._n_live(new.kind in EVERYBODYS) >= MOST_LIVE:
                raise Overloaded(f"{MOST_LIVE} operations are not finished yet: wait, or cancel some.", retry_after=60)
        now = int(time())
        record = OperationRecord(
            id=str(uuid4()),
            kind=new.kind,
            status=QUEUED,
            title=new.title,
            told=dict(new.told),
            model_id=new.model_id,
            owner=owner_name(),
            created_at=now,
            modified_at=now,
            created_by=new.created_by,
        )
        self._store.operations.add(record)
        self._begin(record)
        return record

    def get(self, operation_id: str, kind: str | None = None, model_id: str | None = None) -> OperationRecord:
        """Return an operation; where they are given, only one of this kind, and of this model.

        Raises:
            UnknownOperation: there is none.
        """
        found = self._store.operations.find(operation_id)
        if found is None or kind not in (None, found.kind) or model_id not in (None, found.model_id):
            raise UnknownOperation(
                f"There is no operation {operation_id[:80]}: it was deleted, or never there.", operation=operation_id
            )
        return self._seen(found)

    def list(self, page: int, page_size: int, filters: OperationFilters) -> Listing:
        """Return one page of the operations, the newest first, and how many there are in all."""
        found, total = self._store.operations.list(page, page_size, **filters)
        return [self._seen(record) for record in found], total

    def latest(self, kind: str, model_id: str) -> OperationRecord | None:
        """Return the newest of a model's operations of a kind that has a result."""
        found, _ = self._store.operations.list(0, 1, kind=kind, model_id=model_id, status=SUCCESS)
        return found[0] if found else None

    def read(self, operation_id: str) -> Iterator[bytes]:
        """Return the pieces of the result.

        Raises:
            UnknownOperation: there is no such operation.
            Conflict: it is not finished, or failed.
        """
        record = self.get(operation_id)
        if record.status != SUCCESS or record.result_key is None:
            why = f": {record.error}" if record.error else ": wait until it is SUCCESS"
            raise Conflict(f"The operation is {record.status}{why}", status=record.status)
        return self._store.objects.read(record.result_key)

    def cancel(self, operation_id: str) -> OperationRecord:
        """End an operation that is not finished; one that is stays as it is.

        Raises:
            UnknownOperation: there is none.
        """
        record = self.get(operation_id)
        for status in LIVE:
            ended = self._ended(record.id, status, CANCELLED, "cancelled", "It was cancelled.")
            record = ended or record
        return record

    def delete(self, operation_id: str) -> None:
        """Delete an operation with its result; one at work is ended.

        Raises:
            UnknownOperation: there is none.
        """
        self._drop(self.get(operation_id))

    def forget_model(self, model_id: str) -> None:
        """Delete the operations of a model that was deleted; those of one that was archived stay."""
        if self._store.models.find(model_id) is not None:
            return
        for record in self._store.operations.list(0, None, model_id=model_id)[0]:
            self._drop(record)

    def close(self) -> None:
        """End what is at work."""
        self._background.close()
        self._everybodys.close()

    def _n_live(self, everybodys: bool) -> int:
        """Return how many are not finished, of those of `EVERYBODYS` or of the others."""
        theirs = self._store.operations.list(0, 0, status=LIVE, kind=EVERYBODYS)[1]
        return theirs if everybodys else self._store.operations.list(0, 0, status=LIVE)[1] - theirs

    def _begin(self, record: OperationRecord) -> None:
        threads = self._everybodys if record.kind in EVERYBODYS else self._background
        threads.submit(self._run, record.id)

    def _run(self, operation_id: str) -> None:
        """Do one operation in a process of its own, and write down how it ended."""
        operations, choices = self._store.operations, choices_of(self._settings)
        try:
            if operations.change(operation_id, when=QUEUED, status=RUNNING, owner=owner_name()) is None:
                return
            bounds = Bounds(LONGEST_S, choices.memory_mb, TOO_MUCH)
            check = self._background.going_on(lambda: self._is_running(operation_id))
            done = run_aside("operate", {"id": operation_id}, self._settings.home, bounds, check)
            self._keep(operation_id, done)
        except Cancelled:
            if self._background.is_over:
                self._ended(operation_id, RUNNING, FAILED, "interrupted", STOPPED)
        except Exception as error:
            if not isinstance(error, TamisError | OSError | MemoryError):
                log.error("the operation %s failed", operation_id, exc_info=error)
            self._ended(operation_id, RUNNING, FAILED, *sentence_of(error, self._settings.home))
        finally:
            rmtree(choices.work / operation_id, ignore_errors=True)

    def _keep(self, operation_id: str, done: Mapping[str, Any]) -> None:
        """Write down that there is a result, if there is room for it and anybody still waits."""
        kept = None
        try:
            self._room.require_for_file(done["bytes"])
            kept = self._store.operations.change(
                operation_id,
                when=RUNNING,
                status=SUCCESS,
                progress=1.0,
                stage="",
                result_key=done["key"],
                result_name=done["name"],
                media_type=done["media_type"],
                bytes=done["bytes"],
                summary=done["summary"],
                finished_at=int(time()),
            )
        finally:
            if kept is None:
                self._store.objects.delete(done["key"])

    def _is_running(self, operation_id: str) -> bool:
        record = self._store.operations.find(operation_id)
        return record is not None and record.status == RUNNING

    def _ended(self, operation_id: str, when: str, status: str, code: str, message: str) -> OperationRecord | None:
        try:
            ended = self._store.operations.change(
                operation_id, when=when, status=status, error_code=code, error=message, finished_at=int(time())
            )
        except TamisError:  # the database may be what went wrong: it is written down when somebody asks again
            self._unwritten[operation_id] = (code, message)
            return None
        self._unwritten.pop(operation_id, None)
        return ended

    def _seen(self, record: OperationRecord) -> OperationRecord:
        """Return the operation as it is; one whose process is gone has failed, one that a job left here is begun."""
        if record.status == QUEUED and record.owner is None:
            mine = self._store.operations.change(record.id, when=QUEUED, owner=owner_name())
            if mine is not None:  # of several servers that see it, the first that runs it does
                self._begin(record)
            return mine or record
        if record.status in LIVE and record.id in self._unwritten:
            return self._ended(record.id, record.status, FAILED, *self._unwritten[record.id]) or record
        if record.status not in LIVE or not is_lost(record.owner, record.modified_at):
            return record
        return self._ended(record.id, record.status, FAILED, "interrupted", STOPPED) or record

    def _drop(self, record: OperationRecord) -> None:
        if self._store.operations.delete(record.id) and record.result_key:
            self._store.objects.delete(record.result_key)
