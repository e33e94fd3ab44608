"""What is minimised: softmax cross-entropy for single-label targets, a sigmoid's for each label of multi-label ones.

Unknown rows (and unseen labels) carry no weight. Class imbalance: a row weighs (mean count / its label's count) to the
power `balance`, so that rare labels are heard without drowning the frequent ones. Rows may bring weights of their own,
of which only the proportions count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tamis.data.truth import MultiTruth, SingleTruth, Truth
from tamis.ml.static.margins import Hinge, ManyLabelsHinge, OneLabelHinge
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

    def right(self, logits: Floats, rows: Ints | slice) -> tuple[int, int]:
        """Return in how many of `rows` the wanted label has the highest logit, and how many of them weigh something."""
        counted = self.weights[rows] > 0
        right = (logits.argmax(axis=1) == self.codes[rows]) & counted
        return int(np.count_nonzero(right)), int(np.count_nonzero(counted))


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

    def right(self, logits: Floats, rows: Ints | slice) -> tuple[int, int]:
        """Return twice the labels of `rows` that are wanted and given, and those wanted and those given."""
        counted = (self.weights[rows] > 0)[:, None]
        wanted, given = self.wanted[rows] & counted, (logits > 0) & counted
        hits = int(np.count_nonzero(wanted & given))
        return 2 * hits, int(np.count_nonzero(wanted)) + int(np.count_nonzero(given))


@dataclass(frozen=True, slots=True, eq=False)
class ScaledLoss:
    """A loss times a factor."""

    loss: Loss
    factor: float

    def __call__(self, logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        """Return the summed loss and its gradient."""
        value, gradient = self.loss(logits, rows)
        gradient *= np.float32(self.factor)
        return value * self.factor, gradient


@dataclass(frozen=True, slots=True, eq=False)
class CountedLoss:
    """A loss of all labels of a target, which is some factor of `plain`, and how often the logits were right."""

    loss: Loss
    plain: SoftmaxLoss | SigmoidLoss
    calls: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        """Return the summed loss and its gradient; several threads may ask."""
        self.calls.append(self.plain.right(logits, rows))
        return self.loss(logits, rows)

    def take(self) -> tuple[int, int]:
        """Return what all calls counted, and begin again."""
        right, of = sum(right for right, _ in self.calls), sum(of for _, of in self.calls)
        self.calls.clear()
        return right, of


def beyond(prior: Floats, loss: Loss, pulse: Callable[[], None]) -> Loss:
    """Return the loss of what is added to `prior` (labels,) logits; `pulse` is called each time, before it."""

    def shifted(logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        pulse()
        return loss(logits + prior, rows)

    return shifted


def loss_of(
    truth: Truth, balance: float, smoothing: float = 0.0, row_weights: Floats | None = None
) -> SoftmaxLoss | SigmoidLoss:
    """Return the loss of a target's truth; `row_weights` (n,) are relative to their mean over the rows that count."""
    if isinstance(truth, MultiTruth):
        return SigmoidLoss(truth.indicator(), row_weights_of(truth, row_weights))
    return softmax_of(truth, balance, smoothing, row_weights)


def softmax_of(truth: SingleTruth, balance: float, smoothing: float, row_weights: Floats | None = None) -> SoftmaxLoss:
    """Return the loss of a single-label target's truth, as `loss_of` does."""
    usable = _usable(truth)
    weight = _label_weights(label_counts(truth, row_weights), balance)
    codes = np.where(usable, truth.codes, 0).astype(np.int32)
    weights = np.where(usable, weight[codes], 0).astype(np.float32)
    return SoftmaxLoss(codes, _times(weights, row_weights), smoothing)


def margin_loss_of(truth: Truth, balance: float, row_weights: Floats | None = None) -> Hinge:
    """Return the squared hinge of a target's truth, what speaks for a label being balanced; else as `loss_of`."""
    own = _label_weights(label_counts(truth, row_weights), balance)
    if isinstance(truth, MultiTruth):
        return ManyLabelsHinge(truth.indicator(), row_weights_of(truth, row_weights), own)
    usable = _usable(truth)
    codes = np.where(usable, truth.codes, 0).astype(np.int32)
    return OneLabelHinge(codes, _times(usable.astype(np.float32), row_weights), own[codes])


def row_weights_of(truth: MultiTruth, row_weights: Floats | None = None) -> Floats:
    """Return (n,) what the rows of a multi-label target weigh: 0 where they are unknown."""
    return _times(truth.known.astype(np.float32), row_weights)


def label_counts(truth: Truth, row_weights: Floats | None = None) -> NDArray[np.number[Any]]:
    """Return (n_labels,) the rows that carry each label, or the sum of their weights over the mean weight."""
    if row_weights is None:
        return truth.counts()
    if isinstance(truth, SingleTruth):
        usable = _usable(truth)
        codes, weights = truth.codes[usable], row_weights[usable]
    else:
        row = np.repeat(np.arange(len(truth)), np.diff(truth.offsets))
        declared = truth.codes < truth.n_labels
        codes, weights = truth.codes[declared], row_weights[row[declared]]
    mean = float(row_weights[truth.known].mean()) if truth.known.any() else 1.0
    return np.bincount(codes, weights=weights / np.float32(mean), minlength=truth.n_labels)


def _times(weights: Floats, row_weights: Floats | None) -> Floats:
    if row_weights is None:
        return weights
    counted = row_weights[weights > 0]
    mean = counted.mean() if len(counted) else np.float32(1)
    relative: Floats = weights * (row_weights / mean)
    return relative


def _usable(truth: SingleTruth) -> NDArray[np.bool_]:
    return (truth.codes >= 0) & (truth.codes < truth.n_labels)


def _label_weights(frequency: NDArray[np.number[Any]], balance: float) -> Floats:
    present = np.maximum(frequency, 1)
    mean = frequency.sum() / max(int((frequency > 0).sum()), 1)
    weights: Floats = np.clip((mean / present) ** balance, 0.2, 20).astype(np.float32)
    return weights
