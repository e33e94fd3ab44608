"""What is kept: one frozen record a row, and what rows can be filtered by.

All times are whole seconds since the epoch (UTC), but for leases. Ids are UUIDs with dashes. Records know no SQL.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

Json = dict[str, Any]
"""A JSON object. A number that is not finite is kept as null; keys are strings."""

OneOf = str | Collection[str] | None
"""What a column is to be: this, or one of these; None: anything."""

QUEUED: Final = "QUEUED"
VALIDATING: Final = "VALIDATING"
RUNNING: Final = "RUNNING"
CANCELLATION_REQUESTED: Final = "CANCELLATION_REQUESTED"
CANCELLED: Final = "CANCELLED"

VALIDATE: Final = "validate"
TRAIN: Final = "train"
PHASES: Final = (VALIDATE, TRAIN)
"""What a queued job waits for: the look at its data, or the training."""

HELD: Final = frozenset({VALIDATING, RUNNING, CANCELLATION_REQUESTED})
"""States in which a worker may hold a job or batch under a lease."""
FINISHED: Final = frozenset({"SUCCESS", "FAILED", "FAILED_VALIDATION", "CANCELLED", "TIMEOUT_EXCEEDED"})
"""States that nothing leaves. Store needs to know them: a finished job frees its fingerprint, files and secrets."""

STATUS_EVENT: Final = "status-updated"

TEST_FILE: Final = "test_file"
"""Where a job's metadata says which file its model is measured on; nothing is fitted to it."""

ASKED: Final = "asked"
"""Where a job's metadata says what was asked for of the hyperparameters that validation measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """An uploaded or written file. The row is the commit point: an object without one is an orphan."""

    id: str
    name: str
    purpose: str
    source: str
    sample_type: str
    bytes: int
    sha256: str
    key: str  # of the object
    created_at: int
    num_lines: int | None = None
    mimetype: str | None = None
    visibility: str = "workspace"
    expires_at: int | None = None
    created_by: str | None = None
    layout: Json | None = None  # of the file that its rows were read from, where these were written anew


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One fine-tuning run."""

    id: str
    status: str
    model: str  # the base model as asked for
    base: str  # the base model that it stands for
    name: str
    fingerprint: str  # the same for similar jobs
    created_at: int
    modified_at: int
    phase: str = VALIDATE
    suffix: str | None = None
    auto_start: bool = False
    hyperparameters: Json = field(default_factory=dict)
    training_files: tuple[tuple[str, float], ...] = ()  # id, weight
    validation_files: tuple[str, ...] = ()
    integrations: tuple[Json, ...] = ()  # never a key
    asked_targets: tuple[Json, ...] | None = None
    targets: tuple[Json, ...] = ()  # found at validation: name, labels, weight, loss_function
    max_bad_share: float = 0.0
    metadata: Json = field(default_factory=dict)
    attempt: int = 0  # how often it was claimed; fences what earlier claims still write
    deaths: int = 0  # how often its process, or its worker, was killed
    owner: str | None = None
    lease_until: float | None = None
    cancel_requested: bool = False
    error_code: str | None = None
    error: str | None = None
    peak_mb: float | None = None
    model_id: str | None = None
    fine_tuned_model: str | None = None
    trained_tokens: int | None = None
    created_by: str | None = None
    finished_at: int | None = None
    title: str | None = None  # what its maker calls the model
    dataset_id: str | None = None  # where its files are those of a dataset

    @property
    def test_file(self) -> str | None:
        """The file that its model is measured on."""
        return self.metadata.get(TEST_FILE)

    @property
    def asked(self) -> Json:
        """Its hyperparameters as they were asked for: `hyperparameters` holds what was measured, where it was."""
        return {**self.hyperparameters, **self.metadata.get(ASKED, {})}

    @property
    def file_ids(self) -> tuple[str, ...]:
        """All files that it reads."""
        tested = (self.test_file,) if self.test_file else ()
        return (*(file_id for file_id, _ in self.training_files), *self.validation_files, *tested)


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened to a job or batch."""

    job_id: str
    name: str
    created_at: int
    data: Json


@dataclass(frozen=True, slots=True)
class CheckpointRecord:
    """The figures of a job at a step. A figure that was not finite is None."""

    job_id: str
    step: int
    created_at: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """One version of a model."""

    id: str
    name: str
    root: str  # the base model as asked for
    base: str
    place: str  # "objects:models/<id>", or "folder:/abs/path"
    created_at: int
    version: int = 0  # 0: given when it is added
    ft: str | None = None  # "ft:classifier:..."
    job_id: str | None = None
    title: str | None = None
    description: str | None = None
    archived: bool = False
    bytes: int = 0
    context: int | None = None  # tokens of an input that it reads; None: all of them, or added before this was noted
    targets: tuple[Json, ...] = ()
    metrics: Json = field(default_factory=dict)
    created_by: str | None = None
    last_used_at: int | None = None  # about when it was last asked


SET: Final = "set"
PROMOTE: Final = "promote"
ROLL_BACK: Final = "roll back"
DROP: Final = "drop"
"""Why an alias moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """A move of an alias. Models have the ids and the names (`shop@3`) that they had then; they may be gone by now."""

    alias: str
    number: int  # from 1, for each alias
    why: str
    moved_at: int
    from_id: str | None = None
    from_name: str | None = None
    to_id: str | None = None  # None: the alias was dropped
    to_name: str | None = None
    figures: Json = field(default_factory=dict)  # of a promotion: what was measured
    moved_by: str | None = None  # the id of a key, or "command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """An API key, without the key."""

    id: str
    name: str
    scopes: tuple[str, ...]
    prefix: str  # its first characters, to recognise it by
    created_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """Many requests to one endpoint, answered in the background."""

    id: str
    endpoint: str
    status: str
    created_at: int
    modified_at: int
    model: str | None = None
    input_files: tuple[str, ...] = ()
    inline: bool = False
    inline_key: str | None = None  # of the object that holds the inline requests
    metadata: dict[str, str] = field(default_factory=dict)
    timeout_hours: int = 24
    total: int = 0
    completed: int = 0
    succeeded: int = 0
    failed: int = 0
    errors: tuple[Json, ...] = ()
    output_file: str | None = None
    error_file: str | None = None
    attempt: int = 0
    deaths: int = 0
    owner: str | None = None
    lease_until: float | None = None
    cancel_requested: bool = False
    started_at: int | None = None
    completed_at: int | None = None  # when it finished, however it did
    created_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecord:
    """Rows that were looked at when they came: one part to train on, and perhaps one to judge by."""

    id: str
    name: str
    type: str
    status: str
    created_at: int
    modified_at: int
    error: str | None = None
    warnings: tuple[str, ...] = ()
    parts: tuple[Json, ...] = ()
    metrics: Json = field(default_factory=dict)
    bytes: int = 0
    created_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRecord:
    """A look at labelled files: what was found, what a person decided, and the file that came of it."""

    id: str
    status: str
    training_file: str
    created_at: int
    modified_at: int
    validation_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    options: Json = field(default_factory=dict)
    progress: float = 0.0
    summary: tuple[Json, ...] = ()  # the findings, without their items
    result_key: str | None = None  # of the object that has all of it
    decisions: Json = field(default_factory=dict)  # by finding: {"": decision, "<item>": decision}
    owner: str | None = None  # the process that is at it
    error_code: str | None = None
    error: str | None = None
    output_file: str | None = None  # the latest file that its suggestions were applied to
    log_file: str | None = None
    version: Json | None = None  # of the output file
    bytes: int = 0  # of the object
    finished_at: int | None = None
    created_by: str | None = None


class ReviewFilters(TypedDict, total=False):
    """What a list of reviews may be narrowed by."""

    training_file: str | None
    status: str | None


class ReviewColumns(TypedDict, total=False):
    """What may be changed of a review beside its decisions."""

    status: str
    progress: float
    summary: tuple[Json, ...]
    result_key: str | None
    owner: str | None
    error_code: str | None
    error: str | None
    output_file: str | None
    log_file: str | None
    version: Json | None
    bytes: int
    finished_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRecord:
    """Work in the background that ends in one result: an evaluation, a comparison, labelled rows, an export."""

    id: str
    kind: str
    status: str
    title: str
    created_at: int
    modified_at: int
    model_id: str | None = None  # whose page it belongs to
    told: Json = field(default_factory=dict)  # what it is to work on
    progress: float = 0.0
    stage: str = ""
    summary: Json = field(default_factory=dict)  # what lists and pages show without reading the result
    result_key: str | None = None  # of the object
    result_name: str | None = None  # what a download is called
    media_type: str | None = None
    bytes: int = 0  # of the object
    owner: str | None = None  # the process that is at it
    error_code: str | None = None
    error: str | None = None
    finished_at: int | None = None
    created_by: str | None = None


class OperationFilters(TypedDict, total=False):
    """What a list of operations may be narrowed by."""

    kind: OneOf
    status: OneOf
    model_id: str | None
    told: Mapping[str, str]  # texts of what it was told, by their places in it: {"files.training": id}
    search: str | None  # in its title, or the beginning of its id


class OperationColumns(TypedDict, total=False):
    """What may be changed of an operation."""

    status: str
    owner: str | None
    progress: float
    stage: str
    summary: Json
    result_key: str | None
    result_name: str | None
    media_type: str | None
    bytes: int
    error_code: str | None
    error: str | None
    finished_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRecord:
    """A link that lets whoever has it ask one model; only the hash of its token is kept."""

    id: str
    model_id: str
    token_hash: str
    title: str
    per_minute: int  # inputs, of all who have the link
    created_at: int
    uses: int = 0  # inputs in all
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None
    created_by: str | None = None
    minute: int = 0  # since 1970, the last in which it was used
    minute_uses: int = 0  # inputs in that minute


@dataclass(frozen=True, slots=True, kw_only=True)
class LookRecord:
    """A row that is worth a person's look, and what they said of it."""

    id: str
    name: str  # of the model, all its versions
    input_hash: str  # one look an input and name
    input: Any  # a text, or the messages of a chat
    reason: str
    created_at: int
    priority: float = 0.0  # the highest comes first
    proposed: Json = field(default_factory=dict)  # labels by target, as a model or a review would have them
    given: Json = field(default_factory=dict)  # labels by target, as the file has them
    answer: Json | None = None  # labels by target, as the person said
    status: str = "open"
    source: Json = field(default_factory=dict)  # where it came from: file, line, review, versions
    model_id: str | None = None
    answered_at: int | None = None
    answered_by: str | None = None


class LookFilters(TypedDict, total=False):
    """What a list of looks may be narrowed by."""

    name: str | None
    reason: OneOf
    status: OneOf


class LookColumns(TypedDict, total=False):
    """What may be changed of a look."""

    reason: str
    priority: float
    proposed: Json
    given: Json
    answer: Json | None
    status: str
    source: Json
    model_id: str | None
    answered_at: int | None
    answered_by: str | None


class DatasetFilters(TypedDict, total=False):
    """What a list of datasets may be narrowed by. Times are included: after <= created_at <= before."""

    type: str | None
    status: str | None
    before: int | None
    after: int | None


class DatasetColumns(TypedDict, total=False):
    """What may be changed of a dataset."""

    status: str
    error: str | None
    warnings: tuple[str, ...]
    parts: tuple[Json, ...]
    metrics: Json
    bytes: int
    modified_at: int


class FileFilters(TypedDict, total=False):
    """What a list of files may be narrowed by; what is None or absent does not narrow it."""

    sample_types: Collection[str] | None
    sources: Collection[str] | None
    mimetypes: Collection[str] | None
    purpose: str | None
    search: str | None  # part of the name, whatever its case
    created_by: str | None


class JobFilters(TypedDict, total=False):
    """What a list of jobs may be narrowed by. Times are included: created_after <= created_at <= created_before."""

    model: str | None
    created_after: int | None
    created_before: int | None
    created_by: str | None
    status: OneOf
    wandb_project: str | None
    wandb_name: str | None
    suffix: str | None
    dataset_id: str | None
    search: str | None  # part of the name, or the start of the id


class BatchFilters(TypedDict, total=False):
    """What a list of batches may be narrowed by. Every pair of `metadata` must be there."""

    model: str | None
    created_after: int | None
    created_by: str | None
    status: OneOf
    metadata: Mapping[str, str] | None
    oldest_first: bool
    search: str | None  # part of the model's name, or the start of the id


class ModelFilters(TypedDict, total=False):
    """What a list of models may be narrowed by."""

    name: str | None
    archived: bool | None
    created_by: str | None
    search: str | None  # part of the name or the title, or the start of the id


class JobColumns(TypedDict, total=False):
    """What may be changed of a job beside its status."""

    phase: str
    base: str
    hyperparameters: Json
    integrations: tuple[Json, ...]
    targets: tuple[Json, ...]
    metadata: Json
    deaths: int
    owner: str | None
    lease_until: float | None
    cancel_requested: bool
    error_code: str | None
    error: str | None
    peak_mb: float | None
    model_id: str | None
    fine_tuned_model: str | None
    trained_tokens: int | None
    finished_at: int | None
    title: str | None


class BatchColumns(TypedDict, total=False):
    """What may be changed of a batch beside its status."""

    total: int
    completed: int
    succeeded: int
    failed: int
    errors: tuple[Json, ...]
    output_file: str | None
    error_file: str | None
    deaths: int
    owner: str | None
    lease_until: float | None
    cancel_requested: bool
    started_at: int | None
    completed_at: int | None


class ModelColumns(TypedDict, total=False):
    """What may be changed of a model."""

    title: str | None
    description: str | None
    archived: bool
    place: str
    bytes: int
    metrics: Json
