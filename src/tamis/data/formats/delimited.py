"""Delimited text: lines into rows of cells, with the physical line that each row starts on.

Rows that are broken (a quote that never closes, too long a line) are told and passed over; reading goes on behind
them. It does not know what the cells mean.
"""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tamis.data.formats.columns import known_names
from tamis.data.formats.opening import CutLine
from tamis.data.rows import BadRow
from tamis.errors import UnknownFormat

DELIMITERS = (",", "\t", ";", "|")
SAMPLE_ROWS = 500
_REWINDS = 100
"""Broken rows of several lines whose later lines are read again on their own; behind that they count as one row."""

Cells = list[str]
Score = tuple[int, int, bool, int]

_NO_FIT: Score = (0, 0, False, 0)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are divided; `quoted` says whether quotes around a cell are taken off."""

    delimiter: str
    quoted: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """A row: the line it starts on, its cells (or what is wrong), and its text."""

    line: int
    cells: Cells | BadRow
    raw: str


class _TooMuch(Exception):
    pass


class _Feed:
    """Gives csv.reader its lines; keeps those of the row at hand, to show them or to read them again."""

    def __init__(self, lines: Iterable[tuple[int, str]], limit: int) -> None:
        self._lines = iter(lines)
        self._again: deque[tuple[int, str]] = deque()
        self._limit = limit
        self.row: list[tuple[int, str]] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        numbered = self._again.popleft() if self._again else next(self._lines)
        line = numbered[1]
        self.row.append(numbered)
        self._size += len(line)
        if type(line) is CutLine or self._size > self._limit:
            raise _TooMuch
        return line

    def begin(self) -> None:
        """Forget the row at hand."""
        self.row.clear()
        self._size = 0

    def rewind(self) -> None:
        """Give the lines behind the first one again."""
        self._again.extendleft(reversed(self.row[1:]))
        del self.row[1:]


def records(lines: Iterable[tuple[int, str]], dialect: Dialect, limit: int) -> Iterator[Record]:
    """Yield the rows of numbered lines; blank lines are passed over.

    Args:
        lines: numbered lines.
        dialect: how cells are divided.
        limit: the longest row, in characters.
    """
    if csv.field_size_limit() < limit:
        csv.field_size_limit(limit)  # of the whole process: the module knows no other
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE
    feed, rewinds = _Feed(lines, limit), _REWINDS
    reader = csv.reader(feed, delimiter=dialect.delimiter, quoting=quoting, strict=dialect.quoted)
    while True:
        feed.begin()
        try:
            cells: Cells | BadRow = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooMuch) as error:
            cells = _verdict(feed.row, limit, error)
            if len(feed.row) > 1 and rewinds:
                rewinds -= 1
                feed.rewind()
        if cells:
            yield Record(feed.row[0][0], cells, "".join(line for _, line in feed.row))


def _verdict(row: list[tuple[int, str]], limit: int, error: Exception) -> BadRow:
    (first, line), last = row[0], row[-1][0]
    if type(line) is CutLine or (len(row) == 1 and isinstance(error, _TooMuch)):
        return BadRow("line_too_long", f"The line is longer than {limit:,} bytes")
    if last > first or "unexpected end" in str(error):
        return BadRow("unclosed_quote", f"A quoted cell begins here and is not properly closed up to line {last}")
    return BadRow("bad_quotes", "A quoted cell goes on behind its closing quote")


def sniff(lines: list[tuple[int, str]], delimiter: str | None, suffix: str, limit: int) -> Dialect:
    """Return the dialect under which most rows have the same number of cells.

    Raises:
        UnknownFormat: no delimiter divides the lines into columns.
    """
    usual = {".csv": ",", ".psv": "|"}.get(suffix, "\t")
    tried = [delimiter] if delimiter else sorted(DELIMITERS, key=lambda character: character != usual)
    scores = {
        Dialect(character, quoted): _score(lines, Dialect(character, quoted), limit)
        for character in tried
        for quoted in (True, False)
    }
    best = max(scores, key=lambda dialect: scores[dialect])
    if scores[best] == _NO_FIT and not delimiter:
        raise UnknownFormat("no delimiter (comma, tab, semicolon or pipe) divides its lines into columns")
    return best


def _score(lines: list[tuple[int, str]], dialect: Dialect, limit: int) -> Score:
    """How well a dialect fits: known column names, rows of the usual width (in twentieths), labels, clean quotes."""
    rows = [record.cells for record in records(lines, dialect, limit)]
    widths = Counter(len(cells) for cells in rows if isinstance(cells, list) and len(cells) > 1)
    if not widths:
        return _NO_FIT
    width = widths.most_common(1)[0][0]
    usual = [cells for cells in rows if isinstance(cells, list) and len(cells) == width]
    known = known_names(usual[0]) if usual[0] is rows[0] else 0
    alike = round(20 * len(usual) / len(rows))
    if alike < 10 and not known:  # commas in prose
        return _NO_FIT
    recurring = any(len(set(column)) <= len(column) / 2 for column in zip(*usual, strict=True))
    left = sum(cell.startswith('"') and cell.endswith('"') for cells in usual for cell in cells)
    return (min(2, known), alike, recurring, -left)


def looks_like_header(rows: list[Cells]) -> bool:
    """Whether the first row names the columns: by their names, or since it is unlike the rows below it."""
    first, below = rows[0], rows[1:]
    columns = [[row[place] for row in below if place < len(row)] for place in range(len(first))]
    known = [known_names([name]) == 1 and name not in cells for name, cells in zip(first, columns, strict=True)]
    if sum(known) > 1:
        return True
    if len(set(first)) < len(first) or any(len(cell) > 60 or len(cell.split()) > 4 for cell in first):
        return False
    if any(known):
        return True
    if len(below) < 2 or any(not cell.strip() or _numeric(cell) for cell in first):
        return False
    return all(_unlike(name, cells) for name, cells in zip(first, columns, strict=True))


def _unlike(name: str, below: Cells) -> bool:
    """A name is not one of the values below it; above numbers, dates and texts it stands out by itself."""
    if not below or name in below:
        return False
    if all(_digit(cell) for cell in below if cell) and not _digit(name):
        return True
    recurring = len(set(below)) <= len(below) / 2
    words = sum(len(cell.split()) for cell in below) / len(below)
    return recurring or (words >= 3 and len(name.split()) * 2 < words)


def _digit(cell: str) -> bool:
    return any(character.isdigit() for character in cell)


def _numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
