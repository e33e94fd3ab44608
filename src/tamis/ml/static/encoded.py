"""Rows made ready for the two parts of a static model: all at once, or, where they are very many, a portion at a time.

Both ways answer the same questions: which tokens there are, the tokens of a mini-batch, some of the rows, all rows in
portions. It does not know what is fitted to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tamis.ml.progress import Check, nothing
from tamis.ml.static.model import Semantics
from tamis.ml.static.packed import PackedRuns, pack_runs, portions, without_others
from tamis.ml.static.runs import Ints, Runs, split_runs
from tamis.ml.static.sparse import Floats, Matrix
from tamis.ml.static.tokens import RunTokens, token_matrix, used_tokens
from tamis.schema import Input

MOST_WHOLE = 50_000
"""Rows up to which everything is held: about 20 KB a row. Beyond, what a portion needs is made when it is needed."""

FEW = 20_000
"""Of packed rows, so many are unpacked for good: held-out rows are looked at again and again."""

STRINGS_AT_ONCE = 20_000

PoolsOf = Callable[[Ints], Matrix]
"""From rows to (rows x pools, tokens): the share of each token of a list that was given, in each pool."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Rows made ready: `runs`, `tokens` (rows x pools, vocabulary), the base's `pooled` (rows x pools, d)."""

    runs: Runs
    tokens: Matrix
    pooled: Floats
    n_tokens: int

    @classmethod
    def of(cls, inputs: Sequence[Input], semantics: Semantics, n_fields: int, check: Check = nothing) -> Encoded:
        """Encode inputs; `check` is called between the steps."""
        runs = split_runs(inputs, n_fields)
        check()
        tokens, n_tokens = semantics.tokens(runs)
        check()
        return cls(runs, tokens, semantics.pooled(tokens), n_tokens)

    def __len__(self) -> int:
        """Rows."""
        return self.runs.n_rows

    def select(self, rows: Ints) -> Encoded:
        """The same for some rows."""
        pools = pools_of(rows, self.runs.n_pools)
        share = len(rows) / max(len(self), 1)
        return Encoded(self.runs.select(rows), self.tokens[pools], self.pooled[pools], round(self.n_tokens * share))

    def portions(self) -> Iterator[Encoded]:
        """Yield all rows: they are one portion."""
        yield self

    def used_tokens(self) -> Ints:
        """Return the tokens that occur, sorted."""
        return used_tokens(self.tokens)

    def pools_in(self, tokens: Ints) -> PoolsOf:
        """Return what gives the pools of some rows, by these tokens (sorted, all that occur among them)."""
        place = np.searchsorted(tokens, self.tokens.indices)
        shape = (self.tokens.shape[0], len(tokens))
        pools = Matrix((self.tokens.data, place, self.tokens.indptr), shape=shape)
        return lambda rows: pools[pools_of(rows, self.runs.n_pools)]


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Very many rows: the runs packed, the tokens of each different run; all else is made for a portion at a time."""

    runs: PackedRuns
    run_tokens: RunTokens
    semantics: Semantics
    n_tokens: int

    @classmethod
    def of(
        cls,
        inputs: Sequence[Input],
        semantics: Semantics,
        n_fields: int,
        check: Check = nothing,
        told: Callable[[float], None] = lambda _: None,
    ) -> Packed:
        """Pack inputs; `check` is called some times a second, `told` hears the share that is done."""
        runs = pack_runs(inputs, n_fields, check, told)
        run_tokens = _tokens_of(runs.strings, semantics, check)
        return cls(runs, run_tokens, semantics, int(run_tokens.lengths[runs.run].sum()))

    def __len__(self) -> int:
        """Rows."""
        return self.runs.n_rows

    def select(self, rows: Ints) -> Encoded | Packed:
        """The same for some rows; few of them are unpacked."""
        if len(rows) <= FEW:
            return self.unpack(rows)
        runs = self.runs.select(rows)
        return Packed(runs, self.run_tokens, self.semantics, int(self.run_tokens.lengths[runs.run].sum()))

    def unpack(self, rows: Ints) -> Encoded:
        """Return some rows with everything."""
        runs = self.runs.unpack(rows)
        tokens = token_matrix(runs, self.run_tokens, self.semantics.matrix.shape[0])
        n_tokens = int(self.run_tokens.lengths[runs.run].sum())
        return Encoded(without_others(runs), tokens, self.semantics.pooled(tokens), n_tokens)

    def portions(self) -> Iterator[Encoded]:
        """Yield all rows, some thousand at a time."""
        for rows in portions(len(self)):
            yield self.unpack(rows)

    def used_tokens(self) -> Ints:
        """Return the tokens that occur, sorted."""
        present = np.zeros(len(self.runs.strings), dtype=bool)
        present[self.runs.run] = True
        return np.unique(self.run_tokens.ids[np.repeat(present, self.run_tokens.lengths)])

    def pools_in(self, tokens: Ints) -> PoolsOf:
        """Return what gives the pools of some rows, by these tokens (sorted, all that occur among them)."""
        place = np.searchsorted(tokens, self.run_tokens.ids)
        placed = RunTokens(np.minimum(place, len(tokens) - 1), self.run_tokens.offsets)
        return lambda rows: token_matrix(self.runs.unpack(rows), placed, len(tokens))


Rows = Encoded | Packed


def encode(
    inputs: Sequence[Input],
    semantics: Semantics,
    n_fields: int,
    check: Check = nothing,
    told: Callable[[float], None] = lambda _: None,
) -> Rows:
    """Make inputs ready, packed where they are very many; `told` hears the share of that."""
    if len(inputs) > MOST_WHOLE:
        return Packed.of(inputs, semantics, n_fields, check, told)
    return Encoded.of(inputs, semantics, n_fields, check)


def pools_of(rows: Ints, n_pools: int) -> Ints:
    """Return the numbers of the pools of some rows."""
    return (rows[:, None] * n_pools + np.arange(n_pools)).ravel()


def _tokens_of(strings: list[str], semantics: Semantics, check: Check) -> RunTokens:
    """Return the tokens of all strings; the tokenizer's own records of them are large, so some thousand at a time."""
    parts = []
    for first in range(0, max(len(strings), 1), STRINGS_AT_ONCE):
        check()
        parts.append(semantics.tokenizer(strings[first : first + STRINGS_AT_ONCE]))
    lengths = np.concatenate([part.lengths for part in parts])
    return RunTokens(np.concatenate([part.ids for part in parts]), np.concatenate([[0], np.cumsum(lengths)]))
