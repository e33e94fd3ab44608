"""Percentile bootstrap intervals for anything that is a function of sums over rows.

Rows are resampled with replacement (Efron 1979). Since accuracy, F1, log loss and the rest only need sums over rows
(how many were right, how many carry a label, ...), a resample is one column of row weights and all resamples together
are one sparse matrix product. It does not know which figures these are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from scipy import sparse

from tamis.evaluation.metrics import Bools, Doubles, Floats, rank

LEVEL = 0.95
BLOCK = 4_000_000  # numbers held at a time
DRAWS = 50_000_000  # rows drawn in all: fewer resamples for more rows, whose intervals are narrow anyway
FEWEST = 100
RANKED = 1_500_000  # rows x labels up to which mean average precision gets an interval

Interval = tuple[float, float]
Statistics = Callable[[Doubles], Mapping[str, Doubles]]


def intervals(
    columns: sparse.csr_array, statistics: Statistics, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Return a 95 % interval for each statistic.

    A figure of 0 to 1 that is perfect in every resample (or 0 in every one) gets the exact bound of a share instead
    of an interval of no width (Clopper and Pearson 1934): 20 right answers out of 20 are not proof of perfection.

    Args:
        columns: (n_rows, n_columns) what each row adds to each sum.
        statistics: from sums (resamples, n_columns) to figures by name, each (resamples,); NaN is left out, and a
            figure that is never a number has no interval.
        resamples: how many; no more than `DRAWS` rows are drawn in all, but at least `FEWEST` resamples are.
        seed: the same seed gives the same intervals.
    """
    n_rows = columns.shape[0]
    if not n_rows or resamples <= 0:
        return {}
    (drawn,) = drawn_figures([(columns, statistics)], resamples=resamples, seed=seed)
    found = {name: percentiles(values, n_rows) for name, values in drawn.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def drawn_figures(
    parts: Sequence[tuple[sparse.csr_array, Statistics]], *, resamples: int = 1000, seed: int = 0
) -> list[dict[str, Doubles]]:
    """Return the statistics of each part on the same resamples of the rows: by name, each (resamples,).

    Args:
        parts: what each row adds to each sum, and from sums to figures (as `intervals`); of equally many rows.
        resamples: how many, at most.
        seed: the same seed draws the same rows.
    """
    if not parts or resamples <= 0:
        return [{} for _ in parts]
    n_rows = parts[0][0].shape[0]
    widest = max(columns.shape[1] for columns, _ in parts)
    by_column = [columns.T.tocsr() for columns, _ in parts]
    found: list[list[Mapping[str, Doubles]]] = [[] for _ in parts]
    resamples = affordable(resamples, n_rows, DRAWS)
    for weights in row_weights(n_rows, resamples, seed, block=max(1, BLOCK // (n_rows + widest))):
        for sums, (_, statistics), drawn in zip(by_column, parts, found, strict=True):
            drawn.append(statistics((sums @ weights).T))
    return [{name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]} for blocks in found]


def affordable(resamples: int, cost: int, budget: int) -> int:
    """Return how many of `resamples` fit in `budget` at `cost` each, and at least `FEWEST` of them."""
    return min(resamples, max(FEWEST, budget // cost))


def row_weights(n_rows: int, resamples: int, seed: int, block: int) -> Iterator[Doubles]:
    """Yield (n_rows, at most block) how often each row is drawn, a column for each resample."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, block):
        width = min(block, resamples - start)
        drawn = rng.integers(0, n_rows, size=(n_rows, width), dtype=np.int64) * width + np.arange(width)
        yield np.bincount(drawn.ravel(), minlength=n_rows * width).reshape(n_rows, width).astype(np.float64)


def percentiles(values: Doubles, n_rows: int) -> Interval | None:
    """Return the 95 % interval of a figure's resamples (resamples,); None where it is never a number."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = (float(bound) for bound in np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    exact = float(((1 - LEVEL) / 2) ** (1 / n_rows))
    if values.min() == 1 == values.max():
        low = exact
    if values.min() == 0 == values.max():
        high = 1 - exact
    return low, high


def mean_average_precision_interval(
    scores: Floats, actual: Bools, *, resamples: int = 1000, seed: int = 0
) -> Interval | None:
    """Return a 95 % interval of the mean average precision, which is no function of sums.

    None where no row carries a label, or where rows x labels is over `RANKED` (it would take minutes).

    Args:
        scores: (n, n_labels) probabilities.
        actual: (n, n_labels) indicator.
        resamples: at most so many; fewer, down to `FEWEST`, where rows x labels is large.
        seed: the same seed gives the same interval.
    """
    n_rows, n_labels = actual.shape
    if not actual.any() or resamples <= 0 or actual.size > RANKED:
        return None
    resamples = affordable(resamples, n_rows * n_labels, DRAWS)
    rankings = [rank(scores[:, label], actual[:, label]) for label in range(n_labels) if actual[:, label].any()]
    means = []
    for weights in row_weights(n_rows, resamples, seed, block=max(1, BLOCK // n_rows)):
        total, labels = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
        for order, positives, ends in rankings:
            drawn = np.cumsum(weights[order], axis=0)
            mine = weights[order[positives]]
            last_hit = np.searchsorted(positives, ends, side="right") - 1
            precision = np.cumsum(mine, axis=0)[last_hit] / np.maximum(drawn[ends], 1)
            carried = mine.sum(axis=0)
            total += (precision * mine).sum(axis=0) / np.maximum(carried, 1)
            labels += carried > 0
        means.append(total / np.where(labels, labels, np.nan))
    return percentiles(np.concatenate(means), n_rows)
