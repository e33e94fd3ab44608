"""The pooled base embeddings of very many rows as columns of a linear map, without ever holding them.

A row's pooled embedding is a sum over its runs, a run's a sum over its tokens: centred and brought to their length they
are products of sparse matrices with the embeddings of the tokens, 8 bytes an occurrence instead of 1 KB a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tamis.ml.progress import Check
from tamis.ml.static.encoded import Packed
from tamis.ml.static.model import LENGTH, Centring
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats, Matrix
from tamis.ml.static.tokens import pool, token_matrix

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PooledTokens:
    """Columns (inputs, fields x d), and a constant one; what `Centring.apply` gives, as products.

    Attributes:
        runs: (inputs, runs) how often a run stands there, over the length of the sum of the field's embeddings.
        tokens: of each field, (runs, tokens in use) counts.
        embeddings: (tokens in use, d).
        present: (inputs, fields) 1 where the field has a known token, else 0.
        centring: what is taken away, and the scale.
        mean_squares: (fields x d,) of each column.
    """

    runs: Matrix
    tokens: tuple[Matrix, ...]
    embeddings: Floats
    present: Floats
    centring: Centring
    mean_squares: Floats

    @property
    def shape(self) -> tuple[int, int]:
        """Inputs, and columns without the constant."""
        return int(self.runs.shape[0]), len(self.tokens) * int(self.embeddings.shape[1])

    def __len__(self) -> int:
        """Inputs."""
        return self.shape[0]

    def __getitem__(self, rows: Ints) -> Floats:
        """Return (rows, fields x d)."""
        runs, scale = self.runs[rows], np.float32(self.centring.scale)
        fields = [
            (((runs @ tokens) @ self.embeddings) - self.present[rows, field, None] * self.centring.centre) * scale
            for field, tokens in enumerate(self.tokens)
        ]
        return np.concatenate(fields, axis=1)

    def dot(self, weights: Floats) -> Floats:
        """Return (inputs, k) for weights (fields x d + 1, k)."""
        scaled = weights[:-1].reshape(len(self.tokens), -1, weights.shape[1]) * np.float32(self.centring.scale)
        by_run = sum(tokens @ (self.embeddings @ part) for tokens, part in zip(self.tokens, scaled, strict=True))
        logits: Floats = self.runs @ by_run
        logits -= self.present @ (self.centring.centre @ scaled)
        logits += weights[-1]
        return logits

    def transposed_dot(self, values: Floats) -> Floats:
        """Return (fields x d + 1, k)."""
        by_run, scale = self.runs.T @ values, np.float32(self.centring.scale)
        totals = self.present.T @ values
        blocks = [
            (self.embeddings.T @ (tokens.T @ by_run) - np.outer(self.centring.centre, total)) * scale
            for tokens, total in zip(self.tokens, totals, strict=True)
        ]
        return np.concatenate([*blocks, values.sum(axis=0, keepdims=True)])

    def squared(self) -> EvenSquares:
        """Return the columns with squares in the place of values, each row's taken for the mean ones."""
        return EvenSquares(self.mean_squares)


@dataclass(frozen=True, slots=True, eq=False)
class EvenSquares:
    """Columns that are the same in every row, and a constant one: enough to start a descent from."""

    mean_squares: Floats

    def transposed_dot(self, values: Floats) -> Floats:
        """Return (columns + 1, k)."""
        total = values.sum(axis=0)
        return np.concatenate([np.outer(self.mean_squares, total), total[None]]).astype(np.float32)


def pooled_tokens(rows: Packed, in_groups: Matrix, centring: Centring | None, check: Check) -> PooledTokens:
    """Return the columns for rows whose runs are counted `in_groups`; measure the centring where none is given."""
    looked = _look(rows, check)
    if centring is None:
        centring = looked.centring()
    runs, used = rows.runs, rows.used_tokens()
    used = used if len(used) else np.zeros(1, dtype=np.int64)
    shape, ones = (len(runs.strings), len(used)), np.ones(len(rows.run_tokens.ids), dtype=np.float32)
    place = np.minimum(np.searchsorted(used, rows.run_tokens.ids), len(used) - 1)
    tokens = Matrix((ones, place.astype(np.int32), rows.run_tokens.offsets.astype(np.int32)), shape=shape)
    of_fields = tuple(
        Matrix(sparse.diags_array((runs.run_fields == field).astype(np.float32)) @ tokens)
        for field in range(runs.n_fields)
    )
    data = in_groups.data * np.repeat(looked.factors, np.diff(in_groups.indptr))
    by_group = Matrix((data, in_groups.indices, in_groups.indptr), shape=in_groups.shape)
    indptr = by_group.indptr[:: runs.n_fields]
    joined = Matrix((by_group.data, by_group.indices, indptr), shape=(len(rows), by_group.shape[1]))
    present = (looked.factors > 0).astype(np.float32).reshape(len(rows), runs.n_fields)
    embeddings = np.asarray(rows.semantics.matrix[used], dtype=np.float32)
    return PooledTokens(joined, of_fields, embeddings, present, centring, looked.mean_squares(centring))


@dataclass(slots=True, eq=False)
class _Looked:
    """What one look at all pooled embeddings finds: sums over pools of length 1, factors, and sums of squares."""

    n_pools: int
    total: Doubles  # (d,) over all pools, openings included
    factors: Floats  # (groups,) 1 / length of the sum of the embeddings of all tokens there; 0 for no token
    sums: Doubles  # (fields, d)
    squares: Doubles  # (fields, d)

    def centring(self) -> Centring:
        """Return what `Centring.of` does."""
        if not self.n_pools:
            return Centring(np.zeros(len(self.total), dtype=np.float32), 1.0)
        centre = self.total / self.n_pools
        spread = float(np.sqrt(max(1 - float(centre @ centre), 0.0)))  # every pool has length 1
        return Centring(centre.astype(np.float32), LENGTH / spread if spread > 1e-6 else 1.0)

    def mean_squares(self, centring: Centring) -> Floats:
        """Return (fields x d,) those of the centred columns."""
        fields = len(self.sums)
        present = (self.factors.reshape(-1, fields) > 0).sum(axis=0)[:, None]
        centre = centring.centre.astype(np.float64)
        squares = self.squares - 2 * centre * self.sums + present * centre**2
        n_rows = max(len(self.factors) // fields, 1)
        mean: Floats = (np.maximum(squares, 0) * centring.scale**2 / n_rows).ravel().astype(np.float32)
        return mean


def _look(rows: Packed, check: Check) -> _Looked:
    fields, d = rows.runs.n_fields, int(rows.semantics.matrix.shape[1])
    looked = _Looked(
        0, np.zeros(d), np.zeros(len(rows) * fields, np.float32), np.zeros((fields, d)), np.zeros((fields, d))
    )
    lengths, at = rows.run_tokens.lengths, 0
    for runs in rows.runs.portions():
        check()
        tokens = token_matrix(runs, rows.run_tokens, rows.semantics.matrix.shape[0])
        means = pool(tokens, rows.semantics.matrix)
        size = np.linalg.norm(means, axis=1, keepdims=True)
        unit = np.divide(means, size, out=np.zeros_like(means), where=size > 1e-6)
        present = size[:, 0] > 1e-6
        looked.n_pools += int(present.sum())
        looked.total += unit.sum(axis=0, dtype=np.float64)
        by_field = unit.reshape(runs.n_rows, fields + 1, d)[:, :fields]
        looked.sums += by_field.sum(axis=0, dtype=np.float64)
        looked.squares += np.einsum("rfd,rfd->fd", by_field, by_field, dtype=np.float64)
        groups = runs.n_rows * fields
        totals = np.bincount(runs.group, weights=lengths[runs.run], minlength=groups)
        sizes = size.reshape(runs.n_rows, fields + 1)[:, :fields].ravel() * totals
        shown = present.reshape(runs.n_rows, fields + 1)[:, :fields].ravel()
        looked.factors[at : at + groups] = np.where(shown, 1 / np.maximum(sizes, 1e-12), 0)
        at += groups
    return looked
