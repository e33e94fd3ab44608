"""The rows that a review looks at: the training data first, then what is measured on, numbered through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.duplicates import Fingerprints, loose_form
from tamis.data.review.scores import Bools, Rows
from tamis.data.truth import SingleTruth, Truth
from tamis.schema import plain_text

TRAIN = "train"
CHUNK = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Splits one after the other; `files` says by split which files their rows come from, with how many rows each."""

    splits: Mapping[str, Dataset]
    files: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)

    @property
    def train(self) -> Dataset:
        """The rows that are learnt from: numbers 0 to len(train) - 1."""
        return self.splits[TRAIN]

    def __len__(self) -> int:
        """Rows of all splits."""
        return sum(map(len, self.splits.values()))

    @property
    def slices(self) -> dict[str, slice]:
        """Which numbers each split has."""
        found, start = {}, 0
        for name, data in self.splits.items():
            found[name] = slice(start, start + len(data))
            start += len(data)
        return found

    def locate(self, row: int) -> tuple[str, Dataset, int]:
        """Return the split of a row, its dataset, and the row's number there."""
        for name, place in self.slices.items():
            if row < place.stop:
                return name, self.splits[name], row - place.start
        raise IndexError(row)

    def file_of(self, split: str, row: int) -> str:
        """Return the file that a split's row comes from."""
        for name, rows in self.files.get(split, ()):
            if row < rows:
                return name
            row -= rows
        return ""

    def texts(self) -> Iterator[str]:
        """Yield the text of every row; of a chat its turns."""
        for data in self.splits.values():
            yield from map(plain_text, data.inputs)

    def fingerprints(self, *, near: bool = True) -> Fingerprints:
        """Return hashes and sketches of all texts."""
        prints, chunk = Fingerprints(sketches=near), list[str]()
        for text in self.texts():
            chunk.append(text)
            if len(chunk) == CHUNK:
                prints.add(chunk, list(map(loose_form, chunk)))
                chunk = []
        prints.add(chunk, list(map(loose_form, chunk)))
        return prints

    def differ(self, one: Rows, other: Rows) -> Bools:
        """(m,) whether rows carry different labels for a target that both are known for."""
        found = np.zeros(len(one), dtype=bool)
        for target in self.train.targets:
            codes = np.concatenate([_sets(data.truth[target.name]) for data in self.splits.values()])
            a, b = codes[one], codes[other]
            found |= (a != b) & (a != 0) & (b != 0)
        return found


def _sets(truth: Truth) -> np.ndarray:
    """(n,) uint64: equal for equal sets of labels, 0 for unknown."""
    if isinstance(truth, SingleTruth):
        return (truth.codes.astype(np.int64) + 1).astype(np.uint64)
    mixed = (truth.codes.astype(np.uint64) + np.uint64(2)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    total: np.ndarray = sums[truth.offsets[1:]] - sums[truth.offsets[:-1]]
    return np.where(truth.known, np.maximum(total + np.uint64(1), np.uint64(1)), np.uint64(0))
