"""What a static model says of one input without each of its words: exactly, from sums.

A static model is a sum over runs, word pairs and tokens, and a few functions of these sums. So an input without a run
needs not be read again: what the run added is taken off. That gives the logits of the shortened input itself, but for
the last digits; the tests hold them against it. Words that are parts of a run (of Chinese, say) make new runs: those
inputs are scored like any other, and so are short ones, where that is quicker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tamis.ml.omissions import Score
from tamis.ml.pieces import Span, leave_out, runs_of, words_of
from tamis.ml.static.lexical import Terms
from tamis.ml.static.model import one_blas_thread
from tamis.ml.static.ngrams import pair_hashes
from tamis.ml.static.row_products import product_by_rows
from tamis.ml.static.run_memory import RunReader
from tamis.ml.static.runs import LONGEST_RUN, OPENING_RUNS, TEXT, Hashes, Ints, segments
from tamis.ml.static.sparse import Floats, Matrix, find
from tamis.schema import Input

MOST_WORDS, LEAST_WORDS = 1_000, 16
MOST_SCORES = 4_000_000
"""Words that are left out one by one at most, fewer where there are very many labels: so many words x labels."""

FEW_CHARACTERS = 20_000
"""Characters of all shortened inputs together up to which reading these is quicker than sums are."""

MOST_CHARACTERS = 200_000
"""The same where each shortened input is read anew: so many characters in all."""

LONG_CHARACTERS = 50_000
"""Characters from which an input is read in pieces each time, to bound memory."""

MOST_ROWS = 10_000_000
"""Runs x numbers of each that are held; an input with more is read anew each time."""

CELLS_AT_ONCE = 2_000_000

LEAST_SQUARE = 1e-6
"""Below this a squared length is 0 but for rounding: a single n-gram has more than 1."""

Doubles = NDArray[np.float64]


class StaticOmissions:
    """One input of a static model."""

    reads = None

    def __init__(self, score: Score, reader: RunReader, given: Input) -> None:
        """Take what scores any inputs, what tells the model's runs apart, and the input."""
        self._score, self._reader, self._given = score, reader, given
        self._texts, _, fields = segments([given], reader.model.n_fields)
        self._fields: list[int] = fields.tolist()
        self._runs = [_runs(text) for text in self._texts]
        self._size = sum(map(len, self._texts))
        n_runs, width = sum(map(len, self._runs)), max(parts.width for parts in reader.parts)
        self._is_small = n_runs * width <= MOST_ROWS
        self._sums: list[_Field] | None = None

    @property
    def most(self) -> int:
        """Words that are left out one after the other."""
        most = max(LEAST_WORDS, min(MOST_WORDS, MOST_SCORES // int(self._reader.n_labels)))
        if self._is_small and self._has_whole_runs():
            return most
        return max(LEAST_WORDS, min(most, MOST_CHARACTERS // max(1, self._size)))

    def _has_whole_runs(self) -> bool:
        return len(words_of(self._given)) <= sum(map(len, self._runs))

    def logits(self, spans: Sequence[Span]) -> Mapping[str, Floats]:
        """(spans, labels) for each target: of the input without each of them."""
        found = np.empty((len(spans), self._reader.n_labels), dtype=np.float32)
        few = len(spans) * self._size <= FEW_CHARACTERS
        places = [None if few else self._place(span) for span in spans]
        if plain := [at for at, place in enumerate(places) if place is None]:
            together = not few and self._size < LONG_CHARACTERS  # long runs, all different: not to be remembered
            score = self._reader.model.logits if together else self._score
            said = score([leave_out(self._given, [spans[at]]) for at in plain])
            for name, columns in self._reader.model.columns.items():
                found[plain, columns] = said[name]
        if len(plain) < len(spans):
            self._fill(found, places)
        return {name: found[:, columns] for name, columns in self._reader.model.columns.items()}

    def _place(self, span: Span) -> _Place | None:
        """Which whole runs a stretch is; None where it is not whole runs, or these are not looked at one by one."""
        segment = span.message or 0
        runs = self._runs[segment]
        if not self._is_small or not len(runs):
            return None
        first, last = np.searchsorted(runs[:, 0], span.start), np.searchsorted(runs[:, 1], span.end)
        if first > last or last >= len(runs) or (runs[first, 0], runs[last, 1]) != (span.start, span.end):
            return None
        return _Place(self._fields[segment], segment, int(first), int(last) + 1)

    def _fill(self, found: Floats, places: Sequence[_Place | None]) -> None:
        if self._sums is None:
            self._sums = self._read()
        whole = [field.without([], []) for field in self._sums] if len(self._sums) > 1 else []
        for number, field in enumerate(self._sums):
            rows = [at for at, place in enumerate(places) if place is not None and place.field == number]
            step = max(1, CELLS_AT_ONCE // field.width)
            for start in range(0, len(rows), step):
                some = rows[start : start + step]
                first, last = field.ranges([place for at in some if (place := places[at]) is not None])
                added = field.without(first, last)
                found[some] = self._finish([added, *whole[:number], *whole[number + 1 :]])

    def _finish(self, added: Sequence[_Added]) -> Floats:
        model = self._reader.model
        hidden = sum((each.hidden for each in added), model.network.hidden_bias.astype(np.float64))
        logits: Doubles = sum((each.logits for each in added), (model.weights[-1] + model.network.head_bias))
        with one_blas_thread():
            logits = logits + product_by_rows(np.maximum(hidden, 0).astype(np.float32), model.network.heads)
        return logits.astype(np.float32)

    def _read(self) -> list[_Field]:
        return [
            _Field(
                self._reader,
                number,
                {at: self._strings(at) for at, field in enumerate(self._fields) if field == number},
            )
            for number in range(self._reader.model.n_fields)
        ]

    def _strings(self, segment: int) -> list[str]:
        text = self._texts[segment]
        return [text[start:end] for start, end in self._runs[segment].tolist()]


def _runs(text: str) -> Ints:
    """Return (runs, 2) where the runs of a text are, as `runs.split` cuts them."""
    if len(text) <= LONGEST_RUN:
        return np.array(runs_of(text), dtype=np.int64).reshape(-1, 2)
    cut = [(at, min(at + LONGEST_RUN, end)) for start, end in runs_of(text) for at in range(start, end, LONGEST_RUN)]
    return np.array(cut, dtype=np.int64).reshape(-1, 2)


class _Place(NamedTuple):
    """The runs from `first` to before `last` of a segment, and its field."""

    field: int
    segment: int
    first: int
    last: int


class _Added(NamedTuple):
    """What a field adds to the logits and to the hidden layer, (inputs, labels) and (inputs, h)."""

    logits: Doubles
    hidden: Doubles


class _Field:
    """One field of an input, and what it adds with some of its runs left out."""

    def __init__(self, reader: RunReader, number: int, segments: Mapping[int, list[str]]) -> None:
        """Read the runs of its segments, by their numbers."""
        self._reader, self._number = reader, number
        strings = [run for runs in segments.values() for run in runs]
        known = reader.known(strings, number)
        place = {run: at for at, run in enumerate(known)}
        self._run = np.array([place[run] for run in strings], dtype=np.int64)
        self._n_runs, self.width = len(known), reader.parts[number].width
        self._rows = np.concatenate(
            [np.zeros((0, self.width), np.float32), *(each.row[None] for each in known.values())]
        )
        lengths = [len(runs) for runs in segments.values()]
        starts = np.cumsum([0, *lengths])
        self._starts = dict(zip(segments, starts.tolist(), strict=False))
        self._segment_start = np.repeat(starts[:-1], lengths)
        self._segment_end = np.repeat(starts[1:], lengths)
        words = [each.words for each in known.values()]
        self._pairs = _Pairs(reader, [words[at] for at in self._run.tolist()], self._segment_start)

    def ranges(self, places: Sequence[_Place]) -> tuple[Ints, Ints]:
        """Return the first and the last but one of the field's runs that each place is."""
        starts = np.array([self._starts[place.segment] for place in places], dtype=np.int64)
        first, last = (
            np.array(each, dtype=np.int64) for each in zip(*((p.first, p.last) for p in places), strict=True)
        )
        return starts + first, starts + last

    def without(self, first: Ints | list[int], last: Ints | list[int]) -> _Added:
        """Return what the field adds without the runs from each `first` to before its `last`; without any, once."""
        first, last = np.array(first, dtype=np.int64), np.array(last, dtype=np.int64)
        if not len(first):
            first = last = np.zeros(1, dtype=np.int64)
        parts, model, n_labels = self._reader.parts[self._number], self._reader.model, self._reader.n_labels
        if not self._n_runs:
            h = model.network.hidden.shape[1]
            return _Added(np.zeros((1, n_labels)), np.zeros((1, h)))
        often = np.bincount(self._run, minlength=self._n_runs).astype(np.float64)
        gone = self._counted(first, last)
        sums = often @ self._rows[:, parts.shown.start :] - gone @ self._rows[:, parts.shown.start :]
        terms, squares = self._terms(often, gone)
        n_tokens, at = sums[:, -1], parts.shown.start
        added, pair_squares = self._pairs.without(first, last)
        logits = _inverse_root(squares[:, 0])[:, None] * terms[:, :n_labels]
        logits += _inverse_root(squares[:, 1] + pair_squares)[:, None] * (terms[:, n_labels:] + added)
        logits += self._shown(sums[:, :n_labels], sums[:, parts.base.start - at : parts.base.stop - at], n_tokens)
        hidden = sums[:, parts.hidden.start - at : parts.hidden.stop - at] / np.maximum(n_tokens, 1)[:, None]
        if self._number == TEXT:
            hidden = hidden + self._opening(first, last)
        return _Added(logits, hidden)

    def _terms(self, often: Doubles, gone: Matrix) -> tuple[Doubles, Doubles]:
        """(inputs, 2 x labels) of the n-grams, and (inputs, 2) squared lengths; repeated runs count 1 + log."""
        lexical, numbers = self._rows[:, self._reader.parts[self._number].lexical], self._rows[:, -3:-1]
        times = _damped(often)
        left, before = _damped(often[gone.indices] - gone.data), times[gone.indices]
        change, change_squared = _with(gone, left - before), _with(gone, left**2 - before**2)
        return times @ lexical + change @ lexical, times**2 @ numbers + change_squared @ numbers

    def _shown(self, shown: Doubles, base: Doubles, n_tokens: Doubles) -> Doubles:
        """What the base embeddings say, of inputs that have any left in this field."""
        lengths = np.sqrt(np.einsum("nd,nd->n", base, base))
        present = lengths > 1e-6 * np.maximum(n_tokens, 1)
        unit = shown / np.where(present, lengths, 1)[:, None] - self._reader.off_centre[self._number]
        return np.where(present[:, None], unit * self._reader.model.centring.scale, 0.0)

    def _opening(self, first: Ints, last: Ints) -> Doubles:
        """(inputs, h) what the first runs add: where one is left out, the next one moves up."""
        parts = self._reader.parts[self._number]
        rank = np.arange(len(self._run)) - self._segment_start
        opening = np.bincount(self._run[rank < OPENING_RUNS], minlength=self._n_runs).astype(np.float64)
        ends = self._segment_start[first] + OPENING_RUNS
        moved = np.where(first < last, np.clip(np.minimum(last, ends) - first, 0, None), 0)
        follow = np.maximum(last, ends)
        follow_end = np.clip(follow + moved, None, np.maximum(self._segment_end[first], follow))
        change = self._counted(follow, follow_end) - self._counted(first, first + moved)
        numbers = np.hstack([self._rows[:, parts.opening], self._rows[:, -1:]])
        sums = opening @ numbers + change @ numbers
        return np.asarray(sums[:, :-1] / np.maximum(sums[:, -1:], 1))

    def _counted(self, first: Ints, last: Ints) -> Matrix:
        """(ranges, different runs) how often each run stands in each range."""
        which, place = _spread(first, last)
        return _matrix(np.ones(len(place)), which, self._run[place], (len(first), self._n_runs))


class _Pairs:
    """The word pairs of a field, and what they add with some of its runs left out."""

    def __init__(self, reader: RunReader, words: Sequence[Hashes], segment: Ints) -> None:
        """Take the words of each run in reading order, and which segment each run is of."""
        self._reader = reader
        lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
        self._first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._words = np.concatenate([np.zeros(0, dtype=np.uint64), *words])
        self._segment = np.repeat(segment, lengths)
        self._inside = self._segment[1:] == self._segment[:-1]
        self._hashes = pair_hashes(self._words[:-1], self._words[1:])

    def without(self, first: Ints, last: Ints) -> tuple[Doubles, Doubles]:
        """(inputs, labels) what pairs add before they are brought to length 1, and (inputs,) their squared lengths."""
        gone_from, gone_to = self._first[first], self._first[last]
        which, place = _spread(np.maximum(gone_from - 1, 0), np.where(gone_from < gone_to, gone_to, 0))
        fits = place < len(self._inside)
        which, place = which[fits], place[fits]
        which, place = which[self._inside[place]], place[self._inside[place]]
        new, new_hashes = self._new(gone_from, gone_to)
        own = self._hashes[self._inside]
        hashes, number = np.unique(np.concatenate([own, self._hashes[place], new_hashes]), return_inverse=True)
        often = np.bincount(number[: len(own)], minlength=len(hashes)).astype(np.float64)
        signs = np.concatenate([-np.ones(len(place)), np.ones(len(new))])
        change = _matrix(signs, np.concatenate([which, new]), number[len(own) :], (len(first), len(hashes)))
        return self._added(hashes, often, change)

    def _new(self, gone_from: Ints, gone_to: Ints) -> tuple[Ints, Hashes]:
        """The pairs that come to stand together: in which input, and their hashes."""
        (some,) = ((gone_from < gone_to) & (gone_from > 0) & (gone_to < len(self._words))).nonzero()
        some = some[self._segment[gone_from[some] - 1] == self._segment[gone_to[some]]]
        return some, pair_hashes(self._words[gone_from[some] - 1], self._words[gone_to[some]])

    def _added(self, hashes: Hashes, often: Doubles, change: Matrix) -> tuple[Doubles, Doubles]:
        terms, weights, starts = self._reader.model.vocabulary.pairs, self._reader.model.weights, self._reader.starts
        place, known = find(terms.hashes, hashes)
        squares = np.full(len(hashes), float(terms.unknown) ** 2)
        squares[known] = terms.idf[place[known]].astype(np.float64) ** 2
        lengths = often @ squares + change @ squares
        of_known = weights[starts[2] + place[known]] * terms.idf[place[known], None]
        some = change[:, known]
        less = _with(some, _damped(often[known][some.indices] + some.data) - _damped(often[known][some.indices]))
        added = _damped(often[known]) @ of_known + less @ of_known
        owners, shares, single = _singles(terms, hashes, ~known)
        of_single = weights[starts[3] + owners] * shares[:, None]
        return added + (often[single] @ of_single + change[:, single] @ of_single), lengths


def _singles(terms: Terms, hashes: Hashes, unknown: NDArray[np.bool_]) -> tuple[Ints, Floats, Ints]:
    """Return the owners and the values of the pairs of one training input alone, and which of the hashes they are."""
    place, found = find(terms.single_hashes, hashes)
    (single,) = (found & unknown).nonzero()
    place = place[single]
    return terms.single_owners[place].astype(np.int64), terms.single_shares[place] * np.float32(terms.unknown), single


def _spread(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Return all places of some ranges, and which range each is of."""
    counts = np.maximum(last - first, 0)
    which = np.repeat(np.arange(len(first)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts - first, counts)


def _matrix(values: Doubles, rows: Ints, columns: Ints, shape: tuple[int, int]) -> Matrix:
    matrix = sparse.csr_array((values, (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def _with(matrix: Matrix, values: Doubles) -> Matrix:
    """The same places with other values."""
    return sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def _damped(counts: Doubles) -> Doubles:
    """1 + log of counts, and 0 of none."""
    damped: Doubles = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0.0)
    return damped


def _inverse_root(squares: Doubles) -> Doubles:
    return np.where(squares > LEAST_SQUARE, 1 / np.sqrt(np.maximum(squares, LEAST_SQUARE)), 0.0)
