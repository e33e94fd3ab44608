"""The rows of a dataset, read and written down: here where they are few, else in a process of their own.

What that process may take is bounded, and it outlives nobody: rows of strangers take no server down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamis.jobs.aside import Bounds, answered, run_aside
from tamis.jobs.dataset_rows import Counted, Reading, RowWriters, read_rows, reading_of
from tamis.jobs.tools import Tools

ROWS, AVRO = "rows.jsonl", "rows.avro"
BOUNDS = Bounds(600.0, 1000.0, "The rows take more time or memory to read than they may: send fewer at a time.")


@dataclass(frozen=True, slots=True)
class Source:
    """A file of rows: where it is, how its owner called it, and the folder for what is made of it."""

    path: Path
    name: str
    folder: Path


def write_rows(source: Source, how: Reading) -> Counted:
    """Read the rows, write the good ones to `ROWS` and `AVRO` in the folder, and return what was counted.

    Raises:
        DataError: the file cannot be read.
        LimitExceeded: there are too many labels.
    """
    counted = Counted(source.name)
    with (source.folder / ROWS).open("wb") as rows, (source.folder / AVRO).open("wb") as avro:
        writers = RowWriters(rows.write, avro.write, how.several)
        for text, labels in read_rows(source.path, source.name, how, counted):
            writers.write(text, labels)
        writers.finish()
    return counted


def write_rows_aside(source: Source, how: Reading, home: Path) -> Counted:
    """Do the same in a process of its own.

    Raises:
        DataError: the file cannot be read.
        LimitExceeded: there are too many labels, or it takes more time or memory than it may.
    """
    told = {
        "path": str(source.path),
        "name": source.name,
        "folder": str(source.folder),
        "several": how.several,
        "skip": how.skip,
        "delimiter": how.options.delimiter,
    }
    return Counted.of(source.name, run_aside("rows", told, home, BOUNDS, lambda: None))


def answer(tools: Tools, told: Mapping[str, Any]) -> bytes:
    """Return what the process says: what it counted, or why it could not."""
    choices = tools.choices

    def work() -> dict[str, Any]:
        how = reading_of(choices.reading, told["several"], told["skip"], told["delimiter"], choices.max_labels)
        source = Source(Path(told["path"]), told["name"], Path(told["folder"]))
        return write_rows(source, how).told()

    return answered(work, choices.home)
