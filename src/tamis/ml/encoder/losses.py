"""What is minimised: softmax cross-entropy over a target's columns, or that of independent sigmoids, over known rows.

All targets' logits stand side by side, (rows, all labels); a target is a slice of the columns. Unknown rows and labels
that training does not know carry no weight. It knows arrays and torch, not the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tamis.data.dataset import Dataset, columns_of
from tamis.data.truth import MultiTruth, SingleTruth, Truth
from tamis.ml.learnt import Learnt

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

SMOOTHING = 0.05
"""Of a single-label row's probability, this much is shared out among all labels."""


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    columns: slice
    truth: Truth
    weights: Floats  # (n,) with the target's own weight in it
    counted: NDArray[np.bool_]  # (n,) rows that say something

    def loss(self, logits: torch.Tensor, rows: Ints) -> torch.Tensor:
        """The summed loss of some rows, from the target's own (rows, labels) logits."""
        weights = torch.from_numpy(self.weights[rows]).to(logits.device)
        truth = self.truth.select(rows)
        if isinstance(truth, MultiTruth):
            wanted = torch.from_numpy(truth.indicator()).to(logits)
            losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(1)
        else:
            usable = np.where(truth.codes < truth.n_labels, truth.codes, -1)
            codes = torch.from_numpy(np.maximum(usable, 0).astype(np.int64)).to(logits.device)
            losses = functional.cross_entropy(logits, codes, reduction="none", label_smoothing=SMOOTHING)
        return (losses * weights).sum()

    def right(self, logits: torch.Tensor, rows: Ints) -> torch.Tensor:
        """(2,) how often the logits of some rows are right, and of how often: see `tamis.ml.learnt`."""
        truth, counted = self.truth.select(rows), torch.from_numpy(self.counted[rows]).to(logits.device)
        if isinstance(truth, MultiTruth):
            wanted = torch.from_numpy(truth.indicator()).to(logits.device) & counted[:, None]
            given = (logits > 0) & counted[:, None]
            return torch.stack([2 * (wanted & given).sum(), wanted.sum() + given.sum()])
        codes = torch.from_numpy(truth.codes).to(logits.device)
        return torch.stack([((logits.argmax(1) == codes) & counted).sum(), counted.sum()])


class Losses:
    """The loss of rows of a dataset."""

    def __init__(self, data: Dataset, target_weights: Mapping[str, float] | None = None) -> None:
        """Remember what is wanted; of rows' and targets' weights only the proportions count."""
        self._data, shares = data, relative(data, target_weights)
        self._targets = list[_Target]()
        for name, columns in columns_of(data).items():
            truth, weights = data.truth[name], _weights(data.truth[name], data.weights)
            self._targets.append(_Target(columns, truth, weights * np.float32(shares[name]), weights > 0))

    def __call__(self, logits: torch.Tensor, rows: Ints) -> torch.Tensor:
        """Return the sum of the losses of `rows`, from their (rows, all labels) logits."""
        logits = logits.float()
        return torch.stack([target.loss(logits[:, target.columns], rows) for target in self._targets]).sum()

    def right(self, logits: torch.Tensor, rows: Ints) -> torch.Tensor:
        """Return (targets, 2) how often each target is right on `rows`, and of how often, as whole numbers."""
        return torch.stack([target.right(logits[:, target.columns], rows) for target in self._targets])

    @property
    def n_targets(self) -> int:
        """How many targets there are."""
        return len(self._targets)

    def learnt(self) -> Learnt:
        """Return what counts how updates with these losses go."""
        return Learnt(self._data)


def prior_log_odds(truth: Truth) -> Floats:
    """Return (n_labels,) what a head says of each label before it has learnt anything: how frequent they are."""
    shares = (truth.counts() + 0.5) / (int(truth.known.sum()) + 1.0)
    if isinstance(truth, SingleTruth):
        return np.zeros(truth.n_labels, dtype=np.float32)
    shares = np.clip(shares, 1e-4, 1 - 1e-4)
    odds: Floats = np.log(shares / (1 - shares)).astype(np.float32)
    return odds


def _weights(truth: Truth, row_weights: Floats | None) -> Floats:
    """(n,) 0 for rows that say nothing; the others' mean is 1."""
    usable = truth.known
    if isinstance(truth, SingleTruth):
        usable = usable & (truth.codes < truth.n_labels)
    if row_weights is None or not usable.any():
        return usable.astype(np.float32)
    relative: Floats = np.where(usable, row_weights / row_weights[usable].mean(), np.float32(0)).astype(np.float32)
    return relative


def relative(data: Dataset, weights: Mapping[str, float] | None) -> dict[str, float]:
    """Return each target's weight over the mean of all targets."""
    given = {target.name: (weights or {}).get(target.name, 1.0) for target in data.targets}
    mean = sum(given.values()) / len(given)
    return {name: weight / mean if mean else 1.0 for name, weight in given.items()}
