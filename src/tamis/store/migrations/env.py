"""What Alembic runs to apply migrations: on the connection it is given, inside that connection's transaction.

`tamis.store.upgrading` calls it. There is no ini file; a new revision is written by hand in versions/, as 0001 is.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from tamis.store.tables import metadata


def run(connection: Connection) -> None:
    """Apply what is to be applied."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    context.run_migrations()


run(context.config.attributes["connection"])
