"""Losses of targets with very many labels: each mini-batch looks at its own labels and at some others.

The others are drawn evenly without replacement, and each stands for as many as were left out: in a softmax its logit
is raised by the logarithm of that number (Bengio and Senécal 2008; Jean et al. 2015), in a sum of sigmoids its loss is
multiplied by it. The labels of the batch's rows always take part, and stand for themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tamis.data.truth import MultiTruth, SingleTruth, Truth
from tamis.ml.static.losses import Loss, SoftmaxLoss, row_weights_of, softmax_of
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats

WIDE = 5_000
"""Labels of a target beyond which they are sampled, and fitted by least squares in the lexical part."""

OTHERS = 1_000
"""Labels that are drawn beside those of the batch."""


@dataclass(frozen=True, slots=True, eq=False)
class SampledSoftmax:
    """Cross-entropy of a softmax over some `labels` (k,), sorted, each of which stands for `times` (k,) labels."""

    whole: SoftmaxLoss
    labels: Ints
    times: Floats

    def __call__(self, logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        """Return the summed loss and its gradient, from the logits (rows, k) of these labels."""
        smoothing, weights = self.whole.smoothing, self.whole.weights[rows]
        index, own = np.arange(len(weights)), _places(self.labels, self.whole.codes[rows])
        raised = logits + np.log(self.times)
        raised -= raised.max(axis=1, keepdims=True)
        own_logit = raised[index, own] - np.log(self.times[own])
        gradient = np.exp(raised)
        total = gradient.sum(axis=1, keepdims=True)
        losses = np.log(total[:, 0]) - (1 - smoothing) * own_logit
        gradient /= total
        gradient[index, own] -= 1 - smoothing
        if smoothing:
            shares = self.times * np.float32(smoothing / self.times.sum())
            losses -= (raised - np.log(self.times)) @ shares
            gradient -= shares
        gradient *= weights[:, None]
        return float(losses @ weights), gradient


@dataclass(frozen=True, slots=True, eq=False)
class SampledSigmoid:
    """Cross-entropy of sigmoids of some `labels` (k,), sorted, each of which stands for `times` (k,) labels."""

    truth: MultiTruth
    weights: Floats
    labels: Ints
    times: Floats

    def __call__(self, logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        """Return the summed loss and its gradient, from the logits (rows, k) of these labels."""
        wanted, weights = _wanted(self.truth.select(rows), self.labels), self.weights[rows]
        small = np.exp(-np.abs(logits))
        losses = np.log1p(small) + np.maximum(logits, 0) - np.where(wanted, logits, 0)
        gradient = np.where(logits >= 0, 1, small) / (1 + small) - wanted
        gradient *= self.times
        gradient *= weights[:, None]
        return float(weights @ (losses @ self.times)), gradient


class Sampling:
    """Draws the labels that a mini-batch of a target looks at."""

    def __init__(self, truth: Truth, balance: float, smoothing: float, row_weights: Floats | None = None) -> None:
        """Remember the rows' labels and weights."""
        self._truth = truth
        self._loss: Callable[[Ints, Floats], Loss]
        if isinstance(truth, SingleTruth):
            self._loss = partial(SampledSoftmax, softmax_of(truth, balance, smoothing, row_weights))
        else:
            self._loss = partial(SampledSigmoid, truth, row_weights_of(truth, row_weights))

    def draw(self, rows: Ints, random: Generator) -> tuple[Ints, Loss]:
        """Return the labels (k,), sorted, and the loss of these rows over them."""
        n_labels, codes = self._truth.n_labels, self._truth.select(rows).codes
        present = np.unique(codes[(codes >= 0) & (codes < n_labels)]).astype(np.int64)
        others = np.setdiff1d(random.choice(n_labels, min(OTHERS, n_labels), replace=False), present)
        labels = np.concatenate([present, others])
        left_out = (n_labels - len(present)) / max(len(others), 1)
        times = np.concatenate([np.ones(len(present)), np.full(len(others), left_out)]).astype(np.float32)
        order = np.argsort(labels)
        return labels[order], self._loss(labels[order], times[order])


def _places(labels: Ints, codes: NDArray[np.int32]) -> Ints:
    """Return where the codes stand; rows without a label, which weigh nothing, get any place."""
    return np.minimum(np.searchsorted(labels, codes), len(labels) - 1)


def _wanted(truth: MultiTruth, labels: Ints) -> NDArray[np.bool_]:
    wanted = np.zeros((len(truth), len(labels)), dtype=bool)
    row = np.repeat(np.arange(len(truth)), np.diff(truth.offsets))
    declared = truth.codes < truth.n_labels
    wanted[row[declared], np.searchsorted(labels, truth.codes[declared])] = True
    return wanted
