"""Opening one file in whatever format it is, or several of one kind as one source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tamis.data.formats.columnar import ColumnarSource
from tamis.data.formats.detect import detect
from tamis.data.formats.jsonl import JsonSource
from tamis.data.formats.opening import DataFile
from tamis.data.formats.options import Detected, ReadOptions, Source
from tamis.data.formats.plain_text import TextSource
from tamis.data.formats.tables import TableSource
from tamis.data.rows import Notes, Rejected
from tamis.schema import Example

FORMATS: dict[str, Callable[[DataFile, ReadOptions], Source]] = {
    "jsonl": JsonSource,
    "json": partial(JsonSource, document=True),
    "csv": TableSource,
    "text": TextSource,
    "parquet": ColumnarSource,
    "arrow": ColumnarSource,
}


def open_file(path: Path, name: str, options: ReadOptions) -> Source:
    """Return the source that a file is.

    Raises:
        DataError: it cannot be read, or is in no known format.
    """
    found, file = detect(path, name, options)
    return FORMATS[found](file, options)


class FilesSource:
    """Several files, one after the other: the shards of a split."""

    def __init__(self, name: str, split: str, files: Sequence[tuple[Path, str]], options: ReadOptions) -> None:
        """Open the first; the others are opened when their turn comes, and read in the same way."""
        self.name = name
        self.notes = Notes()
        self._files = files
        self._first = open_file(*files[0], options)
        self._split = split
        self._options = _same_columns(self._first.detected, options)

    @property
    def detected(self) -> Detected:
        """What was found out of the first file."""
        return replace(self._first.detected, split=self._split, files=len(self._files))

    def __iter__(self) -> Iterator[Example | Rejected]:
        """Yield the rows of all files."""
        self.notes = notes = Notes()
        for place, (path, name) in enumerate(self._files):
            source = open_file(path, name, self._options) if place else self._first
            yield from source
            notes.include(source.notes)


def _same_columns(detected: Detected, options: ReadOptions) -> ReadOptions:
    """Options that make the other files be read as the first one was."""
    if "*" in detected.labels or detected.format == "text" or (not detected.header and detected.delimiter):
        return options
    return replace(
        options,
        text_column=detected.text,
        label_columns=tuple(detected.labels) if options.labelled else (),
        binary_columns=detected.style == "flags",
    )
