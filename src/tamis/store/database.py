"""The database: connections, transactions, and bringing its schema up to date.

SQLite in WAL mode on a local disk, or PostgreSQL. A transaction that writes takes SQLite's only write lock when it
begins, so that nothing it has read can change before it writes; where others hold the lock, it waits.
It knows no table and no record.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tamis.errors import StorageFailed, StorageFull
from tamis.extras import require
from tamis.store.disk import is_full
from tamis.store.tables import storable_json

T = TypeVar("T")

BUSY_S = 5.0  # how long SQLite itself waits for a lock
PATIENCE_S = 120.0  # how long we do
_LOCKED = ("database is locked", "database table is locked", "locking protocol", "database schema is locked")


class Database:
    """Where rows are kept: `reading()` and `writing()` are its transactions."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        """Prepare; nothing is connected to before the first transaction.

        Raises:
            StorageFailed: the URL is none of a database that can be used.
        """
        self.url = _checked(url)
        self.clock = clock
        self.engine = _postgres(self.url) if self.is_postgres else _sqlite(self.url)

    @property
    def is_postgres(self) -> bool:
        """Whether this is PostgreSQL; else it is SQLite."""
        return self.url.get_backend_name() == "postgresql"

    def now(self) -> int:
        """Whole seconds since the epoch."""
        return int(self.clock())

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection for statements that only read.

        Raises:
            StorageFailed: the database cannot be used.
        """
        with _told_apart(self.url), self._begun("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection whose statements take effect together at the end, or, after an exception, not at all.

        Raises:
            StorageFailed: the database cannot be used.
        """
        with _told_apart(self.url), self._begun("BEGIN IMMEDIATE") as connection:
            yield connection
            connection.commit()

    def _begun(self, begin: str) -> Connection:
        """Return a connection in a transaction; closed, it is rolled back unless it was committed."""

        def attempt() -> Connection:
            connection = self.engine.connect().execution_options(tamis_begin=begin)
            try:
                connection.begin()
            except BaseException:
                connection.close()
                raise
            return connection

        return _until_unlocked(attempt)

    def alone(self, connection: Connection, lock: int) -> None:
        """Wait until no other transaction holds the lock of this number; the transaction's end gives it back."""
        if self.is_postgres:  # on SQLite, who writes is alone
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StorageFailed("The database's URL cannot be read. Write it like sqlite:////abs/path/tamis.db.") from None
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    shown = parsed.render_as_string(hide_password=True)
    if backend != "sqlite":
        raise StorageFailed(f"{shown}: databases can be sqlite:////abs/path/tamis.db or postgresql://user@host/name.")
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise StorageFailed(
            f"{shown}: SQLite needs a file that several processes can open: sqlite:////abs/path/tamis.db."
        )
    return parsed.set(drivername="sqlite+pysqlite", query={})


def _to_json(value: Any) -> str:  # noqa: ANN401  (any JSON)
    return json.dumps(storable_json(value), ensure_ascii=False, allow_nan=False)


def _postgres(url: URL) -> Engine:
    require("psycopg", "postgres")
    options = {"connect_timeout": 10, "options": "-c timezone=utc -c lock_timeout=60s"}
    return create_engine(
        url, pool_pre_ping=True, pool_size=5, max_overflow=15, json_serializer=_to_json, connect_args=options
    )


def _sqlite(url: URL) -> Engine:
    try:
        Path(str(url.database)).absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"{url.database}: the folder cannot be made ({error.strerror}).") from error
    engine = create_engine(
        url,
        json_serializer=_to_json,
        connect_args={"timeout": BUSY_S},
        pool_size=5,
        max_overflow=-1,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401  (sqlite3.Connection)
        connection.isolation_level = None  # we say BEGIN ourselves
        connection.execute("PRAGMA foreign_keys = ON")
        _until_unlocked(lambda: connection.execute("PRAGMA journal_mode = WAL"))

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(str(connection.get_execution_options().get("tamis_begin", "BEGIN")))

    return engine


def _until_unlocked(work: Callable[[], T]) -> T:
    """Return what `work` returns; where the database is locked, do it again after a pause."""
    until = time.monotonic() + PATIENCE_S
    pause = 0.005
    while True:
        try:
            return work()
        except Exception as error:
            if not any(words in str(error) for words in _LOCKED) or time.monotonic() > until:
                raise
        time.sleep(pause * random.uniform(0.5, 1.5))
        pause = min(0.25, pause * 2)


@contextmanager
def _told_apart(url: URL) -> Iterator[None]:
    """Turn the driver's errors about the database's state into ours; those about rows pass."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeout) as error:
        shown = url.render_as_string(hide_password=True)
        cause = getattr(error, "orig", None) or error
        cure = "Is it running, and is the address right?" if isinstance(error, OperationalError) else ""
        if is_full(cause):
            raise StorageFull("The disk of the server's database is full.") from error
        message = f"The database {shown} cannot be used: {str(cause).strip()}. {cure}"
        raise StorageFailed(message.strip()) from error
