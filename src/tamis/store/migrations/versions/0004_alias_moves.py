"""Every move of an alias."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "alias_moves",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("from_id", sa.Text),
        sa.Column("from_name", sa.Text),
        sa.Column("to_id", sa.Text),
        sa.Column("to_name", sa.Text),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("moved_at", sa.BigInteger, nullable=False),
        sa.Column("moved_by", sa.Text),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_alias_moves")),
        sa.UniqueConstraint("alias", "number", name=op.f("uq_alias_moves_alias_number")),
    )
