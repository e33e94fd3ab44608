"""Datasets: the rows that say which files belong together, and what was found in them."""

from __future__ import annotations

from typing import Unpack

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from tamis.store.database import Database
from tamis.store.records import DatasetColumns, DatasetFilters, DatasetRecord
from tamis.store.rows import first_row, newest_first, one_of, record_of, row_of
from tamis.store.tables import LARGEST_INTEGER, datasets

Found = list[DatasetRecord]


class Datasets:
    """The datasets."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def add(self, record: DatasetRecord) -> None:
        """Add a dataset."""
        with self._database.writing() as connection:
            connection.execute(insert(datasets).values(row_of(record)))

    def find(self, id: str) -> DatasetRecord | None:
        """Return the dataset of an id."""
        with self._database.reading() as connection:
            return first_row(connection, select(datasets).where(datasets.c.id == id), DatasetRecord)

    def list(self, offset: int = 0, limit: int | None = 100, **filters: Unpack[DatasetFilters]) -> Found:
        """Return so many datasets that match, the newest first, after the first `offset`."""
        query = newest_first(datasets, _conditions(filters)).offset(min(max(0, offset), LARGEST_INTEGER))
        if limit is not None:
            query = query.limit(max(0, min(limit, 2**31)))
        with self._database.reading() as connection:
            return [record_of(DatasetRecord, row) for row in connection.execute(query).mappings()]

    def change(self, id: str, **columns: Unpack[DatasetColumns]) -> DatasetRecord | None:
        """Change what may be changed of a dataset; None where it is not there."""
        with self._database.writing() as connection:
            connection.execute(update(datasets).where(datasets.c.id == id).values(**columns))
            return first_row(connection, select(datasets).where(datasets.c.id == id), DatasetRecord)

    def delete(self, id: str) -> bool:
        """Delete a dataset's row; return whether there was one. Its files are the caller's to delete."""
        with self._database.writing() as connection:
            return bool(connection.execute(delete(datasets).where(datasets.c.id == id)).rowcount)

    def bytes(self) -> int:
        """Return what all datasets take."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.sum(datasets.c.bytes), 0))).scalar_one())


def _conditions(filters: DatasetFilters) -> list[ColumnElement[bool]]:
    conditions = one_of(datasets.c.type, filters.get("type")) + one_of(datasets.c.status, filters.get("status"))
    if (after := filters.get("after")) is not None:
        conditions.append(datasets.c.created_at >= after)
    if (before := filters.get("before")) is not None:
        conditions.append(datasets.c.created_at <= before)
    return conditions
