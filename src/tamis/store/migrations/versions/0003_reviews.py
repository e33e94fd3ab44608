"""Reviews of labelled files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "reviews",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("training_file", sa.Text, nullable=False),
        sa.Column("validation_files", sa.JSON, nullable=False),
        sa.Column("test_files", sa.JSON, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("result_key", sa.Text),
        sa.Column("decisions", sa.JSON, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("output_file", sa.Text),
        sa.Column("log_file", sa.Text),
        sa.Column("version", sa.JSON),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("modified_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("created_by", sa.Text),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_reviews")),
        sa.UniqueConstraint("id", name=op.f("uq_reviews_id")),
    )
    op.create_index("ix_reviews_training_file", "reviews", ["training_file"])
    op.create_index("ix_reviews_output_file", "reviews", ["output_file"])
    op.create_index("ix_reviews_newest", "reviews", ["created_at", "seq"])
