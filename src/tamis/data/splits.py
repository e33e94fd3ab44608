"""Which rows are for training, which for validation and testing.

Stratified for single-label and multi-label targets, and for several targets at once, after the iterative
stratification of Sechidis, Tsoumakas and Vlahavas (2011, "On the stratification of multi-label data"): rows with
the rarest labels are dealt first, each to the split that lacks it most. Two changes make it fit here. A split's lack is
counted against what has been dealt so far, not against the final quota, so that rows with the same set of labels spread
evenly and the remainders of many small labels add up to the sizes asked for. And what is dealt is a text, with all rows
that repeat it (but for case and spaces), in the order of a hash of its content: the order of the rows plays no part,
and no text can leak from one split to another.

It knows label codes and texts, not files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset, input_key
from tamis.data.duplicates import loose_form
from tamis.data.truth import UNKNOWN, SingleTruth, Truth
from tamis.errors import InvalidSetting, NoRows
from tamis.schema import plain_text

Ints = NDArray[np.int64]
Rows = NDArray[np.intp]

CHUNK = 16_384  # units turned into Python lists at a time, which bounds memory


@dataclass(frozen=True, slots=True)
class Untestable:
    """A label that some splits hold no row of: `rows` in all splits together, `missing` the splits without one."""

    target: str
    label: str
    rows: int
    missing: tuple[str, ...]


Check = Callable[[], None]
"""Called some times a second; what it raises ends the work."""


def split_rows(
    dataset: Dataset, shares: Mapping[str, float], seed: int, check: Check = lambda: None
) -> dict[str, Rows]:
    """Return the rows of each split, ascending: together they are all rows, each once.

    Rows with the same text, but for case and spaces, fall in the same split, and the order of the rows plays no part.
    Every label has a row in the first split (train), so a label with a single row is never held out.

    Args:
        dataset: what to split.
        shares: how much each split gets, by name, training first; they add up to 1.
        seed: another seed gives another split.
        check: called between portions of the work.

    Raises:
        InvalidSetting: a share is negative or not a number, the first is 0, or they do not add up to 1.
    """
    require_shares(shares)
    units = _Units.of(dataset, seed, check)
    dealt = _deal(units, list(shares.values()), check)
    _bring_back(units, dealt)
    of_row = dealt[units.of_row]
    return {name: np.flatnonzero(of_row == number) for number, name in enumerate(shares)}


def folds(dataset: Dataset, k: int, seed: int) -> NDArray[np.int32]:
    """Return the fold (0 to k - 1) of each row, (n,): stratified and grouped like `split_rows`.

    Raises:
        InvalidSetting: k is below 2.
        NoRows: there are fewer different texts than folds.
    """
    if k < 2:
        raise InvalidSetting(f"{k} folds: at least 2 are needed, one to hold out and one to train on.", k=k)
    units = _Units.of(dataset, seed)
    if len(units.weight) < k:
        raise NoRows(
            f"{len(units.weight)} different texts cannot make {k} folds: give more rows or ask for fewer.", k=k
        )
    return _deal(units, [1 / k] * k)[units.of_row]


def different_texts(dataset: Dataset) -> int:
    """Return how many different texts there are, but for case and spaces: folds need as many at least."""
    return len(np.unique(_keys(dataset)))


def untestable_labels(dataset: Dataset, rows_by_split: Mapping[str, Rows]) -> list[Untestable]:
    """Return the labels that some split has no row of, by target and label.

    Splits without any row are left out: nothing can be measured there at all.
    """
    found = []
    for target in dataset.targets:
        truth = dataset.truth[target.name]
        counts = {name: truth.select(rows).counts().tolist() for name, rows in rows_by_split.items() if len(rows)}
        for code, label in enumerate(target.labels):
            missing = tuple(name for name, count in counts.items() if not count[code])
            if missing:
                found.append(Untestable(target.name, label, sum(count[code] for count in counts.values()), missing))
    return found


def require_shares(shares: Mapping[str, float]) -> None:
    """Refuse shares that cannot be meant.

    Raises:
        InvalidSetting: a share is negative or not a number, the first is 0, or they do not add up to 1.
    """
    said = ", ".join(f"{name} {share:g}" for name, share in shares.items())
    # NaN compares false with everything, so what is allowed is asked for, not what is refused
    if not shares or not all(0 <= share <= 1 for share in shares.values()):
        raise InvalidSetting(f"Shares of {said or 'nothing'}: each must lie between 0 and 1.", shares=dict(shares))
    if not next(iter(shares.values())) > 0:
        raise InvalidSetting(f"Shares of {said}: nothing would be left to train on.", shares=dict(shares))
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise InvalidSetting(f"Shares of {said}: they must add up to 1.", shares=dict(shares))


@dataclass(frozen=True, slots=True, eq=False)
class _Units:
    """The different texts, in dealing order; unit u carries `labels[starts[u]:starts[u + 1]]`, `times` each.

    Label ids run over all targets; those below `n_real` are labels, the others stand for "unknown", for "no label" and
    (the last) for being a row at all, so that those are spread evenly too.
    """

    of_row: Rows  # (n,) the unit of each row
    weight: Ints  # (units,) rows of each
    starts: Ints
    labels: NDArray[np.int32]
    times: NDArray[np.int32]
    n_real: int
    n_ids: int

    @classmethod
    def of(cls, dataset: Dataset, seed: int, check: Check = lambda: None) -> _Units:
        """Group the rows by text and order the groups: repeated ones first, then by rarest label, labels, hash."""
        _, of_row, weight = np.unique(_scatter(_keys(dataset, check), seed), return_inverse=True, return_counts=True)
        n_real = sum(map(_width, dataset.truth.values()))
        n_ids = n_real + 2 * len(dataset.truth) + 1
        pairs, counts = np.unique(_pairs(dataset, of_row, n_real, n_ids), return_counts=True)
        starts = np.searchsorted(pairs, np.arange(len(weight) + 1) * n_ids)
        label, times = (pairs % n_ids).astype(np.int32), counts.astype(np.int32)
        del pairs, counts  # they are the largest arrays here
        order = _order(weight, starts, label, times, n_ids)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        lengths = np.diff(starts)[order]
        new_starts = np.concatenate([[0], np.cumsum(lengths)])
        source = np.repeat(starts[order] - new_starts[:-1], lengths) + np.arange(new_starts[-1])
        return cls(place[of_row], weight[order], new_starts, label[source], times[source], n_real, n_ids)

    def chunks(self) -> Iterator[list[list[tuple[int, int, float]]]]:
        """(label, times, times by the label's weight) of each unit, some thousand units at a time.

        A missing row weighs more the rarer its label is, by the square root: enough for labels with ten rows to be in
        every tenth, not so much that the sizes of the splits suffer.
        """
        weight = 1 / np.sqrt(np.maximum(np.bincount(self.labels, self.times, minlength=self.n_ids), 1))
        for first in range(0, len(self.weight), CHUNK):
            bounds = self.starts[first : first + CHUNK + 1]
            labels, times = (column[bounds[0] : bounds[-1]] for column in (self.labels, self.times))
            stated = list(zip(labels.tolist(), times.tolist(), (times * weight[labels]).tolist(), strict=True))
            yield [stated[start:end] for start, end in pairwise((bounds - bounds[0]).tolist())]


def _keys(dataset: Dataset, check: Check = lambda: None) -> NDArray[np.uint64]:
    """A hash of each row's text, (n,): the same for what the data gate calls the same text."""
    keys = np.empty(len(dataset), dtype=np.uint64)
    for first in range(0, len(dataset), CHUNK):
        check()
        some = dataset.inputs[first : first + CHUNK]
        keys[first : first + CHUNK] = [input_key(loose_form(plain_text(given))) for given in some]
    return keys


def _scatter(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """A one-to-one shuffle of 64-bit keys by seed (the finaliser of splitmix64)."""
    mixed = keys + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    scattered: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return scattered


def _pairs(dataset: Dataset, of_row: Rows, n_real: int, n_ids: int) -> Ints:
    """Unit * n_ids + label id for everything that a row states, over all targets."""
    first, stand_in = 0, n_real
    pairs = [of_row * n_ids + n_ids - 1]
    for name in sorted(dataset.truth):  # by name: the order in which targets were met depends on the rows
        row, code = _stated(dataset.truth[name])
        pairs.append(of_row[row] * n_ids + np.where(code < 0, stand_in - 1 - code, first + code))
        first += _width(dataset.truth[name])
        stand_in += 2
    return np.concatenate(pairs)


def _width(truth: Truth) -> int:
    return truth.n_labels + len(truth.unseen)


def _stated(truth: Truth) -> tuple[Ints, Ints]:
    """(row, code) of every label; code -1 for an unknown row, -2 for a row that carries no label."""
    if isinstance(truth, SingleTruth):
        return np.arange(len(truth)), truth.codes.astype(np.int64)
    lengths = np.diff(truth.offsets)
    bare = np.flatnonzero(lengths == 0)
    rows = np.concatenate([np.repeat(np.arange(len(truth)), lengths), bare])
    return rows, np.concatenate([truth.codes.astype(np.int64), np.where(truth.known[bare], -2, UNKNOWN)])


def _order(weight: Ints, starts: Ints, label: NDArray[np.int32], times: NDArray[np.int32], n_ids: int) -> Ints:
    """Units in dealing order. They come in hash order, which a stable sort keeps among equals."""
    total = np.bincount(label, times, minlength=n_ids).astype(np.int64)
    rank = np.empty(n_ids, dtype=np.int64)
    rank[np.argsort(total, kind="stable")] = np.arange(n_ids)
    rarest = np.minimum.reduceat(rank[label], starts[:-1])
    marks = _scatter(label.astype(np.uint64), 1) * times.astype(np.uint64)
    same_labels = np.add.reduceat(marks, starts[:-1])  # a hash of the set, equal for equal sets
    order: Ints = np.lexsort((same_labels, rarest, -weight))
    return order


def _deal(units: _Units, shares: Sequence[float], check: Check = lambda: None) -> NDArray[np.int32]:
    """Deal each unit to the split that lacks its labels most: the split of each, (units,)."""
    dealt: list[int] = []
    lacks = [[0.0] * units.n_ids for _ in shares]  # how far each split is below its share of a label, weighted
    parts = [(number, share, lacks[number]) for number, share in enumerate(shares) if share]
    for chunk in units.chunks():
        check()
        for unit in chunk:
            most, taker = -inf, 0
            for number, share, lack in parts:
                want = 0.0
                for label, times, step in unit:
                    lack[label] += share * step
                    want += lack[label] * times
                if want > most:
                    most, taker = want, number
            lack = lacks[taker]
            for label, _, step in unit:
                lack[label] -= step
            dealt.append(taker)
    return np.array(dealt, dtype=np.int32)


def _bring_back(units: _Units, dealt: NDArray[np.int32]) -> None:
    """Move to the first split the first unit of each label that has no row there."""
    unit_of = np.repeat(np.arange(len(units.weight)), np.diff(units.starts))
    has_row = np.zeros(units.n_ids, dtype=bool)
    has_row[units.labels[dealt[unit_of] == 0]] = True
    label, first = np.unique(units.labels, return_index=True)
    for number, place in zip(label.tolist(), first.tolist(), strict=True):
        if number < units.n_real and not has_row[number]:
            unit = unit_of[place]
            dealt[unit] = 0
            has_row[units.labels[units.starts[unit] : units.starts[unit + 1]]] = True
