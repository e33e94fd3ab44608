"""Operations: work in the background that somebody asked for and that ends in one result.

Evaluations of a model on a file, comparisons, labelled rows, exports. Owns their rules: how many at a time, how long,
who may end them, what becomes of them when a server or a model goes. Each is done in a process of its own, which ends
with this one; what is done there stands in `jobs.operating`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import time
from typing import Any
from uuid import uuid4

from tamis.errors import Conflict, Overloaded, UnknownOperation
from tamis.jobs.aside import Bounds, Check, run_aside
from tamis.jobs.choosing import choices_of
from tamis.jobs.operating import act_of
from tamis.jobs.worker import owner_name
from tamis.settings import Settings
from tamis.store.opening import Store
from tamis.store.records import OperationFilters, OperationRecord
from tamis.workspace.background import CANCELLED, LIVE, QUEUED, SUCCESS, Background
from tamis.workspace.room import Room

AT_ONCE = 2
"""Operations that this process does at the same time."""

LONGEST_S = 6 * 3600.0
"""Seconds that one may take: a comparison may wait for an LLM."""

MOST_LIVE = 50
"""Operations that are not finished, of those of `EVERYBODYS` and of the others each; more are refused."""

EVERYBODYS = ("classify",)
"""Kinds that need no key for training: they are done one at a time, and none of the others waits for them."""

TOO_MUCH = "It takes more time or memory than it may: give fewer rows."

Finish = Callable[[OperationRecord, bytes], Mapping[str, Any]]
"""Does what follows from the result of an operation that is at work still, and returns the summary of it."""

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
        self._background, self._everybodys = (
            Background(name, at_once, store.operations, store.objects, room, settings)
            for name, at_once in (("operation", AT_ONCE), ("labelling", 1))
        )
        self._finish: dict[str, Finish] = {}

    def finish_with(self, kind: str, finish: Finish) -> None:
        """Have what follows from operations of a kind done when they are, whether or not anybody looks."""
        self._finish[kind] = finish

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
        ended = self._store.operations.change(
            record.id,
            when=LIVE,
            status=CANCELLED,
            error_code="cancelled",
            error="It was cancelled.",
            finished_at=int(time()),
        )
        return ended or self.get(operation_id)

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

    def _threads_of(self, kind: str) -> Background[OperationRecord]:
        return self._everybodys if kind in EVERYBODYS else self._background

    def _begin(self, record: OperationRecord) -> None:
        self._threads_of(record.kind).submit(self._do, record.id)

    def _do(self, operation_id: str, check: Check) -> Mapping[str, Any]:
        bounds = Bounds(LONGEST_S, choices_of(self._settings).memory_mb, TOO_MUCH)
        done = run_aside("operate", {"id": operation_id}, self._settings.home, bounds, check)
        return {**done, **self._finished(operation_id, done, check), "stage": ""}

    def _finished(self, operation_id: str, done: Mapping[str, Any], check: Check) -> Mapping[str, Any]:
        """Do what follows, and return the columns that it changes."""
        record = self._store.operations.find(operation_id)
        finish = self._finish.get(record.kind) if record else None
        if record is None or finish is None:
            return {}
        try:
            check()
            return {"summary": finish(record, b"".join(self._store.objects.read(done["result_key"])))}
        except BaseException:
            self._store.objects.delete(done["result_key"])
            raise

    def _seen(self, record: OperationRecord) -> OperationRecord:
        """Return the operation as it is; one whose process is gone has failed, one that a job left here is begun."""
        if record.status == QUEUED and record.owner is None:
            mine = self._store.operations.change(record.id, when=QUEUED, owner=owner_name())
            if mine is not None:  # of several servers that see it, the first that runs it does
                self._begin(record)
            return mine or record
        return self._threads_of(record.kind).seen(record)

    def _drop(self, record: OperationRecord) -> None:
        if self._store.operations.delete(record.id) and record.result_key:
            self._store.objects.delete(record.result_key)
