"""The labels of many rows for one target, as arrays.

Single-label truth is one code a row; multi-label truth is a ragged list of codes a row. Codes below the number of the
target's labels are those labels; *unseen* labels (in validation or test data, absent from training) have codes too, so
that they count as misses. Unknown rows (the target was not mentioned) are kept apart from "no label", and rows that
are known to be out of a single-label target's scope from both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
OUT_OF_SCOPE = -2

Codes = NDArray[np.int32]
Bools = NDArray[np.bool_]
Rows = NDArray[np.intp] | slice


@dataclass(frozen=True, slots=True, eq=False)
class SingleTruth:
    """One code a row: `codes` (n,) int32, UNKNOWN (-1) where the target was not mentioned.

    OUT_OF_SCOPE (-2) is a row that has none of the target's labels: it is neither right nor wrong, and counts as
    unknown everywhere but where abstaining is fitted and measured. A code >= n_labels stands for the unseen label
    `unseen[code - n_labels]`.
    """

    codes: Codes
    n_labels: int
    unseen: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Rows."""
        return len(self.codes)

    @property
    def known(self) -> Bools:
        """(n,) whether the row has a label of this target."""
        known: Bools = self.codes >= 0
        return known

    @property
    def out_of_scope(self) -> Bools:
        """(n,) whether the row is known to have none of the labels that there are."""
        outside: Bools = self.codes == OUT_OF_SCOPE
        return outside

    def select(self, rows: Rows) -> SingleTruth:
        """The same for some rows."""
        return SingleTruth(self.codes[rows], self.n_labels, self.unseen)

    def counts(self) -> NDArray[np.int64]:
        """(n_labels,) rows that carry each label."""
        seen = self.codes[(self.codes >= 0) & (self.codes < self.n_labels)]
        return np.bincount(seen, minlength=self.n_labels).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class MultiTruth:
    """Any number of codes a row: row i has `codes[offsets[i]:offsets[i + 1]]`; `known` (n,) bool.

    A code >= n_labels stands for the unseen label `unseen[code - n_labels]`.
    """

    codes: Codes
    offsets: NDArray[np.int64]
    known: Bools
    n_labels: int
    unseen: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Rows."""
        return len(self.known)

    def select(self, rows: Rows) -> MultiTruth:
        """The same for some rows."""
        index = np.arange(len(self))[rows]
        starts, lengths = self.offsets[index], self.offsets[index + 1] - self.offsets[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        source = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        return MultiTruth(self.codes[source], offsets, self.known[index], self.n_labels, self.unseen)

    def indicator(self, *, with_unseen: bool = False) -> Bools:
        """(n, n_labels) bool; with_unseen adds a column for each unseen label."""
        width = self.n_labels + (len(self.unseen) if with_unseen else 0)
        dense = np.zeros((len(self), width), dtype=bool)
        row = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        kept = self.codes < width
        dense[row[kept], self.codes[kept]] = True
        return dense

    def counts(self) -> NDArray[np.int64]:
        """(n_labels,) rows that carry each label."""
        return np.bincount(self.codes[self.codes < self.n_labels], minlength=self.n_labels).astype(np.int64)


Truth = SingleTruth | MultiTruth


def multi_truth(rows: Sequence[Sequence[int] | None], n_labels: int, unseen: tuple[str, ...] = ()) -> MultiTruth:
    """Build multi-label truth from a list of codes a row; None is unknown."""
    lengths = [len(row) if row else 0 for row in rows]
    flat = [code for row in rows if row for code in row]
    return MultiTruth(
        codes=np.asarray(flat, dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        known=np.asarray([row is not None for row in rows], dtype=bool),
        n_labels=n_labels,
        unseen=unseen,
    )
