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
    ├── ModelError                what is wrong with a model or a base model
    │   ├── UnknownModel          no artifact at that place or under that name
    │   ├── UnknownBaseModel      no base model of that name, or its files are not here
    │   ├── DamagedArtifact       files missing, truncated or unlike their manifest
    │   ├── UnsupportedArtifact   a format this version does not read
    │   └── GoldenRowsDrift       the model no longer gives the scores it was stored with
    └── OutputExists              what would be written is already there

The docstring of a class is its default message; keyword arguments are kept in `context`.
A message names the place, the cause and the cure. This module knows nothing of HTTP or of exit codes.
"""

from __future__ import annotations

from typing import ClassVar


class TamisError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, /, **context: object) -> None:
        """Keep `message` (default: the docstring's first line) and `context`."""
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
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
