"""One input at a time: the same logits as a batch gives, without sparse matrices, from what is remembered of runs.

All that a run adds to an input (logits, squared lengths, sums of embeddings) is a row of numbers that does not depend
on the input. Most runs of a text were in earlier texts, so their rows are remembered, up to a bound in bytes; the rest
is a few small products. Several threads may ask at once. The tests hold this against the batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tamis.ml.static.lexical import Terms
from tamis.ml.static.model import StaticModel, TunedEmbeddings
from tamis.ml.static.ngrams import grams_of_runs, pair_hashes
from tamis.ml.static.runs import OPENING_RUNS, TEXT, Hashes, Ints, Runs, segments
from tamis.ml.static.sparse import Floats
from tamis.schema import Input, plain_text

MOST_CHARACTERS = 4_000
MOST_LABELS = 2_000
MOST_CELLS = 400_000
"""Bounds of what is quicker this way, in characters, labels, and characters x labels; the rest is a batch of one."""

REMEMBERED_BYTES = 32 << 20
"""What a model may remember of runs: some ten thousand of them with a hundred labels."""

LONGEST_REMEMBERED = 48
RUNS_AT_ONCE = 128
_OVERHEAD = 700  # bytes of a remembered run beside its row: string, arrays, places in dictionaries

_NONE: Ints = np.zeros(0, dtype=np.int64)
_FIRST: Ints = np.zeros(1, dtype=np.int64)
_TIMES, _SQUARED, _COUNT, _OPENING = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class KnownRun:
    """What a run adds to any input.

    `row`: logits by characters and by words (2 x labels), sums of the base model's and of the tuned embeddings (2 x d),
    squared lengths by characters and by words, number of tokens. `words` (words,): their hashes, for word pairs.
    """

    row: Floats
    words: Hashes


_UNSEEN = KnownRun(np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.uint64))


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
            self.keep(run, found)
        return found

    def keep(self, run: str, known: KnownRun) -> None:
        """Remember a run."""
        young = self._young
        if len(young) >= self._half:
            self._old, self._young = young, (young := {})
        young[run] = known


class OneByOne:
    """Reads inputs of a model one at a time."""

    def __init__(self, model: StaticModel, remembered_bytes: int = REMEMBERED_BYTES) -> None:
        """Take the model; `remembered_bytes` bounds what is kept of the runs that were seen."""
        self._model = model
        self._labels, self._dimensions = model.weights.shape[1], model.semantics.matrix.shape[1]
        self._bias = model.weights[-1] + model.network.head_bias
        self._pooled = np.asarray(model.weights[-1 - model.n_fields * self._dimensions : -1])
        self._starts = np.cumsum([0, *(max(len(terms), 1) for terms in model.vocabulary.blocks)])
        row_bytes = 4 * (2 * self._labels + 2 * self._dimensions + 3) + _OVERHEAD
        self._memories = [RunMemory(remembered_bytes // row_bytes // model.n_fields) for _ in range(model.n_fields)]
        embeddings = (model.semantics.matrix, model.embedding_scale, model.tuned_tokens, model.network)
        self._embeddings = TunedEmbeddings(*embeddings)

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
                known = self._known(runs, field)
                rows = np.concatenate([run.row for run in known.values()]).reshape(len(known), -1)
                sums = _shares(parts, runs, known, field) @ rows
                self._add_lexical(logits, sums, _neighbours(parts, known))
                self._add_pooled(logits, tuned, sums, field)
        hidden = tuned @ model.network.hidden
        hidden += model.network.hidden_bias
        np.maximum(hidden, 0, out=hidden)
        logits += hidden @ model.network.heads
        return {name: logits[None, columns] for name, columns in model.columns.items()}

    def _known(self, runs: Sequence[str], field: int) -> dict[str, KnownRun]:
        """Return what is known of each different run, in the order of their first occurrence."""
        memory = self._memories[field]
        known: dict[str, KnownRun] = {}
        new: list[str] = []
        for run in runs:
            if run not in known:
                found = memory.get(run)
                known[run] = found or _UNSEEN  # its place in the order
                if found is None:
                    new.append(run)
        for start in range(0, len(new), RUNS_AT_ONCE):
            some = new[start : start + RUNS_AT_ONCE]
            for run, one in zip(some, self._look_at(some, field), strict=True):
                known[run] = one
                if len(run) <= LONGEST_REMEMBERED:
                    memory.keep(run, one)
        return known

    def _look_at(self, strings: list[str], field: int) -> list[KnownRun]:
        """Return what the runs, all different, add to an input."""
        n, model = len(strings), self._model
        grams = grams_of_runs(Runs(1, 1, strings, np.full(n, field), _NONE, _NONE, _NONE))
        columns, values, where, squares = [], [], [], []
        blocks = (model.vocabulary.characters, grams.characters), (model.vocabulary.words, grams.words)
        for kind, (terms, block) in enumerate(blocks):
            found = Found(terms, block.hashes)
            squares.append(np.bincount(block.where, found.weights**2, n))
            columns += [found.place + self._starts[kind], found.owners + self._starts[3]]
            values += [found.weights[found.known], found.shares]
            where += [block.where[found.known] * 2 + kind, block.where[found.single] * 2 + kind]
        weighted = model.weights[np.concatenate(columns)]
        weighted *= np.concatenate(values)[:, None]
        lexical = _sums_by(np.concatenate(where), weighted, 2 * n).reshape(n, -1)
        tokens = model.semantics.tokenizer.few(strings)
        of_run = np.repeat(np.arange(n), tokens.lengths)
        both = np.concatenate([model.semantics.matrix[tokens.ids], self._embeddings[tokens.ids]], axis=1)
        numbers = np.stack([*squares, tokens.lengths], axis=1).astype(np.float32)
        rows = np.concatenate([lexical, _sums_by(of_run, both, n), numbers], axis=1)
        ends = np.searchsorted(grams.words.where, np.arange(1, n))
        cuts = [0, *ends.tolist(), len(grams.words.hashes)]
        words = (grams.words.hashes[a:b].copy() for a, b in pairwise(cuts))
        return [KnownRun(row.copy(), own) for row, own in zip(rows, words, strict=True)]

    def _add_lexical(self, logits: Floats, sums: Floats, pairs: Hashes) -> None:
        n_labels = self._labels
        of_characters = _inverse_root(float(sums[_SQUARED, -3]))
        squares = float(sums[_SQUARED, -2])
        words = sums[_TIMES, n_labels : 2 * n_labels]
        if len(pairs):
            found = Found(self._model.vocabulary.pairs, pairs)
            squares += float(found.weights @ found.weights)
            place, values = found.damped()
            columns = np.concatenate([place + self._starts[2], found.owners + self._starts[3]])
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


def _found(vocabulary: Hashes, hashes: Hashes) -> tuple[Ints, Ints]:
    """Return which hashes are in the sorted vocabulary, and where."""
    if not len(vocabulary):
        return _NONE, _NONE
    place = vocabulary.searchsorted(hashes)
    (there,) = (vocabulary.take(place, mode="clip") == hashes).nonzero()
    return there, place[there]


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


def split(text: str) -> list[str]:
    """Return the runs of a text, as `split_runs` finds them."""
    return (text.replace("\0", " ") if "\0" in text else text).split()


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


def _sums_by(where: Ints, rows: Floats, size: int) -> Floats:
    """Return (size, width): the sum of the rows of each place."""
    sums = np.zeros((size, rows.shape[1]), dtype=np.float32)
    if len(where):
        order = np.argsort(where, kind="stable")
        where = where[order]
        first = np.concatenate([_FIRST, np.flatnonzero(where[1:] != where[:-1]) + 1])
        sums[where[first]] = np.add.reduceat(rows[order], first, axis=0)
    return sums


def _inverse_root(square: float) -> float:
    return 1 / max(square, 1e-12) ** 0.5 if square > 0 else 0.0
