"""Sparse matrices by counting: which columns stand in which rows, and how often."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tamis.ml.static.runs import Hashes, Ints

Floats = NDArray[np.float32]
Matrix = sparse.csr_array


def counts(rows: Ints, columns: Ints, shape: tuple[int, int]) -> Matrix:
    """Return (rows, columns) float32 with how often each pair occurs; indices sorted, no duplicates."""
    ones = np.ones(len(rows), dtype=np.float32)
    small = max(len(rows), *shape) < np.iinfo(np.int32).max  # half the memory, and quicker
    index: type[np.signedinteger[Any]] = np.int32 if small else np.int64
    matrix = sparse.csr_array((ones, (rows.astype(index), columns.astype(index))), shape=shape)
    matrix.sum_duplicates()
    return matrix


def dampen(matrix: Matrix) -> Matrix:
    """Replace each count c by 1 + log c, in place: the tenth mention says less than the first."""
    many = matrix.data > 1
    matrix.data[many] = 1 + np.log(matrix.data[many])
    return matrix


def find(vocabulary: Hashes, hashes: Hashes) -> tuple[Ints, NDArray[np.bool_]]:
    """Return where each hash stands in the sorted vocabulary, and whether it is there at all."""
    if not len(vocabulary):
        return np.zeros(len(hashes), dtype=np.int64), np.zeros(len(hashes), dtype=bool)
    place = np.minimum(np.searchsorted(vocabulary, hashes), len(vocabulary) - 1)
    return place, vocabulary[place] == hashes


def squares_of(matrix: Matrix) -> Matrix:
    """Return the matrix with squares in the place of values."""
    return sparse.csr_array((matrix.data**2, matrix.indices, matrix.indptr), shape=matrix.shape)


def row_sums(matrix: Matrix, weights: Floats) -> Floats:
    """Return (rows,) the sum over each row of value² x the weight of its column."""
    return np.asarray(squares_of(matrix) @ weights, dtype=np.float32)


def scale_rows(matrix: Matrix, factors: Floats) -> Matrix:
    """Return the matrix with each row multiplied by its factor."""
    data = matrix.data * np.repeat(factors, np.diff(matrix.indptr))
    return sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
