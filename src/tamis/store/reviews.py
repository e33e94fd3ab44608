"""Reviews of labelled files: their rows, and what was decided about each finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from sqlalchemy import ColumnElement, and_, delete, insert, not_, or_, select, update

from tamis.store.database import Database
from tamis.store.records import Json, OneOf, ReviewColumns, ReviewFilters, ReviewRecord
from tamis.store.rows import count, first_row, newest_first, one_of, page_of, record_of, row_of
from tamis.store.tables import files, reviews

Listing = tuple[list[ReviewRecord], int]
Found = list[ReviewRecord]


class Reviews:
    """The reviews."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def add(self, record: ReviewRecord) -> None:
        """Add a review."""
        with self._database.writing() as connection:
            connection.execute(insert(reviews).values(row_of(record)))

    def find(self, id: str) -> ReviewRecord | None:
        """Return the review of an id."""
        with self._database.reading() as connection:
            return first_row(connection, select(reviews).where(reviews.c.id == id), ReviewRecord)

    def list(self, page: int = 0, page_size: int | None = 100, **filters: Unpack[ReviewFilters]) -> Listing:
        """Return a page of reviews, newest first, and how many there are on all pages."""
        conditions: list[ColumnElement[bool]] = one_of(reviews.c.training_file, filters.get("training_file"))
        conditions += one_of(reviews.c.status, filters.get("status"))
        with self._database.reading() as connection:
            rows = connection.execute(page_of(newest_first(reviews, conditions), page, page_size)).mappings()
            return [record_of(ReviewRecord, row) for row in rows], count(connection, reviews, conditions)

    def change(self, id: str, when: OneOf = None, **columns: Unpack[ReviewColumns]) -> ReviewRecord | None:
        """Change a review that is (where `when` says so) in this state, or in one of these; None where none is."""
        conditions = [reviews.c.id == id, *one_of(reviews.c.status, when)]
        values: dict[str, Any] = {**columns, "modified_at": self._database.now()}
        with self._database.writing() as connection:
            if not connection.execute(update(reviews).where(*conditions).values(**values)).rowcount:
                return None
            return first_row(connection, select(reviews).where(reviews.c.id == id), ReviewRecord)

    def decide(self, id: str, change: Callable[[Json], Json]) -> ReviewRecord | None:
        """Change what was decided: `change` makes new decisions of those that there are; None where it is not there."""
        mine = select(reviews).where(reviews.c.id == id)
        with self._database.writing() as connection:
            record = first_row(connection, mine.with_for_update(), ReviewRecord)
            if record is None:
                return None
            values = {"decisions": change(dict(record.decisions)), "modified_at": self._database.now()}
            connection.execute(update(reviews).where(reviews.c.id == id).values(**values))
            return first_row(connection, mine, ReviewRecord)

    def version_of(self, file_id: str) -> Json | None:
        """Return the version that a file is, where a review made it, or one with the same content."""
        content = select(files.c.sha256).where(files.c.id == file_id).scalar_subquery()
        alike = reviews.c.output_file.in_(select(files.c.id).where(files.c.sha256 == content))
        made_it = reviews.c.output_file == file_id
        query = select(reviews.c.version).where(or_(made_it, alike)).order_by(made_it.desc(), reviews.c.seq.desc())
        with self._database.reading() as connection:
            found: Json | None = connection.execute(query.limit(1)).scalar_one_or_none()
            return found

    def untouched(self, before: int) -> Found:
        """Return the reviews that nothing has changed since, and that still take room: a report, or a row for none."""
        old = reviews.c.modified_at < before
        kept = and_(reviews.c.result_key.is_(None), reviews.c.output_file.in_(select(files.c.id)))
        with self._database.reading() as connection:
            rows = connection.execute(select(reviews).where(old, not_(kept)).order_by(reviews.c.seq)).mappings()
            return [record_of(ReviewRecord, row) for row in rows]

    def delete(self, id: str) -> bool:
        """Delete a review's row; return whether there was one. Its object is the caller's to delete."""
        with self._database.writing() as connection:
            return bool(connection.execute(delete(reviews).where(reviews.c.id == id)).rowcount)
