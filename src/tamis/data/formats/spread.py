"""Some lines from all over a text file, without reading it: what rows far from the beginning look like.

It does not know what the lines mean. Packed files cannot be entered anywhere but at their beginning: of these there is
nothing.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from itertools import islice

from tamis.data.formats.opening import DataFile, open_bytes, readable

PLACES = 200
"""Places that are looked at."""

BLOCK = 2**17
"""Bytes that are read at each; of lines that are longer than half of this few are seen."""

LINES = 24
"""Lines of a place that are given, at most."""

_STRIDE = 77
"""From place to place, so that the first of them already lie all over the file; it has no divisor of `PLACES`."""


def lines_from_all_over(file: DataFile, after: int) -> Iterator[list[str]]:
    """Yield some whole lines of each place, the places in no order; two places never give the same first line.

    Args:
        file: a text.
        after: lines at its beginning that are left out.

    Raises:
        UnreadableFile: the disk fails.
    """
    if file.compression is not None or file.encoding is None:
        return
    with readable(file.name), open_bytes(file.path, None) as stream:
        encoding = _endless(file.encoding, stream.read(4))
        newline, size, seen = "\n".encode(encoding), file.path.stat().st_size, set[int]()
        stream.seek(0)
        for _ in range(after):
            stream.readline()
        first = stream.tell()
        for place in range(PLACES):
            start = first + (size - first) * (place * _STRIDE % PLACES) // PLACES
            start -= start % len(newline)
            stream.seek(start)
            block = stream.read(BLOCK)
            begin = _behind(newline, block)
            if begin < 0 or start + begin in seen or start + begin >= size:
                continue
            seen.add(start + begin)
            text = block[begin:].decode(encoding, "replace")
            lines = list(islice(io.StringIO(text, newline=None), LINES + 1))
            whole = start + len(block) >= size and len(lines) <= LINES
            if lines := lines if whole else lines[:-1]:
                yield lines


def _endless(encoding: str, beginning: bytes) -> str:
    """The encoding as it is within a file, where no mark says the order of bytes."""
    name = codecs.lookup(encoding).name
    if name in ("utf-16", "utf-32"):
        big = beginning.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE))
        return f"{name}-{'be' if big else 'le'}"
    return "utf-8" if name == "utf-8-sig" else name


def _behind(newline: bytes, block: bytes) -> int:
    """The place behind the first newline, -1 where there is none."""
    at = block.find(newline)
    while at % len(newline):
        at = block.find(newline, at + 1)
    return at if at < 0 else at + len(newline)
