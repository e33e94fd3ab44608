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

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tamis.ml.static.ngrams import Grams, grams_of_runs, word_pairs
from tamis.ml.static.runs import Hashes, Ints, Runs
from tamis.ml.static.sparse import Floats, Matrix, counts, dampen, find, row_sums, scale_rows, squares_of

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

    def look_up(self, grams: Grams) -> Places:
        """Return where each n-gram stands."""
        return Places(grams, *find(self.hashes, grams.hashes))

    def known(self, places: Places, n_rows: int, *, damp: bool) -> Matrix:
        """Return (rows, terms) weighted counts."""
        where, column = places.grams.where[places.known], places.place[places.known]
        matrix = counts(where, column, (n_rows, max(len(self), 1)))
        matrix = dampen(matrix) if damp else matrix
        if len(self):
            matrix.data *= self.idf[matrix.indices]
        return matrix

    def private(self, places: Places, n_rows: int, n_owners: int) -> Matrix:
        """Return (rows, owners) values in the private columns of the training inputs that have the same singles."""
        rest = np.flatnonzero(~places.known)
        place, single = find(self.single_hashes, places.grams.hashes[rest])
        place, where = place[single], places.grams.where[rest[single]]
        values = self.single_shares[place] * np.float32(self.unknown)
        return Matrix((values, (where, self.single_owners[place])), shape=(n_rows, max(n_owners, 1)))

    def squares(self, places: Places, n_rows: int) -> Floats:
        """Return (rows,) sums of squared weights, unknown n-grams included."""
        idf = np.full(len(places.place), self.unknown, dtype=np.float32)
        idf[places.known] = self.idf[places.place[places.known]]
        return np.bincount(places.grams.where, weights=idf**2, minlength=n_rows).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """N-grams with their `place` (grams,) among the terms, where they are `known` (grams,)."""

    grams: Grams
    place: Ints
    known: NDArray[np.bool_]


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
        a, b, c, d = (int(block.shape[1]) for block in (self.characters, self.words, self.pairs, self.private))
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
        ones = np.ones(self.pairs.shape[0], dtype=np.float32)
        return np.concatenate(
            [
                _squares_down(self.characters, _squares_down(self.character_runs, ones)),
                _squares_down(self.words, _squares_down(self.word_runs, ones)),
                _squares_down(self.pairs, ones),
                _squares_down(self.private, ones),
            ]
        )

    def emphasised(self, factor: float) -> LexicalMatrix:
        """The same with the columns of words and word pairs times a factor: the penalty is lighter there."""
        louder = np.float32(factor)
        return replace(self, word_runs=self.word_runs * louder, pairs=self.pairs * louder)

    def select(self, rows: Ints) -> LexicalMatrix:
        """The same for some inputs."""
        return replace(
            self,
            character_runs=self.character_runs[rows],
            word_runs=self.word_runs[rows],
            pairs=self.pairs[rows],
            private=self.private[rows],
        )

    def narrow(self) -> tuple[LexicalMatrix, Ints]:
        """Return the matrix without its empty columns, and which columns are left."""
        character_runs, characters, some = _narrow_product(self.character_runs, self.characters)
        word_runs, words, more = _narrow_product(self.word_runs, self.words)
        (pairs, rest), (private, own) = _narrow(self.pairs), _narrow(self.private)
        a, b, c, _ = np.cumsum(self.widths)
        columns = np.concatenate([some, more + a, rest + b, own + c])
        return LexicalMatrix(character_runs, characters, word_runs, words, pairs, private), columns


def _squares_down(matrix: Matrix, weights: Floats) -> Floats:
    return np.asarray(squares_of(matrix).T @ weights, dtype=np.float32)


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


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The n-grams that a model knows, in three blocks; `n_owners` training inputs have private columns."""

    characters: Terms
    words: Terms
    pairs: Terms
    n_owners: int

    @property
    def blocks(self) -> tuple[Terms, Terms, Terms]:
        """Characters, words, pairs."""
        return self.characters, self.words, self.pairs

    def look_up(self, counted: Counted) -> tuple[Places, Places, Places]:
        """Return where the n-grams of the three blocks stand."""
        return (
            self.characters.look_up(counted.characters),
            self.words.look_up(counted.words),
            self.pairs.look_up(counted.pairs),
        )

    def lengths(self, counted: Counted, places: tuple[Places, Places, Places]) -> tuple[Floats, Floats]:
        """Return (groups,) what characters and words (with pairs) are multiplied by to have length 1."""
        n_groups, n_runs = counted.in_groups.shape
        characters = self.characters.squares(places[0], n_runs)
        words = self.words.squares(places[1], n_runs)
        pairs = self.pairs.squares(places[2], n_groups)
        both = row_sums(counted.in_groups, words) + pairs
        return inverse_root(row_sums(counted.in_groups, characters)), inverse_root(both)

    def matrix(self, counted: Counted) -> LexicalMatrix:
        """Return the TF-IDF matrix of some inputs."""
        (n_groups, n_runs), n_fields = counted.in_groups.shape, counted.runs.n_fields
        places = self.look_up(counted)
        of_characters, of_words = self.lengths(counted, places)
        character_runs = scale_rows(counted.in_groups, of_characters)
        word_runs = scale_rows(counted.in_groups, of_words)
        pairs = scale_rows(self.pairs.known(places[2], n_groups, damp=True), of_words)
        private = character_runs @ self.characters.private(places[0], n_runs, self.n_owners)
        private += word_runs @ self.words.private(places[1], n_runs, self.n_owners)
        private += scale_rows(self.pairs.private(places[2], n_groups, self.n_owners), of_words)
        return LexicalMatrix(
            join_fields(character_runs, n_fields),
            self.characters.known(places[0], n_runs, damp=False),
            join_fields(word_runs, n_fields),
            self.words.known(places[1], n_runs, damp=False),
            join_fields(pairs, n_fields),
            join_fields(private, n_fields),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """The different n-grams of a block, in how many groups each stands, one of these groups, and its count there."""

    hashes: Hashes
    frequency: Ints
    group: Ints
    count: Floats


def fit_vocabulary(counted: Counted, max_terms: int, *, private: bool = True) -> Vocabulary:
    """Choose the terms: n-grams of two inputs or more, the most frequent `max_terms` of them; the rest are singles.

    Without `private` columns, singles are left out.
    """
    terms = terms_of(tallies_of(counted), max_terms, counted.in_groups.shape[0], private=private)
    vocabulary = Vocabulary(*terms, counted.runs.n_rows if private else 0)
    if not private:
        return vocabulary
    return with_shares(vocabulary, counted, vocabulary.lengths(counted, vocabulary.look_up(counted)))


def tallies_of(counted: Counted) -> tuple[Tally, Tally, Tally]:
    """Return the different n-grams of the three blocks."""
    n_groups, n_runs = counted.in_groups.shape
    occurrences = np.bincount(counted.in_groups.indices, minlength=n_runs)
    group, count = np.zeros(n_runs, dtype=np.int64), np.zeros(n_runs, dtype=np.float32)
    group[counted.in_groups.indices] = np.repeat(np.arange(n_groups), np.diff(counted.in_groups.indptr))
    count[counted.in_groups.indices] = counted.in_groups.data
    characters, words = (_tally(grams, occurrences, group, count) for grams in (counted.characters, counted.words))
    return characters, words, _tally_pairs(counted.pairs)


def terms_of(
    tallies: Sequence[Tally], max_terms: int, n_groups: int, *, private: bool = False
) -> tuple[Terms, Terms, Terms]:
    """Return the terms of the three blocks: the most frequent `max_terms`, those of two inputs at least."""
    frequencies = np.concatenate([tally.frequency[tally.frequency > 1] for tally in tallies])
    least = 2
    if len(frequencies) > max_terms:
        least = int(np.partition(frequencies, -max_terms)[-max_terms]) + 1
    characters, words, pairs = (_terms(tally, least, n_groups, private=private) for tally in tallies)
    return characters, words, pairs


def _tally(grams: Grams, occurrences: Ints, group_of_run: Ints, count_of_run: Floats) -> Tally:
    """Count the groups of each n-gram, a run at a time: two runs of one input count twice."""
    unique, inverse = np.unique(grams.hashes, return_inverse=True)
    times = occurrences[grams.where]
    frequency = np.bincount(inverse, weights=times, minlength=len(unique)).astype(np.int64)
    group, count = np.zeros(len(unique), dtype=np.int64), np.zeros(len(unique), dtype=np.float32)
    present = np.flatnonzero(times)
    group[inverse[present]] = group_of_run[grams.where[present]]
    count[inverse[present]] = count_of_run[grams.where[present]]
    return Tally(unique, frequency, group, count)


def _tally_pairs(pairs: Grams) -> Tally:
    order = np.lexsort((pairs.where, pairs.hashes))
    where, hashes = pairs.where[order], pairs.hashes[order]
    new_hash = np.ones(len(hashes), dtype=bool)
    new_hash[1:] = hashes[1:] != hashes[:-1]
    new = new_hash.copy()
    new[1:] |= where[1:] != where[:-1]
    first = np.flatnonzero(new_hash)
    frequency = np.add.reduceat(new, first, dtype=np.int64) if len(first) else np.zeros(0, dtype=np.int64)
    return Tally(hashes[first], frequency, where[first], np.diff(first, append=len(hashes)).astype(np.float32))


def _terms(tally: Tally, least: int, n_groups: int, *, private: bool) -> Terms:
    """Return the terms of a block; the owners are groups, and the shares counts, until `with_shares`."""
    kept = np.flatnonzero(tally.frequency >= least)
    single = np.flatnonzero(tally.frequency == 1) if private else np.zeros(0, dtype=np.int64)
    idf = np.log((1 + n_groups) / (1 + np.minimum(tally.frequency[kept], n_groups))) + 1
    return Terms(
        hashes=tally.hashes[kept],
        idf=idf.astype(np.float32),
        unknown=float(np.float32(np.log((1 + n_groups) / 2) + 1)),
        single_hashes=tally.hashes[single],
        single_owners=tally.group[single].astype(np.int32),
        single_shares=tally.count[single],
    )


def with_shares(vocabulary: Vocabulary, counted: Counted, lengths: tuple[Floats, Floats]) -> Vocabulary:
    """Give each single its owner and its share: its value in that input over the length of all singles there.

    `lengths` are those of the inputs, as `Vocabulary.lengths` has them.
    """
    runs, (of_characters, of_words) = counted.runs, lengths
    values, owners = [], []
    for terms, length in zip(vocabulary.blocks, (of_characters, of_words, of_words), strict=True):
        values.append(terms.single_shares * length[terms.single_owners] * np.float32(terms.unknown))
        owners.append(terms.single_owners // runs.n_fields)
    squares = np.bincount(np.concatenate(owners), weights=np.concatenate(values) ** 2, minlength=runs.n_rows)
    scale = inverse_root(squares.astype(np.float32))
    blocks = [
        replace(terms, single_owners=owner.astype(np.int32), single_shares=value * scale[owner])
        for terms, owner, value in zip(vocabulary.blocks, owners, values, strict=True)
    ]
    return replace(vocabulary, characters=blocks[0], words=blocks[1], pairs=blocks[2])


def inverse_root(squares: Floats) -> Floats:
    """Return 1 / sqrt of each, and 0 for 0."""
    return np.where(squares > 0, 1 / np.sqrt(np.maximum(squares, 1e-12)), 0).astype(np.float32)


def join_fields(matrix: Matrix, n_fields: int) -> Matrix:
    """Return (inputs, columns) from (groups, columns): an input's fields have terms of their own, so they add up."""
    if n_fields == 1:
        return matrix
    indptr = matrix.indptr[::n_fields]
    return Matrix((matrix.data, matrix.indices, indptr), shape=(matrix.shape[0] // n_fields, matrix.shape[1]))
