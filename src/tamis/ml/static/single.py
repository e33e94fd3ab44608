"""One input at a time: the same logits as a batch gives, without sparse matrices, from what is known of its runs.

A few small products, over numbers that `run_memory` mostly has at hand. The tests hold this against the batch.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np

from tamis.ml.scorer import FAMILIAR
from tamis.ml.static.lexical import Terms
from tamis.ml.static.ngrams import pair_hashes
from tamis.ml.static.run_memory import KnownRun, RunReader
from tamis.ml.static.runs import OPENING_RUNS, TEXT, Hashes, Ints, segments, split
from tamis.ml.static.sparse import Floats
from tamis.schema import Input, plain_text

MOST_CHARACTERS = 4_000
MOST_LABELS = 2_000
MOST_CELLS = 400_000
"""Bounds of what is quicker this way, in characters, labels, and characters x labels; the rest is a batch of one."""

_TIMES, _SQUARED, _COUNT, _OPENING = range(4)
_NONE: Ints = np.zeros(0, dtype=np.int64)
_NOTHING: Floats = np.zeros(0, dtype=np.float32)


class OneByOne:
    """Reads inputs of a model one at a time."""

    def __init__(self, reader: RunReader) -> None:
        """Take what tells the model's runs apart."""
        self._reader, self._model = reader, (model := reader.model)
        self._labels, self._scale = reader.n_labels, model.centring.scale
        self._off_centre = [np.float32(self._scale) * off for off in reader.off_centre]
        self._width = model.n_fields * reader.dimensions + len(model.network.hidden_bias)
        self._place_scale = self._scale * (model.nearness.base_scale if model.nearness else 0)
        self._off_places = None if model.nearness is None else model.centring.centre * np.float32(self._place_scale)
        self._bias = model.weights[-1] + model.network.head_bias
        self._pairs = _Pairs(model.vocabulary.pairs, int(reader.starts[2]), int(reader.starts[3]))

    def suits(self, given: Input) -> bool:
        """Return whether the input is better looked at alone."""
        length = len(given) if isinstance(given, str) else len(plain_text(given))
        return length <= MOST_CHARACTERS and self._labels <= MOST_LABELS and length * self._labels <= MOST_CELLS

    def logits(self, given: Input) -> dict[str, Floats]:
        """Return (1, labels) float32 for each target and `FAMILIAR`, as `StaticModel.logits` does for `[given]`."""
        model = self._model
        logits, hidden = self._bias.copy(), model.network.hidden_bias.copy()
        seen = tokens = 0.0
        place = None if self._off_places is None else np.zeros(self._width, dtype=np.float32)
        for field, parts in enumerate(_fields(given, model.n_fields)):
            runs = parts[0] if len(parts) == 1 else [run for part in parts for run in part]
            if runs:
                known = self._reader.known(runs, field)
                rows = np.concatenate([run.row for run in known.values()]).reshape(len(known), -1)
                sums = _shares(parts, runs, known, field) @ rows
                _, (_, of_characters, of_words, _), (saw, *_, count), (*_, opening) = sums[:, -4:].tolist()
                seen, tokens = seen + saw, tokens + count
                self._add_lexical(logits, sums[_TIMES], (of_characters, of_words), _neighbours(parts, known))
                if count:
                    length = self._add_pooled(logits, hidden, sums, field, (count, opening))
                    if place is not None and length:
                        self._put_base(place, sums, field, length)
        np.maximum(hidden, 0, out=hidden)
        logits += hidden @ model.network.heads
        found = model.by_target(logits[None])
        familiar = [seen / tokens if tokens else 0.0]
        if place is not None and model.nearness is not None:
            np.multiply(hidden, np.float32(model.nearness.hidden_scale), out=place[-len(hidden) :])
            familiar += model.nearness.of_one(place, found)
        return {FAMILIAR: np.array([familiar], dtype=np.float32)} | found

    def _add_lexical(self, logits: Floats, terms: Floats, squares: tuple[float, float], pairs: Hashes) -> None:
        n_labels, (of_characters, of_words) = self._labels, squares
        words = terms[n_labels : 2 * n_labels]
        if len(pairs):
            square, columns, values = self._pairs.look_up(pairs)
            of_words += square
            if len(columns):
                words = words + values @ self._model.weights[columns]
        logits += _inverse_root(of_characters) * terms[:n_labels]
        logits += _inverse_root(of_words) * words

    def _add_pooled(
        self, logits: Floats, hidden: Floats, sums: Floats, field: int, counts: tuple[float, float]
    ) -> float:
        """Add what the base embeddings say to the logits, and what the tuned ones do to the hidden layer.

        Returns:
            The length of the sum of the base embeddings, 0 where it is nothing.
        """
        parts, (count, in_opening) = self._reader.parts[field], counts
        base = sums[_COUNT, parts.base]
        length = float(base @ base) ** 0.5
        length = length if length > 1e-6 * count else 0.0
        if length:
            logits += sums[_COUNT, parts.shown] * (self._scale / length)
            logits -= self._off_centre[field]
        hidden += sums[_COUNT, parts.hidden] / count
        if in_opening:
            hidden += sums[_OPENING, parts.opening] / in_opening
        return length

    def _put_base(self, place: Floats, sums: Floats, field: int, length: float) -> None:
        """Put the field's base embeddings, of length 1, centred and scaled, where they belong in a place."""
        assert self._off_places is not None
        d = self._reader.dimensions
        own = place[field * d : (field + 1) * d]
        np.multiply(sums[_COUNT, self._reader.parts[field].base], np.float32(self._place_scale / length), out=own)
        own -= self._off_places


class _Pairs:
    """The word pairs that count, those of one row alone among them: one search finds either."""

    def __init__(self, terms: Terms, start: int, private: int) -> None:
        """Take them; `start` and `private` are where their columns and those of single rows begin."""
        hashes = np.concatenate([terms.hashes, terms.single_hashes])
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._columns = np.concatenate([np.arange(len(terms.hashes)) + start, terms.single_owners + private])[order]
        self._values = np.concatenate([terms.idf, terms.single_shares * np.float32(terms.unknown)])[order]
        self._shared, self._square = order < len(terms.hashes), float(terms.unknown) ** 2
        squares = np.full(len(hashes), self._square)
        squares[: len(terms.hashes)] = terms.idf.astype(np.float64) ** 2
        self._squares = squares[order]

    def look_up(self, pairs: Hashes) -> tuple[float, Ints, Floats]:
        """Return the squared length of the pairs, and columns of weights with values; a repeated one counts 1 + log."""
        if not len(self._hashes):
            return self._square * len(pairs), _NONE, _NOTHING
        place = self._hashes.searchsorted(pairs)
        (there,) = (self._hashes.take(place, mode="clip") == pairs).nonzero()
        if not len(there):
            return self._square * len(pairs), _NONE, _NOTHING
        place = place[there]
        square = self._square * (len(pairs) - len(there)) + float(np.add.reduce(self._squares[place]))
        values = self._values[place]
        if len(place) > 1 and len(set(place.tolist())) < len(place):
            place, first, times = np.unique(place, return_index=True, return_counts=True)
            values = values[first] * np.where(self._shared[place], 1 + np.log(times), times).astype(np.float32)
        return square, self._columns[place], values


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
    if len(known) == len(runs) and len(parts) == 1:
        return _plain_shares(len(known), field == TEXT)
    counts = Counter(runs)
    shares = np.zeros((4, len(known)), dtype=np.float32)
    shares[_COUNT] = [counts[run] for run in known]
    shares[_TIMES] = 1 + np.log(shares[_COUNT])
    shares[_SQUARED] = shares[_TIMES] ** 2
    if field == TEXT:
        opening = Counter(run for part in parts for run in part[:OPENING_RUNS])
        shares[_OPENING] = [opening[run] for run in known]
    return shares


@lru_cache(maxsize=256)
def _plain_shares(n_runs: int, with_opening: bool) -> Floats:
    """Return the shares of runs of which none is repeated; not to be written to."""
    shares = np.ones((4, n_runs), dtype=np.float32)
    shares[_OPENING, OPENING_RUNS if with_opening else 0 :] = 0
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
