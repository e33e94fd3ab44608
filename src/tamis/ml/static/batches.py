"""The linear map where inputs x labels are too many to hold at once: AdaGrad over mini-batches.

One step size a column (Duchi et al. 2011, summed over the labels); three passes, or one where there is very much to do,
or one at most from where an earlier fit left off. A little less exact than `lbfgs`, with memory for the weights and the
gradient of one batch. The labels are cut in two, and two threads take half of them each.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tamis.ml.static.linear import LinearDesign
from tamis.ml.static.losses import Loss
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats, Matrix

BATCH = 256
PASSES = 3
MANY_SCORES = 100_000_000
"""Inputs x labels beyond which one pass has to do, and that are gone over at most where there is an earlier fit."""

RATE = 0.1

Doubles = NDArray[np.float64]


def fit_by_batches(
    design: LinearDesign,
    loss: Loss,
    n_labels: int,
    *,
    seed: int,
    start: Floats | None = None,
    told: Callable[[float], None] = lambda _: None,
) -> Floats:
    """Return weights (columns, n_labels) that make the loss small; few passes stand in for a penalty.

    `told` hears the share that is done.
    """
    random, fit = np.random.default_rng(seed), _Fit(design, n_labels, start)
    passes = PASSES if start is None and len(design) * n_labels <= MANY_SCORES else 1
    n_rows = len(design) if start is None else min(len(design), max(BATCH, MANY_SCORES // n_labels))
    updates, done = passes * max(1, -(-n_rows // BATCH)), 0
    with ThreadPoolExecutor(2) as threads:
        for _ in range(passes):
            order = random.permutation(len(design))[:n_rows]
            for first in range(0, len(order), BATCH):
                fit.update(order[first : first + BATCH], loss, RATE * (1 - done / updates), threads)
                done += 1
                told(done / updates)
    return fit.weights()


class _Fit:
    """Weights in two halves of the labels, and how much each column has moved."""

    def __init__(self, design: LinearDesign, n_labels: int, start: Floats | None) -> None:
        self._design, self._shape = design, (design.n_columns, n_labels)
        middle = -(-n_labels // 2)
        self._cuts = [cut for cut in (slice(0, middle), slice(middle, n_labels)) if cut.start < cut.stop]
        begin = np.zeros(self._shape, dtype=np.float32) if start is None else start
        self._halves = [begin[:, cut].copy() for cut in self._cuts]
        self._size = np.full(len(begin), 1e-4)

    def weights(self) -> Floats:
        """Return (columns, n_labels)."""
        return np.concatenate(self._halves, axis=1)

    def update(self, rows: Ints, loss: Loss, rate: float, threads: Executor) -> None:
        """Go one step down the loss of some rows."""
        terms, dense = sparse_rows(self._design, rows), self._design.pooled[rows]
        logits = np.concatenate(list(threads.map(lambda half: _dot(terms, dense, half), self._halves)), axis=1)
        _, slope = loss(logits, rows)
        used = np.unique(terms.indices)
        columns = np.concatenate([used, np.arange(terms.shape[1], self._shape[0])])
        narrow = Matrix((terms.data, np.searchsorted(used, terms.indices), terms.indptr), shape=(len(rows), len(used)))
        slopes = [np.ascontiguousarray(slope[:, cut]) for cut in self._cuts]
        gradients = list(threads.map(lambda part: _transposed_dot(narrow, dense, part), slopes))
        self._size[columns] += sum(threads.map(_squares, gradients)) / self._shape[1]
        factors = (rate / np.sqrt(self._size[columns])).astype(np.float32)

        def go(part: tuple[Floats, list[Floats]]) -> None:
            weights, blocks = part
            lines = (line for block in blocks for line in block)
            for column, factor, line in zip(columns.tolist(), factors, lines, strict=True):
                line *= factor  # one column of the design at a time stays in the processor's cache
                weights[column] -= line

        list(threads.map(go, zip(self._halves, gradients, strict=True)))


def sparse_rows(design: LinearDesign, rows: Ints) -> Matrix:
    """Return (rows, terms): the n-grams of some inputs as one matrix."""
    part, columns = design.lexical.select(rows).narrow()
    blocks = [part.character_runs @ part.characters, part.word_runs @ part.words, part.pairs, part.private]
    narrow = Matrix(sparse.hstack(blocks, format="csr"))
    return Matrix((narrow.data, columns[narrow.indices], narrow.indptr), shape=(len(rows), design.n_terms))


def _dot(terms: Matrix, dense: Floats, weights: Floats) -> Floats:
    n_terms = terms.shape[1]
    logits: Floats = terms @ weights[:n_terms]
    logits += dense @ weights[n_terms:-1]
    logits += weights[-1]
    return logits


def _transposed_dot(terms: Matrix, dense: Floats, slope: Floats) -> list[Floats]:
    """Return the gradient by the columns, in blocks."""
    return [terms.T @ slope, dense.T @ slope, slope.sum(axis=0, keepdims=True)]


def _squares(gradient: list[Floats]) -> Doubles:
    """Return (columns,) the sums of squares over the labels."""
    return np.concatenate([np.einsum("ij,ij->i", block, block) for block in gradient]).astype(np.float64)
