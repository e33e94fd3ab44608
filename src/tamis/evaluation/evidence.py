"""What a model itself knows of whether it has a label for a row: what its scores say, and which tokens it has seen.

It is a weighted sum of the parts that `Evidence` names, the higher the surer, made of calibrated scores alone (and the
share of tokens seen, where that is known), so whoever has the scores can compute it. The parts, their weights and the
constants here were chosen by the experiment "Evidence for abstaining" in docs/log.md. It knows arrays, not models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tamis.evaluation.metrics import Bools, Floats

Evidence = Literal["confidence", "spread", "seen", "scope"]
"""What there is to go by.

`confidence`: the logarithm of the highest score among the labels. `spread`: minus the mean logarithm of all labels'
scores, which is large where the other labels are ruled out. `seen`: the share of the tokens that training saw. `scope`:
the log-odds of any label against none of them, of a model that learnt rows out of scope: what its scores lack to 1.
"""

LEAST_SCORE = 1e-5
"""Scores count as at least so much: how much less hardly tells, and is not the same everywhere."""

LEAST_SCOPE = 1e-6
SPREAD_A_SEEN = 2.0
"""How much the spread counts beside the tokens seen, each in standard deviations of rows in scope."""

SEEN_PRIOR = 100, 0.1
"""Rows, and how much the share of seen tokens differs among them: what few held-out rows are not enough to tell."""

CONFIDENCE_A_SCOPE = 2.0

_LEAST, _ONE = np.float32(LEAST_SCORE), np.float32(1)

Singles = NDArray[np.float32]
Weights = Mapping[Evidence, float]


def evidence(scores: Floats, weights: Weights, seen: Floats | None = None) -> Singles:
    """(n,) the evidence of each row.

    Args:
        scores: (n, n_labels) calibrated probabilities; what they lack to 1 is that of none of the labels.
        weights: of what counts.
        seen: (n,) the share of tokens that training saw; 1 where it is not known.
    """
    total: Singles | None = None
    if spread := weights.get("spread"):
        logs = np.log(np.maximum(scores, _LEAST))
        total = np.add.reduce(logs, axis=1) * np.float32(-spread / scores.shape[1])
    if (known := weights.get("seen")) and seen is not None:
        share = (seen.reshape(-1) - _ONE) * np.float32(known)
        total = share if total is None else total + share
    if "scope" in weights or "confidence" in weights:
        certain = _of_sums(scores, weights)
        total = certain if total is None else total + certain
    return np.zeros(len(scores), dtype=np.float32) if total is None else total


def _of_sums(scores: Floats, weights: Weights) -> Singles:
    within = np.clip(scores.sum(axis=1, dtype=np.float64), LEAST_SCOPE, 1.0)
    top = np.maximum(scores.max(axis=1), LEAST_SCORE * within)
    total = weights.get("confidence", 0.0) * np.log(top / within)
    total += weights.get("scope", 0.0) * np.log(within / np.maximum(1 - within, LEAST_SCOPE))
    return np.asarray(total, dtype=np.float32)


def fit_weights(scores: Floats, seen: Floats | None, inside: Bools, *, learnt: bool) -> dict[Evidence, float]:
    """Return the weights for a target.

    Args:
        scores: (n, n_labels) of held-out rows.
        seen: (n,) the share of their tokens that occurred in the rows that were learnt from; None: not known.
        inside: (n,) which of them have a label of the model.
        learnt: whether rows out of scope were learnt from.
    """
    if learnt:
        return {"confidence": CONFIDENCE_A_SCOPE, "scope": 1.0}
    if seen is None or not inside.any():
        return {"spread": 1.0}
    spread = float(evidence(scores[inside], {"spread": 1.0}).std())
    n, (rows, usual) = int(inside.sum()), SEEN_PRIOR
    deviation = ((n * float(seen.reshape(-1)[inside].var()) + rows * usual**2) / (n + rows)) ** 0.5
    return {"spread": 1.0, "seen": float(f"{spread / deviation / SPREAD_A_SEEN:.6g}")}
