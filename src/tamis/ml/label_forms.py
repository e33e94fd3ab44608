"""The `y` of scikit-learn in its many forms: into names of labels, and predictions back into the same form.

One label a row: a list, an array or a Series. Any number a row: a 0/1 table with a column a label (array, DataFrame,
sparse matrix, nested list), or a list of labels a row. The form is told once, by `read_labels`; nothing downstream
looks at `y` again. It does not know models.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.errors import DataError, InvalidSetting
from tamis.ml.given import column_values, plain

NESTING = 2
_MISSING = "the label of this row is unknown. Leave the row out of X and y."
_SEVERAL = (list, tuple, set, frozenset, np.ndarray)


class Form(StrEnum):
    """How labels are given."""

    SINGLE = "single"  # one label a row
    LISTS = "lists"  # a list of labels a row
    TABLE = "table"  # (rows, labels) of 0 and 1
    SPARSE = "sparse"  # the same as a sparse matrix


@dataclass(frozen=True, slots=True, eq=False)
class LabelForm:
    """The classes of a `y` and its form.

    `classes` is (n_classes,), sorted and of the dtype that was given (of a table the columns' names or numbers);
    `names` holds what a model calls each.
    """

    form: Form
    classes: NDArray[Any]
    names: tuple[str, ...]

    @property
    def is_multi(self) -> bool:
        """Whether a row may have any number of labels."""
        return self.form is not Form.SINGLE

    def given(self, positive: NDArray[np.bool_]) -> Any:  # noqa: ANN401  the caller's own form
        """Return labels that were decided on, (n, n_classes), in the form of the `y` that was read."""
        if self.form is Form.SINGLE:
            return self.classes[positive.argmax(axis=1)]
        if self.form is Form.TABLE:
            return positive.astype(np.int64)
        if self.form is Form.SPARSE:
            from scipy.sparse import csr_matrix

            return csr_matrix(positive.astype(np.int64))
        return [self.classes[row].tolist() for row in positive]


def read_labels(y: Any, multi_label: bool | None = None) -> tuple[LabelForm, list[Any]]:  # noqa: ANN401
    """Return the form of `y` and, for each row, the name of its label or the list of its labels' names.

    Args:
        y: labels in one of the forms above. A nested list of 0 and 1 whose rows have the same length is a table, as
            scikit-learn takes it.
        multi_label: whether rows have any number of labels; None tells it from `y`.

    Raises:
        InvalidSetting: `y` is in no such form, or not in the declared one.
        DataError: a label is missing, or two classes have the same name.
    """
    if y is None:
        raise InvalidSetting("TextClassifier requires y to be passed, but the target y is None.", setting="y")
    table = _table_in(y, multi_label)
    if table is not None:
        return _read_table(*table)
    if getattr(y, "ndim", 1) != 1:
        y = _one_column(y)
    values = column_values(y, "y")
    if multi_label is False or not (multi_label or any(isinstance(value, _SEVERAL) for value in values)):
        return _read_single(y, values)
    return _read_lists(values)


def _table_in(y: Any, multi_label: bool | None) -> tuple[Any, NDArray[Any], Form] | None:  # noqa: ANN401
    """The cells and the column names of a 0/1 table."""
    if multi_label is False:
        return None
    if hasattr(y, "toarray"):
        return y, np.arange(y.shape[1]), Form.SPARSE
    if getattr(y, "ndim", 1) == 2 and (y.shape[1] > 1 or multi_label):
        names = np.asarray(y.columns) if hasattr(y, "columns") else np.arange(y.shape[1])
        return np.asarray(y), names, Form.TABLE
    if isinstance(y, list | tuple) and _is_nested_table(y):
        return np.asarray(y), np.arange(len(y[0])), Form.TABLE
    return None


def _is_nested_table(rows: Sequence[Any]) -> bool:
    if not rows or not all(isinstance(row, list | tuple | np.ndarray) for row in rows):
        return False
    width = len(rows[0])
    return width > 1 and all(
        len(row) == width and all(not isinstance(cell, str) and np.ndim(cell) == 0 and cell in (0, 1) for cell in row)
        for row in rows
    )


def _one_column(y: Any) -> Any:  # noqa: ANN401
    shape = tuple(getattr(y, "shape", ()))
    if len(shape) != 2 or shape[1] != 1 or hasattr(y, "toarray"):
        raise InvalidSetting(
            f"y should be a 1d array, got an array of shape {shape} instead. For several labels a row leave "
            "multi_label at None, or set it to True.",
            setting="y",
        )
    if hasattr(y, "columns"):
        return y.iloc[:, 0]
    from sklearn.exceptions import DataConversionWarning

    message = "A column-vector y was passed when a 1d array was expected. Change its shape to (n_samples,)."
    warnings.warn(message, DataConversionWarning, stacklevel=4)
    return y.ravel()


def _read_table(cells: Any, columns: NDArray[Any], form: Form) -> tuple[LabelForm, list[list[str]]]:  # noqa: ANN401
    there = cells.data if form is Form.SPARSE else cells
    if there.dtype.kind not in "biuf" or not np.isin(there, (0, 1)).all():
        raise InvalidSetting(
            "y is a table with other values than 0 and 1. For several labels a row give a 0/1 column a label, or lists "
            "of labels; for several targets use tamis.train.",
            setting="y",
        )
    found = LabelForm(form, columns, _names(columns))
    rows: list[list[str]] = [[] for _ in range(cells.shape[0])]
    for row, column in zip(*(place.tolist() for place in cells.nonzero()), strict=True):
        rows[row].append(found.names[column])
    return found, rows


def _read_single(y: Any, values: list[Any]) -> tuple[LabelForm, list[str]]:  # noqa: ANN401
    from sklearn.utils.multiclass import check_classification_targets

    _refuse_missing(values)
    several = next((index for index, value in enumerate(values) if isinstance(value, _SEVERAL)), None)
    if several is not None:
        raise InvalidSetting(
            f"y[{several}] is a list of labels, where each row has one label (multi_label=False).",
            setting="multi_label",
        )
    array = y if isinstance(y, np.ndarray) and y.dtype != object else _as_array(values)
    check_classification_targets(array)
    classes, codes = np.unique(array, return_inverse=True)
    names = _names(classes)
    return LabelForm(Form.SINGLE, classes, names), [names[code] for code in codes.tolist()]


def _read_lists(values: list[Any]) -> tuple[LabelForm, list[list[str]]]:
    _refuse_missing(values)
    rows = [plain(value, NESTING) if isinstance(value, _SEVERAL) else [value] for value in values]
    labels: list[Any] = [label for row in rows if isinstance(row, list) for label in row]
    wrong = next((label for label in labels if not isinstance(label, str | int | float)), "")
    if wrong != "":
        raise InvalidSetting(f"y holds {wrong!r} as a label: give strings or numbers.", setting="y")
    classes = np.unique(_as_array(labels))
    names = _names(classes)
    by_label = dict(zip(classes.tolist(), names, strict=True))
    found = [[by_label[label] for label in row] for row in rows if isinstance(row, list)]
    return LabelForm(Form.LISTS, classes, names), found


def _refuse_missing(values: list[Any]) -> None:
    for index, value in enumerate(values):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            raise DataError(f"y[{index}] is {value}: {_MISSING}", index=index)
        if isinstance(value, float) and value != value:
            raise DataError(f"Input y contains NaN: y[{index}] is nan, {_MISSING}", index=index)
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            raise DataError(f"Input y contains infinity: y[{index}] is {value}, which is no class.", index=index)


def _as_array(labels: list[Any]) -> NDArray[Any]:
    """Labels as an array: strings as they are (object), or numbers."""
    strings = sum(isinstance(label, str) for label in labels)
    if strings == len(labels):
        return np.array(labels, dtype=object)
    if strings:
        raise InvalidSetting("y mixes strings and numbers as labels: give one or the other.", setting="y")
    return np.array(labels)


def _names(classes: NDArray[Any]) -> tuple[str, ...]:
    names = tuple(str(label).strip() for label in classes.tolist())
    for place, name in enumerate(names):
        if not name:
            raise DataError(f"The class {classes[place]!r} has no visible name. Give it one.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"Two classes of y have the same name {twice!r} once spaces are removed. Rename one of them.")
    return names
