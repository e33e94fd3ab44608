"""A file written anew without some rows and with other labels or texts: in its own format, all else as it was.

JSONL keeps the lines that do not change byte for byte; tables keep their columns, delimiter and header; Parquet and
Arrow keep their schema. The new file takes its place when it is whole; the old one is never touched. Rows that cannot
be read are left out, as training leaves them out.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from tamis.data.formats.columns import FLAGS_TARGET
from tamis.data.formats.delimited import Dialect, records
from tamis.data.formats.documents import document_rows
from tamis.data.formats.json_rows import parse_row
from tamis.data.formats.opening import DataFile, numbered_lines
from tamis.data.formats.options import Detected, ReadOptions
from tamis.data.formats.reader import open_source
from tamis.data.review.fixes import Altered
from tamis.data.rows import BadRow, Rejected
from tamis.errors import InvalidSetting, OutputExists
from tamis.extras import require
from tamis.schema import Input

Labels = tuple[str, ...] | None
Cells = list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Rewriting:
    """What becomes of the readable rows of a file, by their number: kept rows, and what is new in some of them."""

    kept: frozenset[int] | range
    altered: Mapping[int, Altered]
    multi: frozenset[str]  # targets that are multi-label


def rewrite(source: Path, output: Path, read: ReadOptions, rewriting: Rewriting, *, overwrite: bool = False) -> int:
    """Write `source` anew to `output` and return how many rows that has.

    Raises:
        DataError: the source cannot be read.
        OutputExists: the output is there already.
        InvalidSetting: the output is the source, or cannot be written, or the source is not one file.
    """
    if not source.is_file():
        raise InvalidSetting(f"{source} is no file: give one file at a time, not a folder or a hub dataset.")
    if output.exists() and output.samefile(source):
        raise InvalidSetting(f"{output} is the file that is read: name another, nothing is changed in place.")
    if output.exists() and not overwrite:
        raise OutputExists(f"{output} is already there: choose another name, or replace it with --force.", path=output)
    detected = open_source(source, read).detected
    writer = {"jsonl": _write_jsonl, "json": _write_document, "csv": _write_table}.get(detected.format, _write_columnar)
    job = _Job(source, read, detected, rewriting)
    with _finished(output) as temporary:
        return writer(job, temporary)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    source: Path
    read: ReadOptions
    detected: Detected
    rewriting: Rewriting

    def lines(self) -> Iterator[tuple[int, Altered | None]]:
        """The line of each row that is kept, in order, and what is new in it."""
        number = -1
        for row in open_source(self.source, self.read):
            if isinstance(row, Rejected):
                continue
            number += 1
            if number in self.rewriting.kept:
                yield row.line, self.rewriting.altered.get(number)

    def file(self) -> DataFile:
        return DataFile(self.source, str(self.source), self.detected.compression, self.detected.encoding)

    @property
    def one(self) -> str:
        """The only target, where there is one."""
        return next(iter(self.detected.labels.values()), "")


@contextmanager
def _finished(output: Path) -> Iterator[Path]:
    """Yield where to write; put that in its place at the end."""
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(6)}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, output)
    except OSError as error:
        why = error.strerror or str(error)
        raise InvalidSetting(f"{output} cannot be written: {why}. Choose another place.", path=str(output)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def _text(job: _Job, path: Path) -> Iterator[TextIO]:
    """Open a new file in the encoding and compression of the old one."""
    encoding = job.detected.encoding or "utf-8"
    with path.open("xb") as raw:
        packed: BinaryIO = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if job.detected.compression else raw  # type: ignore[assignment]
        with io.TextIOWrapper(packed, encoding=encoding, errors="surrogateescape", newline="") as text:
            yield text
            text.flush()
            if packed is not raw:
                packed.close()


def _write_jsonl(job: _Job, path: Path) -> int:
    count, lines = 0, job.lines()
    wanted, altered = next(lines, (0, None))
    with _text(job, path) as text, job.file().open() as old:
        for number, raw in numbered_lines(old, job.read.max_line_bytes):
            if number != wanted:
                continue
            text.write(raw.rstrip("\n") + "\n" if altered is None else _json(_changed(job, raw, altered)) + "\n")
            count += 1
            wanted, altered = next(lines, (0, None))
    return count


def _write_document(job: _Job, path: Path) -> int:
    count, lines = 0, job.lines()
    wanted, altered = next(lines, (0, None))
    with _text(job, path) as text, job.file().open() as old:
        for number, raw in document_rows(old, job.read.max_line_bytes, str(job.source)):
            if number != wanted:
                continue
            row = raw.strip(" \t\r\n,") if altered is None else _json(_changed(job, raw, altered))
            text.write(("[\n" if not count else ",\n") + row)
            count += 1
            wanted, altered = next(lines, (0, None))
        text.write("\n]\n" if count else "[]\n")
    return count


def _json(row: Mapping[str, Any]) -> str:
    line = json.dumps(row, ensure_ascii=False)
    return line if line.isascii() or not any("\ud800" <= each <= "\udfff" for each in line) else json.dumps(row)


def _changed(job: _Job, raw: str, altered: Altered) -> dict[str, Any]:
    """The object with its new labels and input."""
    try:
        row: dict[str, Any] = dict(parse_row(raw.strip(" \t\r\n,"), job.read.max_nesting))
    except BadRow as bad:  # it was read a moment ago
        raise InvalidSetting(f"{job.source} changed while it was read ({bad}): try again.") from bad
    if altered.input is not None:
        _put_input(row, job.detected.text or "text", altered.input)
    for target, labels in altered.labels.items():
        _put_labels(row, job, target, labels)
    return row


def _put_input(row: dict[str, Any], key: str, given: Input) -> None:
    if key == "text or messages":
        key = "text" if row.get("text") is not None else "messages"
    if isinstance(given, str):
        row[key] = given
        return
    for message, new in zip(row[key], given, strict=False):
        if isinstance(message.get("content"), str):
            message["content"] = new.content
        else:  # parts of a message become one
            message["content"] = new.content


def _put_labels(row: dict[str, Any], job: _Job, target: str, labels: Labels) -> None:
    if "*" not in job.detected.labels:
        if job.detected.style == "flags":
            for name in job.detected.labels:
                row[name] = None if labels is None else type(row.get(name, 0) or 0)(name in labels)
            return
        key = next(column for column, name in job.detected.labels.items() if name == target)
        row[key] = _value(labels, row.get(key), multi=target in job.rewriting.multi)
        return
    if isinstance(row.get("labels"), dict):
        multi = target in job.rewriting.multi
        row["labels"] = {**row["labels"], target: _value(labels, row["labels"].get(target), multi=multi)}
        return
    key = "labels" if "labels" in row else "label"
    row[key] = _value(labels, row[key], multi=target in job.rewriting.multi)


def _value(labels: Labels, before: object, *, multi: bool) -> object:
    """Labels written as they were written before: a list, or a plain label."""
    if labels is None:
        return None
    return list(labels) if multi or isinstance(before, list) or len(labels) != 1 else labels[0]


def _write_table(job: _Job, path: Path) -> int:
    count, lines, limit = 0, job.lines(), job.read.max_line_bytes
    wanted, altered = next(lines, (0, None))
    dialect = Dialect(job.detected.delimiter or ",", job.detected.quoted is not False)
    with _text(job, path) as text, job.file().open() as old:
        numbered = numbered_lines(old, limit)
        first = next(numbered, None)
        separator_line = first is not None and first[1].lower().startswith("sep=")
        if separator_line and first is not None:
            text.write(first[1])
        table = records(numbered if separator_line or first is None else _chain(first, numbered), dialect, limit)
        names: Cells = []
        for record in islice(table, 1) if job.detected.header else ():
            names = record.cells if isinstance(record.cells, list) else []
            text.write(record.raw if record.raw.endswith("\n") else record.raw + "\n")
        for record in table:
            if record.line != wanted or isinstance(record.cells, BadRow):
                continue
            if altered is None:
                text.write(record.raw if record.raw.endswith("\n") else record.raw + "\n")
            else:
                _write_cells(text, _new_cells(job, names, record.cells, altered), dialect)
            count += 1
            wanted, altered = next(lines, (0, None))
    return count


def _chain(first: tuple[int, str], rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from rest


def _write_cells(text: TextIO, cells: Cells, dialect: Dialect) -> None:
    if dialect.quoted:
        csv.writer(text, delimiter=dialect.delimiter, lineterminator="\n").writerow(cells)
    else:
        text.write(dialect.delimiter.join(cells) + "\n")


def _new_cells(job: _Job, names: Cells, cells: Cells, altered: Altered) -> Cells:
    new, place = list(cells), _places(names, len(cells))
    if altered.input is not None and isinstance(altered.input, str):
        new[place[job.detected.text or ""]] = altered.input
    for target, labels in altered.labels.items():
        if job.detected.style == "flags" and target == FLAGS_TARGET:
            for column in job.detected.labels:
                new[place[column]] = "" if labels is None else str(int(column in labels))
            continue
        column = next(column for column, name in job.detected.labels.items() if name == target)
        new[place[column]] = _cell(job, column, labels, new[place[column]])
    return new


def _places(names: Cells, width: int) -> dict[str, int]:
    """Where each column stands, under the name that reading gave it."""
    from tamis.data.formats.tables import column_names

    known = column_names(names) if names else tuple(f"column {place}" for place in range(width))
    return {name: place for place, name in enumerate(known)}


def _cell(job: _Job, column: str, labels: Labels, before: str) -> str:
    if labels is None:
        return ""
    if before.strip().startswith("["):
        return json.dumps(list(labels), ensure_ascii=False)
    given = job.read.label_separator
    separator = given.get(column) if isinstance(given, Mapping) else given
    return (separator or "|").join(labels)


def _write_columnar(job: _Job, path: Path) -> int:
    """Parquet and Arrow: rows taken a portion at a time, label and text columns replaced."""
    arrow: Any = require("pyarrow", "data")
    if job.detected.format not in ("parquet", "arrow"):
        raise InvalidSetting(f"{job.source} is {job.detected.format}, which cannot be written: convert it to JSONL.")
    table = _read_table(job)
    kept: list[int] = []
    altered: dict[int, Altered] = {}
    for line, change in job.lines():
        if change is not None:
            altered[len(kept)] = change
        kept.append(line - 1)
    table = table.take(arrow.array(kept, type=arrow.int64()))
    columns = {name for change in altered.values() for name in change.labels}
    for column, target in job.detected.labels.items():
        if target in columns:
            table = _replaced(
                arrow, table, column, lambda change, old, t=target: _columnar(job, change, t, old), altered
            )
    if any(change.input is not None for change in altered.values()):
        table = _replaced(arrow, table, job.detected.text or "", _columnar_text, altered)
    if job.detected.format == "parquet":
        require("pyarrow.parquet", "data").write_table(table, path)
    else:
        with arrow.OSFile(str(path), "wb") as sink, arrow.ipc.new_file(sink, table.schema) as stream:
            stream.write_table(table)
    return len(kept)


def _read_table(job: _Job) -> Any:  # noqa: ANN401
    if job.detected.format == "parquet":
        return require("pyarrow.parquet", "data").read_table(job.source)
    arrow: Any = require("pyarrow", "data")
    with arrow.memory_map(str(job.source)) as stream:
        try:
            return arrow.ipc.open_file(stream).read_all()
        except arrow.ArrowInvalid:
            return arrow.ipc.open_stream(stream).read_all()


def _replaced(arrow: Any, table: Any, column: str, new: Callable[..., Any], altered: Mapping[int, Altered]) -> Any:  # noqa: ANN401
    place = table.schema.get_field_index(column)
    values = table.column(place).to_pylist()
    for row, change in altered.items():
        values[row] = new(change, values[row])
    field = table.schema.field(place)
    try:
        array = arrow.array(values, type=field.type)
    except (arrow.ArrowInvalid, arrow.ArrowTypeError, arrow.ArrowNotImplementedError) as error:
        raise InvalidSetting(
            f"The new labels do not fit column {column!r} of type {field.type}: convert the file to JSONL."
        ) from error
    return table.set_column(place, field, array)


def _columnar(job: _Job, change: Altered, target: str, old: object) -> object:
    if target not in change.labels:
        return old
    labels = change.labels[target]
    if labels is None:
        return None
    return list(labels) if isinstance(old, list) or len(labels) != 1 else labels[0]


def _columnar_text(change: Altered, old: object) -> object:
    return change.input if isinstance(change.input, str) else old
