"""The two parts of a static model: rows made ready for them, the fit of the lexical part, and their sum.

The semantic part is trained in `updates`. It does not know how rows were held out, nor calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.random import Generator

from tamis.data.dataset import Dataset, columns_of
from tamis.data.thinning import evenly
from tamis.data.truth import SingleTruth, Truth
from tamis.ml.progress import nothing
from tamis.ml.restart import RestartPoints, Stage, State
from tamis.ml.static.batches import fit_by_batches
from tamis.ml.static.encoded import Encoded, Packed, Rows
from tamis.ml.static.lexical import Vocabulary, count_grams, fit_vocabulary
from tamis.ml.static.linear import CURVATURE_OF_MARGINS, LinearDesign, fit_linear
from tamis.ml.static.losses import beyond, label_counts, loss_of, margin_loss_of, row_weights_of, softmax_of
from tamis.ml.static.margins import with_private_columns
from tamis.ml.static.model import Centring, Semantics, StaticModel, TunedEmbeddings
from tamis.ml.static.network import Network, start_network
from tamis.ml.static.packed_lexical import CountedRuns, fit_packed_vocabulary, packed_matrix
from tamis.ml.static.pooled_tokens import PooledTokens, pooled_tokens
from tamis.ml.static.runs import Ints
from tamis.ml.static.sampled import WIDE
from tamis.ml.static.sparse import Floats, find
from tamis.ml.static.squares import carried, fit_by_squares
from tamis.ml.static.tokens import pool

STRENGTH = 1.0  # of the data against the penalty, in the lexical part
LOGITS_A_MARGIN = 5.0  # about how many logits a margin of 1 is worth
BALANCE = 0.5  # the power of the label weights
ITERATIONS, WARM_ITERATIONS = 14, 6
HIDDEN = 256
WORD_EMPHASIS = 1.4  # of words and pairs beside characters; in the weights, once they are fitted

RIDGE = 30.0  # the penalty where labels are very many
OWN_LOGIT = 32.0  # the mean logit of a row's own label there

ROWS_TO_SCALE_BY = 500

MOST_TERM_WEIGHTS = 6_000_000
LEAST_TERMS, MOST_TERMS = 2_000, 400_000
MOST_AT_ONCE = 10_000_000  # inputs x labels, and columns x labels, up to which L-BFGS fits all rows at once

# Of packed rows, which bring less of their own, and which have more n-grams instead of private columns.
MOST_PACKED_AT_ONCE = 24_000_000
MOST_PACKED_TERM_WEIGHTS, MOST_PACKED_WEIGHTS = 12_000_000, 14_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Lexical:
    """The fitted lexical part: `weights` (lexical columns + pooled dimensions + 1, all labels)."""

    vocabulary: Vocabulary
    centring: Centring
    weights: Floats

    def logits(self, rows: Rows) -> Floats:
        """Return (rows, all labels)."""
        return np.concatenate([self._logits(some) for some in rows.portions()])

    def _logits(self, rows: Encoded) -> Floats:
        pooled = self.centring.apply(rows.pooled, rows.runs.n_fields)
        return LinearDesign(self.vocabulary.matrix(count_grams(rows.runs)), pooled).dot(self.weights)


@dataclass(frozen=True, slots=True, eq=False)
class Semantic:
    """The fitted semantic part: a network whose embedding rows are those of `tokens`; others are the base's, scaled."""

    network: Network
    tokens: Ints
    scale: float

    def logits(self, rows: Rows, semantics: Semantics) -> Floats:
        """Return (rows, all labels)."""
        tuned = TunedEmbeddings(semantics.matrix, self.scale, self.tokens, self.network)
        pooled = ((pool(some.tokens, tuned), len(some)) for some in rows.portions())
        return np.concatenate([self.network.logits(pools.reshape(n_rows, -1)) for pools, n_rows in pooled])

    def activation(self, rows: Encoded, semantics: Semantics) -> Floats:
        """Return (rows, h) the hidden layer."""
        tuned = TunedEmbeddings(semantics.matrix, self.scale, self.tokens, self.network)
        return self.network.activation(pool(rows.tokens, tuned).reshape(len(rows), -1))


Told = Callable[[float], None]
"""Hears the share of something that is done, about ten times."""


def fit_lexical(
    data: Dataset,
    rows: Rows,
    seed: int,
    before: Lexical | None = None,
    stage: Stage | None = None,
    told: Told = lambda _: None,
) -> Lexical:
    """Fit the lexical part; `before` is a fit to some of the rows, to start from.

    Targets that `stage` remembers are not fitted again. `told` hears how much is done.
    """
    stage = stage or Stage("", RestartPoints(None), nothing)
    columns = columns_of(data)
    widest = max(len(target.labels) for target in data.targets)
    stage.pulse()
    most_weights = MOST_PACKED_TERM_WEIGHTS if isinstance(rows, Packed) else MOST_TERM_WEIGHTS
    most_terms = int(np.clip(most_weights // widest, LEAST_TERMS, MOST_TERMS))
    known = before.centring if before else None
    if isinstance(rows, Packed):
        vocabulary, centring, design, alone = _packed_design(rows, most_terms, known, stage)
    else:
        private, alone = len(rows) * widest <= MOST_AT_ONCE, None
        vocabulary, centring, design = _design(rows, most_terms, known, stage, private=private)
    n_labels = sum(len(target.labels) for target in data.targets)
    weights = np.empty((design.n_columns, n_labels), dtype=np.float32)
    widths = design.lexical.widths
    words = slice(widths[0], sum(widths[:3]))
    wide = all(len(target.labels) > WIDE for target in data.targets)
    start = _moved(before, vocabulary) if before and not wide else None
    if start is not None:
        start[words] /= np.float32(WORD_EMPHASIS)
    heard = _tenths(told, len(columns))
    for number, (name, place) in enumerate(columns.items()):
        fitted = stage.recall(f"lexical {number}")
        if fitted is None:
            fit = _TargetFit(design, data.truth[name], data.weights, seed, stage, partial(heard, number), alone)
            fitted = State({"weights": fit.weights(None if start is None else start[:, place])})
        stage.keep(f"lexical {number}", fitted)
        weights[:, place] = fitted.arrays["weights"]
    weights[words] *= np.float32(WORD_EMPHASIS)
    return Lexical(vocabulary, centring, weights)


def _design(
    rows: Encoded, most_terms: int, centring: Centring | None, stage: Stage, *, private: bool
) -> tuple[Vocabulary, Centring, LinearDesign]:
    """Choose the terms and make the columns; measure the centring where none is given."""
    counted = count_grams(rows.runs)
    stage.pulse()
    vocabulary = fit_vocabulary(counted, most_terms, private=private)
    centring = centring or Centring.of(rows.pooled)
    stage.pulse()
    matrix = vocabulary.matrix(counted).emphasised(WORD_EMPHASIS)
    return vocabulary, centring, LinearDesign(matrix, centring.apply(rows.pooled, rows.runs.n_fields))


def _packed_design(
    rows: Packed, most_terms: int, centring: Centring | None, stage: Stage
) -> tuple[Vocabulary, Centring, LinearDesign, Floats]:
    """The same for packed rows; instead of private columns, the squares of what would stand there."""
    counted = CountedRuns.of(rows.runs, stage.pulse)
    vocabulary, singles = fit_packed_vocabulary(counted, most_terms, stage.pulse)
    matrix, alone = packed_matrix(vocabulary, singles, counted, WORD_EMPHASIS, stage.pulse)
    pooled = pooled_tokens(rows, counted.in_groups, centring, stage.pulse)
    return vocabulary, pooled.centring, LinearDesign(matrix, pooled), alone


def _tenths(told: Told, n_targets: int) -> Callable[[int, float], None]:
    """Return what passes on how much of all targets is done, from a target's number and share: a tenth at a time."""
    last = 0.0

    def heard(number: int, share: float) -> None:
        nonlocal last
        overall = (number + share) / n_targets
        if overall >= last + 0.0999:
            last = overall
            told(overall)

    return heard


def prior_log_odds(truth: Truth, row_weights: Floats | None = None) -> Floats:
    """Return (n_labels,) the log-odds of each label of a multi-label target; 0 for a single-label one.

    The intercepts start there, and are drawn there instead of to 0: an input that says nothing gets each label's share.
    """
    if isinstance(truth, SingleTruth):
        return np.zeros(truth.n_labels, dtype=np.float32)
    known = max(int(truth.known.sum()), 1)
    share = (label_counts(truth, row_weights) + 0.5) / (known + 1)
    odds: Floats = np.log(share / (1 - share)).astype(np.float32)
    return odds


def prior_margins(truth: Truth, row_weights: Floats | None = None) -> Floats:
    """Return (n_labels,) what a squared loss would answer without looking: -1 for no row, 1 for every row.

    Intercepts that margins are fitted with start there and are drawn there.
    """
    known = max(int(truth.known.sum()), 1)
    share = (label_counts(truth, row_weights) + 0.5) / (known + 1)
    margins: Floats = (2 * share - 1).astype(np.float32)
    return margins


@dataclass(frozen=True, slots=True, eq=False)
class _TargetFit:
    """The fit of one target's linear head; `alone` are squares of private columns that the design leaves out."""

    design: LinearDesign
    truth: Truth
    row_weights: Floats | None
    seed: int
    stage: Stage
    told: Told
    alone: Floats | None = None

    def weights(self, start: Floats | None) -> Floats:
        """Return (columns, labels); `start` is where to begin."""
        if self.truth.n_labels > WIDE:
            return self._by_squares()
        n_labels, most_scores, most_weights = self.truth.n_labels, MOST_AT_ONCE, MOST_AT_ONCE
        if isinstance(self.design.pooled, PooledTokens):
            most_scores, most_weights = MOST_PACKED_AT_ONCE, MOST_PACKED_WEIGHTS
        if len(self.design) * n_labels > most_scores or self.design.n_columns * n_labels > most_weights:
            return self._by_odds(start)
        return self._by_margins(start)

    def _by_margins(self, start: Floats | None) -> Floats:
        loss = margin_loss_of(self.truth, BALANCE, self.row_weights)
        if self.alone is not None:
            loss = with_private_columns(loss, np.float32(STRENGTH) * self.alone)
        prior = prior_margins(self.truth, self.row_weights)
        weights = fit_linear(
            self.design,
            beyond(prior, loss, self.stage.pulse),
            self.truth.n_labels,
            strength=STRENGTH,
            iterations=ITERATIONS if start is None else WARM_ITERATIONS,
            start=None if start is None else _less(start / np.float32(LOGITS_A_MARGIN), prior),
            guess=CURVATURE_OF_MARGINS,
            told=self.told,
        )
        weights[-1] += prior
        weights *= np.float32(LOGITS_A_MARGIN)
        return weights

    def _by_odds(self, start: Floats | None) -> Floats:
        loss = loss_of(self.truth, BALANCE, row_weights=self.row_weights)
        prior = prior_log_odds(self.truth, self.row_weights)
        start = None if start is None else _less(start.copy(), prior)
        shifted = beyond(prior, loss, self.stage.pulse)
        weights = fit_by_batches(self.design, shifted, self.truth.n_labels, seed=self.seed, start=start, told=self.told)
        weights[-1] += prior
        return weights

    def _by_squares(self) -> Floats:
        if isinstance(self.truth, SingleTruth):
            rows = softmax_of(self.truth, BALANCE, 0.0, self.row_weights).weights
        else:
            rows = row_weights_of(self.truth, self.row_weights)

        def told(share: float) -> None:
            self.stage.pulse()
            self.told(share)

        weights = fit_by_squares(self.design, self.truth, rows, RIDGE, told)
        weights *= np.float32(OWN_LOGIT / max(self._mean_of_own(weights), 1e-6))
        return weights

    def _mean_of_own(self, weights: Floats) -> float:
        """Return what `weights` say of labels that rows carry, on average over some rows."""
        rows = evenly(len(self.design), ROWS_TO_SCALE_BY)
        own = carried(self.truth, rows)
        said = self.design.select(rows).dot(weights)[np.repeat(np.arange(len(rows)), np.diff(own.indptr)), own.indices]
        return float(said.mean()) if len(said) else 1.0


def _less(weights: Floats, prior: Floats) -> Floats:
    """Take the prior from the intercepts, in place."""
    weights[-1] -= prior
    return weights


def _moved(before: Lexical, new: Vocabulary) -> Floats:
    """Return the weights of an earlier fit where the new vocabulary has the same n-grams, else 0."""
    blocks, at = [], 0
    for old_terms, new_terms in zip(before.vocabulary.blocks, new.blocks, strict=True):
        place, known = find(old_terms.hashes, new_terms.hashes)
        moved = np.zeros((max(len(new_terms), 1), before.weights.shape[1]), dtype=np.float32)
        moved[np.flatnonzero(known)] = before.weights[at + place[known]]
        blocks.append(moved)
        at += max(len(old_terms), 1)
    at += max(before.vocabulary.n_owners, 1)
    private = np.zeros((max(new.n_owners, 1), before.weights.shape[1]), dtype=np.float32)
    return np.concatenate([*blocks, private, before.weights[at:]])


def start_semantic(rows: Rows, n_labels: int, semantics: Semantics, random: Generator) -> Semantic:
    """Return an untrained semantic part with an embedding row for each token of `rows`."""
    tokens = rows.used_tokens()
    tokens = tokens if len(tokens) else np.zeros(1, dtype=np.int64)
    embeddings = np.asarray(semantics.matrix[tokens], dtype=np.float32)
    spread = float(np.sqrt((embeddings**2).mean()))
    scale = 1 / spread if spread > 1e-8 else 1.0
    network = start_network(embeddings * np.float32(scale), rows.runs.n_pools, HIDDEN, n_labels, random)
    return Semantic(network, tokens, scale)


def assemble(
    lexical: Lexical,
    semantic: Semantic,
    shares: Mapping[str, float],
    semantics: Semantics,
    columns: Mapping[str, slice],
    n_fields: int,
) -> StaticModel:
    """Return the model whose logits are the lexical part's plus each target's share of the semantic part's."""
    heads, bias = semantic.network.heads.copy(), semantic.network.head_bias.copy()
    for name, place in columns.items():
        heads[:, place] *= np.float32(shares[name])
        bias[place] *= np.float32(shares[name])
    return StaticModel(
        semantics=semantics,
        vocabulary=lexical.vocabulary,
        centring=lexical.centring,
        n_fields=n_fields,
        weights=lexical.weights,
        tuned_tokens=semantic.tokens,
        network=replace(semantic.network, heads=heads, head_bias=bias),
        embedding_scale=semantic.scale,
        columns=dict(columns),
    )
