"""How good logits are on held-out rows, before calibration: the loss at the best temperature."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.truth import MultiTruth, SingleTruth, Truth
from tamis.ml.static.losses import Loss, loss_of
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats

TEMPERATURES = (0.6, 1.0, 1.6)
SHARES = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0, 1.5)
USUAL_SHARE = 0.5
"""The weight of the semantic part beside the lexical one where held-out rows have not said better."""

MOST_ROWS = 4_000
NOISE = 0.25
"""Typical difference of two shares' losses on a row: what the root of the rows makes of it is no evidence."""


def some_rows(truth: Truth) -> Ints:
    """Return the rows that can be judged, evenly thinned where they are very many."""
    usable = truth.known
    if isinstance(truth, SingleTruth):
        usable = usable & (truth.codes < truth.n_labels)
    rows = np.flatnonzero(usable)
    most = max(500, MOST_ROWS * 100 // max(truth.n_labels, 100))
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)] if len(rows) > most else rows


def loss_at_best_temperature(logits: Floats, loss: Loss, rows: Ints) -> float:
    """Return the summed loss of `rows` (logits of these rows) at the temperature that suits best."""
    return min(loss(logits * np.float32(temperature), rows)[0] for temperature in TEMPERATURES)


def best_share(lexical: Floats, semantic: Floats, truth: Truth, row_weights: Floats | None = None) -> float:
    """Return how much of the semantic part to add to the lexical part, judged by the loss on held-out rows.

    The share nearest to the usual one among those that are not clearly worse than the best. `row_weights` (n,) as in
    training.
    """
    rows = some_rows(truth)
    if not len(rows):
        return USUAL_SHARE
    loss = loss_of(truth, 0.0, row_weights=row_weights)
    sums = {
        share: loss_at_best_temperature(lexical[rows] + np.float32(share) * semantic[rows], loss, rows)
        for share in SHARES
    }
    enough = min(sums.values()) + NOISE * len(rows) ** 0.5
    return min((share for share in SHARES if sums[share] <= enough), key=lambda share: abs(share - USUAL_SHARE))


class Judge:
    """Judges the two parts on held-out rows: their loss together, and a metric for each target."""

    def __init__(self, data: Dataset, columns: Mapping[str, slice], weights: Mapping[str, float] | None = None) -> None:
        """Choose the rows to look at; `weights` say how much each target's loss counts (default: 1)."""
        self._weights = weights or {}
        self._targets = [
            (name, place, some_rows(data.truth[name]), data.truth[name], _loss(data, name))
            for name, place in columns.items()
        ]

    def __call__(self, lexical: Floats, semantic: Floats) -> tuple[float, dict[str, float]]:
        """Return the targets' mean losses, added up, and the checkpoint's metrics, from (rows, all labels) logits."""
        total, metrics = 0.0, dict[str, float]()
        for name, place, rows, truth, loss in self._targets:
            if not len(rows):
                continue
            both = lexical[rows, place] + np.float32(USUAL_SHARE) * semantic[rows, place]
            total += self._weights.get(name, 1.0) * loss_at_best_temperature(both, loss, rows) / len(rows)
            metrics |= _metric(name, both, truth, rows)
        return total, metrics


def _loss(data: Dataset, name: str) -> Loss:
    return loss_of(data.truth[name], 0.0, row_weights=data.weights)


def _metric(name: str, logits: Floats, truth: Truth, rows: Ints) -> dict[str, float]:
    if isinstance(truth, MultiTruth):
        wanted = truth.select(rows).indicator()
        given = logits > 0
        hits = int((wanted & given).sum())
        return {f"{name}.micro_f1": 2 * hits / max(int(wanted.sum()) + int(given.sum()), 1)}
    return {f"{name}.accuracy": float((logits.argmax(axis=1) == truth.codes[rows]).mean())}
