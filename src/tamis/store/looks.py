"""Rows that are worth a person's look, the most urgent first. One input has one look for each model name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Unpack

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from tamis.store.database import Database
from tamis.store.records import LookColumns, LookFilters, LookRecord, OneOf
from tamis.store.rows import count, first_row, one_of, page_of, record_of, row_of
from tamis.store.tables import looks

Listing = tuple[list[LookRecord], int]
Hashes = set[str]

_AT_ONCE = 500


class Looks:
    """The looks."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def add(self, records: Iterable[LookRecord]) -> int:
        """Add looks; an input that has one under its name already keeps it. Return how many were new."""
        wanted = {(record.name, record.input_hash): record for record in records}
        added = 0
        with self._database.writing() as connection:
            for name in {name for name, _ in wanted}:
                hashes = [hash for of, hash in wanted if of == name]
                there: Hashes = set()
                for begin in range(0, len(hashes), _AT_ONCE):
                    some = hashes[begin : begin + _AT_ONCE]
                    known = select(looks.c.input_hash).where(looks.c.name == name, looks.c.input_hash.in_(some))
                    there.update(connection.execute(known).scalars())
                rows = [row_of(wanted[name, hash]) for hash in hashes if hash not in there]
                if rows:
                    connection.execute(insert(looks), rows)
                added += len(rows)
        return added

    def find(self, id: str) -> LookRecord | None:
        """Return the look of an id."""
        with self._database.reading() as connection:
            return first_row(connection, select(looks).where(looks.c.id == id), LookRecord)

    def find_by_input(self, name: str, input_hash: str) -> LookRecord | None:
        """Return the look at an input, under a model's name."""
        mine = select(looks).where(looks.c.name == name, looks.c.input_hash == input_hash)
        with self._database.reading() as connection:
            return first_row(connection, mine, LookRecord)

    def list(self, page: int = 0, page_size: int | None = 100, **filters: Unpack[LookFilters]) -> Listing:
        """Return a page of looks, the most urgent first, and how many there are on all pages."""
        conditions = _conditions(filters)
        query = select(looks).where(*conditions).order_by(looks.c.priority.desc(), looks.c.seq)
        with self._database.reading() as connection:
            rows = connection.execute(page_of(query, page, page_size)).mappings()
            return [record_of(LookRecord, row) for row in rows], count(connection, looks, conditions)

    def counts(self, name: str | None = None) -> Mapping[tuple[str, str, str], int]:
        """Return how many looks there are, by name, reason and status."""
        keys = (looks.c.name, looks.c.reason, looks.c.status)
        query = select(*keys, func.count()).where(*one_of(looks.c.name, name)).group_by(*keys)
        with self._database.reading() as connection:
            return {(of, reason, status): int(n) for of, reason, status, n in connection.execute(query)}

    def change(self, id: str, when: str | None = None, **columns: Unpack[LookColumns]) -> LookRecord | None:
        """Change a look that is (where `when` says so) in this state; None where it is not, or is not there."""
        conditions = [looks.c.id == id, *one_of(looks.c.status, when)]
        with self._database.writing() as connection:
            if not connection.execute(update(looks).where(*conditions).values(**columns)).rowcount:
                return None
            return first_row(connection, select(looks).where(looks.c.id == id), LookRecord)

    def latest(self, name: str, statuses: str | Collection[str], by: str | None) -> LookRecord | None:
        """Return the look under a name that somebody answered (or put aside) last.

        Within a second the least urgent was the last, since the most urgent come first.
        """
        conditions = [looks.c.name == name, *one_of(looks.c.status, statuses)]
        conditions.append(looks.c.answered_by.is_(None) if by is None else looks.c.answered_by == by)
        order = (looks.c.answered_at.desc(), looks.c.priority, looks.c.seq.desc())
        with self._database.reading() as connection:
            return first_row(connection, select(looks).where(*conditions).order_by(*order), LookRecord)

    def reopen(self, name: str, status: str) -> int:
        """Open all looks under a name that are in this state; return how many there were."""
        mine = update(looks).where(looks.c.name == name, looks.c.status == status)
        opened = mine.values(status="open", answered_at=None, answered_by=None)
        with self._database.writing() as connection:
            return int(connection.execute(opened).rowcount)

    def drop(self, name: str, statuses: OneOf = None) -> int:
        """Delete the looks under a name, in these states alone if any are given; return how many there were."""
        conditions = [looks.c.name == name, *one_of(looks.c.status, statuses)]
        with self._database.writing() as connection:
            return int(connection.execute(delete(looks).where(*conditions)).rowcount)


def _conditions(filters: LookFilters) -> list[ColumnElement[bool]]:
    conditions = one_of(looks.c.name, filters.get("name"))
    conditions += one_of(looks.c.reason, filters.get("reason"))
    conditions += one_of(looks.c.status, filters.get("status"))
    return conditions
