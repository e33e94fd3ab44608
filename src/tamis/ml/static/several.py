"""Up to two thousand short inputs together: the logits of `StaticModel.logits`, from what is known of their runs.

Tokens and n-grams of a run are not looked up again while it is remembered, which is most of the work of a batch of
short texts. Only word pairs are counted anew. The tests hold this against the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tamis.ml.static.model import one_blas_thread
from tamis.ml.static.ngrams import Grams, word_pairs
from tamis.ml.static.run_memory import RunReader, split
from tamis.ml.static.runs import OPENING_RUNS, TEXT, Hashes, Ints, Runs, segments
from tamis.ml.static.sparse import Floats, counts, dampen, row_sums, scale_rows
from tamis.schema import Input

MOST_INPUTS = 2_000
MOST_CHARACTERS = 400_000
MOST_LABELS = 256
"""Bounds of what is quicker this way: with more labels, fewer runs can be remembered than a batch has."""


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """The runs of a field in reading order, with the input and the segment of each."""

    runs: list[str]
    row: Ints
    segment: Ints
    opening: Ints  # which of them


class Several:
    """Reads some inputs of a model together."""

    def __init__(self, reader: RunReader) -> None:
        """Take what tells the model's runs apart."""
        self._reader, self._model = reader, reader.model

    def suits(self, inputs: Sequence[Input]) -> bool:
        """Return whether the inputs are better looked at this way."""
        if len(inputs) > MOST_INPUTS or self._reader.n_labels > MOST_LABELS:
            return False
        return sum(map(_length, inputs)) <= MOST_CHARACTERS

    def logits(self, inputs: Sequence[Input]) -> dict[str, Floats]:
        """Return (inputs, labels) float32 for each target, as `StaticModel.logits` does."""
        model, n = self._model, len(inputs)
        n_pools, d = model.n_fields + 1, self._reader.dimensions
        base, tuned = np.zeros((2, n, n_pools, d), dtype=np.float32)
        logits = np.zeros((n, self._reader.n_labels), dtype=np.float32)
        for field, given in enumerate(_fields(inputs, model.n_fields)):
            if given.runs:
                self._add_field(logits, base, tuned, given, field)
        lengths = np.sqrt(np.einsum("npd,npd->np", base, base))[:, :, None]
        np.divide(base, lengths, out=base, where=lengths > 1e-6)
        pooled = model.centring.apply(base.reshape(n * n_pools, d), model.n_fields)
        with one_blas_thread():
            logits += pooled @ model.weights[-1 - pooled.shape[1] : -1]
            logits += model.weights[-1]
            logits += model.network.logits(tuned.reshape(n, n_pools * d))
        return {name: logits[:, columns] for name, columns in model.columns.items()}

    def _add_field(self, logits: Floats, base: Floats, tuned: Floats, given: _Field, field: int) -> None:
        n, labels, d = len(logits), self._reader.n_labels, self._reader.dimensions
        place: dict[str, int] = {}
        run = np.array([place.setdefault(each, len(place)) for each in given.runs])
        known = self._reader.known(place, field).values()
        rows = np.concatenate([each.row for each in known]).reshape(len(known), -1)
        lexical, numbers = np.ascontiguousarray(rows[:, : 2 * labels]), rows[:, -3:]
        embeddings = np.ascontiguousarray(rows[:, 2 * labels : -3])

        often = counts(given.row, run, (n, len(known)))
        sums = scale_rows(often, _inverse(often @ numbers[:, 2])) @ embeddings
        base[:, field], tuned[:, field] = sums[:, :d], sums[:, d:]
        if field == TEXT:
            opening = counts(given.row[given.opening], run[given.opening], (n, len(known)))
            tuned[:, -1] = scale_rows(opening, _inverse(opening @ numbers[:, 2])) @ embeddings[:, d:]
        times = dampen(often)
        terms = times @ lexical
        pairs, squares = self._pairs(_word_pairs(given, run, [each.words for each in known]), n)
        of_words = _inverse_root(row_sums(times, numbers[:, 1]) + squares)
        logits += _inverse_root(row_sums(times, numbers[:, 0]))[:, None] * terms[:, :labels]
        logits += of_words[:, None] * (terms[:, labels:] + pairs)

    def _pairs(self, pairs: Grams, n: int) -> tuple[Floats, Floats]:
        """Return what the word pairs add to the logits, and their squared lengths."""
        vocabulary, weights, starts = self._model.vocabulary, self._model.weights, self._reader.starts
        places = vocabulary.pairs.look_up(pairs)
        own = vocabulary.pairs.known(places, n, damp=True)
        private = vocabulary.pairs.private(places, n, vocabulary.n_owners)
        added: Floats = own @ weights[starts[2] : starts[3]]
        added += private @ weights[starts[3] : starts[3] + private.shape[1]]
        return added, vocabulary.pairs.squares(places, n)


def _word_pairs(given: _Field, run: Ints, words: list[Hashes]) -> Grams:
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    of_runs = Grams(np.repeat(np.arange(len(words)), lengths), np.concatenate(words))
    none = np.zeros(len(words), dtype=np.int64)
    return word_pairs(Runs(0, 1, [""] * len(words), none, run, given.row, given.segment), of_runs)


def _length(given: Input) -> int:
    return len(given) if isinstance(given, str) else sum(len(message.content) for message in given)


def _fields(inputs: Sequence[Input], n_fields: int) -> list[_Field]:
    texts, rows, of_text = segments(inputs, n_fields)
    parts = [split(text) for text in texts]
    lengths = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
    fields = []
    for field in range(n_fields):
        own = np.flatnonzero(of_text == field)
        runs = [run for part in own.tolist() for run in parts[part]]
        ends = np.cumsum(lengths[own])
        rank = np.arange(len(runs)) - np.repeat(ends - lengths[own], lengths[own])
        row, segment = np.repeat(rows[own], lengths[own]), np.repeat(own, lengths[own])
        fields.append(_Field(runs, row, segment, np.flatnonzero(rank < OPENING_RUNS)))
    return fields


def _inverse(sums: Floats) -> Floats:
    inverse: Floats = (1 / np.maximum(sums, 1)).astype(np.float32)
    return inverse


def _inverse_root(squares: Floats) -> Floats:
    return np.where(squares > 0, 1 / np.sqrt(np.maximum(squares, 1e-12)), 0).astype(np.float32)
