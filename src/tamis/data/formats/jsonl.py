"""JSON Lines, and whole JSON documents of such rows: an array, or objects one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Protocol, TextIO

from tamis.data.formats.columns import Columns, Table, assign
from tamis.data.formats.documents import document_rows
from tamis.data.formats.expected import Told
from tamis.data.formats.json_rows import Row, parse_row
from tamis.data.formats.objects import INPUT_KEYS, LABEL_KEYS, ObjectRows
from tamis.data.formats.opening import CutLine, DataFile, decoded, numbered_lines
from tamis.data.formats.options import Detected, ReadOptions
from tamis.data.formats.spread import lines_from_all_over
from tamis.data.formats.table_rows import TableRows
from tamis.data.formats.values import Value
from tamis.data.rows import BadRow, Notes, Rejected
from tamis.errors import MissingColumn
from tamis.schema import Example

SAMPLE_ROWS = 200
_SAMPLE_CHARACTERS = 2**20
_MOST_KEYS = 10_000  # that are looked at for a text or a label: a hostile row may have a million

Pieces = Callable[[TextIO, int], Iterator[tuple[int, str]]]
"""Divides a text into its rows, each with the line it starts on."""


class RowMaker(Protocol):
    """Makes examples of objects."""

    def example(self, row: Row, line: int) -> Example:
        """Return the example, or raise BadRow."""
        ...


class _KeyRows:
    """Objects with other keys, read like the columns of a table."""

    def __init__(self, columns: Columns, options: ReadOptions, notes: Notes) -> None:
        self._columns = columns.narrowed()
        self._table = TableRows(self._columns, options, notes)
        self._notes = notes
        self._read = frozenset(self._columns.names)

    def example(self, row: Row, line: int) -> Example:
        for key in row:
            if key not in self._read:
                self._notes.add("extra_key", line, key)
        if self._columns.roles and not any(name in row for name in self._columns.roles):
            raise BadRow("no_labels", f"The row has no {' or '.join(map(repr, self._columns.roles))}")
        return self._table.example([row.get(name) for name in self._columns.names], line)


class JsonSource:
    """A file of JSON rows."""

    def __init__(self, file: DataFile, options: ReadOptions, *, document: bool = False) -> None:
        """Find out which keys hold text and labels.

        Raises:
            MissingColumn: a key that was named is in none of the first rows.
        """
        self.name = file.name
        self.notes = Notes()
        self._file, self._options = file, options
        self._pieces: Pieces = partial(document_rows, name=file.name) if document else numbered_lines
        self._document = document
        sample = list(self._sample())
        self._columns = columns_of(sample, options, file.name)
        self._told: Told = ()
        if self._columns is None:
            self._options, self._told = _divided(sample, options)

    @property
    def detected(self) -> Detected:
        """What was found out."""
        return self._detected(self._columns)

    def told_by(self, rows: Sequence[Row], options: ReadOptions) -> Detected:
        """Return what would be found out of its columns by these rows.

        Raises:
            MissingColumn: text or labels are not to be found.
        """
        return self._detected(columns_of(rows, options, self.name))

    def _detected(self, columns: Columns | None) -> Detected:
        file = self._file
        return Detected(
            format="json" if self._document else "jsonl",
            compression=file.compression,
            encoding=file.encoding,
            text=columns.names[columns.text] if columns else "text or messages",
            labels=columns.roles if columns else {"*": "*"},
            unread=columns.unread if columns else (),
            style=columns.style(self._options) if columns else "plain",
            guessed=columns.guessed if columns else False,
            warnings=columns.warnings if columns else (),
        )

    def __iter__(self) -> Iterator[Example | Rejected]:
        """Yield the rows."""
        for _, row in self.with_objects():
            yield row

    def with_objects(self) -> Iterator[tuple[Row, Example | Rejected]]:
        """Yield the rows, each with the whole object that it was; of a row that is none, an empty one."""
        self.notes = Notes()
        for code, detail in self._told:
            self.notes.add(code, 0, detail)
        example = row_maker(self._columns, self._options, self.notes).example
        limit, nesting = self._options.max_line_bytes, self._options.max_nesting
        with self._file.open() as text:
            for line, raw in self._pieces(text, limit):
                row: Row = {}
                try:
                    if type(raw) is CutLine:
                        raise BadRow("line_too_long", f"The row is longer than {limit:,} bytes")
                    if not raw.isspace():
                        row = parse_row(raw, nesting)
                        yield row, example(row, line)
                except BadRow as bad:
                    yield row, decoded(bad, raw).at(self.name, line, raw)

    def spread(self, after: int) -> Iterator[tuple[Row, Example | Rejected]]:
        """Yield rows from all over the file, some hundred at most, as `with_objects` does; their lines are not known.

        Args:
            after: lines at its beginning that are left out.
        """
        if self._document:  # its rows are no lines
            return
        example = row_maker(self._columns, self._options, Notes()).example
        for raw in (lines[0] for lines in lines_from_all_over(self._file, after)):
            row: Row = {}
            try:
                row = parse_row(raw, self._options.max_nesting)
                yield row, example(row, 0)
            except BadRow as bad:
                yield row, decoded(bad, raw).at(self.name, 0, raw)

    def _sample(self) -> Iterator[Row]:
        """The first rows that are objects."""
        size = 0
        with self._file.open() as text:
            for _, raw in islice(self._pieces(text, self._options.max_line_bytes), SAMPLE_ROWS):
                size += len(raw)
                if type(raw) is not CutLine and not raw.isspace():
                    try:
                        yield parse_row(raw, self._options.max_nesting)
                    except BadRow:
                        continue
                if size > _SAMPLE_CHARACTERS:
                    return


def columns_of(sample: Sequence[Row], options: ReadOptions, name: str) -> Columns | None:
    """Return which keys hold text and labels, told by the first rows; None where the rows say it themselves.

    Raises:
        MissingColumn: a key that was named is in none of the rows.
    """
    names = tuple(islice(dict.fromkeys(key for row in sample for key in row), _MOST_KEYS))
    if _says_itself(sample, _like_learnt(names, options), name):
        return None
    return assign(Table(name, names, [[row.get(key) for key in names] for row in sample]), options)


def _like_learnt(names: Sequence[str], options: ReadOptions) -> ReadOptions:
    """The options with the columns of a layout that fits: rows with `text` may not be meant to say themselves."""
    if options.expected is None:
        return options
    return replace(options.expected, targets=()).fill(names, options, named=True)[0]


def _divided(sample: Sequence[Row], options: ReadOptions) -> tuple[ReadOptions, Told]:
    """The options for rows that say themselves what they are, with what parts the labels of their targets.

    It is what a layout says, or what nearly all strings are parted by into labels of the model.
    """
    expected = options.expected
    if expected is None or options.label_separator is not None or not options.labelled:
        return options, ()
    cells: dict[str, list[Value]] = {}
    for row in sample:
        given = row.get("labels", row.get("label"))
        own = given if isinstance(given, dict) else {"labels" if "labels" in row else "label": given}
        for target, value in own.items():
            cells.setdefault(target.strip(), []).append(value)
    marks = {name: mark for each in expected.layouts for name, mark in each.separators.items() if each.text is None}
    for target, values in cells.items():
        if target not in marks and (mark := expected.separator(target, values, alone=len(cells) == 1)) is not None:
            marks[target] = mark
    found = {target: mark for target, mark in marks.items() if target in cells}
    told = tuple(("cells_divided", f"{target} by {mark!r}") for target, mark in found.items())
    return replace(options, label_separator=found or None), told


def row_maker(columns: Columns | None, options: ReadOptions, notes: Notes) -> RowMaker:
    """Return what makes examples of such rows."""
    return _KeyRows(columns, options, notes) if columns else ObjectRows(options, notes)


def _says_itself(sample: Sequence[Row], options: ReadOptions, name: str) -> bool:
    """Whether the rows have the keys of the hosted products, or nothing better can be told."""
    if options.text_column not in (None, *INPUT_KEYS):
        return False
    keys = {key for row in sample for key in row}
    if sample and not keys & set(INPUT_KEYS):
        return False
    if not options.labelled or not sample:
        return True
    targets = {target for row in sample if isinstance(labels := row.get("labels"), dict) for target in labels}
    if not options.label_columns:
        return bool(keys & set(LABEL_KEYS)) or len(keys - set(INPUT_KEYS)) == 0
    chosen = set(options.label_columns)
    if chosen & targets and chosen - targets:
        missing = ", ".join(sorted(chosen - targets))
        raise MissingColumn(f"{name}: no row has the target {missing}; there are {', '.join(sorted(targets))}.")
    return chosen <= targets
