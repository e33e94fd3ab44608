"""JSON documents: an array of objects, or objects over several lines one after the other, divided into rows.

Rows are found by their brackets, so a broken one is passed over, and only as much is held as one row takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TextIO

from tamis.data.formats.opening import CHUNK, CutLine
from tamis.errors import UnreadableFile

_TOKEN = re.compile(r'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*(?:"|\\?(?=\n)|\\?\Z)|[\[\]{}]')


def document_rows(text: TextIO, limit: int, name: str) -> Iterator[tuple[int, str]]:
    """Yield the rows with the line each starts on; what stands between them too, if it is more than commas.

    Raises:
        UnreadableFile: a row or the array never ends: where the next row begins cannot be told.
    """
    scan = _Scan(text, limit, name)
    depth, top = 0, 0
    while token := scan.token():
        if token in "[{":
            if depth == 0 and token == "[":  # the array that holds the rows
                yield from scan.gap(scan.begin)
                scan.take()
                depth = top = 1
                continue
            if depth == top:
                yield from scan.gap(scan.begin)
            depth += 1
        elif token in "]}" and depth > top:
            depth -= 1
            if depth == top:
                yield scan.row()
        elif token == "]" and depth == 1:
            yield from scan.gap(scan.begin)
            scan.take()
            depth = top = 0
    if depth:
        raise scan.unfinished("row" if depth > top else "array")
    yield from scan.gap(None)


class _Scan:
    """Goes from bracket to bracket; holds the text from the start of the row at hand."""

    def __init__(self, text: TextIO, limit: int, name: str) -> None:
        self._text, self._limit, self._name = text, limit, name
        self._data, self._start, self._position = "", 0, 0
        self._ended = False
        self._line = 1  # of self._data[self._start]
        self.begin = 0

    def token(self) -> str:
        """The next bracket, or the quote that a string begins with; "" at the end."""
        while True:
            found = _TOKEN.search(self._data, self._position)
            if found and (found.end() < len(self._data) or self._ended):
                self.begin, self._position = found.span()
                return found[0][0]
            if self._ended:
                return ""
            self._position = found.start() if found else len(self._data)
            self._refill()

    def take(self, end: int | None = None) -> tuple[int, str]:
        """Let go of the text up to `end` (default: behind the latest token), and return it with its line."""
        end = self._position if end is None else end
        line, piece = self._line, self._data[self._start : end]
        self._line += piece.count("\n")
        self._start = end
        return line, piece

    def row(self) -> tuple[int, str]:
        """The row that ends with the latest token."""
        line, piece = self.take()
        return line, piece if len(piece) <= self._limit else CutLine(piece[: self._limit])

    def gap(self, end: int | None) -> Iterator[tuple[int, str]]:
        """What stands before `end` (default: the end of the file) and belongs to no row."""
        line, piece = self.take(len(self._data) if end is None else end)
        stray = piece.lstrip(" \t\n,\ufeff")
        if stray:
            yield line + piece[: -len(stray)].count("\n"), stray.rstrip(" \t\n,")

    def unfinished(self, what: str) -> UnreadableFile:
        """The error that says that something never ends."""
        return UnreadableFile(
            f"{self._name}: the {what} that holds line {self._line} never ends, or is longer than {self._limit:,} "
            "bytes: a bracket is missing or the file is cut short. Correct it, or write JSONL: one object a line.",
            file=self._name,
            line=self._line,
        )

    def _refill(self) -> None:
        if len(self._data) - self._start > 2 * self._limit:
            raise self.unfinished("row")
        self._data, self._position = self._data[self._start :], self._position - self._start
        self._start = 0
        more = self._text.read(max(CHUNK, len(self._data)))
        self._ended = not more
        self._data += more
