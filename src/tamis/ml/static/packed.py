"""Runs of very many inputs in little memory: four bytes an occurrence, unpacked a portion at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tamis.ml.progress import Check, nothing
from tamis.ml.static.runs import Hashes, Ints, Runs, segments, split_block, text_blocks
from tamis.ml.static.sparse import find
from tamis.schema import Input

PORTION = 16_384
"""Inputs that are unpacked at once."""

SmallInts = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class PackedRuns:
    """The runs of many inputs.

    Attributes:
        n_fields: 1, or 3 where chats are told apart by who spoke.
        strings: the different runs, in the order in which they were met.
        run_fields: (runs,) the field of each.
        run: (occurrences,) int32 which run stands there, in reading order.
        begins: (occurrences,) whether a text or message begins there.
        offsets: (inputs + 1,) input i has the occurrences `offsets[i]:offsets[i + 1]`.
    """

    n_fields: int
    strings: list[str]
    run_fields: Ints
    run: SmallInts
    begins: NDArray[np.bool_]
    offsets: Ints

    @property
    def n_rows(self) -> int:
        """Inputs."""
        return len(self.offsets) - 1

    @property
    def n_pools(self) -> int:
        """Averages taken of an input, as `Runs` has them."""
        return self.n_fields + 1

    def unpack(self, rows: Ints) -> Runs:
        """Return the runs of some inputs, in the order of `rows`; `strings` are those of all inputs."""
        lengths, places = self._places(rows)
        row = np.repeat(np.arange(len(rows)), lengths)
        run, segment = self.run[places].astype(np.int64), np.cumsum(self.begins[places], dtype=np.int64)
        return Runs(len(rows), self.n_fields, self.strings, self.run_fields, run, row, segment)

    def select(self, rows: Ints) -> PackedRuns:
        """The same for some inputs, in the order of `rows`; runs that none of them has stay in the list."""
        lengths, places = self._places(rows)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return PackedRuns(self.n_fields, self.strings, self.run_fields, self.run[places], self.begins[places], offsets)

    def _places(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return how many occurrences each input has, and where they are."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        first = np.cumsum(lengths) - lengths
        return lengths, np.repeat(starts - first, lengths) + np.arange(int(lengths.sum()))

    def portions(self) -> Iterator[Runs]:
        """Yield the runs of all inputs, some thousand inputs at a time."""
        for rows in portions(self.n_rows):
            yield self.unpack(rows)


def without_others(runs: Runs) -> Runs:
    """Return the same with no other strings than those that occur."""
    used, run = np.unique(runs.run, return_inverse=True)
    strings = [runs.strings[i] for i in used.tolist()]
    return replace(runs, strings=strings, run_fields=runs.run_fields[used], run=run.astype(np.int64))


def portions(n_rows: int) -> Iterator[Ints]:
    """Yield the numbers of all inputs, in portions; one that is empty where there are none."""
    for first in range(0, max(n_rows, 1), PORTION):
        yield np.arange(first, min(first + PORTION, n_rows))


def pack_runs(
    inputs: Sequence[Input], n_fields: int, check: Check = nothing, told: Callable[[float], None] = lambda _: None
) -> PackedRuns:
    """Cut the inputs into runs, some thousand at a time; `check` is called in between, `told` hears the share done."""
    packer = _Packer()
    for rows in portions(len(inputs)):
        packer.add(inputs[rows[0] : rows[-1] + 1] if len(rows) else [], n_fields, check)
        told((int(rows[-1]) + 1 if len(rows) else 0) / max(len(inputs), 1))
    return packer.packed(n_fields)


class _Packer:
    """Packed runs while they come."""

    def __init__(self) -> None:
        self._strings: list[str] = []
        self._hashes: Hashes = np.zeros(0, dtype=np.uint64)  # of the strings, sorted
        self._numbers: SmallInts = np.zeros(0, dtype=np.int32)  # of the strings, in the order of the hashes
        self._fields: list[Ints] = [np.zeros(0, dtype=np.int64)]
        self._runs: list[SmallInts] = [np.zeros(0, dtype=np.int32)]
        self._begins: list[NDArray[np.bool_]] = [np.zeros(0, dtype=bool)]
        self._lengths: list[SmallInts] = [np.zeros(0, dtype=np.int32)]

    def add(self, inputs: Sequence[Input], n_fields: int, check: Check) -> None:
        texts, rows, fields = segments(inputs, n_fields)
        lengths = np.zeros(len(inputs), dtype=np.int32)
        for block in text_blocks(texts):
            check()
            hashes, strings, run_fields, run, segment = split_block(texts[block], fields[block], block.start)
            self._runs.append(self._number(hashes, strings, run_fields)[run])
            begins = np.ones(len(run), dtype=bool)
            begins[1:] = segment[1:] != segment[:-1]
            self._begins.append(begins)
            lengths += np.bincount(rows[segment], minlength=len(inputs)).astype(np.int32)
        self._lengths.append(lengths)

    def _number(self, hashes: Hashes, strings: list[str], fields: Ints) -> SmallInts:
        """Return the numbers of these runs; new ones get the next."""
        place, known = find(self._hashes, hashes)
        numbers, new = np.empty(len(hashes), dtype=np.int32), np.flatnonzero(~known)
        numbers[known] = self._numbers[place[known]]
        numbers[new] = len(self._strings) + np.arange(len(new))
        self._strings.extend(strings[i] for i in new.tolist())
        self._fields.append(fields[new])
        merged = np.concatenate([self._hashes, hashes[new]])
        order = np.argsort(merged, kind="stable")  # two sorted stretches: this merges them
        self._hashes, self._numbers = merged[order], np.concatenate([self._numbers, numbers[new]])[order]
        return numbers

    def packed(self, n_fields: int) -> PackedRuns:
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(self._lengths), dtype=np.int64)])
        run, begins = np.concatenate(self._runs), np.concatenate(self._begins)
        return PackedRuns(n_fields, self._strings, np.concatenate(self._fields), run, begins, offsets)
