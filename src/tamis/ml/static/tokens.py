"""Runs as tokens of the base model, and inputs as averages of token embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tamis.ml.portions import portions
from tamis.ml.static.runs import CHARACTERS_AT_ONCE, Ints, Runs
from tamis.ml.static.sparse import Floats, Matrix, counts, scale_rows
from tamis.ml.tokenizer_check import refuse_hostile

STRINGS_AT_ONCE = 2_048
"""Strings that the tokenizer gets at a time: its own records of them are large, and other threads wait for it."""


@dataclass(frozen=True, slots=True, eq=False)
class RunTokens:
    """The tokens of each different run: run i has `ids[offsets[i]:offsets[i + 1]]`."""

    ids: Ints
    offsets: Ints

    @property
    def lengths(self) -> Ints:
        """(runs,) tokens of each."""
        return self.offsets[1:] - self.offsets[:-1]


class RunTokenizer:
    """A base model's tokenizer, applied a run at a time; tokens it does not know are left out."""

    def __init__(self, tokenizer_json: bytes, unknown_id: int | None) -> None:
        """Read the tokenizer.

        Raises:
            ValueError: it is of no known kind, or made to take for ever.
        """
        self._tokenizer = _read(tokenizer_json)
        self.source, self.unknown_id = tokenizer_json, unknown_id

    @property
    def highest_id(self) -> int:
        """The highest token id that it can give; -1 for none."""
        return max(self._tokenizer.get_vocab().values(), default=-1)

    @property
    def changes_lengths(self) -> bool:
        """Whether it cuts or pads, so that a text's tokens would depend on more than the text."""
        return self._tokenizer.truncation is not None or self._tokenizer.padding is not None

    def __call__(self, strings: list[str]) -> RunTokens:
        """Return the tokens of each string."""
        ids = list[list[int]]()
        for some in portions(strings, CHARACTERS_AT_ONCE, STRINGS_AT_ONCE):
            encodings = self._tokenizer.encode_batch_fast(list(map(_whole, some)), add_special_tokens=False)
            ids += [encoding.ids for encoding in encodings]
        return self._known(ids)

    def spans(self, strings: list[str]) -> list[list[tuple[int, int]]]:
        """Return where each known token of each string begins and ends, in characters."""
        encodings = self._tokenizer.encode_batch(list(map(_whole, strings)), add_special_tokens=False)
        return [
            [span for token, span in zip(encoding.ids, encoding.offsets, strict=True) if token != self.unknown_id]
            for encoding in encodings
        ]

    def few(self, strings: list[str]) -> RunTokens:
        """Return the same, without the threads that a few strings would wait for."""
        return self._known([self._tokenizer.encode(_whole(s), add_special_tokens=False).ids for s in strings])

    def _known(self, ids: list[list[int]]) -> RunTokens:
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        flat = np.fromiter(chain.from_iterable(ids), dtype=np.int64, count=int(lengths.sum()))
        if self.unknown_id is not None and not (known := flat != self.unknown_id).all():
            of_run = np.repeat(np.arange(len(ids)), lengths)[known]
            flat, lengths = flat[known], np.bincount(of_run, minlength=len(ids))
        offsets = np.zeros(len(ids) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return RunTokens(flat, offsets)


@lru_cache(maxsize=1)
def _read(tokenizer_json: bytes) -> Tokenizer:
    """Return the tokenizer; the last one is kept, since a model is opened again as soon as it is written."""
    tokenizer = Tokenizer.from_str(tokenizer_json.decode("utf-8"))
    refuse_hostile(tokenizer)
    return tokenizer


def _whole(string: str) -> str:
    """Return the string without lone surrogates."""
    return string if string.isascii() else string.encode("utf-8", "replace").decode("utf-8")


def token_matrix(runs: Runs, tokens: RunTokens, vocabulary: int) -> Matrix:
    """Return (inputs x pools, vocabulary): the share of each token among those of a field, or of the opening."""
    opening = runs.opening()
    run = np.concatenate([runs.run, runs.run[opening]])
    pool_number = np.concatenate([runs.run_fields[runs.run], np.full(len(opening), runs.n_fields)])
    pools = np.concatenate([runs.row, runs.row[opening]]) * runs.n_pools + pool_number
    lengths = tokens.lengths[run]
    first = np.cumsum(lengths) - lengths
    offset = np.arange(int(lengths.sum())) - np.repeat(first, lengths)
    ids = tokens.ids[np.repeat(tokens.offsets[run], lengths) + offset]
    matrix = counts(np.repeat(pools, lengths), ids, (runs.n_rows * runs.n_pools, vocabulary))
    totals: Floats = np.asarray(matrix.sum(axis=1)).astype(np.float32)
    return scale_rows(matrix, (1 / np.maximum(totals, 1)).astype(np.float32))


def seen_share(runs: Runs, tokens: RunTokens, seen: NDArray[np.bool_]) -> Floats:
    """Return (inputs,) the share of an input's tokens that were seen; 0 for an input without tokens.

    Args:
        runs: of the inputs.
        tokens: of the runs.
        seen: (tokens of all runs,) which of these were.
    """
    sums = np.concatenate([[0], np.cumsum(seen)])
    of_run = sums[tokens.offsets[1:]] - sums[tokens.offsets[:-1]]
    known = np.bincount(runs.row, of_run[runs.run], runs.n_rows)
    share = known / np.maximum(np.bincount(runs.row, tokens.lengths[runs.run], runs.n_rows), 1)
    return share.astype(np.float32)


def used_tokens(matrix: Matrix) -> Ints:
    """Return the columns that occur, sorted."""
    seen: NDArray[np.bool_] = np.zeros(matrix.shape[1], dtype=bool)
    seen[matrix.indices] = True
    return np.flatnonzero(seen)


class Embeddings(Protocol):
    """Something with a row a token: an array as it is stored, or one with rows of its own."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(vocabulary, dimensions)."""
        ...

    def __getitem__(self, tokens: Ints, /) -> NDArray[Any]:
        """Return the rows of these tokens."""
        ...


def pool(matrix: Matrix, embeddings: Embeddings) -> Floats:
    """Return (pools, dimensions): the average embedding of each pool, gathering only the rows in use."""
    used = used_tokens(matrix)
    place = np.zeros(matrix.shape[1], dtype=np.int64)
    place[used] = np.arange(len(used))
    small = Matrix((matrix.data, place[matrix.indices], matrix.indptr), shape=(matrix.shape[0], max(len(used), 1)))
    if not len(used):
        return np.zeros((matrix.shape[0], embeddings.shape[1]), dtype=np.float32)
    pooled: Floats = small @ np.asarray(embeddings[used], dtype=np.float32)
    return pooled
