"""The rows behind a report's figures: of each confusion, each missed and each wrongly given label, a few rows.

They are gathered while an evaluation goes on, chunk by chunk, in memory that does not grow with the rows: of wrong
answers the surest are kept, of right ones those that nearly were not. It knows rows by their number alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tamis.data.truth import MultiTruth, SingleTruth
from tamis.evaluation.figures import Figure, Record
from tamis.evaluation.metrics import Floats
from tamis.evaluation.thresholds import decide
from tamis.schema import Target

WRONG, RIGHT = 25, 10
"""Rows that are kept of a kind of wrong answers, and of a label's right ones."""

MOST_CELLS, MOST_ROWS = 3000, 6000
"""Cells of a kind that are told of a target, and rows of all of them together."""

MOST_KEPT = 200_000
MOST_SWAPS = 64
"""Pairs of a missed and a wrongly given label that one row is counted for: one with more says nothing of either."""

Places = NDArray[np.int64]


class BehindRow(Record):
    """A row, from 0, with the scores that it got for the cell's two labels (null: the model lacks it)."""

    row: int
    actual_score: Figure = None
    given_score: Figure = None


class Cell(Record):
    """`count` rows carry `actual` and were given `given`, and some of them.

    `given` null: rows that carry the label and were not given it; `actual` null: rows that were given it wrongly.
    With both, rows of a multi-label target lack the one and were given the other.
    """

    actual: str | None
    given: str | None
    count: int
    rows: tuple[BehindRow, ...]


class _Firsts:
    """By key, the rows of the lowest values, `most` of them, with two scores each; and how many rows there were."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys, self._rows = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._values, self._scores = np.zeros(0, np.float32), np.zeros((0, 2), np.float32)
        self.counts: Counter[int] = Counter()

    def add(self, keys: Places, rows: Places, values: Floats, scores: Floats) -> None:
        """Take (n,) keys, rows, values, and (n, 2) scores."""
        unique, counts = np.unique(keys, return_counts=True)
        self.counts.update(dict(zip(unique.tolist(), counts.tolist(), strict=True)))
        together = np.concatenate([self._keys, keys])
        rows, values = np.concatenate([self._rows, rows]), np.concatenate([self._values, values])
        order = np.lexsort((rows, values, together))
        sorted_keys = together[order]
        begins = np.searchsorted(sorted_keys, sorted_keys)  # of each entry, where its key begins
        order = order[np.arange(len(order)) - begins < self._most][:MOST_KEPT]
        self._keys, self._rows, self._values = together[order], rows[order], values[order].astype(np.float32)
        self._scores = np.concatenate([self._scores, scores])[order].astype(np.float32)

    def rows(self, key: int) -> Iterator[tuple[int, float, float]]:
        """Yield a key's rows with their scores."""
        begin, end = np.searchsorted(self._keys, [key, key + 1])
        for at in range(int(begin), int(end)):
            yield int(self._rows[at]), float(self._scores[at, 0]), float(self._scores[at, 1])


class SingleBehind:
    """Gathers the rows behind the confusions of a single-label target."""

    def __init__(self, target: Target, truth: SingleTruth) -> None:
        """Start with no scores."""
        self._truth, self._names = truth, (*target.labels, *truth.unseen)
        self._wrong, self._right = _Firsts(WRONG), _Firsts(RIGHT)
        self._missed, self._extra = _Firsts(WRONG), _Firsts(WRONG)

    def add(self, first: int, scores: Floats) -> None:
        """Take the scores (m, n_labels) of the rows from `first` on."""
        codes = self._truth.codes[first : first + len(scores)].astype(np.int64)
        given = scores.argmax(axis=1).astype(np.int64)
        sure = scores[np.arange(len(scores)), given]
        asked = np.where((codes >= 0) & (codes < scores.shape[1]), codes, 0)
        wanted = np.where(codes < scores.shape[1], scores[np.arange(len(scores)), asked], np.nan)
        pairs, rows = codes * len(self._names) + given, first + np.arange(len(scores), dtype=np.int64)
        both = np.stack([wanted, sure], axis=1)
        wrong, right = (codes >= 0) & (codes != given), codes == given
        for kept, keys in ((self._wrong, pairs), (self._missed, codes), (self._extra, given)):
            kept.add(keys[wrong], rows[wrong], -sure[wrong], both[wrong])
        self._right.add(pairs[right], rows[right], sure[right], both[right])

    def cells(self) -> tuple[Cell, ...]:
        """Return the cells: labels that were taken for others, that were right, were missed, were given wrongly."""
        names = self._names
        return _cells(
            (self._wrong, lambda key: (names[key // len(names)], names[key % len(names)])),
            (self._right, lambda key: (names[key // len(names)], names[key % len(names)])),
            (self._missed, lambda key: (names[key], None)),
            (self._extra, lambda key: (None, names[key])),
        )


class MultiBehind:
    """Gathers the rows behind the missed and wrongly given labels of a multi-label target."""

    def __init__(self, target: Target, truth: MultiTruth, thresholds: Floats | None) -> None:
        """Start with no scores."""
        self._truth = truth
        self._thresholds = np.full(len(target.labels), 0.5, np.float32) if thresholds is None else thresholds
        self._names: Sequence[str] = (*target.labels, *truth.unseen)
        self._swapped, self._missed, self._extra = _Firsts(WRONG), _Firsts(WRONG), _Firsts(WRONG)

    def add(self, first: int, scores: Floats) -> None:
        """Take the scores (m, n_labels) of the rows from `first` on."""
        places = np.flatnonzero(self._truth.known[first : first + len(scores)])
        if not len(places):
            return
        actual = self._truth.select(first + places).indicator(with_unseen=True)
        given, wide = np.zeros_like(actual), np.full(actual.shape, np.nan, dtype=np.float32)
        wide[:, : scores.shape[1]] = scores[places]
        given[:, : scores.shape[1]] = decide(scores[places], self._thresholds)
        missed, extra = actual & ~given, given & ~actual
        rows = first + places.astype(np.int64)
        for kept, marks, sign in ((self._missed, missed, 1), (self._extra, extra, -1)):
            at, label = np.nonzero(marks)
            found = wide[at, label]
            nothing = np.full_like(found, np.nan)
            both = np.stack([found, nothing] if kept is self._missed else [nothing, found], axis=1)
            kept.add(label.astype(np.int64), rows[at], sign * np.nan_to_num(found), both)
        self._add_swapped(rows, wide, missed, extra)

    def _add_swapped(self, rows: Places, scores: Floats, missed: NDArray[np.bool_], extra: NDArray[np.bool_]) -> None:
        pairs = missed.sum(axis=1) * extra.sum(axis=1)
        at = np.flatnonzero((pairs > 0) & (pairs <= MOST_SWAPS))
        found = [(each, a, g) for each in at.tolist() for a in _ones(missed[each]) for g in _ones(extra[each])]
        if not found:
            return
        place, actual, given = (np.array(each, dtype=np.int64) for each in zip(*found, strict=True))
        both = np.stack([scores[place, actual], scores[place, given]], axis=1)
        self._swapped.add(actual * len(self._names) + given, rows[place], -both[:, 1], both)

    def cells(self) -> tuple[Cell, ...]:
        """Return the cells: labels that were missed, that were given wrongly, that were taken for others."""
        names = self._names
        return _cells(
            (self._missed, lambda key: (names[key], None)),
            (self._extra, lambda key: (None, names[key])),
            (self._swapped, lambda key: (names[key // len(names)], names[key % len(names)])),
        )


Behind = SingleBehind | MultiBehind


def behind(target: Target, truth: SingleTruth | MultiTruth, thresholds: Floats | None) -> Behind:
    """Return what gathers the rows behind a target's figures; `thresholds` (n_labels,) are those of the model."""
    if isinstance(truth, SingleTruth):
        return SingleBehind(target, truth)
    return MultiBehind(target, truth, thresholds)


def _cells(*kinds: tuple[_Firsts, Callable[[int], tuple[str | None, str | None]]]) -> tuple[Cell, ...]:
    """The cells of each kind, the most frequent first; with rows while there is room for them."""
    left = MOST_ROWS
    made: list[Cell] = []
    for kept, called in kinds:
        for key, count in kept.counts.most_common(MOST_CELLS):
            found = (BehindRow(row=row, actual_score=a, given_score=g) for row, a, g in kept.rows(key))
            actual, given = called(key)
            made.append(Cell(actual=actual, given=given, count=count, rows=tuple(found)[: max(0, left)]))
            left -= len(made[-1].rows)
    return tuple(made)


def _ones(marks: NDArray[np.bool_]) -> list[int]:
    places: list[int] = np.flatnonzero(marks).tolist()
    return places
