"""What the lexical part minimises: a squared hinge a label, one against the rest, as linear support vector machines do.

Rows stop counting once they are right by a margin, which serves accuracy better than a softmax where n-grams are many
(`docs/log.md`). Unknown rows and unseen labels carry no weight. Class imbalance: what a row says *for* a label weighs
more where the label is rare; what it says against the others does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats

FARTHEST = np.float32(1e15)
"""What a margin can be missed by: its square is still a number."""


@dataclass(frozen=True, slots=True, eq=False)
class OneLabelHinge:
    """A row has one label: `codes` (n,), `weights` (n,), and `own` (n,) what that label weighs beside the others."""

    codes: NDArray[np.int32]
    weights: Floats
    own: Floats

    def __call__(self, logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        """Return the summed loss and its gradient."""
        codes, weights, own = self.codes[rows], self.weights[rows], self.own[rows]
        index = np.arange(len(codes))
        missing = np.clip(1 - logits[index, codes], 0, FARTHEST)
        slack = logits + np.float32(1)
        np.clip(slack, 0, FARTHEST, out=slack)
        slack[index, codes] = 0
        losses = np.einsum("ij,ij->i", slack, slack) + own * missing**2
        slack[index, codes] = -own * missing
        slack *= 2 * weights[:, None]
        return float(losses @ weights), slack


@dataclass(frozen=True, slots=True, eq=False)
class ManyLabelsHinge:
    """A row has any number of labels: `wanted` (n, labels) bool, `weights` (n,), `own` as above.

    `own` is (labels,) or (n, labels).
    """

    wanted: NDArray[np.bool_]
    weights: Floats
    own: Floats

    def __call__(self, logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        """Return the summed loss and its gradient."""
        wanted, weights = self.wanted[rows], self.weights[rows]
        own = self.own[rows] if self.own.ndim > 1 else self.own
        sign = np.where(wanted, np.float32(-1), np.float32(1))
        slack = np.clip(1 + sign * logits, 0, FARTHEST)
        slope = slack * np.where(wanted, own, np.float32(1))
        losses = np.einsum("ij,ij->i", slack, slope)
        slope *= sign
        slope *= 2 * weights[:, None]
        return float(losses @ weights), slope


Hinge = OneLabelHinge | ManyLabelsHinge


def with_private_columns(loss: Hinge, squares: Floats) -> Hinge:
    """Return the loss that is left where each row has a column of its own, with its best weight, under |weight|² / 2.

    `squares` (n,) are those of the rows' values there, times the strength. A miss m of weight w costs w m² without it,
    and w m² / (1 + 2 w square) with it: the smallest sum of w (m - value x u)² and u² / 2 over u. So the columns that
    rows share are fitted as if there were private ones, and none need be held.
    """
    room = 2 * loss.weights * squares
    alike = 1 + room
    if isinstance(loss, OneLabelHinge):
        return replace(loss, weights=loss.weights / alike, own=loss.own * alike / (1 + room * loss.own))
    own = loss.own * alike[:, None] / (1 + room[:, None] * loss.own)
    return replace(loss, weights=loss.weights / alike, own=own)
