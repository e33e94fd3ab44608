"""How many inputs were asked through a link within a minute, which all servers of a database count together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns."""
    for name in ("minute", "minute_uses"):
        op.add_column("shares", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
