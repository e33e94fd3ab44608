"""One fit of a static model to some rows, watched on others: the lexical part, the semantic part, and their sum.

It does not know how rows were held out, nor calibration: that is for `training` and above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from tamis.data.dataset import Dataset
from tamis.data.truth import SingleTruth, Truth
from tamis.ml.schedule import Plan
from tamis.ml.static.batches import fit_by_batches
from tamis.ml.static.lexical import Vocabulary, count_grams, fit_vocabulary
from tamis.ml.static.linear import LinearDesign, fit_linear
from tamis.ml.static.losses import loss_of
from tamis.ml.static.model import Centring, Semantics, StaticModel, TunedEmbeddings
from tamis.ml.static.network import Adam, Batch, Network, backward, start_network
from tamis.ml.static.runs import Ints, Runs, split_runs
from tamis.ml.static.sparse import Floats, Matrix, find
from tamis.ml.static.tokens import pool, used_tokens
from tamis.schema import Input

STRENGTH = 30.0  # of the data against the penalty, in the lexical part
BALANCE = 0.5  # the power of the label weights
ITERATIONS, WARM_ITERATIONS = 18, 8
HIDDEN = 256
DROPOUT = 0.3
SMOOTHING = 0.05

MOST_TERM_WEIGHTS = 6_000_000
LEAST_TERMS, MOST_TERMS = 2_000, 400_000
MOST_AT_ONCE = 10_000_000  # inputs x labels, and columns x labels, up to which L-BFGS fits all rows at once


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Rows made ready: `runs`, `tokens` (rows x pools, vocabulary), the base's `pooled` (rows x pools, d)."""

    runs: Runs
    tokens: Matrix
    pooled: Floats
    n_tokens: int

    @classmethod
    def of(cls, inputs: Sequence[Input], semantics: Semantics, n_fields: int) -> Encoded:
        """Encode inputs."""
        runs = split_runs(inputs, n_fields)
        tokens, n_tokens = semantics.tokens(runs)
        return cls(runs, tokens, semantics.pooled(tokens), n_tokens)

    def __len__(self) -> int:
        """Rows."""
        return self.runs.n_rows

    def select(self, rows: Ints) -> Encoded:
        """The same for some rows."""
        pools = pools_of(rows, self.runs.n_pools)
        share = len(rows) / max(len(self), 1)
        return Encoded(self.runs.select(rows), self.tokens[pools], self.pooled[pools], round(self.n_tokens * share))


def pools_of(rows: Ints, n_pools: int) -> Ints:
    """Return the numbers of the pools of some rows."""
    return (rows[:, None] * n_pools + np.arange(n_pools)).ravel()


@dataclass(frozen=True, slots=True, eq=False)
class Lexical:
    """The fitted lexical part: `weights` (lexical columns + pooled dimensions + 1, all labels)."""

    vocabulary: Vocabulary
    centring: Centring
    weights: Floats

    def logits(self, rows: Encoded) -> Floats:
        """Return (rows, all labels)."""
        pooled = self.centring.apply(rows.pooled, rows.runs.n_fields)
        return LinearDesign(self.vocabulary.matrix(count_grams(rows.runs)), pooled).dot(self.weights)


@dataclass(frozen=True, slots=True, eq=False)
class Semantic:
    """The fitted semantic part: a network whose embedding rows are those of `tokens`; others are the base's, scaled."""

    network: Network
    tokens: Ints
    scale: float

    def logits(self, rows: Encoded, semantics: Semantics) -> Floats:
        """Return (rows, all labels)."""
        pooled = pool(rows.tokens, TunedEmbeddings(semantics.matrix, self.scale, self.tokens, self.network))
        return self.network.logits(pooled.reshape(len(rows), -1))


def columns_of(data: Dataset) -> dict[str, slice]:
    """Return where each target's labels stand among all labels."""
    columns, at = {}, 0
    for target in data.targets:
        columns[target.name] = slice(at, at + len(target.labels))
        at += len(target.labels)
    return columns


def fit_lexical(data: Dataset, rows: Encoded, seed: int, before: Lexical | None = None) -> Lexical:
    """Fit the lexical part; `before` is a fit to some of the rows, to start from."""
    columns = columns_of(data)
    widest = max(len(target.labels) for target in data.targets)
    counted = count_grams(rows.runs)
    most_terms = int(np.clip(MOST_TERM_WEIGHTS // widest, LEAST_TERMS, MOST_TERMS))
    vocabulary = fit_vocabulary(counted, most_terms, private=len(rows) * widest <= MOST_AT_ONCE)
    centring = before.centring if before else Centring.of(rows.pooled)
    design = LinearDesign(vocabulary.matrix(counted), centring.apply(rows.pooled, rows.runs.n_fields))
    n_labels = sum(len(target.labels) for target in data.targets)
    weights = np.empty((design.n_columns, n_labels), dtype=np.float32)
    start = _moved(before, vocabulary) if before else None
    for name, place in columns.items():
        weights[:, place] = _fit_target(design, data.truth[name], seed, None if start is None else start[:, place])
    return Lexical(vocabulary, centring, weights)


def prior_log_odds(truth: Truth) -> Floats:
    """Return (n_labels,) the log-odds of each label of a multi-label target; 0 for a single-label one.

    The intercepts start there, and are drawn there instead of to 0: an input that says nothing gets each label's share.
    """
    if isinstance(truth, SingleTruth):
        return np.zeros(truth.n_labels, dtype=np.float32)
    known = max(int(truth.known.sum()), 1)
    share = (truth.counts() + 0.5) / (known + 1)
    return np.log(share / (1 - share)).astype(np.float32)


def _fit_target(design: LinearDesign, truth: Truth, seed: int, start: Floats | None) -> Floats:
    loss, offset = loss_of(truth, BALANCE), prior_log_odds(truth)

    def shifted(logits: Floats, rows: Ints | slice) -> tuple[float, Floats]:
        return loss(logits + offset, rows)

    if start is not None:
        start = start.copy()
        start[-1] -= offset
    if max(len(design), design.n_columns) * truth.n_labels > MOST_AT_ONCE:
        weights = fit_by_batches(design, shifted, truth.n_labels, seed=seed, start=start)
    else:
        iterations = ITERATIONS if start is None else WARM_ITERATIONS
        weights = fit_linear(design, shifted, truth.n_labels, strength=STRENGTH, iterations=iterations, start=start)
    weights[-1] += offset
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


def start_semantic(rows: Encoded, n_labels: int, semantics: Semantics, random: Generator) -> Semantic:
    """Return an untrained semantic part with an embedding row for each token of `rows`."""
    tokens = used_tokens(rows.tokens)
    tokens = tokens if len(tokens) else np.zeros(1, dtype=np.int64)
    embeddings = np.asarray(semantics.matrix[tokens], dtype=np.float32)
    spread = float(np.sqrt((embeddings**2).mean()))
    scale = 1 / spread if spread > 1e-8 else 1.0
    network = start_network(embeddings * np.float32(scale), rows.runs.n_pools, HIDDEN, n_labels, random)
    return Semantic(network, tokens, scale)


After = Callable[[int, float], bool]
"""Called after an evaluation's worth of updates with the update and the mean loss since; True stops."""


def train_semantic(data: Dataset, rows: Encoded, part: Semantic, plan: Plan, random: Generator, after: After) -> None:
    """Train the network of `part` in place, by mini-batches of random rows."""
    columns = columns_of(data)
    if not part.network.heads.any():  # untrained: what follows is not learnt again
        for name, truth in data.truth.items():
            part.network.head_bias[columns[name]] = prior_log_odds(truth)
    losses = [(columns[name], loss_of(truth, BALANCE, SMOOTHING)) for name, truth in data.truth.items()]
    place = np.searchsorted(part.tokens, rows.tokens.indices)
    pools = Matrix((rows.tokens.data, place, rows.tokens.indptr), shape=(rows.tokens.shape[0], len(part.tokens)))
    adam = Adam.of(part.network, plan.decay)
    order, since = np.empty(0, dtype=np.int64), list[float]()
    with ThreadPoolExecutor(2) as threads:
        for update in range(1, plan.updates + 1):
            if not len(order):
                order = random.permutation(len(rows))
            chosen, order = order[: plan.batch], order[plan.batch :]
            batch = Batch(pools[pools_of(chosen, rows.runs.n_pools)], chosen, _dropout(part.network, chosen, random))
            loss, gradients = backward(part.network, batch, losses, threads)
            factor = plan.factor(update)
            adam.step(part.network, gradients, plan.rate * factor, plan.embedding_rate * factor, threads)
            since.append(loss)
            if update % plan.evaluate_every == 0 or update == plan.updates:
                if after(update, float(np.mean(since))):
                    return
                since = []


def _dropout(network: Network, rows: Ints, random: Generator) -> Floats:
    kept = random.random((len(rows), network.hidden.shape[1]), dtype=np.float32) >= DROPOUT
    mask: Floats = kept * np.float32(1 / (1 - DROPOUT))
    return mask


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
