"""How well a model's own evidence tells rows that it has labels for from rows that it has none for.

Evidence is a number a row: the higher, the more a row is like those that the model learnt from. It does not know what
the evidence is made of.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tamis.evaluation.metrics import Bools, Doubles, Floats, ratio

Z = 1.959963984540054  # of a 95 % interval


class Share(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    interval: tuple[float, float]


def auroc(inside: Floats, outside: Floats) -> Share | None:
    """Return how often a row inside has more evidence than one outside, ties half; None without either.

    The interval is that of DeLong, DeLong and Clarke-Pearson (1988).

    Args:
        inside: (n,) the evidence of rows that the model has a label for.
        outside: (m,) that of rows that it has none for.
    """
    n, m = len(inside), len(outside)
    if not n or not m:
        return None
    above, below = _below(inside, outside), 1 - _below(outside, inside)
    value = float(above.mean())
    error = float(np.sqrt(_variance(above) / n + _variance(below) / m))
    return Share(value, (max(0.0, value - Z * error), min(1.0, value + Z * error)))


def _below(values: Floats, others: Floats) -> Doubles:
    """(values,) the share of the others that are lower, ties half."""
    ordered = np.sort(others)
    low, high = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    share: Doubles = (low + high) / (2.0 * len(others))
    return share


def _variance(values: Doubles) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0


def share_of(hits: int, rows: int) -> Share | None:
    """Return a share with Wilson's interval (1927), which knows that few rows prove little; None without rows."""
    if not rows:
        return None
    share, z2 = hits / rows, Z**2 / rows
    middle, half = share + z2 / 2, float(np.sqrt(z2 * (share * (1 - share) + z2 / 4)))
    return Share(share, (max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2))))


def turned_away_at(inside: Floats, outside: Floats, coverage: float) -> float:
    """Return the share of the rows outside below the highest cut that leaves this share of the rows inside."""
    if not len(inside) or not len(outside):
        return float("nan")
    lost = min(int(len(inside) * (1 - coverage) + 1e-9), len(inside) - 1)
    return float((outside < np.partition(inside, lost)[lost]).mean())


class Point(NamedTuple):
    """One cut of many: what is answered above it. All but `cut` are shares."""

    cut: float
    coverage: float
    accuracy: float
    turned_away: float


def curve(evidence: Floats, right: Bools, outside: Floats, points: int = 100) -> list[Point]:
    """Return what cuts at even steps of coverage come to, from answering all to answering one in `points`.

    Args:
        evidence: (n,) of rows that count for accuracy.
        right: (n,) whether the answer is right.
        outside: (m,) the evidence of rows out of scope; none: `turned_away` is NaN.
        points: how many.
    """
    if not len(evidence):
        return []
    order = np.argsort(evidence, kind="stable")
    ordered, correct = evidence[order], np.asarray(right, dtype=np.float64)[order]
    starts = np.unique(np.searchsorted(ordered, ordered[np.arange(points) * len(ordered) // points]))
    left = (len(ordered) - starts).astype(np.float64)
    answered = correct[::-1].cumsum()[::-1][starts]
    lower = np.searchsorted(np.sort(outside), ordered[starts]).astype(np.float64)
    turned = ratio(lower, np.full(len(starts), float(len(outside))), np.nan)
    return [
        Point(*map(float, row))
        for row in zip(ordered[starts], left / len(ordered), answered / left, turned, strict=True)
    ]
