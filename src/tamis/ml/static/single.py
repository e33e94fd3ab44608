"""One input at a time: the same logits as a batch gives, from a few small arrays instead of sparse matrices.

A sparse matrix costs more to make than one short text has to say. The tests hold this against the batch.
"""

from __future__ import annotations

import numpy as np

from tamis.ml.static.lexical import Terms, Vocabulary
from tamis.ml.static.model import StaticModel, TunedEmbeddings
from tamis.ml.static.ngrams import Grams, grams_of_runs, word_pairs
from tamis.ml.static.runs import Ints, Runs, split_runs
from tamis.ml.static.sparse import Floats, find
from tamis.schema import Input, plain_text

MOST_CHARACTERS = 4_000
MOST_LABELS = 2_000
"""Bounds of what is quicker this way: longer inputs, and models with more labels, are a batch of one."""


def suits(model: StaticModel, given: Input) -> bool:
    """Return whether the input is better looked at alone."""
    return model.weights.shape[1] <= MOST_LABELS and len(plain_text(given)) <= MOST_CHARACTERS


def logits_of_one(model: StaticModel, given: Input) -> dict[str, Floats]:
    """Return (1, labels) float32 for each target, as `StaticModel.logits` does for `[given]`."""
    runs = split_runs([given], model.n_fields)
    rows, values = _terms(model.vocabulary, runs)
    pooled, tuned = _pools(model, runs)
    logits = values @ model.weights[rows]
    logits += pooled @ model.weights[-1 - len(pooled) : -1]
    logits += model.weights[-1]
    logits += model.network.logits(tuned)[0]
    return {name: logits[None, columns] for name, columns in model.columns.items()}


def _terms(vocabulary: Vocabulary, runs: Runs) -> tuple[Ints, Floats]:
    """Return the columns of the lexical matrix that the input has, and their values; a column may come twice."""
    field, n_fields = runs.run_fields, runs.n_fields
    times = (1 + np.log(np.bincount(runs.run, minlength=len(field)))).astype(np.float32)
    grams = grams_of_runs(runs)
    characters = _Looked(vocabulary.characters, grams.characters)
    words = _Looked(vocabulary.words, grams.words)
    pairs = _Looked(vocabulary.pairs, word_pairs(runs, grams.words))
    of_characters = _inverse_root(_sums(field, times**2 * characters.squares(len(field)), n_fields))
    squares = _sums(field, times**2 * words.squares(len(field)), n_fields) + pairs.squares(n_fields)
    of_words = _inverse_root(squares)
    looked = (characters, words, pairs)
    factors = (times * of_characters[field], times * of_words[field], of_words)
    columns, values, at = [], [], 0
    for block, factor in zip(looked, factors, strict=True):
        own, known = block.damped(factor) if block is pairs else block.known_terms(factor)
        columns.append(own + at)
        values.append(known)
        at += max(len(block.terms), 1)
    for block, factor in zip(looked, factors, strict=True):
        owners, known = block.private(factor)
        columns.append(owners + at)
        values.append(known)
    return np.concatenate(columns), np.concatenate(values)


class _Looked:
    """The n-grams of a block, looked up; `where` is a run, or for word pairs a field."""

    def __init__(self, terms: Terms, grams: Grams) -> None:
        self.terms, self.where, self.hashes = terms, grams.where, grams.hashes
        place, known = find(terms.hashes, grams.hashes)
        self._known, self._others = np.flatnonzero(known), np.flatnonzero(~known)
        self._place = place[self._known]
        self._weights = np.full(len(grams.hashes), terms.unknown, dtype=np.float32)
        self._weights[self._known] = terms.idf[self._place]

    def squares(self, size: int) -> Floats:
        return _sums(self.where, self._weights**2, size)

    def known_terms(self, factor: Floats) -> tuple[Ints, Floats]:
        return self._place, self._weights[self._known] * factor[self.where[self._known]]

    def damped(self, factor: Floats) -> tuple[Ints, Floats]:
        """The same where a repeated n-gram counts 1 + log of how often."""
        each, times = np.unique(self._place * len(factor) + self.where[self._known], return_counts=True)
        place, where = np.divmod(each, len(factor))
        weights = (self.terms.idf[place] if len(place) else np.zeros(0)) * (1 + np.log(times)) * factor[where]
        return place, weights.astype(np.float32)

    def private(self, factor: Floats) -> tuple[Ints, Floats]:
        place, single = find(self.terms.single_hashes, self.hashes[self._others])
        place, where = place[single], self.where[self._others[single]]
        shares = self.terms.single_shares[place] * np.float32(self.terms.unknown)
        return self.terms.single_owners[place].astype(np.int64), shares * factor[where]


def _sums(where: Ints, values: Floats, size: int) -> Floats:
    return np.bincount(where, values, size).astype(np.float32)


def _inverse_root(squares: Floats) -> Floats:
    return np.where(squares > 0, 1 / np.sqrt(np.maximum(squares, 1e-12)), 0).astype(np.float32)


def _pools(model: StaticModel, runs: Runs) -> tuple[Floats, Floats]:
    """Return (fields x d,) the centred embeddings of the base model, and (1, pools x d) the tuned ones."""
    of_runs = model.semantics.tokenizer.few(runs.strings)
    opening = runs.opening()
    run = np.concatenate([runs.run, runs.run[opening]])
    number = np.concatenate([runs.run_fields[runs.run], np.full(len(opening), runs.n_fields)])
    lengths = of_runs.lengths[run]
    first = of_runs.offsets[run] - np.cumsum(lengths) + lengths
    tokens = of_runs.ids[np.arange(lengths.sum()) + np.repeat(first, lengths)]
    shares = np.zeros((runs.n_pools, len(tokens)), dtype=np.float32)
    shares[np.repeat(number, lengths), np.arange(len(tokens))] = 1
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    matrix, network = model.semantics.matrix, model.network
    embeddings = TunedEmbeddings(matrix, model.embedding_scale, model.tuned_tokens, network)[tokens]
    pooled = shares @ matrix[tokens].astype(np.float32)
    norms = np.sqrt((pooled * pooled).sum(axis=1, keepdims=True))
    unit = np.divide(pooled, norms, out=np.zeros_like(pooled), where=norms > 1e-6)
    return model.centring.apply(unit, model.n_fields)[0], (shares @ embeddings).reshape(1, -1)
