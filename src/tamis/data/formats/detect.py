"""What a file is, told by how it begins and by its name."""

from __future__ import annotations

import re
from pathlib import Path

from tamis.data.formats.opening import DataFile, open_text, readable
from tamis.data.formats.options import ReadOptions

JSON_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".psv"})
COLUMNAR_SUFFIXES = frozenset({".parquet", ".arrow"})
SUFFIXES = JSON_SUFFIXES | TABLE_SUFFIXES | COLUMNAR_SUFFIXES

_HEAD = 2**16
_ARRAY = re.compile(r"\[\s*(\{|\]|\Z)")
_SPREAD_OBJECT = re.compile(r"\{[ \t]*\n")


def detect(path: Path, name: str, options: ReadOptions) -> tuple[str, DataFile]:
    """Return the format's name (a key of `FORMATS`) and the file with its compression and encoding.

    Raises:
        UnreadableFile: there is no such file, or it cannot be read.
        UnknownFormat: it is in none of the formats.
        NoRows: it is empty.
    """
    magic = b""
    if path.is_file():
        with readable(name), path.open("rb") as stream:
            magic = stream.read(8)
    if magic.startswith(b"PAR1"):
        return "parquet", DataFile(path, name)
    if magic.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "arrow", DataFile(path, name)
    file = open_text(path, name, options.encoding)
    return _text_format(file, file.head(_HEAD).lstrip("\ufeff \t\n"), options), file


def _text_format(file: DataFile, head: str, options: ReadOptions) -> str:
    if file.suffix not in TABLE_SUFFIXES:
        if _ARRAY.match(head) or (_SPREAD_OBJECT.match(head) and file.suffix != ".jsonl"):
            return "json"
        if file.suffix in JSON_SUFFIXES or head.startswith("{"):
            return "jsonl"
        if not options.labelled and not options.delimiter and options.text_column is None:
            return "text"
    return "csv"
