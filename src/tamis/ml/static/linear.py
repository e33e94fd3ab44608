"""The lexical part: one linear map from n-grams and the pooled base embeddings to the labels of a target.

Convex, so it has one answer whatever the seed; it needs no learning rate. The pooled embeddings of the base model, as
they came, let n-grams nobody has labelled be judged by their neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tamis.ml.static.lbfgs import Descent
from tamis.ml.static.lexical import LexicalMatrix
from tamis.ml.static.losses import Loss
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats

CURVATURE = 0.05
"""A guess of the second derivative of a row's loss by a logit, to start from."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearDesign:
    """The matrix (inputs, lexical columns + dimensions + 1): n-grams, `pooled` (inputs, dimensions), a constant."""

    lexical: LexicalMatrix
    pooled: Floats

    def __len__(self) -> int:
        """Inputs."""
        return len(self.pooled)

    @property
    def n_terms(self) -> int:
        """Columns of the lexical matrix."""
        a, b, c, d = self.lexical.widths
        return a + b + c + d

    @property
    def n_columns(self) -> int:
        """Columns in all."""
        return self.n_terms + int(self.pooled.shape[1]) + 1

    def dot(self, weights: Floats) -> Floats:
        """Return (inputs, k) logits for weights (columns, k)."""
        terms = self.n_terms
        logits = self.lexical.dot(weights[:terms])
        logits += self.pooled @ weights[terms:-1]
        logits += weights[-1]
        return logits

    def transposed_dot(self, values: Floats) -> Floats:
        """Return (columns, k)."""
        return np.concatenate(
            [
                self.lexical.transposed_dot(values),
                self.pooled.T @ values,
                values.sum(axis=0, keepdims=True, dtype=np.float32),
            ]
        )

    def column_squares(self) -> Floats:
        """Return (columns,) the sums of squares down the columns."""
        count = np.full(1, len(self), dtype=np.float32)
        return np.concatenate([self.lexical.column_squares(), (self.pooled**2).sum(axis=0), count])

    def select(self, rows: Ints) -> LinearDesign:
        """The same for some inputs."""
        return LinearDesign(self.lexical.select(rows), self.pooled[rows])

    def narrow(self) -> tuple[LinearDesign, Ints]:
        """Return the design without the n-grams that no input has, and which columns are left."""
        lexical, terms = self.lexical.narrow()
        return LinearDesign(lexical, self.pooled), np.concatenate([terms, np.arange(self.n_terms, self.n_columns)])


def fit_linear(
    design: LinearDesign, loss: Loss, n_labels: int, *, strength: float, iterations: int, start: Floats | None = None
) -> Floats:
    """Return weights (columns, n_labels) that minimise strength x loss + |W|² / 2."""

    def objective(logits: Floats) -> tuple[float, Floats]:
        value, gradient = loss(logits, slice(None))
        gradient *= np.float32(strength)
        return strength * value, gradient

    scale = (1 / (1 + np.float32(strength * CURVATURE) * design.column_squares())).astype(np.float32)
    beginning = np.zeros((design.n_columns, n_labels), dtype=np.float32) if start is None else start
    return Descent(design, objective, scale, beginning).run(iterations)
