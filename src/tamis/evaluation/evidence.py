"""What a model itself knows of whether it has a label for a row: what its scores say, and how familiar the row is.

It is a weighted sum of the parts that `Evidence` names, the higher the surer, made of calibrated scores (and the share
of tokens seen and the nearness to training rows, where these are known). The parts, their weights and the constants
here were chosen by the experiments on evidence in docs/log.md. It knows arrays, not models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tamis.evaluation.metrics import Bools, Floats

Evidence = Literal["confidence", "spread", "others", "seen", "nearness", "scope"]
"""What there is to go by.

`confidence`: the logarithm of the highest score among the labels. `spread`: minus the mean logarithm of all labels'
scores, which is large where the other labels are ruled out. `others`: the same of the second to the tenth label alone.
`seen`: the share of the tokens that training saw. `nearness`: how much nearer than usual it is to training rows of the
label with the highest score. `scope`: the log-odds of any label against none of them, of a model that learnt rows out
of scope: what its scores lack to 1.
"""

LEAST_SCORE = 1e-5
"""Scores count as at least so much: how much less hardly tells, and is not the same everywhere."""

LEAST_SCOPE = 1e-6
SPREAD_A_SEEN = 2.0
"""How much the spread counts beside the tokens seen, each in standard deviations of rows in scope."""

SEEN_AN_OTHERS, NEARNESS_AN_OTHERS = 0.35, 0.35
"""The same of what counts beside the others, where the nearness is known."""

OTHERS = 9
"""The labels after the first that `others` looks at."""

PRIOR_ROWS, USUAL_SEEN, USUAL_NEARNESS = 100, 0.1, 0.13
"""Rows, and how much the share of seen tokens and the nearness differ among them: few held-out rows cannot tell."""

CONFIDENCE_A_SCOPE = 2.0

_LEAST, _ONE = np.float32(LEAST_SCORE), np.float32(1)

Singles = NDArray[np.float32]
Weights = Mapping[Evidence, float]


@dataclass(frozen=True, slots=True, eq=False)
class Familiar:
    """How familiar rows are to a model, beside its scores of them.

    Attributes:
        seen: (n,) the share of each row's tokens that training saw.
        nearness: (n,) how much nearer than usual each is to training rows of its label; None: not known.
    """

    seen: Singles
    nearness: Singles | None = None

    def select(self, rows: NDArray[np.intp] | Bools) -> Familiar:
        """The same of some rows."""
        return Familiar(self.seen[rows], None if self.nearness is None else self.nearness[rows])


def evidence(scores: Floats, weights: Weights, familiar: Familiar | None = None) -> Singles:
    """(n,) the evidence of each row.

    Args:
        scores: (n, n_labels) calibrated probabilities; what they lack to 1 is that of none of the labels.
        weights: of what counts.
        familiar: what is known of the rows beside the scores; where it is not, all tokens were seen, and they are as
            near as is usual.
    """
    total: Singles | None = None
    if spread := weights.get("spread"):
        logs = np.log(np.maximum(scores, _LEAST))
        total = np.add.reduce(logs, axis=1) * np.float32(-spread / scores.shape[1])
    if others := weights.get("others"):
        ruled_out = _of_others(scores) * np.float32(others)
        total = ruled_out if total is None else total + ruled_out
    if familiar is not None and (of_rows := _of_rows(familiar, weights)) is not None:
        total = of_rows if total is None else total + of_rows
    if "scope" in weights or "confidence" in weights:
        certain = _of_sums(scores, weights)
        total = certain if total is None else total + certain
    return np.zeros(len(scores), dtype=np.float32) if total is None else total


def _of_others(scores: Floats) -> Singles:
    """(n,) minus the mean logarithm of the second to the tenth score."""
    last = scores.shape[1] - 1
    if not last:
        return np.zeros(len(scores), dtype=np.float32)
    first, order = max(0, last - OTHERS), scores.copy()
    order.partition((first, last), axis=1)
    logs = np.log(np.maximum(order[:, first:last], _LEAST))
    mean: Singles = np.add.reduce(logs, axis=1) * np.float32(-1 / (last - first))
    return mean


def _of_rows(familiar: Familiar, weights: Weights) -> Singles | None:
    """(n,) what tokens seen and nearness add; None where neither counts."""
    total: Singles | None = None
    if seen := weights.get("seen"):
        total = (familiar.seen - _ONE) * np.float32(seen)
    if (near := weights.get("nearness")) and familiar.nearness is not None:
        nearness = familiar.nearness * np.float32(near)
        total = nearness if total is None else total + nearness
    return total


def _of_sums(scores: Floats, weights: Weights) -> Singles:
    within = np.clip(scores.sum(axis=1, dtype=np.float64), LEAST_SCOPE, 1.0)
    top = np.maximum(scores.max(axis=1), LEAST_SCORE * within)
    total = weights.get("confidence", 0.0) * np.log(top / within)
    total += weights.get("scope", 0.0) * np.log(within / np.maximum(1 - within, LEAST_SCOPE))
    return np.asarray(total, dtype=np.float32)


def fit_weights(scores: Floats, familiar: Familiar | None, inside: Bools, *, learnt: bool) -> dict[Evidence, float]:
    """Return the weights for a target.

    Args:
        scores: (n, n_labels) of held-out rows.
        familiar: how familiar these rows were to what had not learnt from them; None: not known.
        inside: (n,) which of them have a label of the model.
        learnt: whether rows out of scope were learnt from.
    """
    if learnt:
        return {"confidence": CONFIDENCE_A_SCOPE, "scope": 1.0}
    if familiar is None or not inside.any():
        return {"spread": 1.0}
    own = familiar.select(inside)
    seen = _deviation(own.seen, USUAL_SEEN)
    if own.nearness is None:
        spread = float(evidence(scores[inside], {"spread": 1.0}).std())
        return {"spread": 1.0, "seen": _plain(spread / seen / SPREAD_A_SEEN)}
    others, near = float(evidence(scores[inside], {"others": 1.0}).std()), _deviation(own.nearness, USUAL_NEARNESS)
    return {
        "others": 1.0,
        "nearness": _plain(NEARNESS_AN_OTHERS * others / near),
        "seen": _plain(SEEN_AN_OTHERS * others / seen),
    }


def _deviation(values: Singles, usual: float) -> float:
    """The standard deviation, as if so many further rows had the usual one."""
    n = len(values)
    return float(np.sqrt((n * float(values.var()) + PRIOR_ROWS * usual**2) / (n + PRIOR_ROWS)))


def _plain(weight: float) -> float:
    return float(f"{weight:.6g}")
