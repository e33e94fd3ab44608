"""What the rows say about each target, counted by combination of labels.

Rows are many, their combinations of labels few: each row leaves the number of its combination (4 bytes), and labels,
kinds, labels a row and pairs of labels are counted once a combination. Everything that a hostile file could make grow
without end has a limit, and the report says where one was met.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tamis.data.checks.report import Cooccurrence, LabelCount, TargetReport
from tamis.schema import NONE_LABELS, Example, Kind

MOST_COMBINATIONS = 65_536
"""Combinations that are remembered; rows with further ones are counted at once, and compared as a whole."""

MOST_LABELS = 50_000
"""Labels of one target that are told apart."""

MOST_TARGETS = 1_000
"""Targets that are told apart."""

SHOWN_TOGETHER = 30
"""Labels, the most frequent, for which the report says how often they stand together."""

_MOST_PAIRS = 50_000
_WIDE = 50  # rows with more labels are left out of the pairs
_BEYOND = 1 << 31  # set in the number of a combination that is not remembered

_Combination = tuple[tuple[tuple[str, tuple[str, ...]], ...], frozenset[str]]
SplitCounts = defaultdict[str, int]


def _split_counts() -> SplitCounts:
    return defaultdict(int)


@dataclass(slots=True)
class _TargetTally:
    """One target: counts by split, and by label and split."""

    labels: dict[str, SplitCounts] = field(default_factory=dict)
    known: SplitCounts = field(default_factory=_split_counts)
    without: SplitCounts = field(default_factory=_split_counts)
    widths: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    as_list: int = 0
    as_string: int = 0
    overflow: bool = False

    def count(self, labels: Sequence[str], split: str, rows: int) -> None:
        unique = sorted(set(labels))
        self.known[split] += rows
        self.without[split] += 0 if unique else rows
        self.widths[split][len(unique)] += rows
        for label in unique:
            if label not in self.labels and len(self.labels) >= MOST_LABELS:
                self.overflow = True
                continue
            self.labels.setdefault(label, _split_counts())[split] += rows
        if 1 < len(unique) <= _WIDE:
            for pair in combinations(unique, 2):
                if pair in self.pairs or len(self.pairs) < _MOST_PAIRS:
                    self.pairs[pair] += rows


class LabelTally:
    """Counts of labels; `ids` has the number of each row's combination, in the order of the rows."""

    def __init__(self) -> None:
        """Start empty."""
        self._numbers: dict[_Combination, int] = {}
        self._keys: list[_Combination] = []
        self._ids = array("I")
        self._targets: dict[str, _TargetTally] = {}
        self._folded = 0
        self._renamed: dict[str, str] = {}
        self.rows: dict[str, int] = {}
        self.more_targets = False

    def add(self, example: Example, split: str) -> None:
        """Count one row."""
        key = (tuple(example.labels.items()), example.listed)
        number = self._numbers.get(key)
        if number is None:
            number = self._new(key, split)
        self._ids.append(number)

    def close(self, split: str) -> None:
        """Fold the rows since the last call into the counts of `split`: call it after each split.

        Where the first split has one target and this one has one of another name, they are the same.
        """
        ids = self.ids[self._folded :]
        self._folded += len(ids)
        counts = np.bincount(ids[ids < _BEYOND], minlength=len(self._keys))
        present = np.flatnonzero(counts).tolist()
        there = {target for number in present for target, _ in self._keys[number][0]}
        if self.rows and len(there) == len(self._targets) == 1 and not there & set(self._targets):
            self._renamed[there.pop()] = next(iter(self._targets))
        self.rows[split] = len(ids)
        for number in present:
            self._count(self._keys[number], split, int(counts[number]))

    @property
    def ids(self) -> NDArray[np.uint32]:
        """(n,) the number of each row's combination."""
        return np.frombuffer(self._ids, dtype=np.uint32)

    def target_of(self, given: str) -> str:
        """The name that a target of some split has in the first one."""
        return self._renamed.get(given, given)

    def disagreeing(self, ids: Sequence[int]) -> list[str]:
        """Targets for which rows with these combinations carry different labels ("" where it cannot be told which)."""
        different = set(ids)
        if len(different) < 2:
            return []
        if max(different) >= _BEYOND:
            return [""]
        seen: dict[str, set[frozenset[str]]] = {}
        for number in different:
            for target, labels in self._keys[number][0]:
                seen.setdefault(self.target_of(target), set()).add(frozenset(labels))
        return [target for target, sets in seen.items() if len(sets) > 1]

    def reports(self) -> tuple[TargetReport, ...]:
        """What was counted, a target each."""
        return tuple(self._report(name, tally) for name, tally in self._targets.items())

    def _new(self, key: _Combination, split: str) -> int:
        if len(self._keys) < MOST_COMBINATIONS:
            self._keys.append(key)
            self._numbers[key] = len(self._keys) - 1
            return len(self._keys) - 1
        self._count(key, split, 1)
        return _BEYOND | hash(frozenset((target, frozenset(labels)) for target, labels in key[0])) & (_BEYOND - 1)

    def _count(self, key: _Combination, split: str, rows: int) -> None:
        pairs, listed = key
        for given, labels in pairs:
            target = self.target_of(given)
            if target not in self._targets and len(self._targets) >= MOST_TARGETS:
                self.more_targets = True
                continue
            tally = self._targets.setdefault(target, _TargetTally())
            tally.count(labels, split, rows)
            tally.as_list += rows * (given in listed)
            tally.as_string += rows * (given not in listed)

    def _report(self, name: str, tally: _TargetTally) -> TargetReport:
        kind = Kind.MULTI_LABEL if tally.as_list else Kind.SINGLE_LABEL
        labels = _by_frequency(tally)
        none = tuple(sorted(label for label in labels if label.lower() in NONE_LABELS)) if tally.as_list else ()
        trained = np.array([rows["train"] for rows in labels.values() if rows.get("train")], dtype=np.float64)
        shares = trained / trained.sum() if len(trained) else trained
        return TargetReport(
            name=name,
            kind=kind,
            labels=tuple(LabelCount(label=label, rows=dict(rows)) for label, rows in labels.items()),
            none_labels=none,
            known={split: tally.known[split] for split in self.rows},
            unknown={split: rows - tally.known[split] for split, rows in self.rows.items()},
            without_label={split: tally.without[split] for split in self.rows},
            labels_per_row={split: dict(sorted(tally.widths[split].items())) for split in self.rows},
            as_list=tally.as_list,
            as_string=tally.as_string,
            ratio=round(float(trained.max() / trained.min()), 2) if len(trained) else None,
            effective_labels=round(float(np.exp(-(shares * np.log(shares)).sum())), 2) if len(trained) else None,
            more_labels=tally.overflow,
            other_names=tuple(given for given, target in self._renamed.items() if target == name),
            cooccurrence=_cooccurrence(tally, list(labels)) if tally.as_list else None,
        )


def _by_frequency(tally: _TargetTally) -> dict[str, SplitCounts]:
    """Labels with their counts, the most frequent first, equal ones by name."""
    return dict(sorted(tally.labels.items(), key=lambda item: (-sum(item[1].values()), item[0])))


def _cooccurrence(tally: _TargetTally, labels: Sequence[str]) -> Cooccurrence | None:
    shown = labels[:SHOWN_TOGETHER]
    if len(shown) < 2:
        return None
    rows = np.diag([sum(tally.labels[label].values()) for label in shown])
    for i, one in enumerate(shown):
        for j, other in enumerate(shown[:i]):
            rows[i, j] = rows[j, i] = tally.pairs[min(one, other), max(one, other)]
    return Cooccurrence(labels=tuple(shown), rows=tuple(map(tuple, rows.tolist())), of=len(labels))
