"""What runs add to an input, remembered.

All that a run adds (logits, squared lengths, sums of embeddings, a share in the hidden layer) is a row of numbers that
does not depend on the input. Most runs of a text were in earlier texts, so the rows seen last are kept, up to a bound
in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np

from tamis.ml.portions import portions
from tamis.ml.static.lexical import Terms
from tamis.ml.static.model import StaticModel, TunedEmbeddings, one_blas_thread
from tamis.ml.static.ngrams import grams_of_runs
from tamis.ml.static.row_products import product_by_rows
from tamis.ml.static.runs import CHARACTERS_AT_ONCE, TEXT, Hashes, Ints, Runs
from tamis.ml.static.sparse import Floats

REMEMBERED_BYTES = 48 << 20
"""What a model may remember of runs: some ten thousand of them with a hundred labels."""

LONGEST_REMEMBERED = 48
RUNS_AT_ONCE = 512
FEW_RUNS = 24
FEW_ROWS = 4  # of a matrix product at a time: mostly there are few new runs
_OVERHEAD = 700  # bytes of a remembered run beside its row: string, arrays, places in dictionaries
_NONE: Ints = np.zeros(0, dtype=np.int64)
_FIRST: Ints = np.zeros(1, dtype=np.int64)


class RowParts(NamedTuple):
    """Where in a row of numbers each part of what a run adds stands.

    `lexical`: logits by characters, then by words (2 x labels). `shown`: logits by the base model's embeddings, before
    these are centred and brought to length 1 (labels). `base`: the sum of these embeddings, for that length (d).
    `hidden` and `opening`: what the tuned embeddings add to the hidden layer, and in the opening (h each, the latter
    in texts alone). Behind these, how many tokens training saw, squared lengths by characters and by words, and how
    many tokens there are.
    """

    lexical: slice
    shown: slice
    base: slice
    hidden: slice
    opening: slice
    width: int

    @classmethod
    def of(cls, model: StaticModel, field: int) -> RowParts:
        """Return the parts for the runs of a field."""
        n_labels, d, h = model.weights.shape[1], model.semantics.matrix.shape[1], model.network.hidden.shape[1]
        ends = np.cumsum([0, 2 * n_labels, n_labels, d, h, h if field == TEXT else 0]).tolist()
        lexical, shown, base, own, opening = map(slice, ends, ends[1:])
        return cls(lexical, shown, base, own, opening, ends[-1] + 4)


class KnownRun(NamedTuple):
    """What a run adds to any input: `row` (`RowParts.width`,), and `words` (words,): their hashes, for word pairs."""

    row: Floats
    words: Hashes


class RunMemory:
    """The runs seen last: at least `most` / 2 of them and at most `most`, without a lock.

    Two dictionaries: new and used runs go to the first; once it is full it becomes the second, and what was in that is
    forgotten. A thread that comes in between can at worst make the other forget sooner.
    """

    def __init__(self, most: int) -> None:
        """Start with nothing; `most` is how many runs may be held."""
        self._half = max(1, most // 2)
        self._young, self._old = dict[str, KnownRun](), dict[str, KnownRun]()

    def __len__(self) -> int:
        """Runs that are held; one that is in both dictionaries counts twice."""
        return len(self._young) + len(self._old)

    def get(self, run: str) -> KnownRun | None:
        """Return what is remembered of a run."""
        found = self._young.get(run)
        if found is None and (found := self._old.get(run)) is not None:
            found = KnownRun(found.row.copy(), found.words.copy())  # not to hold on to all that came with it
            self.keep(run, found)
        return found

    def keep(self, run: str, known: KnownRun) -> None:
        """Remember a run."""
        young = self._young
        if len(young) >= self._half:
            self._old, self._young = young, (young := {})
        young[run] = known


class RunReader:
    """Tells what runs add to an input, from memory where it can. Several threads may ask at once."""

    def __init__(self, model: StaticModel, remembered_bytes: int = REMEMBERED_BYTES) -> None:
        """Take the model; `remembered_bytes` bounds what is kept of the runs that were seen."""
        self.model = model
        self.n_labels, self.dimensions = model.weights.shape[1], model.semantics.matrix.shape[1]
        self.starts = np.cumsum([0, *(max(len(terms), 1) for terms in model.vocabulary.blocks)])
        self.parts = [RowParts.of(model, field) for field in range(model.n_fields)]
        share = remembered_bytes // model.n_fields
        self.memories = [RunMemory(share // (4 * parts.width + _OVERHEAD)) for parts in self.parts]
        d, pooled = self.dimensions, model.weights[-1 - model.n_fields * self.dimensions : -1]
        self._shown = [pooled[field * d : (field + 1) * d] for field in range(model.n_fields)]
        self._hidden = [_hidden_weights(model, field) for field in range(model.n_fields)]
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused
            self.off_centre = [model.centring.centre @ shown for shown in self._shown]
        """What centring takes off the logits, before they are scaled, of an input with a known token in a field."""
        embeddings = (model.semantics.matrix, model.embedding_scale, model.tuned_tokens, model.network)
        self._embeddings = TunedEmbeddings(*embeddings)

    def known(self, runs: Iterable[str], field: int) -> dict[str, KnownRun]:
        """Return what is known of each different run, in the order of their first occurrence."""
        memory = self.memories[field]
        found = {run: memory.get(run) for run in runs}
        new = [run for run, known in found.items() if known is None]
        for some in portions(new, CHARACTERS_AT_ONCE, RUNS_AT_ONCE):
            for run, known in zip(some, self._look_at(some, field), strict=True):
                found[run] = known
                if len(run) <= LONGEST_REMEMBERED:
                    memory.keep(run, known)
        return cast("dict[str, KnownRun]", found)

    def _look_at(self, strings: list[str], field: int) -> list[KnownRun]:
        """Return what the runs, all different, add to an input."""
        n, model = len(strings), self.model
        grams = grams_of_runs(Runs(1, 1, strings, np.full(n, field), _NONE, _NONE, _NONE))
        columns, values, where, squares = [], [], [], []
        blocks = (model.vocabulary.characters, grams.characters), (model.vocabulary.words, grams.words)
        for kind, (terms, block) in enumerate(blocks):
            found = Found(terms, block.hashes)
            squares.append(np.bincount(block.where, found.weights**2, n))
            columns += [found.place + self.starts[kind], found.owners + self.starts[3]]
            values += [found.weights[found.known], found.shares]
            where += [block.where[found.known] * 2 + kind, block.where[found.single] * 2 + kind]
        weighted = model.weights[np.concatenate(columns)]
        weighted *= np.concatenate(values)[:, None]
        lexical = _sums_by(np.concatenate(where), weighted, 2 * n).reshape(n, -1)
        tokenizer = model.semantics.tokenizer
        tokens = tokenizer.few(strings) if n <= FEW_RUNS else tokenizer(strings)
        lengths, parts = tokens.lengths, self.parts[field]
        of_run = np.arange(n).repeat(lengths)
        rows = np.empty((n, parts.width), dtype=np.float32)
        rows[:, parts.lexical] = lexical
        base = _sums_by(of_run, model.semantics.matrix[tokens.ids].astype(np.float32), n)
        tuned = _sums_by(of_run, self._embeddings[tokens.ids], n)
        with one_blas_thread():
            rows[:, parts.base] = base
            rows[:, parts.shown] = product_by_rows(base, self._shown[field], FEW_ROWS)
            rows[:, parts.hidden.start : -4] = product_by_rows(tuned, self._hidden[field], FEW_ROWS)
        seen = np.bincount(of_run, model.saw(tokens.ids), n)
        rows[:, -4], rows[:, -3], rows[:, -2], rows[:, -1] = seen, *squares, lengths
        cuts = [0, *grams.words.where.searchsorted(np.arange(1, n)).tolist(), len(grams.words.hashes)]
        words = (grams.words.hashes[a:b] for a, b in pairwise(cuts))
        return list(map(KnownRun, rows, words))


class Found:
    """N-grams looked up in a block: `weights` (grams,), and which are `known` at which `place`, or else `single`.

    `owners` and `shares` are the private columns of the singles and what they add there.
    """

    __slots__ = ("known", "owners", "place", "shares", "single", "weights")

    def __init__(self, terms: Terms, hashes: Hashes) -> None:
        """Look them up."""
        self.known, self.place = _found(terms.hashes, hashes)
        self.single, place = _found(terms.single_hashes, hashes)
        self.weights = np.empty(len(hashes), dtype=np.float32)
        self.weights.fill(terms.unknown)
        self.weights[self.known] = terms.idf[self.place]
        self.owners = terms.single_owners[place]
        self.shares = terms.single_shares[place] * np.float32(terms.unknown)

    def damped(self) -> tuple[Ints, Floats]:
        """Return the places of the known n-grams and their values; a repeated one counts 1 + log of how often."""
        place, values = self.place, self.weights[self.known]
        if len(place) > 1 and len(set(place.tolist())) < len(place):
            place, first, times = np.unique(place, return_index=True, return_counts=True)
            values = values[first] * (1 + np.log(times)).astype(np.float32)
        return place, values


def _hidden_weights(model: StaticModel, field: int) -> Floats:
    """Return (d, h) what brings tuned embeddings of a field to the hidden layer; of texts, the opening's behind it."""
    hidden, d = model.network.hidden, model.semantics.matrix.shape[1]
    own = hidden[field * d : (field + 1) * d]
    return np.hstack([own, hidden[-d:]]) if field == TEXT else own


def _found(vocabulary: Hashes, hashes: Hashes) -> tuple[Ints, Ints]:
    """Return which hashes are in the sorted vocabulary, and where."""
    if not len(vocabulary):
        return _NONE, _NONE
    place = vocabulary.searchsorted(hashes)
    (there,) = (vocabulary.take(place, mode="clip") == hashes).nonzero()
    return there, place[there]


def _sums_by(where: Ints, rows: Floats, size: int) -> Floats:
    """Return (size, width): the sum of the rows of each place."""
    if len(rows) == size and (where == np.arange(size)).all():
        return rows  # one each, as most runs have one token
    sums = np.zeros((size, rows.shape[1]), dtype=np.float32)
    if len(where):
        if (where[1:] < where[:-1]).any():
            order = np.argsort(where, kind="stable")
            where, rows = where[order], rows[order]
        first = np.concatenate([_FIRST, (where[1:] != where[:-1]).nonzero()[0] + 1])
        sums[where[first]] = np.add.reduceat(rows, first, axis=0)
    return sums
