"""Links that let whoever has them ask one model: only the hashes of their tokens are kept."""

from __future__ import annotations

from sqlalchemy import ColumnElement, case, delete, insert, or_, select, update

from tamis.store.database import Database
from tamis.store.records import ShareRecord
from tamis.store.rows import first_row, newest_first, one_of, record_of, row_of
from tamis.store.tables import shares

Found = list[ShareRecord]


class Shares:
    """The links."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def add(self, record: ShareRecord) -> None:
        """Add a link."""
        with self._database.writing() as connection:
            connection.execute(insert(shares).values(row_of(record)))

    def find(self, id: str) -> ShareRecord | None:
        """Return the link of an id."""
        return self._first(shares.c.id == id)

    def find_by_hash(self, token_hash: str) -> ShareRecord | None:
        """Return the link of a token's hash, a revoked or expired one too: the caller looks at it."""
        return self._first(shares.c.token_hash == token_hash)

    def list(self, model_id: str | None = None) -> Found:
        """Return the links to a model, or to all, newest first."""
        query = newest_first(shares, one_of(shares.c.model_id, model_id))
        with self._database.reading() as connection:
            return [record_of(ShareRecord, row) for row in connection.execute(query).mappings()]

    def revoke(self, id: str) -> bool:
        """Revoke a link for good; return whether it was good until now."""
        good = update(shares).where(shares.c.id == id, shares.c.revoked_at.is_(None))
        with self._database.writing() as connection:
            return bool(connection.execute(good.values(revoked_at=self._database.now())).rowcount)

    def count_use(self, id: str, n_inputs: int, now: int) -> bool:
        """Note that so many inputs were asked through a link; False where that is more than it allows a minute.

        All servers of a database count together. Minutes are those of the clock; one whose clock is behind counts into
        the minute of the others.
        """
        minute = now // 60
        is_on = shares.c.minute.in_((minute, minute + 1))
        asked = case((is_on, shares.c.minute_uses), else_=0) + n_inputs
        use = update(shares).where(shares.c.id == id, asked <= shares.c.per_minute)
        values = {
            "uses": shares.c.uses + n_inputs,
            "minute": case((is_on, shares.c.minute), else_=minute),
            "minute_uses": asked,
            "last_used_at": case((shares.c.last_used_at > now, shares.c.last_used_at), else_=now),
        }
        with self._database.writing() as connection:
            return bool(connection.execute(use.values(values)).rowcount)

    def drop_ended(self, before: int) -> int:
        """Delete the links that were revoked, or expired, before a moment; return how many there were."""
        ended = or_(shares.c.revoked_at < before, shares.c.expires_at < before)
        with self._database.writing() as connection:
            return int(connection.execute(delete(shares).where(ended)).rowcount)

    def drop_of(self, model_id: str) -> int:
        """Delete the links to a model that is gone; return how many there were."""
        with self._database.writing() as connection:
            return int(connection.execute(delete(shares).where(shares.c.model_id == model_id)).rowcount)

    def _first(self, condition: ColumnElement[bool]) -> ShareRecord | None:
        with self._database.reading() as connection:
            return first_row(connection, select(shares).where(condition), ShareRecord)
