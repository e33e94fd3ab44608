"""Up to two thousand short inputs together: the logits of `StaticModel.logits`, from what is known of their runs.

Tokens and n-grams of a run are not looked up again while it is remembered, which is most of the work of a batch of
short texts. Only word pairs are counted anew. The tests hold this against the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tamis.data.truth import Bools
from tamis.ml.scorer import FAMILIAR
from tamis.ml.static.long import is_long
from tamis.ml.static.model import one_blas_thread
from tamis.ml.static.ngrams import Grams, word_pairs
from tamis.ml.static.row_products import product_by_rows
from tamis.ml.static.run_memory import RunReader
from tamis.ml.static.runs import OPENING_RUNS, TEXT, Hashes, Ints, Runs, segments, split
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
        if len(inputs) > MOST_INPUTS or self._reader.n_labels > MOST_LABELS or any(map(is_long, inputs)):
            return False
        return sum(map(_length, inputs)) <= MOST_CHARACTERS

    def logits(self, inputs: Sequence[Input]) -> dict[str, Floats]:
        """Return (inputs, labels) float32 for each target and `FAMILIAR`, as `StaticModel.logits` does."""
        model, n = self._model, len(inputs)
        logits = np.zeros((n, self._reader.n_labels), dtype=np.float32)
        hidden = np.zeros((n, model.network.hidden.shape[1]), dtype=np.float32)
        tokens = np.zeros((n, 2), dtype=np.float32)
        base = None if model.nearness is None else np.zeros((model.n_fields, n, self._reader.dimensions), np.float32)
        for field, given in enumerate(_fields(inputs, model.n_fields)):
            if given.runs:
                tokens += self._add_field(logits, hidden, given, field, None if base is None else base[field])
        hidden += model.network.hidden_bias
        np.maximum(hidden, 0, out=hidden)
        with one_blas_thread():
            logits += product_by_rows(hidden, model.network.heads)
        logits += model.weights[-1] + model.network.head_bias
        familiar: Floats = (tokens[:, :1] / np.maximum(tokens[:, 1:], 1)).astype(np.float32)
        if base is not None:
            familiar = model.familiar(familiar[:, 0], np.hstack([*base]), hidden, logits)
        return {FAMILIAR: familiar} | model.by_target(logits)

    def _add_field(self, logits: Floats, hidden: Floats, given: _Field, field: int, centred: Floats | None) -> Floats:
        """Add what a field says; return (inputs, 2) its tokens that training saw, and all its tokens.

        `centred` (inputs, d), if any, gets the field's base embeddings, of length 1, centred and scaled.
        """
        n, labels, parts = len(logits), self._reader.n_labels, self._reader.parts[field]
        place = {each: number for number, each in enumerate(sorted(set(given.runs)))}  # sums in an order of their own
        run = np.array([place[each] for each in given.runs])
        known = self._reader.known(place, field).values()
        rows = np.concatenate([each.row for each in known]).reshape(len(known), -1)
        lexical, numbers = np.ascontiguousarray(rows[:, parts.lexical]), rows[:, -3:]

        often = counts(given.row, run, (n, len(known)))
        sums = often @ np.ascontiguousarray(rows[:, parts.shown.start : parts.hidden.stop])
        shown, base = sums[:, :labels], sums[:, labels : -hidden.shape[1]]
        seen, n_tokens = often @ rows[:, -4], often @ numbers[:, 2]
        lengths = np.sqrt(np.einsum("nd,nd->n", base, base))
        present = lengths > 1e-6 * np.maximum(n_tokens, 1)
        lengths = np.where(present, lengths, 1)[:, None]
        self._add_shown(logits, shown / lengths, present, field)
        if centred is not None:
            unit = (base / lengths - self._model.centring.centre) * np.float32(self._model.centring.scale)
            centred[present] = unit[present]
        hidden += _inverse(n_tokens)[:, None] * sums[:, -hidden.shape[1] :]
        if field == TEXT:
            opening = counts(given.row[given.opening], run[given.opening], (n, len(known)))
            share = scale_rows(opening, _inverse(opening @ numbers[:, 2]))
            hidden += share @ np.ascontiguousarray(rows[:, parts.opening])
        times = dampen(often)
        terms = times @ lexical
        pairs, squares = self._pairs(_word_pairs(given, run, [each.words for each in known]), n)
        of_words = _inverse_root(row_sums(times, numbers[:, 1]) + squares)
        logits += _inverse_root(row_sums(times, numbers[:, 0]))[:, None] * terms[:, :labels]
        logits += of_words[:, None] * (terms[:, labels:] + pairs)
        return np.stack([seen, n_tokens], axis=1)

    def _add_shown(self, logits: Floats, shown: Floats, present: Bools, field: int) -> None:
        """Add what the base embeddings say, of inputs that have any in this field."""
        unit = shown - self._reader.off_centre[field]
        unit *= np.float32(self._model.centring.scale)
        logits += np.where(present[:, None], unit, np.float32(0))

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
