"""The mini-batches that train a network, one after the other: they can be stopped after any, and gone on with.

It does not know which state is best, nor when to stop: that is for `watching`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, cast

import numpy as np
from numpy.random import Generator
from pydantic import JsonValue

from tamis.data.dataset import Dataset, columns_of
from tamis.ml.learnt import Learnt
from tamis.ml.progress import Check, nothing
from tamis.ml.restart import State
from tamis.ml.schedule import Plan
from tamis.ml.static.encoded import Rows
from tamis.ml.static.fitting import BALANCE, Semantic, prior_log_odds
from tamis.ml.static.losses import CountedLoss, Loss, ScaledLoss, loss_of
from tamis.ml.static.network import Adam, Batch, Losses, Network, backward
from tamis.ml.static.runs import Ints
from tamis.ml.static.sampled import WIDE, Sampling
from tamis.ml.static.sparse import Floats
from tamis.ml.tensors import Tensor

DROPOUT = 0.3
SMOOTHING = 0.05

After = Callable[[int, Mapping[str, float]], bool]
"""Called after an evaluation's worth of updates with the update and the figures of the rows since; True stops."""

PARAMETERS = ("embeddings", "hidden", "hidden_bias", "heads", "head_bias")


class Updates:
    """The training of the network of one semantic part, in place, by mini-batches of random rows."""

    def __init__(
        self,
        data: Dataset,
        rows: Rows,
        part: Semantic,
        plan: Plan,
        random: Generator,
        target_weights: Mapping[str, float] | None = None,
    ) -> None:
        """Start from `part`; of the targets' weights only the proportions count."""
        self.update = 0
        self._rows, self.plan, self._random, self._network = rows, plan, random, part.network
        weights = relative(target_weights, data)
        columns = columns_of(data)
        if not part.network.heads.any():  # untrained: what follows is not learnt again
            for name, truth in data.truth.items():
                if weights[name]:
                    part.network.head_bias[columns[name]] = prior_log_odds(truth, data.weights)
        self._losses = [_Looked(columns[name], data, name, weights[name]) for name in data.truth]
        self._pools = rows.pools_in(part.tokens)
        self._adam = Adam.of(part.network, plan.decay)
        self._order, self._learnt = np.empty(0, dtype=np.int64), Learnt(data)

    def run(self, after: After, pulse: Check = nothing, end: int | None = None) -> None:
        """Go on to the end of the plan or before, or until `after` says stop; `pulse` is called between two updates."""
        end = self.plan.updates if end is None else end
        with ThreadPoolExecutor(2) as threads:
            while self.update < end:
                self._step(threads)
                due = self.plan.evaluates_at(self.update) or self.update == end
                if due and after(self.update, self._learnt.take()):
                    return
                pulse()

    def _step(self, threads: Executor) -> None:
        self.update += 1
        network, plan = self._network, self.plan
        if not len(self._order):
            self._order = self._random.permutation(len(self._rows))
        chosen, self._order = self._order[: plan.batch], self._order[plan.batch :]
        pools = self._pools(chosen)
        labels, losses = self._look(chosen)
        batch = Batch(pools, chosen, _dropout(network, chosen, self._random), labels)
        loss, gradients = backward(network, batch, losses, threads)
        factor = plan.factor(self.update)
        self._adam.step(network, gradients, plan.rate * factor, plan.embedding_rate * factor, threads)
        self._learnt.add(loss, [looked.counts() for looked in self._losses])

    def _look(self, rows: Ints) -> tuple[Ints | None, Losses]:
        """Return the labels to look at (None: all) and each target's loss with its place among these."""
        if not any(looked.sampling for looked in self._losses):
            return None, [(looked.columns, looked.loss) for looked in self._losses]
        labels, losses, at = list[Ints](), list[tuple[slice, Loss]](), 0
        for looked in self._losses:
            some, loss = looked.draw(rows, self._random)
            labels.append(some + looked.columns.start)
            losses.append((slice(at, at + len(some)), loss))
            at += len(some)
        return np.concatenate(labels), losses

    def state(self, more: Mapping[str, JsonValue]) -> State:
        """Return where it stands: network, moments, random numbers, rows left of this pass; and `more` facts.

        Its arrays are those in use, not copies.
        """
        arrays: dict[str, Tensor] = {**network_arrays(self._network), "order": self._order}
        for name, mean, square in zip(PARAMETERS, self._adam.means, self._adam.squares, strict=True):
            arrays[f"mean.{name}"], arrays[f"square.{name}"] = mean, square
        random = cast("JsonValue", self._random.bit_generator.state)
        facts: dict[str, JsonValue] = {"update": self.update, "adam": self._adam.steps, "random": random}
        return State(arrays, {**facts, **self._learnt.facts(), **more})

    def restore(self, state: State) -> None:
        """Go on from a state that `state` gave."""
        self.update, self._adam.steps = int(cast("int", state.facts["update"])), int(cast("int", state.facts["adam"]))
        self._random.bit_generator.state = cast("dict[str, Any]", state.facts["random"])
        self._learnt.restore(state.facts)
        self._order = state.arrays["order"].copy()
        restore_network(self._network, state)
        for i, name in enumerate(PARAMETERS):
            self._adam.means[i][...] = state.arrays[f"mean.{name}"]
            self._adam.squares[i][...] = state.arrays[f"square.{name}"]


class _Looked:
    """How a target is looked at: its columns among all labels, its loss, or how labels and losses are drawn."""

    def __init__(self, columns: slice, data: Dataset, name: str, weight: float) -> None:
        truth = data.truth[name]
        self.columns, self._weight = columns, weight
        self.sampling = Sampling(truth, BALANCE, SMOOTHING, data.weights) if truth.n_labels > WIDE else None
        if self.sampling is None:
            plain = loss_of(truth, BALANCE, SMOOTHING, data.weights)
            self.loss = CountedLoss(_scaled(plain, weight), plain)

    def counts(self) -> tuple[int, int]:
        """Return how often it was right, of how often, since this was asked last; 0 of 0 where labels are drawn."""
        return (0, 0) if self.sampling else self.loss.take()

    def draw(self, rows: Ints, random: Generator) -> tuple[Ints, Loss]:
        """Return the target's labels to look at, and the loss over them."""
        if self.sampling is None:
            return np.arange(self.columns.stop - self.columns.start), self.loss
        labels, loss = self.sampling.draw(rows, random)
        return labels, _scaled(loss, self._weight)


def network_arrays(network: Network) -> dict[str, Floats]:
    """Return the parameters by name; not copies."""
    return dict(zip(PARAMETERS, network.parameters, strict=True))


def restore_network(network: Network, state: State) -> None:
    """Set the parameters to those that `network_arrays` gave."""
    for name, parameter in network_arrays(network).items():
        parameter[...] = state.arrays[name]


def relative(weights: Mapping[str, float] | None, data: Dataset) -> dict[str, float]:
    """Return each target's weight over the mean of all targets; exactly 1 where all are the same."""
    given = {target.name: (weights or {}).get(target.name, 1.0) for target in data.targets}
    mean = sum(given.values()) / max(len(given), 1)
    same = len(set(given.values())) <= 1
    return {name: 1.0 if same else weight / mean for name, weight in given.items()}


def _scaled(loss: Loss, weight: float) -> Loss:
    return loss if weight == 1 else ScaledLoss(loss, weight)


def _dropout(network: Network, rows: Ints, random: Generator) -> Floats:
    kept = random.random((len(rows), network.hidden.shape[1]), dtype=np.float32) >= DROPOUT
    mask: Floats = kept * np.float32(1 / (1 - DROPOUT))
    return mask
