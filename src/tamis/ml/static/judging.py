"""How good logits are on held-out rows, before calibration: the loss at the best temperature."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.thinning import evenly
from tamis.data.truth import MultiTruth, SingleTruth, Truth
from tamis.ml.progress import figure_of
from tamis.ml.static.losses import Loss, loss_of
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats

TEMPERATURES = (0.6, 1.0, 1.6)
SHARES = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0, 1.5)
USUAL_SHARE = 0.5
"""The weight of the semantic part beside the lexical one where held-out rows have not said better."""

PRECISION, RECALL = ".precision", ".recall"
"""How the names of these figures of a target end."""

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
    return rows[evenly(len(rows), most)]


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
            wanted = truth.select(rows)
            metrics |= metric(name, both, wanted) | macro_rates(name, both, wanted)
        return total, metrics


def _loss(data: Dataset, name: str) -> Loss:
    return loss_of(data.truth[name], 0.0, row_weights=data.weights)


def metric(name: str, logits: Floats, truth: Truth) -> dict[str, float]:
    """Return the figure that a target is judged by: its accuracy, or of several labels the micro-F1."""
    if isinstance(truth, MultiTruth):
        wanted, given = truth.indicator(), logits > 0
        hits = int((wanted & given).sum())
        return {figure_of(name, multi=True): 2 * hits / max(int(wanted.sum()) + int(given.sum()), 1)}
    return {figure_of(name, multi=False): float((logits.argmax(axis=1) == truth.codes).mean())}


def macro_rates(name: str, logits: Floats, truth: Truth) -> dict[str, float]:
    """Return precision and recall, averaged over the labels that the rows have; of no label's, nothing."""
    if isinstance(truth, MultiTruth):
        wanted, given = truth.indicator(), logits > 0
        hits, said, there = (rows.sum(axis=0) for rows in (wanted & given, given, wanted))
    else:
        best, n_labels = logits.argmax(axis=1), logits.shape[1]
        counted = (best[best == truth.codes], best, truth.codes)
        hits, said, there = (np.bincount(labels, minlength=n_labels) for labels in counted)
    seen = there > 0
    if not seen.any():
        return {}
    hits, said, there = hits[seen], said[seen], there[seen]
    return {
        f"{name}{PRECISION}": float((hits / np.maximum(said, 1)).mean()),
        f"{name}{RECALL}": float((hits / there).mean()),
    }


def means(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the means over all targets, as a checkpoint has them: of the metrics, of precision and of recall."""
    kinds = {
        "valid_metric": [value for name, value in metrics.items() if not name.endswith((PRECISION, RECALL))],
        "valid_precision": [value for name, value in metrics.items() if name.endswith(PRECISION)],
        "valid_recall": [value for name, value in metrics.items() if name.endswith(RECALL)],
    }
    return {name: float(np.mean(values)) for name, values in kinds.items() if values}
