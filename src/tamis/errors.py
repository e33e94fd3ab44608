"""Every exception that Tamis raises on purpose.

    TamisError
    ├── DataError                 what is wrong with the rows a user gave
    │   ├── UnreadableFile        missing, a folder, no permission, damaged gzip, not text
    │   ├── UnknownFormat         neither JSONL, CSV, Parquet nor a dataset folder
    │   ├── MissingColumn         a column that was named is not there
    │   ├── TooManyBadRows        more rows are bad than the allowed share
    │   ├── NoRows                nothing is left to learn from or to measure
    │   └── NothingToLearn        a target has fewer than two labels, or no target is left
    ├── UndeclaredLabel           a label, or a target, that the model does not have
    ├── InvalidSetting            an option or hyperparameter outside what is allowed
    ├── MissingExtra              an optional library is not installed
    ├── Refused                   what a request to the server may not do, or not now
    │   ├── InvalidRequest        something in it is missing, or is not what it should be
    │   ├── LimitExceeded         more than a limit allows
    │   ├── Unauthorized          no key, or none that is known
    │   ├── Forbidden             a key that is not for this
    │   ├── NotFound              a file, job, batch or key that is not there
    │   │   ├── UnknownFile
    │   │   ├── UnknownJob
    │   │   ├── UnknownBatch
    │   │   ├── UnknownReview
    │   │   ├── UnknownDataset
    │   │   ├── UnknownOperation
    │   │   ├── UnknownAlias
    │   │   ├── UnknownShare
    │   │   └── UnknownKey
    │   ├── Conflict              not in the state that it is in now
    │   │   ├── InUse             something that is to be deleted is still needed
    │   │   ├── AliasMoved        an alias points elsewhere than was thought
    │   │   ├── SimilarJob        a job like it is not finished yet
    │   │   └── IllegalTransition the job or batch cannot go there from its state
    │   ├── TooSlow               its body did not come in time
    │   └── Overloaded            too much is going on: later
    ├── ServiceFailed             what the server depends on did not do its part
    │   ├── StorageFailed         the database or the object storage
    │   │   └── StorageFull       there is no room on the disk
    │   ├── UpstreamFailed        the LLM endpoint
    │   ├── HubFailed             the Hugging Face hub
    │   └── SecretUnreadable      a sealed secret that the key does not open
    ├── ModelError                what is wrong with a model or a base model
    │   ├── UnknownModel          no artifact at that place or under that name
    │   ├── UnknownBaseModel      no base model of that name, or its files are not here
    │   ├── DamagedArtifact       files missing, truncated or unlike their manifest
    │   ├── UnsupportedArtifact   a format this version does not read
    │   └── GoldenRowsDrift       the model no longer gives the scores it was stored with
    ├── OutputExists              what would be written is already there
    └── Cancelled                 a run was asked to stop, and stopped

The docstring of a class is its default message; keyword arguments are kept in `context`.
A message names the place, the cause and the cure. Where the cure is an option of a command or of a function, the error
has another message for callers of the HTTP API, `for_callers`. This module knows nothing of HTTP or of exit codes.
"""

from __future__ import annotations

from typing import ClassVar


class TamisError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, /, **context: object) -> None:
        """Keep `message` (default: the docstring's first line) and `context`, but for `for_callers` in it."""
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.for_callers = str(context.pop("for_callers", None) or self.message)
        self.context = context
        super().__init__(self.message)

    def __str__(self) -> str:
        """The message alone."""
        return self.message


class DataError(TamisError, ValueError):
    """The data cannot be used."""

    code = "data_error"


class UnreadableFile(DataError):
    """The file cannot be read."""

    code = "unreadable_file"


class UnknownFormat(DataError):
    """The file is in no format that Tamis reads."""

    code = "unknown_format"


class MissingColumn(DataError):
    """A column that was named is not in the file."""

    code = "missing_column"


class TooManyBadRows(DataError):
    """More rows are bad than the allowed share."""

    code = "too_many_bad_rows"


class NoRows(DataError):
    """There are no usable rows."""

    code = "no_rows"


class NothingToLearn(DataError):
    """A target needs at least two labels with a row each."""

    code = "nothing_to_learn"


class UndeclaredLabel(TamisError, ValueError):
    """A label or a target that the model does not have."""

    code = "undeclared_label"


class InvalidSetting(TamisError, ValueError):
    """An option is outside what is allowed."""

    code = "invalid_setting"


class MissingExtra(TamisError, ImportError):
    """An optional library is not installed."""

    code = "missing_extra"


class ModelError(TamisError):
    """The model cannot be used."""

    code = "model_error"


class UnknownModel(ModelError):
    """There is no model at this place or under this name."""

    code = "unknown_model"


class UnknownBaseModel(ModelError):
    """There is no base model of this name here."""

    code = "unknown_base_model"


class DamagedArtifact(ModelError):
    """The model's files are damaged or do not match their manifest."""

    code = "damaged_artifact"


class UnsupportedArtifact(ModelError):
    """The model was written in a format that this version of Tamis does not read."""

    code = "unsupported_artifact"


class GoldenRowsDrift(ModelError):
    """The model does not give the scores that were stored with it."""

    code = "golden_rows_drift"


class OutputExists(TamisError):
    """What would be written is already there."""

    code = "output_exists"


class Refused(TamisError):
    """The request cannot be carried out."""

    code = "refused"


class InvalidRequest(Refused, ValueError):
    """Something in the request is missing, or is not what it should be."""

    code = "invalid_request"


class LimitExceeded(Refused, ValueError):
    """More than a limit allows."""

    code = "limit_exceeded"


class Unauthorized(Refused):
    """A valid API key is needed: send it as `Authorization: Bearer KEY`."""

    code = "unauthorized"


class Forbidden(Refused):
    """The API key is not for this."""

    code = "forbidden"


class NotFound(Refused, LookupError):
    """There is no such thing."""

    code = "not_found"


class UnknownFile(NotFound):
    """There is no file with this id."""

    code = "unknown_file"


class UnknownJob(NotFound):
    """There is no job with this id."""

    code = "unknown_job"


class UnknownBatch(NotFound):
    """There is no batch job with this id."""

    code = "unknown_batch"


class UnknownDataset(NotFound):
    """There is no dataset with this id."""

    code = "unknown_dataset"


class UnknownReview(NotFound):
    """There is no review with this id: list the reviews, or make one."""

    code = "unknown_review"


class UnknownOperation(NotFound):
    """There is no operation with this id: list the operations, or begin one."""

    code = "unknown_operation"


class UnknownAlias(NotFound):
    """There is no alias of this name: list the aliases."""

    code = "unknown_alias"


class UnknownShare(NotFound):
    """The share link was never good, or is no longer: ask for a new one."""

    code = "unknown_share"


class UnknownKey(NotFound):
    """There is no API key with this id."""

    code = "unknown_key"


class Conflict(Refused):
    """This cannot be done in the present state."""

    code = "conflict"


class InUse(Conflict):
    """What is to be deleted is still needed."""

    code = "in_use"


class AliasMoved(Conflict):
    """The alias was moved meanwhile: look at it again."""

    code = "alias_moved"


class SimilarJob(Conflict):
    """A job with the same files, base model, hyperparameters and suffix is not finished yet."""

    code = "similar_job"


class IllegalTransition(Conflict):
    """The job cannot do this from the state it is in."""

    code = "illegal_transition"


class TooSlow(Refused):
    """The request's body did not come in time."""

    code = "too_slow"


class Overloaded(Refused):
    """The server has as much to do as it can: try again in a moment."""

    code = "overloaded"


class ServiceFailed(TamisError):
    """Something that the server depends on failed."""

    code = "service_failed"


class StorageFailed(ServiceFailed):
    """The database or the object storage cannot be used."""

    code = "storage_failed"


class StorageFull(StorageFailed):
    """The server's disk is full."""

    code = "storage_full"


class UpstreamFailed(ServiceFailed):
    """The LLM endpoint did not answer as it should."""

    code = "upstream_failed"


class HubFailed(ServiceFailed):
    """The Hugging Face hub did not do what it was asked."""

    code = "hub_failed"


class SecretUnreadable(ServiceFailed):
    """A stored secret cannot be opened with the present key."""

    code = "secret_unreadable"


class Cancelled(TamisError):
    """The run was cancelled: nothing was written."""

    code = "cancelled"


def first_line(error: BaseException, most: int = 300) -> str:
    """Return what another library's exception says in its first line, or its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:most]


def as_clause(error: BaseException) -> str:
    """Return its first line without a full stop, to be said within a sentence."""
    return first_line(error).rstrip(".")
