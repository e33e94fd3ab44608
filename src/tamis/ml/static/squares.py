"""The linear map of a target with very many labels: ridge regression on 0 and 1, solved once for all labels.

The rows that the labels share make one matrix (columns x columns), whatever the number of labels; it is factorised once
(Cholesky). So the time grows with rows + labels and not with rows x labels. Memory: the weights, and that matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from tamis.data.truth import SingleTruth, Truth
from tamis.ml.static.batches import sparse_rows
from tamis.ml.static.linear import LinearDesign
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats, Matrix

ROWS_AT_ONCE = 4_096
LABELS_AT_ONCE = 512

Doubles = NDArray[np.float64]


def fit_by_squares(
    design: LinearDesign, truth: Truth, weights: Floats, penalty: float, told: Callable[[float], None] = lambda _: None
) -> Floats:
    """Return W (columns, n_labels) that minimises the sum of weight x (row W - carried)² plus penalty x |W|².

    Args:
        design: the rows.
        truth: which labels they carry.
        weights: (n,) of the rows, 0 for those that are unknown.
        penalty: the ridge.
        told: hears the share that is done, often.
    """
    gram = np.zeros((design.n_columns, design.n_columns), dtype=np.float64)
    right = np.zeros((design.n_columns, truth.n_labels), dtype=np.float32)
    for first in range(0, len(design), ROWS_AT_ONCE):
        rows = np.arange(first, min(first + ROWS_AT_ONCE, len(design)))
        _add(gram, right, design, rows, weights[rows], carried(truth, rows))
        told(0.5 * (int(rows[-1]) + 1) / len(design))
    gram += np.tril(gram, -1).T
    gram[np.diag_indices_from(gram)] += penalty
    _solve(gram, right, lambda share: told(0.5 + 0.5 * share))
    return right


def carried(truth: Truth, rows: Ints) -> Matrix:
    """Return (rows, n_labels) with a 1 for each label that a row carries; unseen labels are left out."""
    some = truth.select(rows)
    if isinstance(some, SingleTruth):
        row, codes = np.arange(len(rows)), some.codes
    else:
        row, codes = np.repeat(np.arange(len(rows)), np.diff(some.offsets)), some.codes
    there = (codes >= 0) & (codes < truth.n_labels)
    ones = np.ones(int(there.sum()), dtype=np.float32)
    return Matrix((ones, (row[there], codes[there])), shape=(len(rows), truth.n_labels))


def _add(gram: Doubles, right: Floats, design: LinearDesign, rows: Ints, weights: Floats, labels: Matrix) -> None:
    """Add some rows; of the symmetric `gram`, the lower half counts."""
    terms, n_terms = sparse_rows(design, rows), design.n_terms
    dense = np.concatenate([design.pooled[rows], np.ones((len(rows), 1), dtype=np.float32)], axis=1)
    weighted = dense * weights[:, None]
    products = (terms.T @ (terms * weights[:, None]).tocsr()).tocoo()
    gram[products.coords] += products.data
    gram[n_terms:, :n_terms] += (terms.T @ weighted).T
    gram[n_terms:, n_terms:] += dense.T @ weighted
    wanted = (labels * weights[:, None]).tocsr()
    summed = (terms.T @ wanted).tocoo()
    right[summed.coords] += summed.data
    right[n_terms:] += (wanted.T @ dense).T


def _solve(gram: Doubles, right: Floats, told: Callable[[float], None]) -> None:
    """Put the solution into the place of the right-hand side, some labels at a time, two threads beside each other."""
    from scipy.linalg import cho_factor, cho_solve  # a tenth of a second, for the few that need it

    factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    blocks = [slice(a, a + LABELS_AT_ONCE) for a in range(0, right.shape[1], LABELS_AT_ONCE)]

    def solve(block: slice) -> None:
        right[:, block] = cho_solve(factor, right[:, block].astype(np.float64), overwrite_b=True, check_finite=False)

    with ThreadPoolExecutor(2) as threads:
        for done, _ in enumerate(threads.map(solve, blocks), start=1):
            told(done / len(blocks))
