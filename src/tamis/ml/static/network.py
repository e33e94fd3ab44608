"""The semantic part: token embeddings averaged, one hidden layer, one head a target, all trained together.

Forward and backward passes by hand (the tests hold them against finite differences) and Adam (Kingma and Ba 2015),
whose state is touched only in the embedding rows that a batch uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from tamis.ml.static.losses import Loss
from tamis.ml.static.row_products import product_by_rows
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats, Matrix

BETA1, BETA2, TINY = 0.9, 0.98, 1e-8
BLOCK_ROWS = 256
"""Embedding rows that are moved at a time, so that they stay in a processor's cache."""

HIDDEN_PARAMETERS = 2
"""Parameters between the embeddings and the heads."""

S = TypeVar("S")
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Network:
    """Parameters: `embeddings` (tokens, d), `hidden` (pools x d, h), `heads` (h, all labels), and two biases."""

    embeddings: Floats
    hidden: Floats
    hidden_bias: Floats
    heads: Floats
    head_bias: Floats

    @property
    def parameters(self) -> list[Floats]:
        """All arrays, the embeddings first."""
        return [self.embeddings, self.hidden, self.hidden_bias, self.heads, self.head_bias]

    def copy(self) -> Network:
        """Return one with parameters of its own."""
        return Network(*(parameter.copy() for parameter in self.parameters))

    def logits(self, pooled: Floats) -> Floats:
        """Return (inputs, all labels) for average embeddings (inputs, pools x d)."""
        return self.logits_of(self.activation(pooled))

    def activation(self, pooled: Floats) -> Floats:
        """Return (inputs, h) the hidden layer for average embeddings (inputs, pools x d)."""
        activation = product_by_rows(pooled, self.hidden)
        activation += self.hidden_bias
        np.maximum(activation, 0, out=activation)
        return activation

    def logits_of(self, activation: Floats) -> Floats:
        """Return (inputs, all labels) for the hidden layer (inputs, h)."""
        logits = product_by_rows(activation, self.heads)
        logits += self.head_bias
        return logits


@dataclass(frozen=True, slots=True)
class Gradients:
    """The gradient of one batch: by the embeddings of `tokens` alone, and by the other parameters.

    Where only some `labels` were looked at, those of the heads and their bias are of these alone.
    """

    tokens: Ints
    embeddings: Floats
    others: list[Floats]
    labels: Ints | None = None


def start_network(embeddings: Floats, n_pools: int, n_hidden: int, n_labels: int, random: Generator) -> Network:
    """Return a network with random hidden weights (He et al. 2015) and heads of zero."""
    wide = embeddings.shape[1] * n_pools
    hidden = random.standard_normal((wide, n_hidden), dtype=np.float32) * np.float32(np.sqrt(2 / wide))
    return Network(
        embeddings.copy(),
        hidden,
        np.zeros(n_hidden, dtype=np.float32),
        np.zeros((n_hidden, n_labels), dtype=np.float32),
        np.zeros(n_labels, dtype=np.float32),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some rows of a mini-batch.

    Attributes:
        pools: (rows x pools, tokens of the batch) shares of tokens.
        rows: which rows of the data these are, for the losses.
        mask: (rows, h) dropout mask, already scaled, or None.
        labels: which of all labels are looked at, sorted; None for all.
    """

    pools: Matrix
    rows: Ints
    mask: Floats | None
    labels: Ints | None = None

    def halves(self) -> list[Batch]:
        """Cut the batch in two, for two threads."""
        middle, n_pools = len(self.rows) // 2, self.pools.shape[0] // max(len(self.rows), 1)
        if not middle:
            return [self]
        cuts = (slice(0, middle), slice(middle, len(self.rows)))
        pools = (self.pools[: middle * n_pools], self.pools[middle * n_pools :])
        masks = (None, None) if self.mask is None else (self.mask[cuts[0]], self.mask[cuts[1]])
        return [Batch(pools[i], self.rows[cuts[i]], masks[i], self.labels) for i in range(2)]


Losses = Sequence[tuple[slice, Loss]]
"""Each target's columns among the labels that are looked at, and its loss."""


def backward(
    network: Network, batch: Batch, losses: Losses, threads: Executor | None = None
) -> tuple[float, Gradients]:
    """Return the mean loss of a batch and its gradient; the halves of the batch may go to two threads.

    `batch.pools` has a column for every embedding row of the network.
    """
    tokens, small = _narrowed(batch.pools)
    seen = replace(
        network if batch.labels is None else _some_labels(network, batch.labels), embeddings=network.embeddings[tokens]
    )

    def half(part: Batch) -> tuple[float, Floats, list[Floats]]:
        return _gradients(seen, part, losses, len(batch.rows))

    first, *others = _spread(half, replace(batch, pools=small).halves(), threads)
    loss, total = first[0], first[2]
    for other in others:
        loss += other[0]
        for sum_, share in zip(total, other[2], strict=True):
            sum_ += share
    by_pooled = np.concatenate([first[1], *(other[1] for other in others)])
    turned, by_embeddings, middle = small.T.tocsr(), np.empty_like(seen.embeddings), len(tokens) // 2

    def gather(part: slice) -> None:
        by_embeddings[part] = turned[part] @ by_pooled

    _spread(gather, [slice(0, middle), slice(middle, len(tokens))], threads)
    return loss, Gradients(tokens, by_embeddings, total, batch.labels)


def _some_labels(network: Network, labels: Ints) -> Network:
    return replace(network, heads=np.take(network.heads, labels, axis=1), head_bias=network.head_bias[labels])


def _spread(task: Callable[[S], T], parts: Sequence[S], threads: Executor | None) -> list[T]:
    return list(threads.map(task, parts)) if threads else [task(part) for part in parts]


def _narrowed(pools: Matrix) -> tuple[Ints, Matrix]:
    """Return the columns in use, one at least, and the matrix of these alone."""
    place = np.zeros(pools.shape[1], dtype=pools.indices.dtype)
    place[pools.indices] = 1
    tokens = np.flatnonzero(place) if len(pools.indices) else np.zeros(1, dtype=np.int64)
    place[tokens] = np.arange(len(tokens))
    return tokens, Matrix((pools.data, place[pools.indices], pools.indptr), shape=(pools.shape[0], len(tokens)))


def _gradients(network: Network, batch: Batch, losses: Losses, n_rows: int) -> tuple[float, Floats, list[Floats]]:
    """Return the share in the mean loss of `n_rows`, and the gradients by pools and by all but the embeddings.

    The network has the embeddings and the labels of the batch alone.
    """
    pooled = (batch.pools @ network.embeddings).reshape(len(batch.rows), -1)
    before = pooled @ network.hidden
    before += network.hidden_bias
    active = before > 0
    hidden = np.where(active, before, 0)
    if batch.mask is not None:
        hidden *= batch.mask
    logits = hidden @ network.heads
    logits += network.head_bias
    total, slope = 0.0, np.empty_like(logits)
    for columns, loss in losses:
        value, slope[:, columns] = loss(logits[:, columns], batch.rows)
        total += value
    slope /= n_rows
    back: Floats = slope @ network.heads.T
    if batch.mask is not None:
        back *= batch.mask
    back *= active
    by_pooled: Floats = (back @ network.hidden.T).reshape(batch.pools.shape[0], -1)
    gradients = [pooled.T @ back, back.sum(axis=0), hidden.T @ slope, slope.sum(axis=0)]
    return total / n_rows, by_pooled, gradients


@dataclass(slots=True)
class Adam:
    """Adam with decoupled weight decay; moments of an embedding row or a label move only when it is used.

    The moments are sums: `means` those of the paper over 1 - beta 1, `squares` over 1 - beta 2, which saves two passes.
    """

    means: list[Floats]
    squares: list[Floats]
    decay: float
    steps: int = field(default=0)

    @classmethod
    def of(cls, network: Network, decay: float) -> Adam:
        """Return the optimiser at rest."""
        return cls(
            [np.zeros_like(p) for p in network.parameters], [np.zeros_like(p) for p in network.parameters], decay
        )

    def step(
        self,
        network: Network,
        gradients: Gradients,
        rate: float,
        embedding_rate: float,
        threads: Executor | None = None,
    ) -> None:
        """Move the parameters by one step at these rates, in two threads if there are; the gradients are used up."""
        self.steps += 1
        tasks = [partial(self._move_others, network, gradients, rate)]
        for first in range(0, len(gradients.tokens), BLOCK_ROWS):
            rows = slice(first, first + BLOCK_ROWS)
            tasks.append(partial(self._move_embeddings, network, gradients, embedding_rate, rows))
        _spread(lambda task: task(), tasks, threads)

    def _move_embeddings(self, network: Network, gradients: Gradients, rate: float, part: slice) -> None:
        rows, gradient = gradients.tokens[part], gradients.embeddings[part]
        mean, square = self.means[0][rows], self.squares[0][rows]
        self._turn_to_move(mean, square, gradient, rate)
        network.embeddings[rows] += gradient
        self.means[0][rows], self.squares[0][rows] = mean, square

    def _move_others(self, network: Network, gradients: Gradients, rate: float) -> None:
        for i, (parameter, gradient) in enumerate(zip(network.parameters[1:], gradients.others, strict=True), start=1):
            some = gradients.labels if i > HIDDEN_PARAMETERS else None
            held = (parameter, self.means[i], self.squares[i])
            now, mean, square = held if some is None else (np.take(each, some, axis=-1) for each in held)
            if now.ndim > 1:
                now *= np.float32(1 - rate * self.decay)
            self._turn_to_move(mean, square, gradient, rate)
            now += gradient
            if some is not None:
                parameter[..., some], self.means[i][..., some], self.squares[i][..., some] = now, mean, square

    def _turn_to_move(self, mean: Floats, square: Floats, gradient: Floats, rate: float) -> None:
        """Move the moments, and put the parameter's move into the gradient's place: no array is made."""
        mean *= np.float32(BETA1)
        mean += gradient
        square *= np.float32(BETA2)
        np.square(gradient, out=gradient)
        square += gradient
        unit = float(np.sqrt((1 - BETA2) / (1 - BETA2**self.steps)))
        np.sqrt(square, out=gradient)
        gradient += np.float32(TINY / unit)
        np.divide(mean, gradient, out=gradient)
        gradient *= np.float32(-rate * (1 - BETA1) / (1 - BETA1**self.steps) / unit)
