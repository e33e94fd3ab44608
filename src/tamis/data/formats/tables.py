"""CSV and its kin: comma, tab, semicolon or pipe; with or without a header row; plain or gzip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from tamis.data.formats.columns import Columns, Table, assign
from tamis.data.formats.delimited import SAMPLE_ROWS, Cells, Dialect, Record, looks_like_header, records, sniff
from tamis.data.formats.opening import DataFile, decoded, numbered_lines
from tamis.data.formats.options import Detected, ReadOptions
from tamis.data.formats.spread import lines_from_all_over
from tamis.data.formats.table_rows import TableRows
from tamis.data.rows import BadRow, Notes, Rejected
from tamis.errors import NoRows, UnknownFormat
from tamis.schema import Example

MOST_COLUMNS = 200_000
"""Of more, no table is made by people: to look at a line of a million cells takes half a minute, and a gigabyte."""

_SAMPLE_CHARACTERS = 2**20
_SEPARATOR_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # how Excel says the delimiter on a line of its own


class TableSource:
    """A delimited file."""

    def __init__(self, file: DataFile, options: ReadOptions) -> None:
        """Find out delimiter, header and columns.

        Raises:
            UnknownFormat: no delimiter divides it into columns, or into very many.
            MissingColumn: text or labels are not to be found.
            NoRows: it has no rows.
        """
        self.name = file.name
        self.notes = Notes()
        self._file, self._options = file, options
        sample = self._sample()
        self._skipped, options = _without_separator_line(sample, options)
        self._dialect = self._sniff(sample[self._skipped :], options)
        rows = [record.cells for record in records(sample[self._skipped :], self._dialect, options.max_line_bytes)]
        cells = [row for row in rows if isinstance(row, list)][:SAMPLE_ROWS]
        if not cells:
            raise NoRows(f"{file.name} has no readable row: nothing can be learnt from it.", file=file.name)
        if len(cells[0]) > MOST_COLUMNS:
            raise UnknownFormat(
                f"{file.name} has {len(cells[0]):,} columns: give {MOST_COLUMNS:,} at most, or name the delimiter.",
                for_callers=f"{file.name} has {len(cells[0]):,} columns: give {MOST_COLUMNS:,} at most.",
                file=file.name,
            )
        self._header = _header(cells, options)
        self._columns = self._assign(cells)
        self._width = len(self._columns.names)

    @property
    def detected(self) -> Detected:
        """What was found out."""
        return self._detected(self._columns)

    def _detected(self, columns: Columns) -> Detected:
        return Detected(
            format="csv",
            compression=self._file.compression,
            encoding=self._file.encoding,
            delimiter=self._dialect.delimiter,
            quoted=self._dialect.quoted,
            header=self._header,
            text=columns.names[columns.text],
            labels=columns.roles,
            unread=columns.unread,
            style=columns.style(self._options),
            guessed=columns.guessed,
            warnings=columns.warnings,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns; those without a name of their own by their position."""
        return self._columns.names

    def told_by(self, rows: Sequence[Cells], options: ReadOptions) -> Detected:
        """Return what would be found out of its columns by these rows.

        Raises:
            MissingColumn: text or labels are not to be found.
        """
        whole = [row for row in rows if len(row) == self._width]
        return self._detected(assign(Table(self.name, self.names, whole, self._header), options))

    def __iter__(self) -> Iterator[Example | Rejected]:
        """Yield the rows."""
        for _, row in self.with_cells():
            yield row

    def with_cells(self) -> Iterator[tuple[Cells, Example | Rejected]]:
        """Yield the rows, each with all its cells; of a row that is not divided into cells, none."""
        self.notes = Notes()
        rows = TableRows(self._columns, self._options, self.notes)
        limit = self._options.max_line_bytes
        with self._file.open() as text:
            lines = islice(numbered_lines(text, limit), self._skipped, None)
            table = records(lines, self._dialect, limit)
            for record in islice(table, 1, None) if self._header else table:
                cells: Cells | None = []
                try:
                    cells = self._cells(record)
                    if cells is not None:
                        yield cells, rows.example(cells, record.line)
                except BadRow as bad:
                    yield cells or [], decoded(bad, record.raw).at(self.name, record.line, record.raw)

    def spread(self, after: int) -> Iterator[tuple[Cells, Example | Rejected]]:
        """Yield rows from all over the file, some hundred at most, as `with_cells` does; their lines are not known.

        Args:
            after: lines at its beginning that are left out.
        """
        rows = TableRows(self._columns, self._options, Notes())
        for lines in lines_from_all_over(self._file, after):
            cells = self._row_among(lines)
            if cells is not None:
                try:
                    yield cells, rows.example(cells, 0)
                except BadRow as bad:
                    yield cells, bad.at(self.name, 0, "")

    def _row_among(self, lines: list[str]) -> Cells | None:
        """The first row of lines that may begin, and end, within a quoted cell; None where there is none."""
        limit, quoted = self._options.max_line_bytes, self._dialect.quoted
        found = list(records(enumerate(lines), self._dialect, limit))
        if quoted and _sound(found) < len(found):
            within = list(records(enumerate(['"' + lines[0], *lines[1:]]), self._dialect, limit))
            found = within[1:] if _sound(within) > _sound(found) else found
        every = (record.cells for record in found)
        return next((row for row in every if isinstance(row, list) and len(row) == self._width and any(row)), None)

    def _cells(self, record: Record) -> Cells | None:
        """The cells; None for a row of empty cells."""
        cells = record.cells
        if isinstance(cells, BadRow):
            raise cells
        if not any(cells):
            self.notes.add("blank_row", record.line)
            return None
        if len(cells) != self._width:
            raise BadRow("wrong_cell_count", f"The row has {len(cells)} cells, the table {self._width} columns")
        return cells

    def _sample(self) -> list[tuple[int, str]]:
        """The first lines; the last of them whole, or left out."""
        lines, size = [], 0
        with self._file.open() as text:
            for number, line in numbered_lines(text, self._options.max_line_bytes):
                lines.append((number, line))
                size += len(line)
                if size > _SAMPLE_CHARACTERS or len(lines) > SAMPLE_ROWS * 4:
                    return lines
        return lines

    def _sniff(self, lines: list[tuple[int, str]], options: ReadOptions) -> Dialect:
        try:
            return sniff(lines, options.delimiter, self._file.suffix, options.max_line_bytes)
        except UnknownFormat as error:
            if not options.labelled or all(line.isspace() for _, line in lines):
                return Dialect(",")
            cause = f"{self.name}: {error}. Give JSONL or CSV"
            message = f"{cause}, or name the delimiter (--delimiter)."
            raise UnknownFormat(message, for_callers=f"{cause}.", file=self.name) from None

    def _assign(self, cells: list[Cells]) -> Columns:
        width = len(cells[0]) if self._header else _usual_width(cells)
        names = column_names(cells[0]) if self._header else tuple(f"column {place}" for place in range(width))
        below = cells[1:] if self._header else cells
        return assign(Table(self.name, names, [row for row in below if len(row) == width], self._header), self._options)


def _header(cells: list[Cells], options: ReadOptions) -> bool:
    """Whether the first row is a header: as the user says, also by naming columns, or as it looks."""
    if options.header is not None:
        return options.header
    named = [str(name) for name in (options.text_column, *options.label_columns) if name is not None]
    if any(not name.lstrip("-").isdecimal() for name in named):
        return True
    expected = options.expected
    return (expected is not None and expected.heads(column_names(cells[0]))) or looks_like_header(cells)


def _without_separator_line(lines: list[tuple[int, str]], options: ReadOptions) -> tuple[int, ReadOptions]:
    found = _SEPARATOR_LINE.fullmatch(lines[0][1]) if lines else None
    if not found:
        return 0, options
    return 1, options if options.delimiter else replace(options, delimiter=found[1])


def column_names(header: Cells) -> tuple[str, ...]:
    """Return the names of the columns; those without one, or with one that was had before, by their position."""
    names: dict[str, None] = {}
    for place, cell in enumerate(header):
        name = cell.strip()
        name = name if name and name not in names else f"{name or 'column'} {place}"
        while name in names:
            name += "'"
        names[name] = None
    return tuple(names)


def _sound(rows: list[Record]) -> int:
    """How many rows there are before the first in which a quote opens or closes that has no other."""
    broken = (n for n, row in enumerate(rows) if isinstance(row.cells, BadRow) or row.raw.count('"') % 2)
    return next(broken, len(rows))


def _usual_width(rows: list[Cells]) -> int:
    widths = [len(row) for row in rows]
    return max(set(widths), key=widths.count)
