"""The tables, as the newest migration leaves them (a test compares the two). A column bears its record field's name.

`seq` numbers the rows as they came: it breaks ties between rows of the same second.
"""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

LARGEST_INTEGER = 2**63 - 1
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=_NAMING)
Number = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by itself in INTEGER columns alone


def storable(value: str) -> str:
    """Return the text with what databases refuse, NUL and lone surrogates, replaced by U+FFFD."""
    value = value.replace("\0", "\ufffd")
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def storable_json(value: Any) -> Any:  # noqa: ANN401  (any JSON)
    """Return the JSON value with such texts replaced, and with null for numbers that are not finite."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {storable(str(key)): storable_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(item) for item in value]
    return value


class Words(TypeDecorator[str]):
    """Text of any length that any database takes, whatever strangers sent."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored; what is searched for is treated alike."""
        return None if value is None else storable(value)


class Whole(TypeDecorator[int]):
    """A whole number of 64 bits; one beyond, as only a stranger's filter can be, becomes the nearest."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        """Clip."""
        return None if value is None else max(-LARGEST_INTEGER, min(LARGEST_INTEGER, int(value)))


def _seq() -> Column[int]:
    return Column("seq", Number, primary_key=True, autoincrement=True)


def _lease() -> tuple[Column[Any], ...]:
    """Columns of what workers claim; see leases.py."""
    return (
        Column("attempt", Whole, nullable=False),
        Column("deaths", Whole, nullable=False),
        Column("owner", Words),
        Column("lease_until", Double),
        Column("cancel_requested", Boolean, nullable=False),
    )


files = Table(
    "files",
    metadata,
    _seq(),
    Column("id", Words, nullable=False, unique=True),
    Column("name", Words, nullable=False),
    Column("folded_name", Words, nullable=False),  # to search in, whatever the case
    Column("purpose", Words, nullable=False),
    Column("source", Words, nullable=False),
    Column("sample_type", Words, nullable=False),
    Column("bytes", Whole, nullable=False),
    Column("sha256", Words, nullable=False, index=True),
    Column("num_lines", Whole),
    Column("mimetype", Words),
    Column("visibility", Words, nullable=False),
    Column("key", Words, nullable=False, unique=True),
    Column("created_at", Whole, nullable=False),
    Column("expires_at", Whole, index=True),
    Column("created_by", Words),
    Column("layout", JSON(none_as_null=True)),
    Index("ix_files_newest", "created_at", "seq"),
)

file_uses = Table(  # which live jobs and batches need a file: it cannot be deleted before
    "file_uses",
    metadata,
    Column("file_id", Words, ForeignKey("files.id"), primary_key=True),
    Column("user_id", Words, primary_key=True, index=True),
)

jobs = Table(
    "jobs",
    metadata,
    _seq(),
    Column("id", Words, nullable=False, unique=True),
    Column("status", Words, nullable=False, index=True),
    Column("phase", Words, nullable=False),
    Column("model", Words, nullable=False),
    Column("base", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("suffix", Words),
    Column("auto_start", Boolean, nullable=False),
    Column("hyperparameters", JSON, nullable=False),
    Column("training_files", JSON, nullable=False),
    Column("validation_files", JSON, nullable=False),
    Column("integrations", JSON, nullable=False),
    Column("wandb_project", Words),  # of the integrations, to filter by
    Column("wandb_name", Words),
    Column("asked_targets", JSON(none_as_null=True)),
    Column("targets", JSON, nullable=False),
    Column("max_bad_share", Double, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("fingerprint", Words, nullable=False),
    *_lease(),
    Column("error_code", Words),
    Column("error", Words),
    Column("peak_mb", Double),
    Column("model_id", Words),
    Column("fine_tuned_model", Words),
    Column("trained_tokens", Whole),
    Column("created_at", Whole, nullable=False),
    Column("modified_at", Whole, nullable=False),
    Column("created_by", Words),
    Column("finished_at", Whole),
    Column("title", Words),
    Column("dataset_id", Words, index=True),
    Index("ix_jobs_newest", "created_at", "seq"),
    Index(
        "uq_jobs_live_fingerprint",
        "fingerprint",
        unique=True,
        sqlite_where=text("finished_at IS NULL"),
        postgresql_where=text("finished_at IS NULL"),
    ),
)

job_events = Table(
    "job_events",
    metadata,
    _seq(),
    Column("job_id", Words, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Words, nullable=False),
    Column("created_at", Whole, nullable=False),
    Column("data", JSON, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("job_id", Words, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("step", Whole, primary_key=True, autoincrement=False),
    Column("created_at", Whole, nullable=False),
    Column("metrics", JSON, nullable=False),
)

models = Table(
    "models",
    metadata,
    _seq(),
    Column("id", Words, nullable=False, unique=True),
    Column("name", Words, nullable=False),
    Column("version", Whole, nullable=False),
    Column("ft", Words, unique=True),
    Column("job_id", Words, ForeignKey("jobs.id", ondelete="SET NULL"), unique=True),
    Column("root", Words, nullable=False),
    Column("base", Words, nullable=False),
    Column("title", Words),
    Column("description", Words),
    Column("archived", Boolean, nullable=False),
    Column("place", Words, nullable=False),
    Column("bytes", Whole, nullable=False),
    Column("context", Whole),
    Column("targets", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("created_at", Whole, nullable=False),
    Column("created_by", Words),
    Column("last_used_at", Whole),
    UniqueConstraint("name", "version"),
    Index("ix_models_newest", "created_at", "seq"),
)

model_names = Table(  # the last number that a name gave away; it outlives the models, so that no number comes twice
    "model_names",
    metadata,
    Column("name", Words, primary_key=True),
    Column("last_version", Whole, nullable=False),
)

aliases = Table(
    "aliases",
    metadata,
    Column("name", Words, primary_key=True),
    Column("model_id", Words, ForeignKey("models.id"), nullable=False, index=True),
)

alias_moves = Table(  # what aliases pointed at: the names of models stay when the models are deleted
    "alias_moves",
    metadata,
    _seq(),
    Column("alias", Words, nullable=False),
    Column("number", Whole, nullable=False),
    Column("why", Words, nullable=False),
    Column("from_id", Words),
    Column("from_name", Words),
    Column("to_id", Words),
    Column("to_name", Words),
    Column("figures", JSON, nullable=False),
    Column("moved_at", Whole, nullable=False),
    Column("moved_by", Words),
    UniqueConstraint("alias", "number"),
)

counters = Table(  # "models": grows with every change of models and aliases
    "counters",
    metadata,
    Column("name", Words, primary_key=True),
    Column("value", Whole, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    _seq(),
    Column("id", Words, nullable=False, unique=True),
    Column("hash", Words, nullable=False, unique=True),
    Column("name", Words, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("prefix", Words, nullable=False),
    Column("created_at", Whole, nullable=False),
    Column("last_used_at", Whole),
    Column("revoked_at", Whole),
    Column("expires_at", Whole),
)

batches = Table(
    "batches",
    metadata,
    _seq(),
    Column("id", Words, nullable=False, unique=True),
    Column("endpoint", Words, nullable=False),
    Column("model", Words),
    Column("status", Words, nullable=False, index=True),
    Column("input_files", JSON, nullable=False),
    Column("inline", Boolean, nullable=False),
    Column("inline_key", Words),
    Column("metadata", JSON, nullable=False),
    Column("timeout_hours", Whole, nullable=False),
    Column("total", Whole, nullable=False),
    Column("completed", Whole, nullable=False),
    Column("succeeded", Whole, nullable=False),
    Column("failed", Whole, nullable=False),
    Column("errors", JSON, nullable=False),
    Column("output_file", Words),
    Column("error_file", Words),
    *_lease(),
    Column("created_at", Whole, nullable=False),
    Column("modified_at", Whole, nullable=False),
    Column("started_at", Whole),
    Column("completed_at", Whole),
    Column("created_by", Words),
    Index("ix_batches_newest", "created_at", "seq"),
)

batch_events = Table(
    "batch_events",
    metadata,
    _seq(),
    Column("job_id", Words, ForeignKey("batches.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Words, nullable=False),
    Column("created_at", Whole, nullable=False),
    Column("data", JSON, nullable=False),
)

batch_metadata = Table(  # the pairs of `metadata`, to filter by
    "batch_metadata",
    metadata,
    Column("batch_id", Words, ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Words, primary_key=True),
    Column("value", Words, nullable=False),
    Index("ix_batch_metadata_pair", "name", "value"),
)

datasets = Table(
    "datasets",
    metadata,
    _seq(),
    Column("id", Words, nullable=False, unique=True),
    Column("name", Words, nullable=False),
    Column("type", Words, nullable=False),
    Column("status", Words, nullable=False),
    Column("error", Words),
    Column("warnings", JSON, nullable=False),
    Column("parts", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("bytes", Whole, nullable=False),
    Column("created_at", Whole, nullable=False),
    Column("modified_at", Whole, nullable=False),
    Column("created_by", Words),
    Index("ix_datasets_newest", "created_at", "seq"),
)

reviews = Table(
    "reviews",
    metadata,
    _seq(),
    Column("id", Words, nullable=False, unique=True),
    Column("status", Words, nullable=False),
    Column("training_file", Words, nullable=False, index=True),
    Column("validation_files", JSON, nullable=False),
    Column("test_files", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("progress", Double, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("result_key", Words),
    Column("decisions", JSON, nullable=False),
    Column("owner", Words),
    Column("error_code", Words),
    Column("error", Words),
    Column("output_file", Words, index=True),
    Column("log_file", Words),
    Column("version", JSON),
    Column("bytes", Whole, nullable=False, server_default="0"),
    Column("created_at", Whole, nullable=False),
    Column("modified_at", Whole, nullable=False),
    Column("finished_at", Whole),
    Column("created_by", Words),
    Index("ix_reviews_newest", "created_at", "seq"),
)

operations = Table(
    "operations",
    metadata,
    _seq(),
    Column("id", Words, nullable=False, unique=True),
    Column("kind", Words, nullable=False),
    Column("status", Words, nullable=False),
    Column("title", Words, nullable=False),
    Column("model_id", Words, index=True),
    Column("told", JSON, nullable=False),
    Column("progress", Double, nullable=False),
    Column("stage", Words, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("result_key", Words),
    Column("result_name", Words),
    Column("media_type", Words),
    Column("bytes", Whole, nullable=False),
    Column("owner", Words),
    Column("error_code", Words),
    Column("error", Words),
    Column("created_at", Whole, nullable=False),
    Column("modified_at", Whole, nullable=False),
    Column("finished_at", Whole),
    Column("created_by", Words),
    Index("ix_operations_newest", "created_at", "seq"),
)

shares = Table(
    "shares",
    metadata,
    _seq(),
    Column("id", Words, nullable=False, unique=True),
    Column("model_id", Words, nullable=False, index=True),
    Column("token_hash", Words, nullable=False, unique=True),
    Column("title", Words, nullable=False),
    Column("per_minute", Whole, nullable=False),
    Column("uses", Whole, nullable=False),
    Column("created_at", Whole, nullable=False),
    Column("expires_at", Whole),
    Column("revoked_at", Whole),
    Column("last_used_at", Whole),
    Column("created_by", Words),
    Column("minute", Whole, nullable=False, server_default="0"),
    Column("minute_uses", Whole, nullable=False, server_default="0"),
)

looks = Table(
    "looks",
    metadata,
    _seq(),
    Column("id", Words, nullable=False, unique=True),
    Column("name", Words, nullable=False),
    Column("input_hash", Words, nullable=False),
    Column("input", JSON, nullable=False),
    Column("reason", Words, nullable=False),
    Column("priority", Double, nullable=False),
    Column("proposed", JSON, nullable=False),
    Column("given", JSON, nullable=False),
    Column("answer", JSON(none_as_null=True)),
    Column("status", Words, nullable=False),
    Column("source", JSON, nullable=False),
    Column("model_id", Words),
    Column("created_at", Whole, nullable=False),
    Column("answered_at", Whole),
    Column("answered_by", Words),
    UniqueConstraint("name", "input_hash"),
    Index("ix_looks_queue", "name", "status", "priority"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("owner_id", Words, primary_key=True),
    Column("name", Words, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
