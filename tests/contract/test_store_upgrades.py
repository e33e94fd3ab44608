"""Databases of every released schema become the newest, with all their rows."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, inspect, text

from contract.records_made import NOW
from tamis.errors import StorageFailed
from tamis.store import tables
from tamis.store.database import Database
from tamis.store.opening import Store, open_store
from tamis.store.records import CheckpointRecord
from tamis.store.upgrading import HEAD, MIGRATIONS, revision_of, upgrade

SCHEMAS = Path(__file__).parents[1] / "store" / "schemas"
KEY = "a secret key for tests, not for you"
REVISIONS = sorted(path.stem for path in SCHEMAS.glob("*.sql"))


def script() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


def restored(revision: str, path: Path) -> Path:
    """Return a SQLite database as the version of that revision left it."""
    connection = sqlite3.connect(path)
    connection.executescript((SCHEMAS / f"{revision}.sql").read_text(encoding="utf-8"))
    connection.close()
    return path


@pytest.fixture
def nothing(postgres: Database) -> Iterator[Database]:
    """PostgreSQL without any table; the tables come back for the tests after this one."""
    with postgres.writing() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    yield postgres
    with postgres.writing() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    upgrade(postgres)


def copy_rows(revision: str, path: Path, database: Database) -> None:
    """Give another database of the same revision the rows of a SQLite one; it numbers them itself."""
    source = Database(f"sqlite:///{restored(revision, path)}")
    with source.reading() as rows, database.writing() as connection:
        old = inspect(rows).get_table_names()
        for name in [table.name for table in tables.metadata.sorted_tables if table.name in old]:
            there = Table(name, MetaData(), autoload_with=connection)
            connection.execute(there.delete())
            here = Table(name, MetaData(), autoload_with=rows)
            for row in rows.execute(here.select().order_by(*here.primary_key)).mappings():
                connection.execute(there.insert().values({key: row[key] for key in row if key != "seq"}))
    source.close()


def check_rows(store: Store) -> None:
    """The rows that dump_schema.py makes are there, and work."""
    job = store.jobs.find("job-2")
    assert job is not None
    assert (job.status, job.attempt, job.owner, job.training_files) == ("RUNNING", 1, "worker", (("file-1", 1.5),))
    assert job.targets == ({"name": "intent", "labels": ["b", "a"]},)
    assert store.jobs.checkpoints("job-1") == [CheckpointRecord("job-1", 5, NOW, {"loss": 0.25})]
    assert [event.data["status"] for event in store.jobs.events("job-1")] == ["QUEUED", "RUNNING", "SUCCESS"]
    assert store.models.find(str(store.aliases.find("prod"))) == store.models.by_ft("ft:1")
    assert store.models.by_name("intent").version == 2  # type: ignore[union-attr]
    assert store.models.generation() == 3
    assert store.files.uses("file-1") == ("job-2", "job-3")
    assert store.files.list(search="ÜNÏ")[1] == 1
    assert all(file.layout in (None, {"text": "Message"}) for file in store.files.list()[0])
    assert store.batches.list(metadata={"team": "a"})[1] == 1
    assert store.keys.find_by_hash("hash-1") is not None
    assert store.secrets.get("job-2", "wandb") == "canary"
    assert store.jobs.list(wandb_project="p")[1] == 3
    assert all(move.to_id == "model-1" for move in store.aliases.history("prod")[0])
    assert store.aliases.move("prod", "model-2", "promote") is not None
    assert store.jobs.finish("job-2", 1, "FAILED")


def test_every_revision_has_its_dump() -> None:
    assert sorted(revision.revision for revision in script().walk_revisions()) == REVISIONS
    assert script().get_heads() == [HEAD]


@pytest.mark.parametrize("revision", REVISIONS)
def test_sqlite_keeps_its_rows(revision: str, tmp_path: Path) -> None:
    path = restored(revision, tmp_path / "old.db")
    with open_store(f"sqlite:///{path}", f"file://{tmp_path}/objects", KEY) as store:
        check_rows(store)
        with store.database.reading() as connection:
            assert revision_of(connection) == HEAD


@pytest.mark.parametrize("revision", REVISIONS)
def test_postgres_keeps_its_rows(revision: str, nothing: Database, tmp_path: Path) -> None:
    upgrade(nothing, revision)
    copy_rows(revision, tmp_path / "old.db", nothing)
    url = nothing.url.render_as_string(hide_password=False)
    with open_store(url, f"file://{tmp_path}/objects", KEY) as store:
        check_rows(store)


def test_the_migrations_make_the_tables(database_url: str) -> None:
    """Tables, columns, types, indices and constraints are those of tables.py."""
    database = Database(database_url)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        indices = {index["name"]: index for index in inspect(connection).get_indexes("jobs")}
        assert indices["uq_jobs_live_fingerprint"]["unique"]
    database.close()


def test_many_upgrade_postgres_at_once(nothing: Database) -> None:
    """The advisory lock lets one do it; the others find it done."""
    url = nothing.url.render_as_string(hide_password=False)
    together = threading.Barrier(4)

    def one(_: int) -> None:
        database = Database(url)
        together.wait()
        upgrade(database)
        database.close()

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(one, range(4)))) == 4
    with nothing.reading() as connection:
        assert revision_of(connection) == HEAD


def test_a_database_of_a_newer_tamis_is_refused_and_left_alone(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(StorageFailed, match=r"newer Tamis.*9999.*up to"):
            open_store(database_url, f"file://{tmp_path}/objects", KEY)
    finally:
        with database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": HEAD})
    database.close()


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    migrate = command.upgrade

    def fail_late(*given: object) -> None:
        migrate(*given)  # type: ignore[arg-type]
        raise RuntimeError("late")

    monkeypatch.setattr(command, "upgrade", fail_late)
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    with pytest.raises(RuntimeError, match="late"):
        upgrade(database)
    with database.reading() as connection:
        assert inspect(connection).get_table_names() == []
    database.close()
