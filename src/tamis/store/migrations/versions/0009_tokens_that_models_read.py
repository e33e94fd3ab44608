"""How many tokens of an input a model reads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column."""
    op.add_column("models", sa.Column("context", sa.BigInteger))
