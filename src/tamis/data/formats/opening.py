"""Text files as numbered lines: compression, encoding, bounded memory.

Owns everything between the bytes of a file and its lines. It does not know what the lines mean.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from tamis.data.formats.unpacked import Unpacking
from tamis.data.rows import BadRow
from tamis.errors import NoRows, UnknownFormat, UnreadableFile

MOST_TIMES = 200
"""How many times its size packed text may unpack to, beyond what any file may. Real texts stay below 50."""

CHUNK = 2**18
SCANNED = 2**26
"""Bytes that are looked at, at most, for the first character beyond ASCII."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FOREIGN = (
    (b"PK\x03\x04", "a ZIP archive or Excel workbook: unpack it, or save the sheet as CSV"),
    (b"BZh", "bzip2 data: unpack it (bunzip2), or compress it with gzip"),
    (b"\xfd7zXZ\x00", "xz data: unpack it (unxz), or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "Zstandard data: unpack it (unzstd), or compress it with gzip"),
    (b"%PDF", "a PDF: give the labelled rows as CSV or JSONL"),
    (b"SQLite format 3\x00", "an SQLite database: export the table as CSV"),
    (b"Obj\x01", "an Avro file: convert it to Parquet, CSV or JSONL"),
    (b"PAR1", "Parquet inside gzip: unpack it (gunzip)"),
    (b"ORC", "an ORC file: convert it to Parquet, CSV or JSONL"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook: save the sheet as CSV"),
)
_UNDECODABLE = re.compile("[\udc00-\udcff]")
_WESTERN = re.compile(
    rb"(?<=[A-Za-z])[\xc0-\xfd]|[\xc0-\xfd](?=[A-Za-z])|[\x80\x85\x91-\x97\xa0\xa3\xa7\xa9\xab\xae\xb0\xb4\xbb\xbf]"
)
_HIGH = re.compile(rb"[\x80-\xff]")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class CutLine(str):
    """The beginning of a line that is longer than allowed; the rest of it was passed over."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that can be opened again and again; `name` is what the user called it, `encoding` that of a text."""

    path: Path
    name: str
    compression: str | None = None
    encoding: str | None = None

    @property
    def suffix(self) -> str:
        """What its name ends with, in lower case, compression aside: ".csv"."""
        suffixes = [suffix.lower() for suffix in self.path.suffixes]
        return next((suffix for suffix in reversed(suffixes) if suffix not in (".gz", ".gzip")), "")

    @contextmanager
    def open(self) -> Iterator[TextIO]:
        """Open it for reading; every line end becomes a newline; undecodable bytes become U+DC00 to U+DCFF.

        Raises:
            UnreadableFile: also while reading, when the disk or the gzip data fails.
        """
        codecs.register_error("tamis.mark", _mark)
        with (
            readable(self.name),
            open_bytes(self.path, self.compression) as stream,
            io.TextIOWrapper(stream, encoding=self.encoding, errors="tamis.mark", newline=None) as text,
        ):
            yield text

    def head(self, characters: int = CHUNK) -> str:
        """Return its beginning."""
        with self.open() as text:
            return text.read(characters)


def open_text(path: Path, name: str, encoding: str | None) -> DataFile:
    """Find out compression and encoding of a file.

    Raises:
        UnreadableFile: it cannot be read.
        UnknownFormat: it is not text.
        NoRows: it is empty.
    """
    with readable(name):
        if not path.is_file():
            raise _not_a_file(path, name)
        with open_bytes(path, None) as stream:
            start = stream.read(16)
        compression = "gzip" if start.startswith(b"\x1f\x8b") else None
        with open_bytes(path, compression) as stream:
            first = stream.read(CHUNK)
            if not first:
                raise NoRows(f"{name} is empty: there is nothing to read.", file=name)
            _refuse_foreign(first, name)
            return DataFile(path, name, compression, encoding or _encoding(first, stream, name))


def numbered_lines(text: TextIO, limit: int) -> Iterator[tuple[int, str]]:
    """Yield the lines with their numbers from 1; those above `limit` bytes of UTF-8 as a `CutLine`."""
    number, readline, safe = 0, text.readline, limit // 4
    while line := readline(limit + 1):
        number += 1
        yield number, line if len(line) <= safe else _within(line, limit, text)


def decoded(bad: BadRow, raw: str) -> BadRow:
    """Return the verdict on a row; a lone surrogate that stands for a byte that was not decodable is told as that."""
    found = _UNDECODABLE.search(raw) if bad.code == "lone_surrogate" else None
    if not found:
        return bad
    where = f"byte 0x{ord(found[0]) - 0xDC00:02x} at column {found.start() + 1}"
    return BadRow("undecodable_bytes", f"Not text in the file's encoding: {where} of the row")


def _within(line: str, limit: int, text: TextIO) -> str:
    whole = line.endswith("\n")
    if len(line) - whole <= limit and len(line.encode("utf-8", "surrogatepass")) - whole <= limit:
        return line
    while not whole and (rest := text.readline(limit + 1)):
        whole = rest.endswith("\n")
    return CutLine(line[:limit])


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what the operating system or gzip says into `UnreadableFile`."""
    try:
        yield
    except FileNotFoundError as error:
        raise UnreadableFile(f"There is no file {name}: check the path.", file=name) from error
    except PermissionError as error:
        raise UnreadableFile(f"{name} may not be read: its permissions forbid it.", file=name) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        message = f"{name}: the gzip data is damaged or cut short ({error}). Compress or download it again."
        raise UnreadableFile(message, file=name) from error
    except OSError as error:
        raise UnreadableFile(f"{name} cannot be read: {error.strerror or error}.", file=name) from error


def open_bytes(path: Path, compression: str | None) -> BinaryIO:
    """Open the file's bytes, uncompressed."""
    if compression is None:
        return path.open("rb", buffering=CHUNK)
    return cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", _BoundedGzip(path)), CHUNK))


class _BoundedGzip(gzip.GzipFile):
    """A packed text that ends with an error where it unpacks to what no text does."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._unpacking = Unpacking(path.name, path.stat().st_size, MOST_TIMES)

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes.

        Raises:
            UnreadableFile: too many for a file of this size.
        """
        piece = super().read(size)
        self._unpacking.add(len(piece))
        return piece


def _not_a_file(path: Path, name: str) -> UnreadableFile:
    if not path.exists():
        return UnreadableFile(f"There is no file {name}: check the path.", file=name)
    what = "a folder" if path.is_dir() else "a pipe or device, which can be read only once"
    return UnreadableFile(f"{name} is {what}: give a file.", file=name)


def _refuse_foreign(start: bytes, name: str) -> None:
    for magic, cure in _FOREIGN:
        if start.startswith(magic):
            raise UnknownFormat(f"{name} is {cure}.", file=name)


def _encoding(first: bytes, stream: BinaryIO, name: str) -> str:
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return encoding
    wide = _wide(first)
    if wide:
        return wide
    if len(_CONTROL.findall(first)) > max(16, len(first) / 20):
        raise UnknownFormat(
            f"{name} is not text: give JSONL, CSV, Parquet or a dataset folder, or name its encoding.",
            for_callers=f"{name} is not text: give JSONL or CSV in UTF-8, or Parquet.",
            file=name,
        )
    return _eight_bit(first, stream)


def _wide(first: bytes) -> str | None:
    """UTF-16 without a mark, told by the zero bytes of its ASCII characters."""
    even, odd = first[0::2].count(0), first[1::2].count(0)
    many, few = len(first) * 0.15, len(first) * 0.01
    if odd > many and even < few:
        return "utf-16-le"
    return "utf-16-be" if even > many and odd < few else None


def _eight_bit(chunk: bytes, stream: BinaryIO) -> str:
    scanned = len(chunk)
    while chunk.isascii():
        chunk = stream.read(CHUNK)
        scanned += len(chunk)
        if not chunk or scanned > SCANNED:
            return "utf-8"
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(chunk)
    damaged = text.count("\ufffd") - chunk.count(b"\xef\xbf\xbd")
    sound = len(text) - len(text.encode("ascii", "ignore")) - damaged
    western = len(_WESTERN.findall(chunk)) * 2 >= len(_HIGH.findall(chunk))
    return "cp1252" if damaged > sound and western else "utf-8"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end
