"""Batch jobs: their rows and events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Unpack

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, true

from tamis.errors import InUse
from tamis.store.database import Database
from tamis.store.files import add_file
from tamis.store.leases import Beat, Lease, Leased, Swap
from tamis.store.records import (
    FINISHED,
    QUEUED,
    RUNNING,
    BatchColumns,
    BatchFilters,
    BatchRecord,
    EventRecord,
    FileRecord,
    Json,
)
from tamis.store.rows import count, newest_first, one_of, page_of, record_of, row_of, searched
from tamis.store.tables import batch_events, batch_metadata, batches

Listing = tuple[list[BatchRecord], int]
Found = list[BatchRecord]
MOST_PAIRS = 64  # metadata pairs that a list can be narrowed by; more find nothing


class Batches(Leased[BatchRecord]):
    """The batch jobs."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        super().__init__(database, BatchRecord, batches, batch_events, "completed_at")

    def add(self, record: BatchRecord, events: Sequence[EventRecord] = ()) -> None:
        """Add a batch, hold its files, and note its first events (default: its status).

        Raises:
            UnknownFile: one of its files is not there.
        """
        pairs = [{"batch_id": record.id, "name": name, "value": value} for name, value in record.metadata.items()]
        with self._database.writing() as connection:
            connection.execute(insert(batches).values(row_of(record)))
            if pairs:
                connection.execute(insert(batch_metadata), pairs)
            self._use_files(connection, record.id, record.input_files)
            self._add_events(connection, record, events)

    def list(self, page: int = 0, page_size: int | None = 100, **filters: Unpack[BatchFilters]) -> Listing:
        """Return a page of batches, newest first unless `oldest_first`, and how many there are on all pages."""
        if len(filters.get("metadata") or ()) > MOST_PAIRS:
            return [], 0
        conditions = _conditions(filters)
        ordered = newest_first(batches, conditions, oldest_first=filters.get("oldest_first", False))
        with self._database.reading() as connection:
            rows = connection.execute(page_of(ordered, page, page_size)).mappings()
            return [record_of(BatchRecord, row) for row in rows], count(connection, batches, conditions)

    def change(  # size: a swap has a guard, a change and an event
        self,
        id: str,
        *,
        when: Collection[str],
        attempt: int | None = None,
        to: str | None = None,
        event: Json | None = None,
        quiet: bool = False,
        **columns: Unpack[BatchColumns],
    ) -> BatchRecord | None:
        """Change a batch that is in one of the states `when` (and of this attempt); else do nothing and return None.

        A change of state is noted as `{"status": to, **event}`; `event` without `to` as a note; `quiet` notes nothing.
        """
        with self._database.writing() as connection:
            return self._swap(connection, Swap(id, when, attempt, to, columns, event, quiet))

    def overdue(self) -> Found:
        """Return the batches that still wait for a worker, although the time that they were given is over."""
        late = batches.c.created_at + 3600 * batches.c.timeout_hours < self._database.now()
        with self._database.reading() as connection:
            rows = connection.execute(select(batches).where(batches.c.status == QUEUED, late)).mappings()
            return [record_of(BatchRecord, row) for row in rows]

    def claim(self, owner: str, now: float, lease_s: float, mine: Collection[str] = ()) -> BatchRecord | None:
        """Take the next queued batch under a lease, or one whose lease ran out, but for `mine`; fair as with jobs."""
        return self._claim(Lease(owner, now, lease_s), true(), RUNNING, mine)

    def beat(self, id: str, owner: str, attempt: int, now: float, lease_s: float) -> Beat:
        """Renew the lease of a batch; "cancel": it is to end, "lost": it is no longer this owner's attempt."""
        return self._beat(id, attempt, Lease(owner, now, lease_s))

    def progress(self, id: str, attempt: int, **columns: Unpack[BatchColumns]) -> bool:
        """Note how far a batch is; False where it is finished, or no longer of this attempt."""
        with self._database.writing() as connection:
            return self._swap(connection, Swap(id, None, attempt, None, columns)) is not None

    def finish(
        self,
        id: str,
        attempt: int,
        to: str,
        files: Sequence[FileRecord] = (),
        *,
        when: Collection[str] | None = None,
        **columns: Unpack[BatchColumns],
    ) -> bool:
        """End a batch of this attempt that is in one of the states `when` (default: that is not finished).

        The batch, the event and the files of its results are written together or not at all; return whether they were.
        """
        with self._database.writing() as connection:
            done = self._swap(connection, Swap(id, when, attempt, to, columns))
            for record in files if done is not None else ():
                add_file(connection, record)
            return done is not None

    def delete(self, id: str) -> bool:
        """Delete a finished batch's row; return whether there was one. Its objects are the caller's to delete.

        Raises:
            InUse: it is not finished.
        """
        with self._database.writing() as connection:
            found = and_(batches.c.id == id, batches.c.status.in_(FINISHED))
            if connection.execute(delete(batches).where(found)).rowcount:
                return True
            if self._record(connection, id) is None:
                return False
            raise InUse(f"The batch job {id} is not finished yet. Cancel it first.", batch_id=id)


def _conditions(filters: BatchFilters) -> list[ColumnElement[bool]]:
    conditions = one_of(batches.c.status, filters.get("status"))
    conditions += one_of(batches.c.model, filters.get("model"))
    conditions += one_of(batches.c.created_by, filters.get("created_by"))
    conditions += searched(filters.get("search"), batches.c.id, batches.c.model)
    if (after := filters.get("created_after")) is not None:
        conditions.append(batches.c.created_at >= after)
    if pairs := filters.get("metadata"):
        conditions.append(batches.c.id.in_(_with_all(pairs)))
    return conditions


def _with_all(pairs: Mapping[str, str]) -> Any:  # noqa: ANN401  (a query of one column)
    """Return the query of the ids of batches that have all the pairs."""
    wanted = [
        and_(batch_metadata.c.name == name, batch_metadata.c.value == value) for name, value in sorted(pairs.items())
    ]
    ids = select(batch_metadata.c.batch_id).where(or_(*wanted))
    return ids.group_by(batch_metadata.c.batch_id).having(func.count() == len(pairs))
