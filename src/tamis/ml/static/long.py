"""One very long input, read in pieces: the logits of `StaticModel.logits` in bounded memory.

What a run adds is a sum over its n-grams and tokens, so runs are looked at some at a time and only sums are kept: how
much of each column, and of each token. The tests hold it against the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamis.ml.scorer import FAMILIAR
from tamis.ml.static.lexical import Terms
from tamis.ml.static.model import StaticModel, TunedEmbeddings, one_blas_thread
from tamis.ml.static.ngrams import grams_of_runs, pair_hashes
from tamis.ml.static.run_memory import Found
from tamis.ml.static.runs import OPENING_RUNS, TEXT, Hashes, Ints, Runs, segments, split
from tamis.ml.static.sparse import Floats
from tamis.schema import Input, plain_text

LEAST_CHARACTERS = 20_000
"""From how many on an input is read this way, whatever else is in the batch."""

PIECE_CHARACTERS, PIECE_RUNS = 20_000, 2_048
_PIECE_PAIRS = 100_000
_PIECE_CELLS = 1_000_000

Doubles = NDArray[np.float64]
_NONE: Ints = np.zeros(0, dtype=np.int64)


def is_long(given: Input) -> bool:
    """Return whether the input is read in pieces."""
    return (len(given) if isinstance(given, str) else len(plain_text(given))) >= LEAST_CHARACTERS


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """The runs of a field: the different ones, which stands where, and of which segment."""

    strings: list[str]
    run: Ints
    segment: Ints
    opening: Ints


def logits_of_long(model: StaticModel, given: Input) -> dict[str, Floats]:
    """Return (1, labels) float32 for each target, and `FAMILIAR`."""
    columns = np.zeros(len(model.weights), dtype=np.float64)
    n_pools, n_tokens = model.n_fields + 1, model.semantics.matrix.shape[0]
    tokens = np.zeros((n_pools, n_tokens), dtype=np.float64)
    for field, runs in enumerate(_fields(given, model.n_fields)):
        if runs.strings:
            _Reading(model, runs, field).add(columns, tokens)
    with one_blas_thread():
        return _finish(model, columns, tokens)


class _Reading:
    """One field, as it is read."""

    def __init__(self, model: StaticModel, runs: _Runs, field: int) -> None:
        self._model, self._runs, self._field = model, runs, field
        self._counts = np.bincount(runs.run, minlength=len(runs.strings)).astype(np.float64)
        self._starts = np.cumsum([0, *(max(len(terms), 1) for terms in model.vocabulary.blocks)])
        self._opening = np.bincount(runs.opening, minlength=len(runs.strings))

    def add(self, columns: Doubles, tokens: Doubles) -> None:
        """Add the columns of the linear part, and counts of the field's and the opening's tokens."""
        characters, words, pairs = self._model.vocabulary.blocks
        by_characters, by_words = _Sums(columns.shape), _Sums(columns.shape)
        hashes, lengths = [], []
        for piece in _pieces(self._runs.strings):
            strings = self._runs.strings[piece]
            grams = grams_of_runs(Runs(1, 1, strings, np.full(len(strings), self._field), _NONE, _NONE, _NONE))
            times = 1 + np.log(self._counts[piece])
            self._look_up(by_characters, characters, grams.characters.hashes, times[grams.characters.where], 0)
            self._look_up(by_words, words, grams.words.hashes, times[grams.words.where], 1)
            hashes.append(grams.words.hashes)
            lengths.append(np.bincount(grams.words.where, minlength=len(strings)))
            self._count_tokens(tokens, strings, piece)
        known = np.zeros(len(pairs), dtype=np.int64)
        for some in self._pairs(np.concatenate(hashes), np.concatenate(lengths)):
            self._look_up(by_words, pairs, some, np.ones(len(some)), 2, known)
        (seen,) = known.nonzero()
        by_words.columns[seen + self._starts[2]] = pairs.idf[seen] * (1 + np.log(known[seen]))
        columns += by_characters.at_length_1() + by_words.at_length_1()

    def _look_up(
        self, sums: _Sums, terms: Terms, hashes: Hashes, times: Doubles, block: int, known: Ints | None = None
    ) -> None:
        """Add n-grams that count `times`; those that are known are only counted where there is a place to."""
        found = Found(terms, hashes)
        sums.square += float(np.square(found.weights.astype(np.float64) * times).sum())
        if known is None:
            values = found.weights[found.known] * times[found.known]
            sums.add(found.place + self._starts[block], values)
        else:
            known += np.bincount(found.place, minlength=len(known))
        sums.add(found.owners + self._starts[3], found.shares * times[found.single])

    def _count_tokens(self, tokens: Doubles, strings: list[str], piece: slice) -> None:
        of_runs = self._model.semantics.tokenizer(strings)
        for pool, counts in ((self._field, self._counts), (-1, self._opening)):
            if pool >= 0 or self._field == TEXT:
                weights = np.repeat(counts[piece], of_runs.lengths)
                tokens[pool] += np.bincount(of_runs.ids, weights, tokens.shape[1])

    def _pairs(self, hashes: Hashes, lengths: Ints) -> Iterator[Hashes]:
        """Yield the word pairs, some at a time; `hashes` of the words of all runs, `lengths` words of each."""
        first = np.cumsum(lengths) - lengths
        with_words = np.flatnonzero(lengths[self._runs.run])
        for start in range(0, len(with_words), _PIECE_PAIRS):
            places = with_words[start : start + _PIECE_PAIRS + 1]  # the next piece's first ends this one's last pair
            run, segment = self._runs.run[places], self._runs.segment[places]
            count = lengths[run]
            if start + _PIECE_PAIRS < len(with_words):
                count[-1] = 1
            offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            sequence, segment = hashes[np.repeat(first[run], count) + offset], np.repeat(segment, count)
            inside = np.flatnonzero(segment[1:] == segment[:-1])
            yield pair_hashes(sequence[inside], sequence[inside + 1])


class _Sums:
    """How much of each column, and the square of the length of it all, n-grams without a column included."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.columns, self.square = np.zeros(shape, dtype=np.float64), 0.0

    def add(self, places: Ints, values: Doubles) -> None:
        self.columns += np.bincount(places, values, len(self.columns))

    def at_length_1(self) -> Doubles:
        self.columns /= max(self.square, 1e-12) ** 0.5
        return self.columns


def _finish(model: StaticModel, columns: Doubles, tokens: Doubles) -> dict[str, Floats]:
    d, matrix = model.semantics.matrix.shape[1], model.semantics.matrix
    base, tuned = np.zeros((2, len(tokens), d), dtype=np.float32)
    embeddings = TunedEmbeddings(matrix, model.embedding_scale, model.tuned_tokens, model.network)
    for pool, counts in enumerate(tokens):
        (used,) = counts.nonzero()
        if len(used):
            shares = (counts[used] / counts.sum()).astype(np.float32)
            tuned[pool] = shares @ embeddings[used]
            base[pool] = shares @ matrix[used].astype(np.float32)
            norm = np.linalg.norm(base[pool])
            base[pool] = base[pool] / norm if norm > 1e-6 else 0
    pooled = model.centring.apply(base, model.n_fields)[0]
    columns[-1 - len(pooled) : -1] = pooled
    columns[-1] = 1
    hidden = model.network.activation(tuned.reshape(1, -1))
    logits = model.network.logits_of(hidden)[0]
    (used,) = columns.nonzero()
    step = max(1, _PIECE_CELLS // len(logits))
    for start in range(0, len(used), step):
        some = used[start : start + step]
        logits += columns[some].astype(np.float32) @ model.weights[some]
    counts = tokens[:-1].sum(axis=0)
    (used,) = counts.nonzero()
    share = counts[used][model.saw(used)].sum() / max(counts.sum(), 1)
    familiar = model.familiar(np.array([share], dtype=np.float32), pooled[None], hidden, logits[None])
    return {FAMILIAR: familiar} | model.by_target(logits[None])


def _fields(given: Input, n_fields: int) -> list[_Runs]:
    texts, _, of_text = segments([given], n_fields)
    fields = []
    for field in range(n_fields):
        place: dict[str, int] = {}
        parts = []
        for text in (texts[part] for part in np.flatnonzero(of_text == field)):
            numbers = (place.setdefault(run, len(place)) for run in split(text))
            parts.append(np.fromiter(numbers, dtype=np.int64))
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        run, opening = np.concatenate([_NONE, *parts]), [part[:OPENING_RUNS] for part in parts]
        segment = np.repeat(np.arange(len(parts)), lengths)
        fields.append(_Runs(list(place), run, segment, np.concatenate([_NONE, *opening])))
    return fields


def _pieces(strings: Sequence[str]) -> Iterator[slice]:
    """Cut the runs into pieces of bounded work: other threads get their turn in between."""
    ends = np.cumsum(np.fromiter(map(len, strings), dtype=np.int64, count=len(strings)))
    start = 0
    while start < len(strings):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + PIECE_CHARACTERS, side="right")))
        stop = min(stop, start + PIECE_RUNS)
        yield slice(start, stop)
        start = stop
