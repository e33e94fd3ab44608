"""Operations: work in the background that ends in one result."""

from __future__ import annotations

from typing import Any, Unpack

from sqlalchemy import ColumnElement, delete, insert, select, update

from tamis.store.database import Database
from tamis.store.records import OneOf, OperationColumns, OperationFilters, OperationRecord
from tamis.store.rows import count, first_row, newest_first, one_of, page_of, record_of, row_of, searched
from tamis.store.tables import operations

Listing = tuple[list[OperationRecord], int]
Found = list[OperationRecord]


class Operations:
    """The operations."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def add(self, record: OperationRecord) -> None:
        """Add an operation."""
        with self._database.writing() as connection:
            connection.execute(insert(operations).values(row_of(record)))

    def find(self, id: str) -> OperationRecord | None:
        """Return the operation of an id."""
        with self._database.reading() as connection:
            return first_row(connection, select(operations).where(operations.c.id == id), OperationRecord)

    def list(self, page: int = 0, page_size: int | None = 100, **filters: Unpack[OperationFilters]) -> Listing:
        """Return a page of operations, newest first, and how many there are on all pages."""
        conditions = _conditions(filters)
        with self._database.reading() as connection:
            rows = connection.execute(page_of(newest_first(operations, conditions), page, page_size)).mappings()
            return [record_of(OperationRecord, row) for row in rows], count(connection, operations, conditions)

    def change(self, id: str, when: OneOf = None, **columns: Unpack[OperationColumns]) -> OperationRecord | None:
        """Change an operation that is (where `when` says so) in this state, or in one of these; None where none is."""
        conditions = [operations.c.id == id, *one_of(operations.c.status, when)]
        values: dict[str, Any] = {**columns, "modified_at": self._database.now()}
        with self._database.writing() as connection:
            if not connection.execute(update(operations).where(*conditions).values(**values)).rowcount:
                return None
            return first_row(connection, select(operations).where(operations.c.id == id), OperationRecord)

    def untouched(self, before: int) -> Found:
        """Return the operations that nothing has changed since."""
        old = select(operations).where(operations.c.modified_at < before).order_by(operations.c.seq)
        with self._database.reading() as connection:
            return [record_of(OperationRecord, row) for row in connection.execute(old).mappings()]

    def delete(self, id: str) -> bool:
        """Delete an operation's row; return whether there was one. Its object is the caller's to delete."""
        with self._database.writing() as connection:
            return bool(connection.execute(delete(operations).where(operations.c.id == id)).rowcount)


def _conditions(filters: OperationFilters) -> list[ColumnElement[bool]]:
    conditions = one_of(operations.c.kind, filters.get("kind"))
    conditions += one_of(operations.c.status, filters.get("status"))
    conditions += one_of(operations.c.model_id, filters.get("model_id"))
    conditions += searched(filters.get("search"), operations.c.id, operations.c.title)
    for place, text in filters.get("told", {}).items():
        conditions.append(operations.c.told[tuple(place.split("."))].as_string() == text)
    return conditions
