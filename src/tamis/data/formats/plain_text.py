"""Plain text: an input a line, without labels."""

from __future__ import annotations

from collections.abc import Iterator

from tamis.data.formats.opening import CutLine, DataFile, decoded, numbered_lines
from tamis.data.formats.options import Detected, ReadOptions
from tamis.data.formats.values import check_text
from tamis.data.rows import BadRow, Notes, Rejected
from tamis.schema import Example


class TextSource:
    """A file with a text on each line; blank lines are passed over."""

    def __init__(self, file: DataFile, options: ReadOptions) -> None:
        """Remember the file."""
        self.name = file.name
        self.notes = Notes()
        self.detected = Detected("text", compression=file.compression, encoding=file.encoding, text="each line")
        self._file, self._limit = file, options.max_line_bytes

    def __iter__(self) -> Iterator[Example | Rejected]:
        """Yield the lines."""
        self.notes = Notes()
        with self._file.open() as text:
            for number, line in numbered_lines(text, self._limit):
                if not line.isspace():
                    yield self._read(line, number)

    def _read(self, line: str, number: int) -> Example | Rejected:
        try:
            if type(line) is CutLine:
                raise BadRow("line_too_long", f"The line is longer than {self._limit:,} bytes")
            text = line.removesuffix("\n")
            check_text(text)
        except BadRow as bad:
            return decoded(bad, line).at(self.name, number, line)
        return Example(text, {}, number)
