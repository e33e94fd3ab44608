"""Equal and similar texts in the light of splits and labels: repeats, overlaps, contradictions.

It works on the numbers that rows left behind, and names examples by row number; the survey reads their texts again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tamis.data.checks.labels import LabelTally
from tamis.data.checks.report import Likeness, Overlap, Repeats
from tamis.data.duplicates import Fingerprints, NearPairs, Rows, first_of, near_pairs

EXAMPLES = 5
"""Groups of rows that are shown for each finding."""

_DIFFERENT = 20  # label combinations of one text among which an example of a contradiction is looked for

Groups = list[tuple[int, ...]]


@dataclass(slots=True)
class Examples:
    """Rows to show, by the code of the finding (and the splits, for overlaps)."""

    groups: dict[tuple[str, ...], Groups] = field(default_factory=dict)

    def rows(self) -> set[int]:
        """All rows that are to be shown."""
        return {row for groups in self.groups.values() for group in groups for row in group}


def examine(prints: Fingerprints, tally: LabelTally, ends: Mapping[str, int]) -> tuple[Likeness, Examples]:
    """Compare the rows.

    Args:
        prints: hashes and sketches, (n,).
        tally: label combinations, (n,).
        ends: the first row after each split, in the order of the rows.
    """
    shown = Examples()
    if not len(prints):
        return Likeness(), shown
    first = first_of(prints.loose)
    pairs = near_pairs(prints.sketches, np.flatnonzero(first == np.arange(len(first))))
    slices = _slices(ends)
    conflicts, conflict_rows = _conflicts(first, tally, shown)
    likeness = Likeness(
        repeats=tuple(_repeats(split, rows, prints, pairs, shown) for split, rows in slices.items()),
        overlaps=tuple(_overlaps(slices, prints, pairs, shown)),
        conflicts=conflicts,
        conflict_rows=conflict_rows,
        near_conflicts=_near_conflicts(pairs, tally, shown),
    )
    return likeness, shown


def _slices(ends: Mapping[str, int]) -> dict[str, slice]:
    starts = [0, *ends.values()]
    return {split: slice(start, end) for start, (split, end) in zip(starts, ends.items(), strict=False)}


def _repeats(split: str, rows: slice, prints: Fingerprints, pairs: NearPairs, shown: Examples) -> Repeats:
    exact, loose = first_of(prints.exact[rows]), first_of(prints.loose[rows])
    order = np.arange(len(exact))
    again, again_loosely = np.flatnonzero(exact != order), np.flatnonzero((loose != order) & (exact == order))
    near = _within(pairs.later, rows) & _within(pairs.earlier, rows)
    start = rows.start
    _show(shown, "duplicates", exact[again] + start, again + start)
    _show(shown, "loose_duplicates", loose[again_loosely] + start, again_loosely + start)
    _show(shown, "near_duplicates", pairs.earlier[near], pairs.later[near])
    return Repeats(split=split, exact=len(again), loose=len(again_loosely), near=int(near.sum()))


def _overlaps(
    slices: Mapping[str, slice], prints: Fingerprints, pairs: NearPairs, shown: Examples
) -> Iterator[Overlap]:
    """Each split after the first against each one before it."""
    splits = list(slices.items())
    for place, (split, rows) in enumerate(splits):
        for other, before in splits[:place]:
            size = rows.stop - rows.start
            same = np.flatnonzero(np.isin(prints.loose[rows], prints.loose[before])) + rows.start
            near = _within(pairs.later, rows) & _within(pairs.earlier, before)
            twins = [int(np.flatnonzero(prints.loose[before] == prints.loose[row])[0]) for row in same[:EXAMPLES]]
            _show(shown, "overlap", np.array(twins, dtype=np.int64) + before.start, same, splits=(split, other))
            _show(shown, "near_overlap", pairs.earlier[near], pairs.later[near], splits=(split, other))
            share = round(len(same) / size, 4) if size else 0.0
            yield Overlap(split=split, other=other, same=len(same), near=int(near.sum()), share=share)


def _conflicts(first: Rows, tally: LabelTally, shown: Examples) -> tuple[int, int]:
    """Texts (but for case and spaces) that carry different labels for a target, and their rows."""
    ids = tally.ids
    again = np.flatnonzero(first != np.arange(len(first)))
    rows = np.concatenate([np.unique(first[again]), again])
    combined = np.unique(first[rows].astype(np.uint64) << np.uint64(32) | ids[rows].astype(np.uint64))
    texts = (combined >> np.uint64(32)).astype(np.int64)
    numbers = (combined & np.uint64(0xFFFFFFFF)).astype(np.int64)
    starts = np.flatnonzero(np.diff(texts, prepend=-1))
    lengths = np.diff(starts, append=len(texts))
    found = [
        int(texts[start])
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
        if length > 1 and tally.disagreeing(numbers[start : start + length].tolist())
    ]
    for text in found[:EXAMPLES]:
        _show_conflict(np.flatnonzero(first == text), tally, shown)
    return len(found), int(np.isin(first, found).sum()) if found else 0


def _show_conflict(rows: Rows, tally: LabelTally, shown: Examples) -> None:
    """Show the first two rows of a text that disagree."""
    numbers, places = np.unique(tally.ids[rows], return_index=True)
    candidates = sorted(zip(places.tolist(), numbers.tolist(), strict=True))[:_DIFFERENT]
    for (place, number), (other, other_number) in combinations(candidates, 2):
        if tally.disagreeing([number, other_number]):
            shown.groups.setdefault(("conflicting_labels",), []).append((int(rows[place]), int(rows[other])))
            return


def _near_conflicts(pairs: NearPairs, tally: LabelTally, shown: Examples) -> int:
    """Rows whose near duplicate carries different labels for a target."""
    one, other = tally.ids[pairs.later], tally.ids[pairs.earlier]
    combined = one.astype(np.uint64) << np.uint64(32) | other.astype(np.uint64)
    kinds, kind_of = np.unique(combined, return_inverse=True)
    differ = np.array(
        [int(kind) >> 32 != int(kind) & 0xFFFFFFFF and bool(tally.disagreeing(_halves(int(kind)))) for kind in kinds],
        dtype=bool,
    )
    conflict = differ[kind_of] if len(kinds) else np.zeros(0, dtype=bool)
    _show(shown, "near_conflicts", pairs.earlier[conflict], pairs.later[conflict])
    return int(conflict.sum())


def _halves(combined: int) -> list[int]:
    return [combined >> 32, combined & 0xFFFFFFFF]


def _within(rows: Rows, bounds: slice) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (rows >= bounds.start) & (rows < bounds.stop)
    return inside


def _show(shown: Examples, code: str, earlier: Rows, later: Rows, splits: tuple[str, ...] = ()) -> None:
    """Keep the first pairs as examples: they are read again soonest."""
    groups = shown.groups.setdefault((code, *splits), [])
    for one, other in zip(earlier[:EXAMPLES].tolist(), later[:EXAMPLES].tolist(), strict=True):
        if len(groups) < EXAMPLES:
            groups.append((one, other))
