"""How often two who label give the same: the share of rows, its interval, and what is left of it beyond chance."""

from __future__ import annotations

from math import sqrt

import numpy as np

from tamis.evaluation.figures import Figure, Record
from tamis.evaluation.metrics import Bools

Z = 1.959963984540054
"""Of a 95 % interval."""


class Agreement(Record):
    """How often two agree.

    Attributes:
        n: rows on which both gave an answer.
        share: of these, rows with the very same labels; null where there is none.
        low: the lower end of its 95 % interval.
        high: the upper end.
        kappa: Cohen's kappa of single-label answers: 1 is agreement everywhere, 0 as much as by chance.
    """

    n: int
    share: Figure = None
    low: Figure = None
    high: Figure = None
    kappa: Figure = None


def agreement(first: Bools, second: Bools, usable: Bools, *, single: bool) -> Agreement:
    """Return how often two agree.

    Args:
        first: (n, n_labels) the labels that one gives.
        second: (n, n_labels) those of the other.
        usable: (n,) rows on which both gave an answer.
        single: whether each gives one label at most, so that chance can be told.
    """
    first, second = first[usable], second[usable]
    n = len(first)
    if not n:
        return Agreement(n=0)
    share = float((first == second).all(axis=1).mean())
    low, high = wilson(share, n)
    return Agreement(n=n, share=share, low=low, high=high, kappa=_kappa(first, second, share) if single else None)


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of n rows (Wilson 1927), which keeps to 0 and 1 and suits small n."""
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _kappa(first: Bools, second: Bools, share: float) -> float | None:
    """Cohen's kappa (Cohen 1960); no label is an answer too. None where chance alone would make them agree."""
    one, other = (_with_none(given).mean(axis=0) for given in (first, second))
    chance = float(one @ other)
    return None if chance >= 1 else (share - chance) / (1 - chance)


def _with_none(given: Bools) -> Bools:
    return np.concatenate([given, ~given.any(axis=1, keepdims=True)], axis=1)
