"""Addresses of databases, transactions, and what is said when one cannot be used."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tamis.errors import StorageFailed
from tamis.store.database import Database


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "cannot be read"),
        ("no url", "cannot be read"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
        ("sqlite:///file:x?uri=true", "SQLite needs a file"),
        ("mysql://me:canary@host/x", "databases can be"),
    ],
)
def test_urls_that_cannot_be_used(url: str, says: str) -> None:
    with pytest.raises(StorageFailed, match=says) as refused:
        Database(url)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_postgres_goes_by_psycopg_and_its_password_is_not_told(scheme: str) -> None:
    database = Database(f"{scheme}://me:canary@127.0.0.1:1/tamis")
    assert database.is_postgres
    assert database.url.drivername == "postgresql+psycopg"
    with pytest.raises(StorageFailed, match=r"127\.0\.0\.1") as refused, database.reading():
        pass
    assert "canary" not in str(refused.value)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path / 'sub folder' / 'a.db'}")
    with made.writing() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER PRIMARY KEY, y INTEGER REFERENCES t (x))"))
    return made


def rows(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(text("SELECT count(*) FROM t")).scalar_one())


def test_an_exception_undoes_everything(database: Database) -> None:
    def twice() -> None:
        with database.writing() as connection:
            for _ in range(2):
                connection.execute(text("INSERT INTO t (x) VALUES (1)"))

    with pytest.raises(IntegrityError):
        twice()
    assert rows(database) == 0
    with database.writing() as connection:
        connection.execute(text("INSERT INTO t (x) VALUES (1)"))
    assert rows(database) == 1


def test_sqlite_is_set_up(database: Database) -> None:
    with database.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert int(connection.execute(text("PRAGMA busy_timeout")).scalar_one()) >= 1000


def test_who_writes_has_the_lock_from_the_start(database: Database) -> None:
    other = sqlite3.connect(str(database.url.database), timeout=0, isolation_level=None)
    with database.writing(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")  # it was given back
    other.close()


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StorageFailed, match="not a database"), Database(f"sqlite:///{tmp_path / 'a.db'}").reading():
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageFailed, match="folder cannot be made"):
        Database(f"sqlite:///{tmp_path / 'file' / 'sub' / 'a.db'}")
