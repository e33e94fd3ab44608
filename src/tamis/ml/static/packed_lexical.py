"""The lexical part's matrix where rows are very many: the same numbers as `lexical`, made a portion at a time.

N-grams are tallied by sorted hashes that are merged portion by portion; where they grow too many, the rarest are let
go of (lossy counting, Manku and Motwani 2002). There are no private columns: rows are enough to judge n-grams by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tamis.ml.progress import Check
from tamis.ml.static.lexical import LexicalMatrix, Tally, Terms, Vocabulary, inverse_root, join_fields, terms_of
from tamis.ml.static.ngrams import Grams, RunGrams, grams_of_runs, word_pairs
from tamis.ml.static.packed import PackedRuns
from tamis.ml.static.runs import Hashes, Ints, Runs
from tamis.ml.static.sparse import Floats, Matrix, counts, dampen, row_sums, scale_rows

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


def fit_packed_vocabulary(counted: CountedRuns, max_terms: int, check: Check) -> Vocabulary:
    """Choose the terms as `fit_vocabulary` does without private columns."""
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
    return Vocabulary(*terms_of([each.tally() for each in (characters, words, pairs)], max_terms, n_groups), 0)


def _once_a_group(pairs: Grams) -> Hashes:
    """Return the hashes of the pairs, each once for every group that has it."""
    order = np.lexsort((pairs.where, pairs.hashes))
    where, hashes = pairs.where[order], pairs.hashes[order]
    new = np.ones(len(hashes), dtype=bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (where[1:] != where[:-1])
    return hashes[new]


def packed_matrix(vocabulary: Vocabulary, counted: CountedRuns, emphasis: float, check: Check) -> LexicalMatrix:
    """Return the TF-IDF matrix of the inputs, words and pairs `emphasis` times as loud."""
    n_fields, in_groups = counted.runs.n_fields, counted.in_groups
    characters, of_characters = _run_terms(vocabulary.characters, counted, lambda grams: grams.characters, check)
    words, of_words = _run_terms(vocabulary.words, counted, lambda grams: grams.words, check)
    pairs, squares = _pair_terms(vocabulary.pairs, counted, check)
    damped = dampen(Matrix((in_groups.data.copy(), in_groups.indices, in_groups.indptr), shape=in_groups.shape))
    by_words = inverse_root(row_sums(damped, of_words) + squares) * np.float32(emphasis)
    by_characters = inverse_root(row_sums(damped, of_characters))
    pairs.data *= np.repeat(by_words, np.diff(pairs.indptr))
    return LexicalMatrix(
        join_fields(scale_rows(damped, by_characters), n_fields),
        characters,
        join_fields(scale_rows(damped, by_words), n_fields),
        words,
        join_fields(pairs, n_fields),
        _empty(counted.runs.n_rows, 1),
    )


def _run_terms(
    terms: Terms, counted: CountedRuns, block: Callable[[RunGrams], Grams], check: Check
) -> tuple[Matrix, Floats]:
    """Return (runs, terms) weighted counts, and (runs,) sums of squared weights, unknown n-grams included."""
    parts, squares = [_empty(0, max(len(terms), 1))], [np.zeros(0, dtype=np.float32)]
    for _, grams in run_grams(counted.runs, check):
        places = terms.look_up(block(grams))
        parts.append(terms.known(places, grams.n_runs, damp=False))
        squares.append(terms.squares(places, grams.n_runs))
    return _stacked(parts), np.concatenate(squares)


def _pair_terms(terms: Terms, counted: CountedRuns, check: Check) -> tuple[Matrix, Floats]:
    """Return (groups, terms) weighted counts of word pairs, and (groups,) sums of squared weights."""
    parts, squares = [_empty(0, max(len(terms), 1))], [np.zeros(0, dtype=np.float32)]
    for some, pairs in counted.pairs(check):
        places, n_groups = terms.look_up(pairs), some.n_rows * some.n_fields
        parts.append(terms.known(places, n_groups, damp=True))
        squares.append(terms.squares(places, n_groups))
    return _stacked(parts), np.concatenate(squares)


def _empty(n_rows: int, n_columns: int) -> Matrix:
    nothing = np.zeros(0, dtype=np.int32)
    indptr = np.zeros(n_rows + 1, dtype=np.int32)
    return Matrix((np.zeros(0, dtype=np.float32), nothing, indptr), shape=(n_rows, n_columns))


def _stacked(parts: list[Matrix]) -> Matrix:
    return Matrix(sparse.vstack(parts, format="csr"))
