"""Equal and nearly equal texts among many rows, from 48 bytes a row.

Each text leaves two 64-bit hashes (as it is; and without regard to case and spaces) and a sketch of 32 bytes. The
sketch is b-bit minwise hashing (Li and König 2010, "b-bit minwise hashing") over sequences of four characters: the
share of equal bytes of two sketches estimates the share of sequences that their texts have in common (Jaccard). Pairs
are found by locality-sensitive banding (Leskovec, Rajaraman and Ullman, "Mining of massive datasets", chapter 3) and
then compared by whole sketches. Time is bounded too: a row is compared with at most two others a band.

It knows neither labels nor files; rows are numbers in the order they were added.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Hashes = NDArray[np.int64]
Sketches = NDArray[np.uint8]

SKETCH = 32
"""Bytes of a sketch."""

LEAST_CHARACTERS = 20
"""Shorter texts have no sketch: a single other word makes them another text."""

MOST_CHARACTERS = 2_000
"""Characters of a text, from its start, that the sketch covers."""

LEAST_ALIKE = 25
"""Equal bytes of two sketches from which texts count as near duplicates: about 0.78 of their sequences in common."""

_BAND = 4  # bytes: eight bands
_BATCH = 1 << 17  # characters sketched at a time
_CHUNK = 65_536  # pairs compared at a time
_MULTIPLIERS = np.random.RandomState(0).randint(0, 2**32, SKETCH, dtype=np.uint32) | np.uint32(1)


class NearPairs(NamedTuple):
    """`later[i]` is a near duplicate of the row `earlier[i]`; each row is `later` at most once. `alike` is 0 to 1."""

    later: Rows
    earlier: Rows
    alike: NDArray[np.float64]


class Fingerprints:
    """The hashes and sketches of all texts so far."""

    def __init__(self, *, sketches: bool = True) -> None:
        """Start empty; `sketches` False leaves the near duplicates out."""
        self._exact = array("q")
        self._loose = array("q")
        self._sketches = array("B")
        self._sketched = sketches

    def __len__(self) -> int:
        """Texts so far."""
        return len(self._exact)

    def add(self, texts: Sequence[str], loose: Sequence[str]) -> None:
        """Append texts, given with their loose forms."""
        self._exact.extend(map(hash, texts))  # str hashes: 64 bits, the same within a process, which is all that counts
        self._loose.extend(map(hash, loose))
        if self._sketched:
            self._sketches.frombytes(sketch(loose).tobytes())

    @property
    def exact(self) -> Hashes:
        """(n,) equal for equal texts."""
        return np.frombuffer(self._exact, dtype=np.int64)

    @property
    def loose(self) -> Hashes:
        """(n,) equal for texts that differ in case and spaces at most."""
        return np.frombuffer(self._loose, dtype=np.int64)

    @property
    def sketches(self) -> Sketches:
        """(n, SKETCH) zero for texts without a sketch; (0, SKETCH) where none were made."""
        return np.frombuffer(self._sketches, dtype=np.uint8).reshape(-1, SKETCH)


def loose_form(text: str) -> str:
    """Return the text without regard to case and spaces."""
    return " ".join(text.casefold().split())


def first_of(hashes: Hashes) -> Rows:
    """Return for each row the first row with the same hash, (n,): itself where it is the first."""
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    fresh = np.ones(len(ranked), dtype=bool)
    fresh[1:] = ranked[1:] != ranked[:-1]
    first = np.empty(len(ranked), dtype=np.int64)
    first[order] = order[fresh][np.cumsum(fresh) - 1]
    return first


def sketch(loose: Sequence[str]) -> Sketches:
    """Return the sketches of texts, (n, SKETCH)."""
    sketches = np.zeros((len(loose), SKETCH), dtype=np.uint8)
    rows: list[int] = []
    characters = 0
    for row, text in enumerate(loose):
        if len(text) >= LEAST_CHARACTERS:
            rows.append(row)
            characters += min(len(text), MOST_CHARACTERS)
        if rows and (characters >= _BATCH or row == len(loose) - 1):
            sketches[rows] = _sketch_batch([loose[row][:MOST_CHARACTERS] for row in rows])
            rows, characters = [], 0
    return sketches


def _sketch_batch(texts: Sequence[str]) -> Sketches:
    sequences, starts = _sequences(texts)
    columns = np.empty((SKETCH, len(texts)), dtype=np.uint8)
    scrambled = np.empty_like(sequences)
    for number, multiplier in enumerate(_MULTIPLIERS):
        np.multiply(sequences, multiplier, out=scrambled)
        columns[number] = (np.minimum.reduceat(scrambled, starts) >> np.uint32(8)).astype(np.uint8)
    return np.maximum(columns, 1).T  # zero means "no sketch"


def _sequences(texts: Sequence[str]) -> tuple[NDArray[np.uint32], Rows]:
    """A hash of every four characters of each text, one text after the other, and where each text's begin."""
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    mixed = points[:-3] * np.uint32(0x9E3779B1)
    for shift, prime in ((1, 0x85EBCA6B), (2, 0xC2B2AE35), (3, 0x27D4EB2F)):
        mixed = (mixed ^ points[shift : len(points) - 3 + shift]) * np.uint32(prime)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x2C1B3C6D)
    mixed ^= mixed >> np.uint32(13)
    ends = np.cumsum([len(text) for text in texts])
    inside = np.ones(len(points), dtype=bool)
    for back in (1, 2, 3):  # a sequence that begins here would run into the next text
        inside[ends - back] = False
    starts = np.concatenate([[0], ends[:-1]]) - 3 * np.arange(len(texts))
    return mixed[inside[: len(mixed)]], starts


def near_pairs(sketches: Sketches, rows: Rows) -> NearPairs:
    """Find near duplicates among some rows, each with an earlier one.

    Give one row of each loose form: equal texts are not near duplicates.

    Args:
        sketches: (n, SKETCH), or (0, SKETCH) where none were made: then there are no pairs.
        rows: the rows to compare, ascending.
    """
    rows = rows[sketches[rows, 0] > 0] if len(sketches) else rows[:0]
    partner = np.full(len(rows), -1, dtype=np.int64)
    alike = np.zeros(len(rows), dtype=np.uint8)
    for band in range(0, SKETCH, _BAND):
        keys = np.ascontiguousarray(sketches[rows, band : band + _BAND]).view(np.uint32).ravel()
        order = np.argsort(keys, kind="stable")
        ranked = keys[order]
        same = np.flatnonzero(ranked[1:] == ranked[:-1]) + 1
        begins = np.maximum.accumulate(
            np.where(np.diff(ranked, prepend=ranked[:1] + 1) != 0, np.arange(len(ranked)), 0)
        )
        for earlier in (begins[same], same - 1):
            _compare(sketches, rows, order[same], order[earlier], partner, alike)
    found = np.flatnonzero(partner >= 0)
    return NearPairs(rows[found], rows[partner[found]], alike[found] / SKETCH)


def _compare(
    sketches: Sketches, rows: Rows, later: Rows, earlier: Rows, partner: Rows, alike: NDArray[np.uint8]
) -> None:
    """Note the pairs that are alike enough, unless the later row has a partner already."""
    open_pairs = (partner[later] < 0) & (later != earlier)
    later, earlier = later[open_pairs], earlier[open_pairs]
    for start in range(0, len(later), _CHUNK):
        some, others = later[start : start + _CHUNK], earlier[start : start + _CHUNK]
        equal = (sketches[rows[some]] == sketches[rows[others]]).sum(axis=1, dtype=np.uint8)
        enough = equal >= LEAST_ALIKE
        partner[some[enough]] = others[enough]
        alike[some[enough]] = equal[enough]
