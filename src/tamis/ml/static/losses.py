"""What is minimised: softmax cross-entropy for single-label targets, a sigmoid's for each label of multi-label ones.

Unknown rows (and unseen labels) carry no weight. Class imbalance: a row weighs (mean count / its label's count) to the
power `balance`, so that rare labels are heard without drowning the frequent ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tamis.data.truth import MultiTruth, SingleTruth, Truth
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats


class Loss(Protocol):
    """A loss over the logits of one target."""

    def __call__(self, logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        """Return the summed loss of `rows` and its gradient by the logits (rows, labels)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SoftmaxLoss:
    """Cross-entropy of a softmax: `codes` (n,), `weights` (n,), `smoothing` shared out among the labels."""

    codes: NDArray[np.int32]
    weights: Floats
    smoothing: float = 0.0

    def __call__(self, logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        """Return the summed loss and its gradient."""
        codes, weights = self.codes[rows], self.weights[rows]
        index = np.arange(len(codes))
        shifted = logits - logits.max(axis=1, keepdims=True)
        gradient = np.exp(shifted)
        total = gradient.sum(axis=1, keepdims=True)
        losses = np.log(total[:, 0]) - (1 - self.smoothing) * shifted[index, codes]
        gradient /= total
        gradient[index, codes] -= 1 - self.smoothing
        if self.smoothing:
            losses -= self.smoothing * shifted.mean(axis=1)
            gradient -= self.smoothing / logits.shape[1]
        gradient *= weights[:, None]
        return float(losses @ weights), gradient


@dataclass(frozen=True, slots=True, eq=False)
class SigmoidLoss:
    """Cross-entropy of independent sigmoids: `wanted` (n, labels) bool, `weights` (n,)."""

    wanted: NDArray[np.bool_]
    weights: Floats

    def __call__(self, logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        """Return the summed loss and its gradient."""
        wanted, weights = self.wanted[rows], self.weights[rows]
        small = np.exp(-np.abs(logits))
        losses = np.log1p(small) + np.maximum(logits, 0) - np.where(wanted, logits, 0)
        gradient = np.where(logits >= 0, 1, small) / (1 + small) - wanted
        gradient *= weights[:, None]
        return float((losses * weights[:, None]).sum()), gradient


def loss_of(truth: Truth, balance: float, smoothing: float = 0.0) -> Loss:
    """Return the loss of a target's truth."""
    if isinstance(truth, MultiTruth):
        return SigmoidLoss(truth.indicator(), truth.known.astype(np.float32))
    usable = _usable(truth)
    weight = _label_weights(truth, balance)
    codes = np.where(usable, truth.codes, 0).astype(np.int32)
    return SoftmaxLoss(codes, np.where(usable, weight[codes], 0).astype(np.float32), smoothing)


def _usable(truth: SingleTruth) -> NDArray[np.bool_]:
    return (truth.codes >= 0) & (truth.codes < truth.n_labels)


def _label_weights(truth: SingleTruth, balance: float) -> Floats:
    frequency = truth.counts()
    present = np.maximum(frequency, 1)
    mean = frequency.sum() / max(int((frequency > 0).sum()), 1)
    weights: Floats = np.clip((mean / present) ** balance, 0.2, 20).astype(np.float32)
    return weights
