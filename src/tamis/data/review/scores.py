"""Out-of-fold scores in little memory: what a model that did not see a row says of it.

A single-label row keeps its few most probable labels, its own among them; a multi-label row keeps its own labels and
those that it lacks although they seem to belong. Rows are gathered a portion at a time, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamis.data.truth import MultiTruth, SingleTruth, Truth

Rows = NDArray[np.int64]
Codes = NDArray[np.int32]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

KEPT = 8
"""Labels of a single-label row that are kept: six bytes each."""

PLAUSIBLE = 0.1
"""Probability from which a label that a multi-label row lacks is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class SingleScores:
    """The most probable labels of each row; `labels` is -1 and `probabilities` 0 where a row was not scored.

    Attributes:
        labels: (n, k) int32 codes; the row's own label stands first where it has one, the others fall in probability.
        probabilities: (n, k) float16.
        own: (n,) whether the first label is the row's own.
        truth: the labels that the rows carry.
    """

    labels: Codes
    probabilities: NDArray[np.float16]
    own: Bools
    truth: SingleTruth

    def __len__(self) -> int:
        """Rows."""
        return len(self.own)


@dataclass(frozen=True, slots=True, eq=False)
class MultiScores:
    """Cells of the table rows x labels: all that are carried, and those not carried that are plausible.

    Attributes:
        rows: (m,) ascending.
        labels: (m,) codes.
        probabilities: (m,) float16.
        carried: (m,) whether the row carries the label.
        truth: the labels that the rows carry.
    """

    rows: Rows
    labels: Codes
    probabilities: NDArray[np.float16]
    carried: Bools
    truth: MultiTruth

    def __len__(self) -> int:
        """Rows."""
        return len(self.truth)


Scores = SingleScores | MultiScores


class SingleGatherer:
    """Takes probabilities of some rows at a time, dense, and keeps the most probable labels."""

    def __init__(self, truth: SingleTruth) -> None:
        """Begin for rows with these labels."""
        self._truth = truth
        self._k = min(KEPT, truth.n_labels)
        self._labels = np.full((len(truth), self._k), -1, dtype=np.int32)
        self._probabilities = np.zeros((len(truth), self._k), dtype=np.float16)
        self._own = (truth.codes >= 0) & (truth.codes < truth.n_labels)

    def add(self, rows: Rows, probabilities: Floats) -> None:
        """Take in what is said of `rows`: (len(rows), n_labels)."""
        ranked = probabilities.copy()
        own = np.flatnonzero(self._own[rows])
        codes = self._truth.codes[rows[own]]
        ranked[own, codes] = 2.0  # first, whatever its probability
        top = np.argpartition(-ranked, self._k - 1, axis=1)[:, : self._k]
        order = np.argsort(-np.take_along_axis(ranked, top, axis=1), axis=1, kind="stable")
        top = np.take_along_axis(top, order, axis=1)
        self._labels[rows] = top
        self._probabilities[rows] = np.take_along_axis(probabilities, top, axis=1)

    def finish(self) -> SingleScores:
        """Return what was kept."""
        return SingleScores(self._labels, self._probabilities, self._own & (self._labels[:, 0] >= 0), self._truth)


class MultiGatherer:
    """The same for a multi-label target."""

    def __init__(self, truth: MultiTruth) -> None:
        """Begin for rows with these labels."""
        self._truth = truth
        self._parts: list[tuple[Rows, Codes, NDArray[np.float16], Bools]] = []

    def add(self, rows: Rows, probabilities: Floats) -> None:
        """Take in what is said of `rows`: (len(rows), n_labels)."""
        carried = self._truth.select(rows).indicator()
        row, label = np.nonzero((carried | (probabilities >= PLAUSIBLE)) & self._truth.known[rows][:, None])
        self._parts.append(
            (rows[row], label.astype(np.int32), probabilities[row, label].astype(np.float16), carried[row, label])
        )

    def finish(self) -> MultiScores:
        """Return what was kept."""
        if not self._parts:
            nothing = np.zeros(0, dtype=np.int64)
            return MultiScores(
                nothing, nothing.astype(np.int32), nothing.astype(np.float16), nothing.astype(bool), self._truth
            )
        rows, labels, probabilities, carried = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        order = np.argsort(rows, kind="stable")
        return MultiScores(rows[order], labels[order], probabilities[order], carried[order], self._truth)


Gatherer = SingleGatherer | MultiGatherer


def gatherer(truth: Truth) -> Gatherer:
    """Return what gathers scores of rows with these labels."""
    return SingleGatherer(truth) if isinstance(truth, SingleTruth) else MultiGatherer(truth)


def portions(n_rows: int, at_once: int) -> Iterator[slice]:
    """Yield slices that together are all rows."""
    for first in range(0, n_rows, at_once):
        yield slice(first, min(first + at_once, n_rows))
