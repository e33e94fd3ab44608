"""Work in the background, links to models, and rows that are worth a look."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    _operations()
    _shares()
    _looks()


def _seq() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("seq", number, primary_key=True, autoincrement=True)


def _operations() -> None:
    op.create_table(
        "operations",
        _seq(),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text),
        sa.Column("told", sa.JSON, nullable=False),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("result_key", sa.Text),
        sa.Column("result_name", sa.Text),
        sa.Column("media_type", sa.Text),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("modified_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("created_by", sa.Text),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_operations")),
        sa.UniqueConstraint("id", name=op.f("uq_operations_id")),
    )
    op.create_index("ix_operations_model_id", "operations", ["model_id"])
    op.create_index("ix_operations_newest", "operations", ["created_at", "seq"])


def _shares() -> None:
    op.create_table(
        "shares",
        _seq(),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("per_minute", sa.BigInteger, nullable=False),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("created_by", sa.Text),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_shares")),
        sa.UniqueConstraint("id", name=op.f("uq_shares_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_shares_token_hash")),
    )
    op.create_index("ix_shares_model_id", "shares", ["model_id"])


def _looks() -> None:
    op.create_table(
        "looks",
        _seq(),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("input_hash", sa.Text, nullable=False),
        sa.Column("input", sa.JSON, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("priority", sa.Double, nullable=False),
        sa.Column("proposed", sa.JSON, nullable=False),
        sa.Column("given", sa.JSON, nullable=False),
        sa.Column("answer", sa.JSON),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("source", sa.JSON, nullable=False),
        sa.Column("model_id", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("answered_at", sa.BigInteger),
        sa.Column("answered_by", sa.Text),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_looks")),
        sa.UniqueConstraint("id", name=op.f("uq_looks_id")),
        sa.UniqueConstraint("name", "input_hash", name=op.f("uq_looks_name_input_hash")),
    )
    op.create_index("ix_looks_queue", "looks", ["name", "status", "priority"])
