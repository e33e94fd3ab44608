"""Labelled rows as JSONL files in Mistral's form, all of them or none.

    {"text": "...", "labels": {"intent": "refund", "topics": ["billing"]}}
    {"messages": [{"role": "user", "content": "..."}], "labels": {...}}

A single-label target is a string, a multi-label one a list, and an unknown one is left out (null, where nothing at all
is known of the row). It does not know how rows are read or chosen.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset
from tamis.errors import InvalidSetting, OutputExists
from tamis.schema import Input

Row = dict[str, object]


def rows_of(dataset: Dataset, rows: NDArray[np.intp]) -> Iterator[Row]:
    """Yield some rows of a dataset as plain types, in the order of `rows`."""
    for row in rows.tolist():
        known: Row = {}
        for target in dataset.targets:
            labels = dataset.labels_of(target.name, row)
            if labels is not None:
                known[target.name] = list(labels) if target.is_multi else labels[0]
        nothing: Row = {target.name: None for target in dataset.targets}
        yield {**input_row(dataset.inputs[row]), "labels": known or nothing}


def write_jsonl(files: Mapping[Path, Iterable[Row]], *, overwrite: bool = False) -> None:
    """Write a file for each path; they take their places once all are whole, so a failure leaves things as they were.

    Raises:
        OutputExists: a file is there already and may not be overwritten; nothing is written.
        InvalidSetting: a file cannot be written: no permission, no space, a file where a folder should be.
    """
    there = [path for path in files if path.exists()]
    if there and not overwrite:
        raise OutputExists(
            f"{there[0]} is already there: choose another folder, or allow it to be overwritten (--force).",
            path=str(there[0]),
        )
    with ExitStack() as stack:
        ready = [(stack.enter_context(_written(path, rows)), path) for path, rows in files.items()]
        for temporary, path in ready:
            with _writable(path):
                os.replace(temporary, path)


def input_row(given: Input) -> Row:
    """Return an input as a row has it, without labels."""
    if isinstance(given, str):
        return {"text": given}
    return {"messages": [{"role": message.role, "content": message.content} for message in given]}


@contextmanager
def _written(path: Path, rows: Iterable[Row]) -> Iterator[Path]:
    """Write the rows beside `path` and yield where; what is still there afterwards is removed."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with _writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as stream:
                stream.writelines(map(_line, rows))
                stream.flush()
                os.fsync(stream.fileno())
        yield temporary
    finally:
        with suppress(OSError):  # moved to its place already, or never made
            temporary.unlink()


def _line(row: Row) -> bytes:
    """One line of JSON; half a surrogate pair, which UTF-8 does not have, is written as its escape."""
    try:
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(row).encode() + b"\n"


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise InvalidSetting(f"{path} cannot be written: {why}. Choose another folder.", path=str(path)) from error
