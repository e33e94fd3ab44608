"""Inputs cut into runs: the pieces of text between white space.

All that the static tier knows of an input is which runs it has, where, and in which field (the text or the last user
turn; earlier user turns; everything else that was said). A run that occurs a thousand times is looked at once.
Everything here is array arithmetic over code points: no Python loop over characters or runs.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tamis.schema import Input, Message

FIELDS_OF_TEXT = 1
FIELDS_OF_CHAT = 3
TEXT, EARLIER_USER, OTHERS = 0, 1, 2

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Codes = NDArray[np.uint32]

SPACE, WORD, OTHER = 1, 2, 3

OPENING_RUNS = 3
"""How many runs make the opening: questions and requests say there what they want."""

BLOCK_CHARACTERS = 4_000_000
"""Characters looked at together at most: about 200 MB of arrays."""

FEW_CHARACTERS = 4_096

LONG = 256
"""Characters from which a polynomial is not enough of a hash."""

LONGEST_RUN = 10_000
"""Characters from which text without white space is read as several runs, one after the other: nothing is left out."""

CHARACTERS_AT_ONCE = 20_000
"""Characters of different runs that are looked at together while others wait: some milliseconds of work."""

_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 1 << 64)
_FIELD_SALT = 0xD1B54A32D192ED03
_SHIFTS = tuple(map(np.uint64, (30, 27, 31)))
_FACTORS = tuple(map(np.uint64, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)))


def scramble(values: Hashes) -> Hashes:
    """Return the values with their bits well mixed (the finaliser of splitmix64, Steele et al. 2014)."""
    mixed = values ^ (values >> _SHIFTS[0])
    mixed *= _FACTORS[0]
    mixed ^= mixed >> _SHIFTS[1]
    mixed *= _FACTORS[1]
    mixed ^= mixed >> _SHIFTS[2]
    return mixed


class _Characters:
    """The class of each code point (SPACE, WORD, OTHER), looked up once and remembered."""

    def __init__(self) -> None:
        self._classes: NDArray[np.uint8] | None = None

    def classes(self, codes: Codes) -> NDArray[np.uint8]:
        if self._classes is None:
            self._classes = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
        found = self._classes[codes]
        if not found.all():
            for code in np.unique(codes[found == 0]).tolist():
                self._classes[code] = _class_of(chr(code))
            found = self._classes[codes]
        return found


def _class_of(character: str) -> int:
    if character.isspace() or character == "\0":
        return SPACE
    is_word = character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")
    return WORD if is_word else OTHER


_characters = _Characters()


def code_points(text: str) -> tuple[Codes, NDArray[np.uint8]]:
    """Return the text's code points and their classes, both (characters,)."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return codes, _characters.classes(codes)


def stretches(inside: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return starts and ends of the stretches where `inside` holds."""
    padded = np.zeros(len(inside) + 2, dtype=np.int8)
    padded[1:-1] = inside
    change = padded[1:] - padded[:-1]
    return (change == 1).nonzero()[0], (change == -1).nonzero()[0]


def hash_stretches(codes: Codes | Hashes, starts: Ints, ends: Ints) -> Hashes:
    """Return a 64-bit hash of each stretch of code points; equal stretches have equal hashes anywhere.

    A polynomial in an odd base modulo 2**64, from prefix sums: one pass whatever the lengths are. Thue-Morse strings
    of 1,024 characters and their complements collide there whatever the base is, so long stretches get a BLAKE2 hash.
    """
    size = len(codes)
    values = codes.astype(np.uint64)
    values += np.uint64(1)
    values *= _powers(_BASE, size)[:size]
    sums = np.zeros(size + 1, dtype=np.uint64)
    np.cumsum(values, out=sums[1:])
    hashes = scramble((sums[ends] - sums[starts]) * _powers(_INVERSE, size)[starts])
    for i in np.flatnonzero(ends - starts > LONG).tolist() if size > LONG else ():
        digest = blake2b(codes[starts[i] : ends[i]].tobytes(), digest_size=8).digest()
        hashes[i] = int.from_bytes(digest, "little")
    return hashes


def _powers(base: int, size: int) -> Hashes:
    """Return at least size + 1 powers; few of them are kept, since short texts come most."""
    return _few_powers(base) if size <= FEW_CHARACTERS else _compute_powers(base, size)


@cache
def _few_powers(base: int) -> Hashes:
    return _compute_powers(base, FEW_CHARACTERS)


def _compute_powers(base: int, size: int) -> Hashes:
    powers = np.full(size + 1, base, dtype=np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers, out=powers)


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The runs of some inputs.

    Attributes:
        n_rows: inputs.
        n_fields: 1, or 3 where chats are told apart by who spoke.
        strings: the different runs; the same string in two fields is two runs.
        run_fields: (runs,) the field of each.
        run: (occurrences,) which run stands there, in reading order.
        row: (occurrences,) of which input.
        segment: (occurrences,) of which text or message; word pairs do not cross segments.
    """

    n_rows: int
    n_fields: int
    strings: list[str]
    run_fields: Ints
    run: Ints
    row: Ints
    segment: Ints

    @property
    def group(self) -> Ints:
        """(occurrences,) row and field as one number: `row * n_fields + field`."""
        return self.row * self.n_fields + self.run_fields[self.run]

    @property
    def n_pools(self) -> int:
        """Averages taken of an input: one a field, and one of the opening of the text or last user turn."""
        return self.n_fields + 1

    def opening(self) -> Ints:
        """Return the occurrences among the first few of the text or last user turn."""
        new = np.ones(len(self.run), dtype=bool)
        new[1:] = self.segment[1:] != self.segment[:-1]
        index = np.arange(len(self.run))
        rank = index - np.maximum.accumulate(np.where(new, index, 0))
        return np.flatnonzero((rank < OPENING_RUNS) & (self.run_fields[self.run] == TEXT))

    def select(self, rows: Ints) -> Runs:
        """The same for some inputs, in the order of `rows`; runs that none of them has stay in the list."""
        place = np.full(self.n_rows, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        moved = place[self.row]
        kept = np.flatnonzero(moved >= 0)
        return Runs(
            len(rows), self.n_fields, self.strings, self.run_fields, self.run[kept], moved[kept], self.segment[kept]
        )


def split_runs(inputs: Sequence[Input], n_fields: int) -> Runs:
    """Cut the inputs into runs; with one field, a chat's turns are all of that field."""
    texts, rows, fields = segments(inputs, n_fields)
    blocks = [split_block(texts[block], fields[block], block.start) for block in text_blocks(texts)]
    _, strings, run_fields, run, segment = blocks[0] if len(blocks) == 1 else _join(blocks)
    return Runs(len(inputs), n_fields, strings, run_fields, run, rows[segment], segment)


def split(text: str) -> list[str]:
    """Return the runs of a text, one after the other, as `split_runs` finds them."""
    runs = (text.replace("\0", " ") if "\0" in text else text).split()
    return runs if len(text) <= LONGEST_RUN else [piece for run in runs for piece in _pieces(run)]


def _pieces(run: str) -> list[str]:
    if len(run) <= LONGEST_RUN:
        return [run]
    return [run[start : start + LONGEST_RUN] for start in range(0, len(run), LONGEST_RUN)]


def _cut_long(starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Cut stretches that are longer than a run may be."""
    lengths = ends - starts
    if lengths.max(initial=0) <= LONGEST_RUN:
        return starts, ends
    pieces = -(-lengths // LONGEST_RUN)
    number = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = np.repeat(starts, pieces) + number * LONGEST_RUN
    return begin, np.minimum(begin + LONGEST_RUN, np.repeat(ends, pieces))


Block = tuple[Hashes, list[str], Ints, Ints, Ints]
"""Of some texts: the hashes of their different runs (sorted), these runs, their fields; which run stands where, and in
which text."""


def text_blocks(texts: list[str]) -> list[slice]:
    """Cut the texts into blocks of a bounded number of characters, so that memory stays bounded too."""
    ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
    cuts = np.searchsorted(ends, np.arange(BLOCK_CHARACTERS, ends[-1] if len(ends) else 0, BLOCK_CHARACTERS))
    edges = sorted({0, *(int(cut) + 1 for cut in cuts if cut + 1 < len(texts)), len(texts)})
    return [slice(a, b) for a, b in pairwise(edges)] or [slice(0, 0)]


def split_block(texts: list[str], fields: Ints, first_segment: int) -> Block:
    """Cut some texts into runs; `first_segment` is the number of the first."""
    joined = "\n".join(texts)
    codes, classes = code_points(joined)
    starts, ends = _cut_long(*stretches(classes != SPACE))
    hashes = hash_stretches(codes, starts, ends)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
    segment = np.searchsorted(np.cumsum(lengths) - lengths, starts, side="right") - 1
    field = fields[segment]
    hashes += field.astype(np.uint64) * np.uint64(_FIELD_SALT)
    unique, first, run = np.unique(hashes, return_index=True, return_inverse=True)
    strings = [joined[a:b] for a, b in zip(starts[first].tolist(), ends[first].tolist(), strict=True)]
    return unique, strings, field[first], run.astype(np.int64), segment + first_segment


def _join(blocks: list[Block]) -> Block:
    """Give the same run one number in all blocks."""
    hashes, first, number = np.unique(
        np.concatenate([block[0] for block in blocks]), return_index=True, return_inverse=True
    )
    all_strings = [string for block in blocks for string in block[1]]
    fields = np.concatenate([block[2] for block in blocks])[first]
    offsets = np.cumsum([0, *(len(block[0]) for block in blocks)])
    run = np.concatenate([number[block[3] + offset] for block, offset in zip(blocks, offsets[:-1], strict=True)])
    segment = np.concatenate([block[4] for block in blocks])
    return hashes, [all_strings[i] for i in first.tolist()], fields, run.astype(np.int64), segment


def segments(inputs: Sequence[Input], n_fields: int) -> tuple[list[str], Ints, Ints]:
    """Return the texts to read, and the row and the field of each."""
    if all(isinstance(given, str) for given in inputs):
        rows = np.arange(len(inputs), dtype=np.int64)
        return list(inputs), rows, np.zeros(len(inputs), dtype=np.int64)  # type: ignore[arg-type]
    texts: list[str] = []
    row: list[int] = []
    field: list[int] = []
    for index, given in enumerate(inputs):
        if isinstance(given, str):
            given = (Message("user", given),)
        last_user = max((i for i, message in enumerate(given) if message.role == "user"), default=len(given) - 1)
        for i, message in enumerate(given):
            texts.append(message.content)
            row.append(index)
            field.append(_field(message.role, i == last_user) if n_fields > 1 else TEXT)
    return texts, np.array(row, dtype=np.int64), np.array(field, dtype=np.int64)


def _field(role: str, is_last_user: bool) -> int:
    if is_last_user:
        return TEXT
    return EARLIER_USER if role == "user" else OTHERS
