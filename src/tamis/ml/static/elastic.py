"""Fits of labels' weights that give way only where rows say so: what a model that grows does instead of forgetting.

What old rows said of a weight is not kept, but how often its column occurred in them is known: from the n-gram's own
weight, or from new rows where columns are dense. A weight's move costs the more the more old rows it would change
(elastic weight consolidation, Kirkpatrick et al. 2017, with the squares of the columns in the place of the Fisher
information). Columns that no old row had move freely. It does not know how rows are held out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tamis.ml.static.encoded import Encoded
from tamis.ml.static.fitting import LOGITS_A_MARGIN, STRENGTH, WORD_EMPHASIS
from tamis.ml.static.lbfgs import Design, Piece
from tamis.ml.static.lexical import Counted, Vocabulary, count_grams
from tamis.ml.static.linear import CURVATURE_OF_MARGINS, LinearDesign, SquaredDesign, fit_linear
from tamis.ml.static.losses import Loss
from tamis.ml.static.model import LENGTH, StaticModel, TunedEmbeddings
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats
from tamis.ml.static.tokens import pool

ITERATIONS = 20

LEAST_HIDDEN = 1.0
"""The length of the hidden layer that is taken for granted: new rows without a known token say nothing of it."""

OWN_SQUARE = 0.1
"""The typical square of an input's value in its own private column."""


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """What a model makes of rows, as columns: n-grams, pooled embeddings, its hidden layer, a constant.

    `design` is (rows, columns), and `dense` those of its columns that are no n-grams; `hidden_scale` is what the hidden
    layer, `n_hidden` columns, is multiplied by there.
    """

    design: LinearDesign
    dense: Floats
    hidden_scale: float
    n_hidden: int

    @classmethod
    def of(cls, model: StaticModel, rows: Encoded) -> Frozen:
        """Compute the columns of some rows."""
        matrix = model.vocabulary.matrix(count_grams(rows.runs)).emphasised(WORD_EMPHASIS)
        pooled, hidden = model.centring.apply(rows.pooled, rows.runs.n_fields), _hidden(model, rows)
        scale = LENGTH / max(LEAST_HIDDEN, float(np.sqrt((hidden**2).sum(axis=1).mean())))
        dense = np.hstack([pooled, hidden * np.float32(scale)])
        return cls(LinearDesign(matrix, dense), dense, scale, hidden.shape[1])

    @property
    def base(self) -> Floats:
        """(rows, fields x d) the pooled base embeddings, centred."""
        return self.dense[:, : -self.n_hidden]

    @property
    def hidden(self) -> Floats:
        """(rows, h) the hidden layer."""
        return self.dense[:, -self.n_hidden :] / np.float32(self.hidden_scale)

    def moved(self, model: StaticModel, by: Floats, place: slice) -> StaticModel:
        """Return the model with the weights of some labels moved `by` (columns, labels), in logits."""
        n_hidden, by = self.n_hidden, by.copy()
        widths = self.design.lexical.widths
        by[widths[0] : sum(widths[:3])] *= np.float32(WORD_EMPHASIS)
        weights, heads = model.weights.copy(), model.network.heads.copy()
        weights[:-1, place] += by[: -n_hidden - 1]
        weights[-1, place] += by[-1]
        heads[:, place] += by[-n_hidden - 1 : -1] * np.float32(self.hidden_scale)
        return replace(model, weights=weights, network=replace(model.network, heads=heads))


def old_squares(before: Vocabulary, now: Vocabulary, frozen: Frozen, counted: Counted, n_rows: int) -> Floats:
    """Return (columns,) about what the squares of each column added up to in the rows that a model learnt from.

    Args:
        before: what it knew then.
        now: with n-grams of new rows.
        frozen: the new rows.
        counted: their n-grams.
        n_rows: how many rows it learnt from.
    """
    of_characters, of_words = now.lengths(counted, now.look_up(counted))
    emphasis = WORD_EMPHASIS**2
    factors = (_mean_square(of_characters), emphasis * _mean_square(of_words), emphasis * _mean_square(of_words))
    parts = []
    for terms, factor in zip(now.blocks, factors, strict=True):
        inputs = 2 * np.exp(terms.unknown - 1)  # plus one; see `lexical` for the weights
        frequency = inputs / np.exp(terms.idf - 1) - 1
        known = frequency > 1.5  # new ones have the weight of one input
        squares = np.where(known, frequency * terms.idf**2 * factor, 0)
        parts.append(squares if len(squares) else np.zeros(1))
    own = np.zeros(max(now.n_owners, 1))
    own[: before.n_owners] = OWN_SQUARE
    pooled, n_hidden = frozen.dense, frozen.n_hidden
    usual = np.repeat(
        LENGTH**2 / np.array([pooled.shape[1] - n_hidden, n_hidden]), [pooled.shape[1] - n_hidden, n_hidden]
    )
    dense = np.maximum((pooled**2).mean(axis=0), usual) * n_rows
    return np.concatenate([*parts, own, dense, [n_rows]]).astype(np.float32)


def fit_move(
    design: LinearDesign,
    loss: Loss,
    base: Floats,
    place: slice,
    stiffness: Floats,
    told: Callable[[float], None],
) -> Floats:
    """Return (columns, labels) by how much the weights of the labels in `place` move, in margins.

    Args:
        design: the rows.
        loss: by the margins of all labels.
        base: (rows, all labels) margins before.
        place: the labels that move.
        stiffness: (columns,) what the square of a move costs beside 1.
        told: hears the loss of a step.
    """
    scale = (1 / np.sqrt(1 + stiffness)).astype(np.float32)
    total = base.copy()
    own = base[:, place].copy()

    def of_these(logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        total[:, place] = own + logits
        value, slope = loss(total, rows)
        told(value)
        return value, np.ascontiguousarray(slope[:, place])

    moved = fit_linear(
        _Scaled(design, scale),
        of_these,
        own.shape[1],
        strength=STRENGTH,
        iterations=ITERATIONS,
        guess=CURVATURE_OF_MARGINS,
    )
    moved *= scale[:, None]
    return moved


def in_logits(moved: Floats) -> Floats:
    """Return weights of margins as weights of logits."""
    return moved * np.float32(LOGITS_A_MARGIN)


@dataclass(frozen=True, slots=True, eq=False)
class _Scaled:
    """A design with each column times a factor: the penalty is heavier where that is small."""

    design: LinearDesign
    scale: Floats

    def __len__(self) -> int:
        return len(self.design)

    @property
    def n_columns(self) -> int:
        return self.design.n_columns

    def pieces(self) -> list[Piece]:
        whole = self.design.pieces()
        return [Piece(piece.columns, _Times(piece.design, self.scale[piece.columns])) for piece in whole]

    def squared(self) -> _Squares:
        return _Squares(self.design.squared(), self.scale**2)


@dataclass(frozen=True, slots=True, eq=False)
class _Times:
    piece: Design
    scale: Floats

    def dot(self, weights: Floats) -> Floats:
        return self.piece.dot(weights * self.scale[:, None])

    def transposed_dot(self, values: Floats) -> Floats:
        product = self.piece.transposed_dot(values)
        product *= self.scale[:, None]
        return product


@dataclass(frozen=True, slots=True, eq=False)
class _Squares:
    squares: SquaredDesign
    scale: Floats

    def transposed_dot(self, values: Floats) -> Floats:
        product = self.squares.transposed_dot(values)
        product *= self.scale[:, None]
        return product


def _hidden(model: StaticModel, rows: Encoded) -> Floats:
    """(rows, hidden) what the network's hidden layer says."""
    embeddings = TunedEmbeddings(model.semantics.matrix, model.embedding_scale, model.tuned_tokens, model.network)
    active = pool(rows.tokens, embeddings).reshape(len(rows), -1) @ model.network.hidden
    active += model.network.hidden_bias
    np.maximum(active, 0, out=active)
    return active


def _mean_square(lengths: Floats) -> float:
    present = lengths[lengths > 0]
    return float((present**2).mean()) if len(present) else 0.0
