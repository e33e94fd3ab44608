"""What the report of a review takes, and when a model was last asked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("reviews", sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("models", sa.Column("last_used_at", sa.BigInteger))
