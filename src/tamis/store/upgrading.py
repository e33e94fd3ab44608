"""Bringing a database's schema up to date, whoever else does so at the same time."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from tamis.errors import StorageFailed
from tamis.store.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0009"
"""The newest revision, checked by a test. To have it here spares start-ups the import of Alembic."""
_LOCK = 0x7A6D6973  # any number that nothing else in the database takes


def upgrade(database: Database, to: str = HEAD) -> None:
    """Create the tables, or change them to what this version of Tamis needs; rows are kept.

    Several processes may do so at once: one does it, the others wait. It happens whole or not at all.

    Raises:
        StorageFailed: the database cannot be used, or is that of a newer Tamis.
    """
    with database.reading() as connection:
        if revision_of(connection) == to:
            return
    with database.writing() as connection:
        database.alone(connection, _LOCK)
        _refuse_newer(database, revision_of(connection))
        _migrate(connection, to)


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the tables; None where there are none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _refuse_newer(database: Database, revision: str | None) -> None:
    known = {path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    if revision is not None and revision not in known:
        shown = database.url.render_as_string(hide_password=True)
        raise StorageFailed(
            f"{shown} was made by a newer Tamis (its schema is {revision}, this version knows up to {HEAD}). "
            "Install that version again, or give another database.",
            revision=revision,
        )


def _migrate(connection: Connection, to: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
