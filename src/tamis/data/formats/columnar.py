"""Parquet and Arrow files, batch by batch, with the class names that datasets of the hub carry in their schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from tamis.data.formats.columns import Table, assign
from tamis.data.formats.opening import DataFile, decoded, readable
from tamis.data.formats.options import Detected, ReadOptions
from tamis.data.formats.table_rows import TableRows
from tamis.data.formats.unpacked import Unpacking, batch_rows, compact_columns, stated_bytes
from tamis.data.formats.values import Value
from tamis.data.rows import RAW_LIMIT, BadRow, Notes, Rejected
from tamis.errors import UnreadableFile, first_line
from tamis.extras import require
from tamis.schema import Example

_SAMPLE_ROWS = 500

Cells = tuple[Value, ...]


class ColumnarSource:
    """A Parquet or Arrow file; a row's line is its number from 1."""

    def __init__(self, file: DataFile, options: ReadOptions) -> None:
        """Find out which columns hold text and labels.

        Raises:
            UnreadableFile: it is damaged.
            MissingColumn: text or labels are not to be found.
            MissingExtra: pyarrow is not installed.
        """
        self.name = file.name
        self.notes = Notes()
        self._file, self._options = file, options
        self._arrow: Any = require("pyarrow", "data")
        with self._reading():
            self._format, schema, _ = self._open()
            names = tuple(schema.names)
            self._refuse_twins(names)
            sample = [list(cells) for cells in islice(self._cells(names), _SAMPLE_ROWS)]
        self._columns = assign(Table(self.name, names, sample, classes=_class_names(schema.metadata)), options)

    @property
    def detected(self) -> Detected:
        """What was found out."""
        columns = self._columns
        return Detected(
            format=self._format,
            text=columns.names[columns.text],
            labels=columns.roles,
            unread=columns.unread,
            style=columns.style(self._options),
            guessed=columns.guessed,
            warnings=columns.warnings,
        )

    def __iter__(self) -> Iterator[Example | Rejected]:
        """Yield the rows."""
        self.notes = Notes()
        columns = self._columns.narrowed()
        read = columns.names
        rows = TableRows(columns, self._options, self.notes)
        with self._reading():
            for number, cells in enumerate(self._cells(read), start=1):
                try:
                    self._check_size(cells[0])
                    yield rows.example(cells, number)
                except BadRow as bad:
                    raw = _shown(read, cells)
                    yield decoded(bad, raw).at(self.name, number, raw)

    def _refuse_twins(self, names: Cells) -> None:
        twins = [name for name, count in Counter(names).items() if count > 1]
        if twins:
            raise UnreadableFile(f"{self.name} has two columns {twins[0]!r}: rename one of them.", file=self.name)

    def _check_size(self, text: Value) -> None:
        limit = self._options.max_line_bytes
        if isinstance(text, str) and len(text) > limit:
            raise BadRow("line_too_long", f"The text is longer than {limit:,} bytes")

    def _cells(self, names: Sequence[str]) -> Iterator[Cells]:
        """The rows, of these columns."""
        _, schema, batches = self._open(names)
        kinds = {name: schema.field(name).type for name in names}
        unpacking = Unpacking(self.name, self._file.path.stat().st_size)
        for batch in batches:
            for part in unpacking.parts(batch):
                yield from zip(*(self._values(part.column(name), kinds[name]) for name in names), strict=True)

    def _open(self, names: Sequence[str] | None = None) -> tuple[str, Any, Iterator[Any]]:
        """Format, schema and batches of the file."""
        path = str(self._file.path)
        with self._file.path.open("rb") as stream:
            magic = stream.read(6)
        if magic.startswith(b"PAR1"):
            return self._open_parquet(path, names)
        ipc: Any = require("pyarrow.ipc", "data")
        mapped = self._arrow.memory_map(path)
        if magic == b"ARROW1":
            file = ipc.open_file(mapped)
            return "arrow", file.schema, (file.get_batch(index) for index in range(file.num_record_batches))
        batches = ipc.open_stream(mapped)
        return "arrow", batches.schema, batches

    def _open_parquet(self, path: str, names: Sequence[str] | None) -> tuple[str, Any, Iterator[Any]]:
        """Its schema says what the columns hold; the batches have their text as places in dictionaries."""
        opened: Any = require("pyarrow.parquet", "data").ParquetFile
        plain = opened(path)
        Unpacking(self.name, self._file.path.stat().st_size).add(stated_bytes(plain))
        compact = opened(path, read_dictionary=compact_columns(plain))
        return "parquet", plain.schema_arrow, compact.iter_batches(batch_rows(plain), columns=names and list(names))

    def _values(self, column: Any, kind: Any) -> list[Value]:  # noqa: ANN401  a third party's array and type
        if column.type != kind:
            with suppress(self._arrow.ArrowNotImplementedError):  # of new kinds: slower as it is
                column = column.cast(kind)
        try:
            return list(column.to_pylist())
        except UnicodeDecodeError:  # a writer that did not check: keep the bytes visible, the row is refused later
            binary = column.cast(self._arrow.large_binary()).to_pylist()
            return [value if value is None else value.decode("utf-8", "surrogateescape") for value in binary]
        except (ValueError, OverflowError):  # times that Python's do not reach
            return list(column.cast(self._arrow.string()).to_pylist())

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with readable(self.name):
            try:
                yield
            except (self._arrow.ArrowException, UnicodeDecodeError, OSError) as error:
                if isinstance(error, OSError) and error.errno:
                    raise
                trouble = f"is damaged or not what it begins as ({first_line(error)})"
                message = f"{self.name} {trouble}. Write or download it again."
                raise UnreadableFile(message, file=self.name) from error


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """Names of class numbers by column, as the `datasets` library stores them in a schema."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {name: names for name, feature in features.items() if (names := class_names(feature))}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def class_names(feature: Value) -> tuple[str, ...]:
    """The names in a ClassLabel feature, or in a list of such; () for any other."""
    if isinstance(feature, list) and len(feature) == 1:
        return class_names(feature[0])
    if not isinstance(feature, dict):
        return ()
    names = feature.get("names")
    if feature.get("_type") == "ClassLabel" and isinstance(names, list):
        return tuple(map(str, names))
    return class_names(feature.get("feature"))


def _shown(names: Sequence[str], cells: Cells) -> str:
    """The row as JSON, cut."""
    short = {name: cell[:RAW_LIMIT] if isinstance(cell, str) else cell for name, cell in zip(names, cells, strict=True)}
    return json.dumps(short, ensure_ascii=False, default=str)[: 2 * RAW_LIMIT]
