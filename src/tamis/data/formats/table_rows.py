"""Rows of cells, with the columns known: each made an example.

An empty or missing cell says nothing of its target (unknown), or "none of the labels" if the user says so.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Sequence

from tamis.data.formats.columns import FLAGS_TARGET, Columns, LabelColumn
from tamis.data.formats.objects import read_input
from tamis.data.formats.options import ReadOptions
from tamis.data.formats.values import LabelReader, Value, check_text, pieces
from tamis.data.rows import BadRow, Notes
from tamis.schema import Example, Input

_YES, _NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no"})
_LONGEST_LIST = 100_000
_LONGEST_NUMBER = 100
_NO_COMMA = re.compile(r"""['"]\s+['"]""")  # how NumPy writes arrays: Python would join the strings into one

Labels = dict[str, tuple[str, ...]]


class TableRows:
    """Makes examples of rows of cells."""

    def __init__(self, columns: Columns, options: ReadOptions, notes: Notes) -> None:
        """Remember what is where."""
        self._columns = columns
        self._options = options
        self._notes = notes
        self._labels = LabelReader(options, notes)
        for code, detail in columns.told:
            notes.add(code, 0, detail)

    def example(self, cells: Sequence[Value], line: int) -> Example:
        """Return the example.

        Raises:
            BadRow: the text or a label is missing or wrong.
        """
        given = cells[self._columns.text]
        if type(given) is str:
            check_text(given)
            read: Input = given
        else:
            read = read_input(given, line, self._notes)
        if not self._options.labelled:
            return Example(read, {}, line)
        found: Labels = {}
        if self._columns.flags:
            self._flags(cells, found, line)
            return Example(read, found, line, frozenset(found))
        listed = [target for column in self._columns.labels for target in self._read(column, cells, found, line)]
        return Example(read, found, line, frozenset(listed))

    def _read(self, column: LabelColumn, cells: Sequence[Value], found: Labels, line: int) -> list[str]:
        """Put one column's labels into `found`; return the targets whose value was a list."""
        value = cells[column.place]
        if isinstance(value, dict):
            return [name for name, item in value.items() if self._labels.add(found, str(name), item, line)]
        if column.classes:
            value = _class_names(value, column)
        if isinstance(value, float) and value != value:
            value = None
        if value is None or (isinstance(value, str) and (not value or value.isspace())):
            return self._empty(column, found, line)
        if column.listed and isinstance(value, str):
            value = _list_in(value, column)
        elif column.separator is not None and isinstance(value, str):
            value = pieces(value, column.separator)
        return [column.target] if self._labels.add(found, column.target, value, line) else []

    def _empty(self, column: LabelColumn, found: Labels, line: int) -> list[str]:
        if not self._columns.empty_means_none or (self._columns.several and not column.several):
            self._notes.add("unknown_label", line, column.target)
            return []
        found[column.target] = ()
        return [column.target]

    def _flags(self, cells: Sequence[Value], found: Labels, line: int) -> None:
        given = []
        for place, label in self._columns.flags:
            says = _flag(cells[place], label, empty=False if self._columns.empty_means_none else None)
            if says is None:
                self._notes.add("unknown_label", line, FLAGS_TARGET)
                return
            if says:
                given.append(label)
        self._labels.add(found, FLAGS_TARGET, given, line)


def _flag(cell: Value, label: str, *, empty: bool | None) -> bool | None:
    value = "" if cell is None else str(cell).strip().lower()
    if not value or value == "nan":
        return empty
    if value in _YES or value in _NO:
        return value in _YES
    raise BadRow("not_a_flag", f"{value[:40]!r} in the 0/1 column {label!r}")


def _class_names(value: Value, column: LabelColumn) -> Value:
    """The names of class numbers; a number below 0 says that the label is not known."""
    if isinstance(value, list):
        return [_class_names(item, column) for item in value]
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and value.strip().isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if value < 0:
        return None
    if value >= len(column.classes):
        cause = f"Class number {value} in column {column.column!r}, which has {len(column.classes)} class names"
        raise BadRow("unknown_class", cause)
    return column.classes[value]


def _list_in(cell: str, column: LabelColumn) -> list[Value]:
    """The list that a cell spells, as JSON or as Python writes lists."""
    try:
        value = _parsed(cell) if len(cell) <= _LONGEST_LIST else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        value = None
    if not isinstance(value, list):
        raise BadRow("bad_list", f"The cell of column {column.column!r} does not spell a list")
    return value


def _parsed(cell: str) -> Value:
    try:
        return json.loads(cell)
    except ValueError:
        if _NO_COMMA.search(cell):
            raise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd backslashes in the cell
        return ast.literal_eval(cell.strip())
