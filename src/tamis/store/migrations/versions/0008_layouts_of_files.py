"""How the file was laid out that a file's rows were read from, where these were written anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    op.add_column("files", sa.Column("layout", sa.JSON))
