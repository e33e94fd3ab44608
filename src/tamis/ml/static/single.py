"""One input at a time: the same logits as a batch gives, without sparse matrices, from what is known of its runs.

A few small products, over numbers that `run_memory` mostly has at hand. The tests hold this against the batch.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from tamis.ml.static.ngrams import pair_hashes
from tamis.ml.static.run_memory import Found, KnownRun, RunReader, split
from tamis.ml.static.runs import OPENING_RUNS, TEXT, Hashes, segments
from tamis.ml.static.sparse import Floats
from tamis.schema import Input, plain_text

MOST_CHARACTERS = 4_000
MOST_LABELS = 2_000
MOST_CELLS = 400_000
"""Bounds of what is quicker this way, in characters, labels, and characters x labels; the rest is a batch of one."""

_TIMES, _SQUARED, _COUNT, _OPENING = range(4)


class OneByOne:
    """Reads inputs of a model one at a time."""

    def __init__(self, reader: RunReader) -> None:
        """Take what tells the model's runs apart."""
        self._reader, self._model = reader, (model := reader.model)
        self._labels, self._dimensions = reader.n_labels, reader.dimensions
        self._bias = model.weights[-1] + model.network.head_bias
        self._pooled = np.asarray(model.weights[-1 - model.n_fields * self._dimensions : -1])

    def suits(self, given: Input) -> bool:
        """Return whether the input is better looked at alone."""
        length = len(given) if isinstance(given, str) else len(plain_text(given))
        return length <= MOST_CHARACTERS and self._labels <= MOST_LABELS and length * self._labels <= MOST_CELLS

    def logits(self, given: Input) -> dict[str, Floats]:
        """Return (1, labels) float32 for each target, as `StaticModel.logits` does for `[given]`."""
        model, d = self._model, self._dimensions
        logits = self._bias.copy()
        tuned = np.zeros((model.n_fields + 1) * d, dtype=np.float32)
        for field, parts in enumerate(_fields(given, model.n_fields)):
            runs = parts[0] if len(parts) == 1 else [run for part in parts for run in part]
            if runs:
                known = self._reader.known(runs, field)
                rows = np.concatenate([run.row for run in known.values()]).reshape(len(known), -1)
                sums = _shares(parts, runs, known, field) @ rows
                self._add_lexical(logits, sums, _neighbours(parts, known))
                self._add_pooled(logits, tuned, sums, field)
        hidden = tuned @ model.network.hidden
        hidden += model.network.hidden_bias
        np.maximum(hidden, 0, out=hidden)
        logits += hidden @ model.network.heads
        return {name: logits[None, columns] for name, columns in model.columns.items()}

    def _add_lexical(self, logits: Floats, sums: Floats, pairs: Hashes) -> None:
        n_labels = self._labels
        of_characters = _inverse_root(float(sums[_SQUARED, -3]))
        squares = float(sums[_SQUARED, -2])
        words = sums[_TIMES, n_labels : 2 * n_labels]
        if len(pairs):
            found = Found(self._model.vocabulary.pairs, pairs)
            squares += float(found.weights @ found.weights)
            place, values = found.damped()
            columns = np.concatenate([place + self._reader.starts[2], found.owners + self._reader.starts[3]])
            if len(columns):
                words = words + np.concatenate([values, found.shares]) @ self._model.weights[columns]
        logits += of_characters * sums[_TIMES, :n_labels]
        logits += _inverse_root(squares) * words

    def _add_pooled(self, logits: Floats, tuned: Floats, sums: Floats, field: int) -> None:
        """Add what the base embeddings say, and fill in the tuned ones of a field and of the opening."""
        d, start, centring = self._dimensions, 2 * self._labels, self._model.centring
        count = float(sums[_COUNT, -1])
        if not count:
            return
        pooled = sums[_COUNT, start : start + d] / np.float32(count)
        norm = float(pooled @ pooled) ** 0.5
        if norm > 1e-6:
            pooled /= np.float32(norm)
            pooled -= centring.centre
            pooled *= np.float32(centring.scale)
            logits += pooled @ self._pooled[field * d : (field + 1) * d]
        np.divide(sums[_COUNT, start + d : start + 2 * d], np.float32(count), out=tuned[field * d : (field + 1) * d])
        opening = sums[_OPENING, -1]
        if opening:
            np.divide(sums[_OPENING, start + d : start + 2 * d], opening, out=tuned[-d:])


def _fields(given: Input, n_fields: int) -> list[list[list[str]]]:
    """Return the runs of each segment of each field, in reading order."""
    fields: list[list[list[str]]] = [[] for _ in range(n_fields)]
    if isinstance(given, str):
        fields[TEXT].append(split(given))
        return fields
    texts, _, of_text = segments([given], n_fields)
    for text, field in zip(texts, of_text.tolist(), strict=True):
        fields[field].append(split(text))
    return fields


def _shares(parts: list[list[str]], runs: list[str], known: dict[str, KnownRun], field: int) -> Floats:
    """Return (4, different runs): how much each counts for what; repeated runs count 1 + log of how often."""
    shares = np.zeros((4, len(known)), dtype=np.float32)
    if len(known) == len(runs):
        shares[:_OPENING] = 1
    else:
        counts = Counter(runs)
        shares[_COUNT] = [counts[run] for run in known]
        shares[_TIMES] = 1 + np.log(shares[_COUNT])
        shares[_SQUARED] = shares[_TIMES] ** 2
    if field == TEXT:
        if len(parts) == 1 and len(known) == len(runs):
            shares[_OPENING, :OPENING_RUNS] = 1
        else:
            opening = Counter(run for part in parts for run in part[:OPENING_RUNS])
            shares[_OPENING] = [opening[run] for run in known]
    return shares


def _neighbours(parts: list[list[str]], known: dict[str, KnownRun]) -> Hashes:
    """Return the word pairs, none of which crosses segments."""
    words = [known[run].words for part in parts for run in part]
    sequence = np.concatenate(words)
    pairs = pair_hashes(sequence[:-1], sequence[1:])
    if len(parts) == 1:
        return pairs
    lengths = np.cumsum([sum(len(known[run].words) for run in part) for part in parts])
    inside = np.ones(len(pairs), dtype=bool)
    inside[lengths[(lengths > 0) & (lengths < len(sequence))] - 1] = False
    return pairs[inside]


def _inverse_root(square: float) -> float:
    return 1 / max(square, 1e-12) ** 0.5 if square > 0 else 0.0
