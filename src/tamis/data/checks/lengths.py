"""Lengths of texts as a histogram whose size does not grow with the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tamis.data.checks.report import Lengths

_EXACT = 256  # lengths below are counted one by one
_STEPS = 32  # buckets for each doubling from there on: at most 3 % wide
_DOUBLINGS = 40
_BINS = 30  # bars of a chart


class LengthHistogram:
    """Counts of lengths: exact below 256, then by buckets at most 3 % wide. A length may count for several rows."""

    def __init__(self) -> None:
        """Start empty."""
        self._counts = np.zeros(_EXACT + _STEPS * _DOUBLINGS)
        self._sum = 0.0
        self.measured = 0
        self.longest = 0

    def add(self, lengths: Sequence[int] | NDArray[np.int64], weight: int = 1) -> None:
        """Count `lengths`, each for `weight` rows."""
        values = np.asarray(lengths, dtype=np.int64)
        if not len(values):
            return
        self._counts += weight * np.bincount(_bucket(values), minlength=len(self._counts))
        self._sum += weight * float(values.sum())
        self.measured += len(values)
        self.longest = max(self.longest, int(values.max()))

    @property
    def weight(self) -> int:
        """For how many rows the lengths stand."""
        return round(float(self._counts.sum()))

    def quantile(self, share: float) -> int:
        """The length that `share` of the rows do not exceed."""
        reached = np.cumsum(self._counts)
        place = int(np.searchsorted(reached, share * reached[-1] - 1e-9))
        return min(self.longest, int((_EDGES[place] + _EDGES[place + 1] - 1) // 2))

    def bins(self) -> tuple[tuple[int, int, int], ...]:
        """(from, to, rows) for about 30 bars up to the 99.5th percentile, the last one open to the longest text."""
        if not self.measured:
            return ()
        top = max(self.quantile(0.995), 1)
        edges = np.unique(np.linspace(0, top + 1, min(_BINS, top + 1) + 1).astype(np.int64))
        edges[-1] = self.longest + 1
        middles = np.minimum((_EDGES[:-1] + _EDGES[1:] - 1) // 2, self.longest)
        rows, _ = np.histogram(middles, bins=edges, weights=self._counts)
        return tuple((int(a), int(b), round(n)) for a, b, n in zip(edges[:-1], edges[1:], rows.tolist(), strict=True))

    def report(self, split: str, unit: Literal["characters", "words", "tokens"]) -> Lengths:
        """The histogram in the figures people ask for."""
        p5, median, p95, p99 = (self.quantile(share) for share in (0.05, 0.5, 0.95, 0.99))
        return Lengths(
            split=split,
            unit=unit,
            measured=self.measured,
            mean=round(self._sum / self.weight, 2),
            p5=p5,
            median=median,
            p95=p95,
            p99=p99,
            longest=self.longest,
            bins=self.bins(),
        )


def _bucket(values: NDArray[np.int64]) -> NDArray[np.int64]:
    doubling = np.frexp(np.maximum(values, _EXACT))[1].astype(np.int64) - 1  # floor of log2, 8 and up
    fine = (np.maximum(values, _EXACT) >> (doubling - 5)) - _STEPS
    coarse = np.minimum(_EXACT + (doubling - 8) * _STEPS + fine, _EXACT + _STEPS * _DOUBLINGS - 1)
    return np.where(values < _EXACT, values, coarse)


def _edges() -> NDArray[np.int64]:
    """The first length of each bucket, and one past the last."""
    coarse = [(_STEPS + fine) << (doubling + 3) for doubling in range(_DOUBLINGS) for fine in range(_STEPS)]
    return np.array([*range(_EXACT), *coarse, _STEPS << (_DOUBLINGS + 3)], dtype=np.int64)


_EDGES = _edges()
