"""What jobs and batches share: compare-and-swap of their state, and claims under a lease.

Every change is one transaction whose first statement is the guarded update, and leaves an event. The number of the
attempt fences what an earlier claim's process still writes. It does not know which change follows which: callers do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, and_, case, delete, func, insert, or_, select, update

from tamis.errors import UnknownFile
from tamis.store.database import Database
from tamis.store.records import (
    CANCELLATION_REQUESTED,
    CANCELLED,
    FINISHED,
    HELD,
    QUEUED,
    STATUS_EVENT,
    BatchRecord,
    EventRecord,
    JobRecord,
    Json,
)
from tamis.store.rows import count, first_row, record_of
from tamis.store.tables import file_uses, files, secrets

NOTE_EVENT = "note"
TAKEN_OVER = "taken-over"
Beat = Literal["ok", "cancel", "lost"]
L = TypeVar("L", JobRecord, BatchRecord)


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on something, and until when without a further sign of life."""

    owner: str
    now: float
    seconds: float

    @property
    def until(self) -> float:
        """When it runs out."""
        return self.now + self.seconds


@dataclass(frozen=True, slots=True)
class Swap:
    """A change of one row: its guard, and what becomes of it."""

    id: str
    when: Collection[str] | None  # None: not finished
    attempt: int | None
    to: str | None
    columns: Mapping[str, Any]
    event: Json | None = None
    quiet: bool = False


class Leased(Generic[L]):
    """The rows of one table that workers claim, with their events."""

    def __init__(self, database: Database, kind: type[L], table: Table, events: Table, finished: str) -> None:
        """`finished` names the column that tells when something finished."""
        self._database = database
        self._kind: type[L] = kind
        self._table = table
        self._events = events
        self._finished = finished

    def find(self, id: str) -> L | None:
        """Return the record of an id."""
        with self._database.reading() as connection:
            return self._record(connection, id)

    def live(self) -> int:
        """Return how many are not finished."""
        with self._database.reading() as connection:
            return count(connection, self._table, [self._table.c[self._finished].is_(None)])

    def counts(self) -> dict[str, int]:
        """Return how many there are in each state that any is in."""
        status = self._table.c.status
        with self._database.reading() as connection:
            found = connection.execute(select(status, func.count()).group_by(status))
            return {str(name): int(number) for name, number in found}

    def events(self, id: str) -> list[EventRecord]:
        """Return what happened, oldest first."""
        query = select(self._events).where(self._events.c.job_id == id).order_by(self._events.c.seq)
        with self._database.reading() as connection:
            return [record_of(EventRecord, row) for row in connection.execute(query).mappings()]

    def add_event(self, id: str, name: str, data: Json, attempt: int | None = None) -> bool:
        """Note that something happened; False where it is gone, or no longer of this attempt."""
        with self._database.writing() as connection:
            if not self._fenced(connection, id, attempt):
                return False
            self._note(connection, id, [(name, data)])
            return True

    def _beat(self, id: str, attempt: int, lease: Lease, peak_mb: float | None = None) -> Beat:
        """Renew a lease, and say what is expected of its holder: go on, cancel, or leave it (it is another's)."""
        table = self._table
        values: dict[str, Any] = {"lease_until": lease.until}
        if peak_mb is not None and "peak_mb" in table.c:
            values["peak_mb"] = case((table.c.peak_mb > peak_mb, table.c.peak_mb), else_=peak_mb)
        held = and_(table.c.id == id, table.c.owner == lease.owner, table.c.attempt == attempt)
        with self._database.writing() as connection:
            changed = connection.execute(update(table).where(held, table.c.status.in_(HELD)).values(values))
            if not changed.rowcount:
                return "lost"
            asked = connection.execute(select(table.c.cancel_requested).where(table.c.id == id)).scalar_one()
            return "cancel" if asked else "ok"

    def _record(self, connection: Connection, id: str) -> L | None:
        return first_row(connection, select(self._table).where(self._table.c.id == id), self._kind)

    def _fenced(self, connection: Connection, id: str, attempt: int | None) -> bool:
        """Whether the row is there and of this attempt; it stays so until the transaction ends."""
        query = select(self._table.c.attempt).where(self._table.c.id == id).with_for_update()
        found = connection.execute(query).scalar_one_or_none()
        return found is not None and attempt in (None, found)

    def _note(self, connection: Connection, id: str, happened: Iterable[tuple[str, Json]]) -> None:
        now = self._database.now()
        rows = [{"job_id": id, "name": name, "created_at": now, "data": data} for name, data in happened]
        if rows:
            connection.execute(insert(self._events), rows)

    def _add_events(self, connection: Connection, record: L, events: Sequence[EventRecord]) -> None:
        first = EventRecord(record.id, STATUS_EVENT, record.created_at, {"status": record.status})
        rows = [
            {"job_id": record.id, "name": event.name, "created_at": event.created_at, "data": event.data}
            for event in events or [first]
        ]
        connection.execute(insert(self._events), rows)

    def _swap(self, connection: Connection, swap: Swap) -> L | None:
        """Change the row where its guard holds; return what it is then, or None."""
        table = self._table
        conditions: list[ColumnElement[bool]] = [table.c.id == swap.id]
        conditions.append(table.c.status.not_in(FINISHED) if swap.when is None else table.c.status.in_(swap.when))
        if swap.attempt is not None:
            conditions.append(table.c.attempt == swap.attempt)
        now = self._database.now()
        values: dict[str, Any] = {"modified_at": now}
        if swap.to is not None:
            values["status"] = swap.to
        if swap.to is not None and swap.to not in HELD:
            values |= {"owner": None, "lease_until": None}
        if swap.to in FINISHED:
            values[self._finished] = now
        if not connection.execute(update(table).where(*conditions).values({**values, **swap.columns})).rowcount:
            return None
        if swap.to in FINISHED:
            self._release(connection, swap.id)
        if not swap.quiet and swap.to is not None:
            self._note(connection, swap.id, [(STATUS_EVENT, {"status": swap.to, **(swap.event or {})})])
        elif not swap.quiet and swap.event is not None:
            self._note(connection, swap.id, [(NOTE_EVENT, swap.event)])
        return self._record(connection, swap.id)

    def _release(self, connection: Connection, id: str) -> None:
        """What ends with a job: its secrets, and its hold on files."""
        connection.execute(delete(secrets).where(secrets.c.owner_id == id))
        connection.execute(delete(file_uses).where(file_uses.c.user_id == id))

    def _use_files(self, connection: Connection, id: str, used: Iterable[str]) -> None:
        """Hold the files: they cannot be deleted before the job finished.

        Raises:
            UnknownFile: one is not there.
        """
        for file_id in sorted(set(used)):
            # the row is locked against a delete that runs at the same time, so that the error names the file
            query = select(files.c.id).where(files.c.id == file_id).with_for_update(key_share=True, read=True)
            if connection.execute(query).first() is None:
                raise UnknownFile(f"There is no file {file_id}.", file_id=file_id)
            connection.execute(insert(file_uses).values(file_id=file_id, user_id=id))

    def _claim(
        self, lease: Lease, queued: ColumnElement[bool], working: ColumnElement[str] | str, mine: Collection[str] = ()
    ) -> L | None:
        """Take the next that meets `queued`, or one whose lease ran out, but for those of the ids `mine`.

        Fair: who has the fewest under way comes first, then who has waited longest since one was finished, then what
        came first.
        """
        table, lock = self._table, _LOCKS[self._table.name]
        with self._database.writing() as connection:
            self._database.alone(connection, lock)
            self._cancel_abandoned(connection, lease.now)
            lapsed = and_(
                table.c.status.in_(HELD - {CANCELLATION_REQUESTED}),
                _run_out(table, lease.now),
                table.c.id.not_in(mine),
            )
            claimable = or_(and_(table.c.status == QUEUED, queued), lapsed)
            if connection.execute(select(table.c.id).where(claimable).limit(1)).first() is None:
                return None  # most looks end here: fairness looks at the whole table
            row = connection.execute(self._next(lease.now, claimable)).mappings().first()
            if row is None:
                return None
            return self._take(connection, record_of(self._kind, row), lease, working)

    def _next(self, now: float, claimable: ColumnElement[bool]) -> Any:  # noqa: ANN401  (a query of any columns)
        table = self._table
        creator = func.coalesce(table.c.created_by, "")
        held = select(creator.label("creator"), func.count().label("number")).where(
            table.c.status.in_(HELD), table.c.lease_until >= now
        )
        busy = held.group_by(creator).subquery()
        ended = select(creator.label("creator"), func.max(table.c[self._finished]).label("last"))
        served = ended.group_by(creator).subquery()
        return (
            select(table)
            .outerjoin(busy, busy.c.creator == creator)
            .outerjoin(served, served.c.creator == creator)
            .where(claimable)
            .order_by(func.coalesce(busy.c.number, 0), func.coalesce(served.c.last, 0), table.c.created_at, table.c.seq)
            .limit(1)
            .with_for_update(skip_locked=True, of=table)
        )

    def _take(self, connection: Connection, found: L, lease: Lease, working: ColumnElement[str] | str) -> L | None:
        """Make the lease's owner that of a row that this transaction has locked."""
        taken_over = found.status != QUEUED
        values: dict[str, Any] = {
            "owner": lease.owner,
            "lease_until": lease.until,
            "attempt": found.attempt + 1,
            "deaths": found.deaths + taken_over,
            "modified_at": self._database.now(),
            "status": found.status if taken_over else working,
        }
        connection.execute(update(self._table).where(self._table.c.id == found.id).values(values))
        taken = self._record(connection, found.id)
        if taken is not None and taken_over:
            self._note(connection, found.id, [(TAKEN_OVER, {"attempt": taken.attempt})])
        elif taken is not None:
            self._note(connection, found.id, [(STATUS_EVENT, {"status": taken.status})])
        return taken

    def _cancel_abandoned(self, connection: Connection, now: float) -> None:
        """Finish what was to be cancelled by a worker that is no more."""
        table = self._table
        query = select(table.c.id).where(table.c.status == CANCELLATION_REQUESTED, _run_out(table, now))
        for id in connection.execute(query).scalars().all():
            self._swap(connection, Swap(id, {CANCELLATION_REQUESTED}, None, CANCELLED, {}))


_LOCKS = {"jobs": 0x7A6D0001, "batches": 0x7A6D0002}


def _run_out(table: Table, now: float) -> ColumnElement[bool]:
    """A lease that ended, or that was never given though the state says that someone works."""
    return or_(table.c.lease_until < now, table.c.lease_until.is_(None))
