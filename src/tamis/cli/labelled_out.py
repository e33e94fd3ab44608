"""Labelled rows to a file: JSON lines, or a table where its name ends in .csv or .tsv."""

from __future__ import annotations

import csv
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tamis.cli.rows_out import Row, write_rows
from tamis.errors import InvalidSetting

if TYPE_CHECKING:
    from tamis.labelers.labelled_rows import LabelledRows

DELIMITERS = {".csv": ",", ".tsv": "\t"}


def write_labelled(path: Path, found: LabelledRows, *, without_labels: bool) -> None:
    """Write the rows, whole or not at all; those of which nothing is known only where that is wanted.

    Raises:
        InvalidSetting: the file cannot be written, or a table cannot hold the rows.
    """
    rows = found.rows(without_labels=without_labels)
    if is_table(path):
        _write_table(path, rows, [target.name for target in found.targets])
    else:
        write_rows(path, rows)


def is_table(path: Path) -> bool:
    """Whether a file of that name is a table."""
    return path.suffix.lower() in DELIMITERS


def _write_table(path: Path, rows: Iterator[Row], targets: Sequence[str]) -> None:
    names = ["text", *targets, *(f"{name}.confidence" for name in targets), "outcome", "why"]
    if len(set(names)) < len(names):
        raise InvalidSetting(
            f"A table would have two columns of one name ({', '.join(names)}): write JSON lines, as {path.stem}.jsonl.",
            setting="output",
        )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file, delimiter=DELIMITERS[path.suffix.lower()], lineterminator="\n")
            writer.writerow(names)
            writer.writerows(_cells(row, targets, path) for row in rows)
        os.replace(temporary, path)
    except OSError as error:
        raise InvalidSetting(f"{path} cannot be written: {error.strerror or error}. Choose another file.") from error
    finally:
        with suppress(OSError):  # in its place already, or never made
            temporary.unlink()


def _cells(row: Row, targets: Sequence[str], path: Path) -> list[object]:
    if "text" not in row:
        raise InvalidSetting(
            f"Line {row['line']} is a chat, which a table cannot hold: write JSON lines, as {path.stem}.jsonl.",
            setting="output",
        )
    labels, confidence = cast("Row", row["labels"]), cast("Row", row["confidence"])
    given = [_cell(labels.get(name)) for name in targets]
    return [row["text"], *given, *(confidence.get(name, "") for name in targets), row["outcome"], row.get("why", "")]


def _cell(labels: object) -> object:
    """One label as it is, several as a list in JSON, nothing where nothing is known."""
    if labels is None:
        return ""
    return json.dumps(labels, ensure_ascii=False) if isinstance(labels, list) else labels
