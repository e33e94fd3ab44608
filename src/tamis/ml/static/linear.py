"""The lexical part: one linear map from n-grams and the pooled base embeddings to the labels of a target.

Convex, so it has one answer whatever the seed; it needs no learning rate. The pooled embeddings of the base model, as
they came, let n-grams nobody has labelled be judged by their neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from tamis.ml.static.lbfgs import Descent, Piece
from tamis.ml.static.lexical import LexicalMatrix
from tamis.ml.static.losses import Loss
from tamis.ml.static.pooled_tokens import EvenSquares, PooledTokens
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats, squares_of

CURVATURE, CURVATURE_OF_MARGINS = 0.05, 0.2
"""Guesses of the second derivative of a row's loss by a logit, to start from; of cross-entropy, of a squared hinge."""

RENEW_AFTER = 5
"""Steps until that guess gives way to what the slopes say."""


@dataclass(frozen=True, slots=True, eq=False)
class _Dense:
    """Columns (inputs, dimensions), and a constant one."""

    pooled: Floats

    def dot(self, weights: Floats) -> Floats:
        logits: Floats = self.pooled @ weights[:-1]
        logits += weights[-1]
        return logits

    def transposed_dot(self, values: Floats) -> Floats:
        product = np.empty((self.pooled.shape[1] + 1, values.shape[1]), dtype=np.float32)
        np.dot(self.pooled.T, values, out=product[:-1])
        values.sum(axis=0, out=product[-1])
        return product

    def squared(self) -> _Dense:
        return _Dense(self.pooled**2)


@dataclass(frozen=True, slots=True, eq=False)
class LinearDesign:
    """The matrix (inputs, lexical columns + dimensions + 1): n-grams, `pooled` (inputs, dimensions), a constant."""

    lexical: LexicalMatrix
    pooled: Floats | PooledTokens

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
        logits += self._rest().dot(weights[terms:])
        return logits

    def _rest(self) -> _Dense | PooledTokens:
        return self.pooled if isinstance(self.pooled, PooledTokens) else _Dense(self.pooled)

    def transposed_dot(self, values: Floats) -> Floats:
        """Return (columns, k)."""
        return np.concatenate([self.lexical.transposed_dot(values), self._rest().transposed_dot(values)])

    def pieces(self) -> list[Piece]:
        """The n-grams, and the rest: about the same work each."""
        terms = self.n_terms
        return [Piece(slice(0, terms), self.lexical), Piece(slice(terms, self.n_columns), self._rest())]

    def squared(self) -> SquaredDesign:
        """The design with squares in the place of values, cross terms between runs left out; not the constant's."""
        lexical = self.lexical
        blocks = {each.name: squares_of(getattr(lexical, each.name)) for each in fields(lexical)}
        return SquaredDesign(LexicalMatrix(**blocks), self._rest().squared())

    def select(self, rows: Ints) -> LinearDesign:
        """The same for some inputs."""
        return LinearDesign(self.lexical.select(rows), self.pooled[rows])

    def narrow(self) -> tuple[LinearDesign, Ints]:
        """Return the design without the n-grams that no input has, and which columns are left."""
        lexical, terms = self.lexical.narrow()
        return LinearDesign(lexical, self.pooled), np.concatenate([terms, np.arange(self.n_terms, self.n_columns)])


@dataclass(frozen=True, slots=True, eq=False)
class SquaredDesign:
    """A design with squares in the place of values."""

    lexical: LexicalMatrix
    rest: _Dense | EvenSquares

    def transposed_dot(self, values: Floats) -> Floats:
        """Return (columns, k)."""
        return np.concatenate([self.lexical.transposed_dot(values), self.rest.transposed_dot(values)])


class Squared(Protocol):
    """A design with squares in the place of values."""

    def transposed_dot(self, values: Floats) -> Floats:
        """Return (columns, k)."""
        ...


class Fittable(Protocol):
    """A matrix (inputs, columns) that weights are fitted by."""

    def __len__(self) -> int:
        """Inputs."""
        ...

    @property
    def n_columns(self) -> int:
        """Columns."""
        ...

    def pieces(self) -> list[Piece]:
        """Its columns in pieces."""
        ...

    def squared(self) -> Squared:
        """The same with squares in the place of values."""
        ...


def fit_linear(  # noqa: PLR0913  (a start and someone to tell are for the few)
    design: Fittable,
    loss: Loss,
    n_labels: int,
    *,
    strength: float,
    iterations: int,
    start: Floats | None = None,
    guess: float = CURVATURE,
    told: Callable[[float], None] = lambda _: None,
) -> Floats:
    """Return weights (columns, n_labels) that minimise strength x loss + |W|² / 2.

    `guess` is a second derivative of a row's loss by a logit, to start from; `told` hears the share done.
    """
    squared = design.squared()

    def objective(logits: Floats) -> tuple[float, Floats]:
        value, gradient = loss(logits, slice(None))
        gradient *= np.float32(strength)
        return strength * value, gradient

    def by_rows(_: Floats) -> Floats:
        """The same guess for every row and label: far from the minimum, little more is known."""
        scale: Floats = np.float32(1) / (1 + np.float32(strength * guess) * squared.transposed_dot(ones))
        return scale

    def by_slopes(slopes: Floats) -> Floats:
        """A row's second derivative by a logit is its slope there times less than 1; near the minimum, nearly 1."""
        curvature = squared.transposed_dot(np.abs(slopes))
        curvature += 1
        return np.divide(1, curvature, out=curvature)

    ones = np.ones((len(design), 1), dtype=np.float32)
    beginning = np.zeros((design.n_columns, n_labels), dtype=np.float32) if start is None else start
    descent = Descent(design.pieces(), objective, by_rows if start is None else by_slopes, beginning)

    def after(step: int, *_: object) -> bool:
        told(step / iterations)
        if start is None and step == RENEW_AFTER:
            descent.renew(by_slopes)
        return False

    return descent.run(iterations, after)
