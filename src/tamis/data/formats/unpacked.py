"""How much packed files unpack to, columns of Parquet and Arrow told before they are: a few bytes can be gigabytes.

Text is measured as dictionaries and places in them, so that nothing large is made to find out how large it would be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tamis.errors import UnreadableFile
from tamis.extras import require

ALWAYS_ALLOWED = 256 << 20
"""Bytes that any file may unpack to, however small it is."""

MOST_TIMES = 1_000
"""How many times its size a larger file may unpack to. Real tables stay below 100."""

AT_ONCE = 64 << 20
"""Bytes that are unpacked at a time, unless one row takes more."""

BATCH = 4_000


class Unpacking:
    """What was unpacked of one file so far."""

    def __init__(self, name: str, size: int, most_times: int = MOST_TIMES) -> None:
        """Remember the file's name, its bytes on disk, and how many times as many it may unpack to."""
        self._name = name
        self._limit = max(ALWAYS_ALLOWED, most_times * size)
        self._size = size
        self._total = 0

    def add(self, count: int) -> None:
        """Count bytes that are about to be unpacked.

        Raises:
            UnreadableFile: too many for a file of this size.
        """
        self._total += count
        if self._total > self._limit:
            raise UnreadableFile(
                f"{self._name} has {self._size:,} bytes and unpacks to more than {self._limit:,}, as if it were made "
                "to fill the memory. If its texts really repeat so often, write it as JSONL that is not packed.",
                file=self._name,
            )

    def parts(self, batch: Any) -> Iterator[Any]:  # noqa: ANN401  a third party's record batch
        """Yield a record batch in parts that are small enough to unpack.

        Raises:
            UnreadableFile: the file unpacks to too much.
        """
        count = len(batch) + sum(max(column.nbytes, text_bytes(column)) for column in batch.columns)
        self.add(count)
        rows = max(1, len(batch) * AT_ONCE // max(count, AT_ONCE))
        yield from (batch.slice(first, rows) for first in range(0, len(batch), rows))


def compact_columns(file: Any) -> list[str]:  # noqa: ANN401  a third party's Parquet file
    """Return the paths of the columns of text, nested ones too: what `read_dictionary` wants."""
    leaves = (file.schema.column(at) for at in range(len(file.metadata.schema)))
    return [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and leaf.logical_type.type != "DECIMAL"]


def batch_rows(file: Any) -> int:  # noqa: ANN401  a third party's Parquet file
    """Return how many rows of a Parquet file to read at a time, by what it says of their size."""
    metadata = file.metadata
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return max(1, min(BATCH, AT_ONCE // max(widest, 1)))


def stated_bytes(file: Any) -> int:  # noqa: ANN401  a third party's Parquet file
    """Return the bytes of the largest row group, as the file itself says; dictionaries count once in it."""
    metadata = file.metadata
    return max((metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups)), default=0)


def text_bytes(column: Any) -> int:  # noqa: ANN401  a third party's array
    """Return the bytes of a column's text, each place in a dictionary counted as the text that it stands for."""
    types: Any = require("pyarrow.types", "data")
    compute: Any = require("pyarrow.compute", "data")
    kind = column.type
    if types.is_dictionary(kind):
        if not _is_text(types, kind.value_type):
            return 0
        lengths = compute.binary_length(column.dictionary).cast("int64")
        return int(compute.sum(lengths.take(column.indices)).as_py() or 0)
    if types.is_struct(kind):
        return sum(map(text_bytes, column.flatten()))
    return text_bytes(column.flatten()) if types.is_nested(kind) and hasattr(column, "flatten") else 0


def _is_text(types: Any, kind: Any) -> bool:  # noqa: ANN401  a third party's module and type
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    )
