"""API keys: only their hashes are kept."""

from __future__ import annotations

from sqlalchemy import ColumnElement, exists, insert, or_, select, update

from tamis.store.database import Database
from tamis.store.records import KeyRecord
from tamis.store.rows import first_row, record_of, row_of
from tamis.store.tables import keys

Listing = list[KeyRecord]


class Keys:
    """The API keys."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def add(self, record: KeyRecord, hash: str) -> None:
        """Add a key by its hash."""
        with self._database.writing() as connection:
            connection.execute(insert(keys).values({**row_of(record), "hash": hash}))

    def find(self, id: str) -> KeyRecord | None:
        """Return the key of an id."""
        return self._first(keys.c.id == id)

    def find_by_hash(self, hash: str) -> KeyRecord | None:
        """Return the key of a hash, a revoked or expired one too: the caller looks at it."""
        return self._first(keys.c.hash == hash)

    def list(self) -> Listing:
        """Return all keys, newest first."""
        query = select(keys).order_by(keys.c.created_at.desc(), keys.c.seq.desc())
        with self._database.reading() as connection:
            return [record_of(KeyRecord, row) for row in connection.execute(query).mappings()]

    def revoke(self, id: str, now: int | None = None) -> bool:
        """Revoke a key for good; return whether it was good until now."""
        values = {"revoked_at": self._database.now() if now is None else now}
        with self._database.writing() as connection:
            good = update(keys).where(keys.c.id == id, keys.c.revoked_at.is_(None))
            return bool(connection.execute(good.values(values)).rowcount)

    def touch(self, id: str, now: int) -> None:
        """Note that a key was used; time only goes on."""
        earlier = or_(keys.c.last_used_at.is_(None), keys.c.last_used_at < now)
        with self._database.writing() as connection:
            connection.execute(update(keys).where(keys.c.id == id, earlier).values(last_used_at=now))

    def any(self) -> bool:
        """Return whether a key was ever made; revoked ones count, so that revoking the last one opens nothing."""
        with self._database.reading() as connection:
            return bool(connection.execute(select(exists(select(keys.c.id)))).scalar())

    def _first(self, condition: ColumnElement[bool]) -> KeyRecord | None:
        with self._database.reading() as connection:
            return first_row(connection, select(keys).where(condition), KeyRecord)
