"""The lexical part's matrix where rows are very many: the same numbers as `lexical`, made a portion at a time.

N-grams are tallied by sorted hashes that are merged portion by portion; where they grow too many, the rarest are let
go of (lossy counting, Manku and Motwani 2002). There are no private columns: what they would have been is told as a
number an input, with which the loss takes them into account (see `margins`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tamis.ml.progress import Check
from tamis.ml.static.lexical import LexicalMatrix, Tally, Terms, Vocabulary, inverse_root, join_fields, terms_of
from tamis.ml.static.ngrams import Grams, RunGrams, grams_of_runs, word_pairs
from tamis.ml.static.packed import PackedRuns
from tamis.ml.static.runs import Hashes, Ints, Runs
from tamis.ml.static.sparse import Floats, Matrix, counts, dampen, find, row_sums, scale_rows

STRING_CHARACTERS = 1_000_000
"""Characters of different runs whose n-grams are looked at together."""

MOST_TALLIED = 20_000_000
"""Different n-grams of a block that are held while they are counted."""


class Tallied:
    """How often each n-gram was met: sorted hashes, merged as they come."""

    def __init__(self) -> None:
        """Start empty."""
        self.hashes: Hashes = np.zeros(0, dtype=np.uint64)
        self.frequency: Ints = np.zeros(0, dtype=np.int64)
        self._missed = 0  # what the frequency of any n-gram may be short of

    def add(self, hashes: Hashes, times: Ints) -> None:
        """Count n-grams, each so many times."""
        order = np.argsort(hashes)
        new, frequency = _summed(hashes[order], times[order])
        merged = np.concatenate([self.hashes, new])
        order = np.argsort(merged, kind="stable")  # two sorted stretches: this merges them
        frequency = np.concatenate([self.frequency, frequency])[order]
        self.hashes, self.frequency = _summed(merged[order], frequency)
        while len(self.hashes) > MOST_TALLIED:
            self._missed += 1
            kept = self.frequency > self._missed
            self.hashes, self.frequency = self.hashes[kept], self.frequency[kept]

    def tally(self) -> Tally:
        """Return it as the vocabulary takes it: no n-gram has an owner."""
        return Tally(self.hashes, self.frequency, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))


def _summed(hashes: Hashes, times: Ints) -> tuple[Hashes, Ints]:
    """Return the different hashes of a sorted array, and the sums of their times."""
    if not len(hashes):
        return hashes, times
    first = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
    return hashes[first], np.add.reduceat(times, first)


@dataclass(frozen=True, slots=True, eq=False)
class CountedRuns:
    """Packed inputs, which runs each group (input and field) has and how often, and the words of each run."""

    runs: PackedRuns
    in_groups: Matrix  # (groups, runs) how often
    words: Grams

    @classmethod
    def of(cls, runs: PackedRuns, check: Check) -> CountedRuns:
        """Count; `check` is called between portions."""
        data, indices = np.empty(len(runs.run), np.float32), np.empty(len(runs.run), np.int32)
        indptr, at = [np.zeros(1, dtype=np.int64)], 0
        for some in runs.portions():
            check()
            part = counts(some.group, some.run, (some.n_rows * some.n_fields, len(some.strings)))
            data[at : at + part.nnz], indices[at : at + part.nnz] = part.data, part.indices
            indptr.append(part.indptr[1:].astype(np.int64) + at)
            at += part.nnz
        shape = (runs.n_rows * runs.n_fields, len(runs.strings))
        in_groups = Matrix((data[:at], indices[:at], _narrow_index(np.concatenate(indptr))), shape=shape)
        where, hashes = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)]
        for first, grams in run_grams(runs, check):
            where.append(grams.words.where + first)
            hashes.append(grams.words.hashes)
        return cls(runs, in_groups, Grams(np.concatenate(where), np.concatenate(hashes)))

    def pairs(self, check: Check) -> Iterator[tuple[Runs, Grams]]:
        """Yield portions of the inputs with their word pairs; `where` is the group within the portion."""
        for some in self.runs.portions():
            check()
            yield some, word_pairs(some, self.words)


def _narrow_index(indptr: Ints) -> Ints | NDArray[np.int32]:
    return indptr.astype(np.int32) if indptr[-1] < np.iinfo(np.int32).max else indptr


def run_grams(runs: PackedRuns, check: Check) -> Iterator[tuple[int, RunGrams]]:
    """Yield the n-grams of stretches of the different runs, each with the number of the stretch's first run."""
    ends = np.cumsum(np.fromiter(map(len, runs.strings), dtype=np.int64, count=len(runs.strings)))
    nothing = np.zeros(0, dtype=np.int64)
    first = 0
    while first < len(ends):
        check()
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + STRING_CHARACTERS, side="right")))
        stretch = slice(first, last)
        some = Runs(0, runs.n_fields, runs.strings[stretch], runs.run_fields[stretch], nothing, nothing, nothing)
        yield first, grams_of_runs(some)
        first = last


Singles = tuple[Hashes, Hashes, Hashes]
"""The n-grams of one input alone, sorted: characters, words, pairs."""


def fit_packed_vocabulary(counted: CountedRuns, max_terms: int, check: Check) -> tuple[Vocabulary, Singles]:
    """Choose the terms as `fit_vocabulary` does without private columns; return them and the singles."""
    n_groups, n_runs = counted.in_groups.shape
    occurrences = np.bincount(counted.in_groups.indices, minlength=n_runs)
    characters, words, pairs = Tallied(), Tallied(), Tallied()
    for first, grams in run_grams(counted.runs, check):
        for tallied, some in ((characters, grams.characters), (words, grams.words)):
            times = occurrences[some.where + first]
            present = times > 0
            tallied.add(some.hashes[present], times[present])
    for _, some in counted.pairs(check):
        hashes = _once_a_group(some)
        pairs.add(hashes, np.ones(len(hashes), dtype=np.int64))
    blocks = [each.tally() for each in (characters, words, pairs)]
    of_characters, of_words, of_pairs = (each.hashes[each.frequency == 1] for each in blocks)
    return Vocabulary(*terms_of(blocks, max_terms, n_groups), 0), (of_characters, of_words, of_pairs)


def _once_a_group(pairs: Grams) -> Hashes:
    """Return the hashes of the pairs, each once for every group that has it."""
    order = np.lexsort((pairs.where, pairs.hashes))
    where, hashes = pairs.where[order], pairs.hashes[order]
    new = np.ones(len(hashes), dtype=bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (where[1:] != where[:-1])
    return hashes[new]


def packed_matrix(
    vocabulary: Vocabulary, singles: Singles, counted: CountedRuns, emphasis: float, check: Check
) -> tuple[LexicalMatrix, Floats]:
    """Return the TF-IDF matrix of the inputs, words and pairs `emphasis` times as loud.

    And (inputs,) the square of what would stand in each input's private column: of all singles, not louder.
    """
    n_fields, in_groups = counted.runs.n_fields, counted.in_groups
    characters = _run_terms(vocabulary.characters, singles[0], counted, lambda grams: grams.characters, check)
    words = _run_terms(vocabulary.words, singles[1], counted, lambda grams: grams.words, check)
    pairs = _pair_terms(vocabulary.pairs, singles[2], counted, check)
    damped = dampen(Matrix((in_groups.data.copy(), in_groups.indices, in_groups.indptr), shape=in_groups.shape))
    by_characters = inverse_root(row_sums(damped, characters.squares))
    by_words = inverse_root(row_sums(damped, words.squares) + pairs.squares)
    private = row_sums(damped, characters.singles) * by_characters**2
    private += (row_sums(damped, words.singles) + pairs.singles) * by_words**2
    by_words *= np.float32(emphasis)
    pairs.known.data *= np.repeat(by_words, np.diff(pairs.known.indptr))
    matrix = LexicalMatrix(
        join_fields(scale_rows(damped, by_characters), n_fields),
        characters.known,
        join_fields(scale_rows(damped, by_words), n_fields),
        words.known,
        join_fields(pairs.known, n_fields),
        _empty(counted.runs.n_rows, 1),
    )
    return matrix, private.reshape(-1, n_fields).sum(axis=1)


class _Weighted(NamedTuple):
    """Rows (runs or groups) by terms: weighted counts; sums of squared weights, unknown ones too; those of singles."""

    known: Matrix
    squares: Floats
    singles: Floats


def _run_terms(
    terms: Terms, singles: Hashes, counted: CountedRuns, block: Callable[[RunGrams], Grams], check: Check
) -> _Weighted:
    portions = ((block(grams), grams.n_runs) for _, grams in run_grams(counted.runs, check))
    return _weighted(terms, singles, portions, damp=False)


def _pair_terms(terms: Terms, singles: Hashes, counted: CountedRuns, check: Check) -> _Weighted:
    portions = ((pairs, some.n_rows * some.n_fields) for some, pairs in counted.pairs(check))
    return _weighted(terms, singles, portions, damp=True)


def _weighted(terms: Terms, singles: Hashes, portions: Iterable[tuple[Grams, int]], *, damp: bool) -> _Weighted:
    """Weigh the n-grams of portions of so many rows each, one below the other."""
    nothing = np.zeros(0, dtype=np.float32)
    known, squares, alone = [_empty(0, max(len(terms), 1))], [nothing], [nothing]
    for grams, n_rows in portions:
        places = terms.look_up(grams)
        known.append(terms.known(places, n_rows, damp=damp))
        squares.append(terms.squares(places, n_rows))
        _, single = find(singles, grams.hashes)
        often = np.bincount(grams.where[single], minlength=n_rows)
        alone.append((often * terms.unknown**2).astype(np.float32))
    return _Weighted(Matrix(sparse.vstack(known, format="csr")), np.concatenate(squares), np.concatenate(alone))


def _empty(n_rows: int, n_columns: int) -> Matrix:
    nothing = np.zeros(0, dtype=np.int32)
    indptr = np.zeros(n_rows + 1, dtype=np.int32)
    return Matrix((np.zeros(0, dtype=np.float32), nothing, indptr), shape=(n_rows, n_columns))
