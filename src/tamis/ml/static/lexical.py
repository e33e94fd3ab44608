"""The lexical part's view of an input: TF-IDF over the n-grams of its runs.

An input is a sum over its different runs, a run a sum over its n-grams, so that the matrix (inputs, n-grams) is kept as
the product (inputs, runs) x (runs, n-grams): three to five times fewer numbers, and the n-grams of a run are counted
once however often it occurs. Repeated runs count 1 + log of their number. Characters and words have unit length each,
in every field; n-grams outside the vocabulary count towards that length, so a strange text gets scores near the
average. Weights as in Salton and Buckley (1988), smoothed as scikit-learn does.

N-grams of one training input alone (*singles*) are most of all n-grams. Under a squared penalty the weights of an
input's singles are proportional to each other, so they share one column, that input's *private* one: the same minimum
with half the columns, and nothing of what they say about new texts is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamis.ml.static.ngrams import Grams, grams_of_runs, word_pairs
from tamis.ml.static.runs import Hashes, Ints, Runs
from tamis.ml.static.sparse import Floats, Matrix, counts, dampen, find, row_sums, scale_rows

BLOCKS = ("characters", "words", "pairs")


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The n-grams of one block that are known.

    Attributes:
        hashes: (terms,) sorted.
        idf: (terms,) their weights.
        unknown: the weight of an n-gram of one input or none.
        single_hashes: (singles,) sorted.
        single_owners: (singles,) int32 the training input each belongs to.
        single_shares: (singles,) how much of that input's private column it is.
    """

    hashes: Hashes
    idf: Floats
    unknown: float
    single_hashes: Hashes
    single_owners: NDArray[np.int32]
    single_shares: Floats

    def __len__(self) -> int:
        """Terms without singles."""
        return len(self.hashes)

    def matrices(self, grams: Grams, n_rows: int, n_owners: int, *, damp: bool) -> tuple[Matrix, Matrix, Floats]:
        """Return (rows, terms), (rows, owners) and the squared lengths (rows,), unknown n-grams included."""
        place, known = find(self.hashes, grams.hashes)
        matrix = counts(grams.where[known], place[known], (n_rows, max(len(self), 1)))
        matrix = dampen(matrix) if damp else matrix
        lengths = np.zeros(n_rows, dtype=np.float64)
        if len(self):
            matrix.data *= self.idf[matrix.indices]
            lengths += row_sums(matrix, np.ones(matrix.shape[1], dtype=np.float32))
        rest = np.flatnonzero(~known)
        lengths += np.bincount(grams.where[rest], minlength=n_rows) * self.unknown**2
        place, single = find(self.single_hashes, grams.hashes[rest])
        place, where = place[single], grams.where[rest[single]]
        shares = self.single_shares[place] * np.float32(self.unknown)
        private = Matrix((shares, (where, self.single_owners[place])), shape=(n_rows, max(n_owners, 1)))
        return matrix, private, lengths.astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Inputs with their n-grams counted, before any vocabulary."""

    runs: Runs
    in_groups: Matrix  # (groups, runs): 1 + log of how often
    characters: Grams
    words: Grams
    pairs: Grams


@dataclass(frozen=True, slots=True, eq=False)
class LexicalMatrix:
    """The matrix (inputs, columns) as a sum of products; columns: characters, words, word pairs, private ones."""

    character_runs: Matrix  # (inputs, runs)
    characters: Matrix  # (runs, character terms)
    word_runs: Matrix  # (inputs, runs)
    words: Matrix  # (runs, word terms)
    pairs: Matrix  # (inputs, pair terms)
    private: Matrix  # (inputs, training inputs)

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Columns of the four blocks."""
        blocks = (self.characters, self.words, self.pairs, self.private)
        a, b, c, d = (int(block.shape[1]) for block in blocks)
        return a, b, c, d

    def dot(self, weights: Floats) -> Floats:
        """Return (inputs, k) = matrix @ weights (columns, k)."""
        a, b, c, _ = np.cumsum(self.widths)
        product: Floats = self.character_runs @ (self.characters @ weights[:a])
        product += self.word_runs @ (self.words @ weights[a:b])
        product += self.pairs @ weights[b:c]
        product += self.private @ weights[c:]
        return product

    def transposed_dot(self, values: Floats) -> Floats:
        """Return (columns, k) = matrix.T @ values (inputs, k)."""
        return np.concatenate(
            [
                self.characters.T @ (self.character_runs.T @ values),
                self.words.T @ (self.word_runs.T @ values),
                self.pairs.T @ values,
                self.private.T @ values,
            ]
        )

    def column_squares(self) -> Floats:
        """Return (columns,) the sums of squares down each column (cross terms between runs left out)."""

        def squares(matrix: Matrix, weights: Floats) -> Floats:
            squared = matrix.copy()
            squared.data **= 2
            return np.asarray(squared.T @ weights, dtype=np.float32)

        ones = np.ones(self.pairs.shape[0], dtype=np.float32)
        return np.concatenate(
            [
                squares(self.characters, squares(self.character_runs, ones)),
                squares(self.words, squares(self.word_runs, ones)),
                squares(self.pairs, ones),
                squares(self.private, ones),
            ]
        )

    def select(self, rows: Ints) -> LexicalMatrix:
        """The same for some inputs."""
        return LexicalMatrix(
            self.character_runs[rows],
            self.characters,
            self.word_runs[rows],
            self.words,
            self.pairs[rows],
            self.private[rows],
        )

    def narrow(self) -> tuple[LexicalMatrix, Ints]:
        """Return the matrix without its empty columns, and which columns are left."""
        character_runs, characters, some = _narrow_product(self.character_runs, self.characters)
        word_runs, words, more = _narrow_product(self.word_runs, self.words)
        (pairs, rest), (private, own) = _narrow(self.pairs), _narrow(self.private)
        a, b, c, _ = np.cumsum(self.widths)
        columns = np.concatenate([some, more + a, rest + b, own + c])
        return LexicalMatrix(character_runs, characters, word_runs, words, pairs, private), columns


def _narrow_product(left: Matrix, right: Matrix) -> tuple[Matrix, Matrix, Ints]:
    left, runs = _narrow(left)
    right, columns = _narrow(right[runs])
    return left, right, columns


def _narrow(matrix: Matrix) -> tuple[Matrix, Ints]:
    """Return the matrix without its empty columns, and which columns are left."""
    used, place = np.unique(matrix.indices, return_inverse=True)
    narrowed = Matrix((matrix.data, place.astype(np.int32), matrix.indptr), shape=(matrix.shape[0], len(used)))
    return narrowed, used.astype(np.int64)


def count_grams(runs: Runs) -> Counted:
    """Count the n-grams of the inputs' runs."""
    grams = grams_of_runs(runs)
    in_groups = dampen(counts(runs.group, runs.run, (runs.n_rows * runs.n_fields, len(runs.strings))))
    return Counted(runs, in_groups, grams.characters, grams.words, word_pairs(runs, grams.words))


def _narrow_product(left: Matrix, right: Matrix) -> tuple[Matrix, Matrix, Ints]:
    left, runs = _narrow(left)
    right, columns = _narrow(right[runs])
    return left, right, columns


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The n-grams that a model knows, in three blocks; `n_owners` training inputs have private columns."""

    characters: Terms
    words: Terms
    pairs: Terms
    n_owners: int

    def matrix(self, counted: Counted) -> LexicalMatrix:
        """Return the TF-IDF matrix of some inputs."""
        n_runs, n_groups = len(counted.runs.strings), counted.in_groups.shape[0]
        characters, own_characters, squares = self.characters.matrices(
            counted.characters, n_runs, self.n_owners, damp=False
        )
        character_runs = scale_rows(counted.in_groups, _inverse_root(row_sums(counted.in_groups, squares)))
        words, own_words, squares = self.words.matrices(counted.words, n_runs, self.n_owners, damp=False)
        pairs, own_pairs, pair_squares = self.pairs.matrices(counted.pairs, n_groups, self.n_owners, damp=True)
        length = _inverse_root(row_sums(counted.in_groups, squares) + pair_squares)
        word_runs = scale_rows(counted.in_groups, length)
        private = character_runs @ own_characters + word_runs @ own_words + scale_rows(own_pairs, length)
        joined = [
            _join_fields(matrix, counted.runs.n_fields)
            for matrix in (character_runs, word_runs, scale_rows(pairs, length), private)
        ]
        return LexicalMatrix(joined[0], characters, joined[1], words, joined[2], joined[3])


def fit_vocabulary(counted: Counted, max_terms: int, *, private: bool = True) -> Vocabulary:
    """Choose the terms: n-grams of two inputs or more, the most frequent `max_terms` of them; the rest are singles."""
    n_groups, n_runs = counted.in_groups.shape
    occurrences = np.bincount(counted.in_groups.indices, minlength=n_runs)
    group_of_run = np.zeros(n_runs, dtype=np.int64)
    group_of_run[counted.in_groups.indices] = np.repeat(np.arange(n_groups), np.diff(counted.in_groups.indptr))
    found = [
        _tally(
            counted.characters.hashes, occurrences[counted.characters.where], group_of_run[counted.characters.where]
        ),
        _tally(counted.words.hashes, occurrences[counted.words.where], group_of_run[counted.words.where]),
        _tally(*_once_a_group(counted.pairs)),
    ]
    frequencies = np.concatenate([frequency[frequency > 1] for _, frequency, _ in found])
    least = 2
    if len(frequencies) > max_terms:
        least = int(np.partition(frequencies, -max_terms)[-max_terms]) + 1
    n_owners = counted.runs.n_rows if private else 0
    blocks = [_terms(*block, least, n_groups, counted.runs.n_fields, private=private) for block in found]
    return _with_shares(Vocabulary(*blocks, n_owners), counted)


def _tally(hashes: Hashes, occurrences: Ints, groups: Ints) -> tuple[Hashes, Ints, Ints]:
    """Return the different hashes, in how many groups each stands (counted a run at a time), and one of these."""
    unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    frequency = np.bincount(inverse, weights=occurrences, minlength=len(unique)).astype(np.int64)
    group = np.zeros(len(unique), dtype=np.int64)
    present = np.flatnonzero(occurrences)
    group[inverse[present]] = groups[present]
    return unique, frequency, group


def _once_a_group(pairs: Grams) -> tuple[Hashes, Ints, Ints]:
    order = np.lexsort((pairs.hashes, pairs.where))
    where, hashes = pairs.where[order], pairs.hashes[order]
    new = np.ones(len(where), dtype=bool)
    new[1:] = (where[1:] != where[:-1]) | (hashes[1:] != hashes[:-1])
    return hashes[new], np.ones(int(new.sum()), dtype=np.int64), where[new]


def _terms(
    hashes: Hashes, frequency: Ints, group: Ints, least: int, n_groups: int, n_fields: int, *, private: bool
) -> Terms:
    kept = np.flatnonzero(frequency >= least)
    single = np.flatnonzero(frequency == 1) if private else np.zeros(0, dtype=np.int64)
    idf = np.log((1 + n_groups) / (1 + np.minimum(frequency[kept], n_groups))) + 1
    unknown = float(np.float32(np.log((1 + n_groups) / 2) + 1))
    owners = (group[single] // n_fields).astype(np.int32)
    return Terms(
        hashes[kept], idf.astype(np.float32), unknown, hashes[single], owners, np.ones(len(single), dtype=np.float32)
    )


def _with_shares(vocabulary: Vocabulary, counted: Counted) -> Vocabulary:
    """Give each single its share: its value in the training input over the length of all singles there."""
    if not vocabulary.n_owners:
        return vocabulary
    raise NotImplementedError


def _inverse_root(squares: Floats) -> Floats:
    return np.where(squares > 0, 1 / np.sqrt(np.maximum(squares, 1e-12)), 0).astype(np.float32)


def _join_fields(matrix: Matrix, n_fields: int) -> Matrix:
    """Return (inputs, columns) from (groups, columns): an input's fields have terms of their own, so they add up."""
    if n_fields == 1:
        return matrix
    indptr = matrix.indptr[::n_fields]
    return Matrix((matrix.data, matrix.indices, indptr), shape=(matrix.shape[0] // n_fields, matrix.shape[1]))
