"""Files: the rows that say which objects are files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Unpack

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, or_, select
from sqlalchemy.exc import IntegrityError

from tamis.errors import InUse
from tamis.store.database import Database
from tamis.store.records import FileFilters, FileRecord
from tamis.store.rows import count, first_row, newest_first, one_of, page_of, record_of, row_of
from tamis.store.tables import file_uses, files, operations, reviews

Listing = tuple[list[FileRecord], int]
Found = list[FileRecord]
LONGEST_SEARCH = 4096  # characters; databases refuse longer patterns, and no name has them
_KEYS_AT_ONCE = 1000
_LOCK = 0x7A6D0003


class Files:
    """The files."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def add(self, record: FileRecord, most_bytes: int | None = None, *, once: bool = False) -> FileRecord | None:
        """Add a file: from now on it is there. Return it; or None where all would have more than `most_bytes`.

        With `once`, a file of the same name, content and purpose that is there already is returned, and none is added,
        however many are at it at the same time.
        """
        with self._database.writing() as connection:
            if once or most_bytes is not None:
                self._database.alone(connection, _LOCK)
            if once and (same := first_row(connection, _same(record), FileRecord)) is not None:
                return same
            if most_bytes is not None and _stored(connection) + record.bytes > most_bytes:
                return None
            add_file(connection, record)
            return record

    def stored_bytes(self) -> int:
        """Return how many bytes all files have together, with the reports of reviews and the results of operations."""
        with self._database.reading() as connection:
            return _stored(connection)

    def find(self, id: str) -> FileRecord | None:
        """Return the file of an id."""
        with self._database.reading() as connection:
            return first_row(connection, select(files).where(files.c.id == id), FileRecord)

    def list(self, page: int = 0, page_size: int | None = 100, **filters: Unpack[FileFilters]) -> Listing:
        """Return a page of files, newest first, and how many there are on all pages."""
        conditions = _conditions(filters)
        if len(filters.get("search") or "") > LONGEST_SEARCH:
            return [], 0
        with self._database.reading() as connection:
            rows = connection.execute(page_of(newest_first(files, conditions), page, page_size)).mappings()
            return [record_of(FileRecord, row) for row in rows], count(connection, files, conditions)

    def delete(self, id: str) -> bool:
        """Delete a file's row; return whether there was one. Its object is the caller's to delete, afterwards.

        Raises:
            InUse: a job or batch that is not finished needs it.
        """
        try:
            with self._database.writing() as connection:
                return bool(connection.execute(delete(files).where(files.c.id == id)).rowcount)
        except IntegrityError:
            users = ", ".join(self.uses(id)) or "a job"
            raise InUse(f"The file {id} is needed by {users}, not finished yet.", file_id=id) from None

    def uses(self, id: str) -> tuple[str, ...]:
        """Return the ids of the jobs and batches that need a file and are not finished."""
        query = select(file_uses.c.user_id).where(file_uses.c.file_id == id).order_by(file_uses.c.user_id)
        with self._database.reading() as connection:
            return tuple(connection.execute(query).scalars())

    def expired(self, now: int) -> Found:
        """Return the files whose time is over."""
        query = select(files).where(files.c.expires_at <= now).order_by(files.c.seq)
        with self._database.reading() as connection:
            return [record_of(FileRecord, row) for row in connection.execute(query).mappings()]

    def keys(self) -> Iterator[str]:
        """Yield the keys of all files' objects."""
        last = 0
        while True:
            query = select(files.c.seq, files.c.key).where(files.c.seq > last).order_by(files.c.seq)
            with self._database.reading() as connection:
                found = connection.execute(query.limit(_KEYS_AT_ONCE)).all()
            if not found:
                return
            last = found[-1].seq
            yield from (row.key for row in found)


def add_file(connection: Connection, record: FileRecord) -> None:
    """Add a file, in the caller's transaction."""
    connection.execute(insert(files).values({**row_of(record), "folded_name": record.name.casefold()}))


def _same(record: FileRecord) -> Select[Any]:
    """The oldest file that is the same and has not expired."""
    lives = or_(files.c.expires_at.is_(None), files.c.expires_at > record.created_at)
    same = (files.c.sha256 == record.sha256, files.c.name == record.name, files.c.purpose == record.purpose)
    return select(files).where(*same, lives).order_by(files.c.seq)


def _stored(connection: Connection) -> int:
    sums = [
        select(func.coalesce(func.sum(table.c.bytes), 0)).scalar_subquery() for table in (files, reviews, operations)
    ]
    return int(connection.execute(select(sums[0] + sums[1] + sums[2])).scalar_one())


def _conditions(filters: FileFilters) -> list[ColumnElement[bool]]:
    conditions = one_of(files.c.sample_type, filters.get("sample_types"))
    conditions += one_of(files.c.source, filters.get("sources"))
    conditions += one_of(files.c.mimetype, filters.get("mimetypes"))
    conditions += one_of(files.c.purpose, filters.get("purpose"))
    conditions += one_of(files.c.created_by, filters.get("created_by"))
    if search := filters.get("search"):
        conditions.append(files.c.folded_name.contains(search.casefold(), autoescape=True))
    return conditions
