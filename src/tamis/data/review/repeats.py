"""Texts that stand more than once: repeats, contradictions, rows that stand in the test data too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.duplicates import Fingerprints, NearPairs, first_of, near_pairs
from tamis.data.review.corpus import Corpus
from tamis.data.review.edits import Edit, RemoveRow
from tamis.data.review.places import counted, place_of, shown
from tamis.data.review.report import Finding, Item
from tamis.data.review.scores import Rows

MANY = 0.05
"""Share of the rows from which repeats are a warning."""


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """What is alike among the rows of a corpus.

    Attributes:
        first: (n,) the first row with the same text, but for case and spaces.
        near: pairs of rows that are nearly alike.
    """

    first: Rows
    near: NearPairs


def find_repeats(corpus: Corpus, *, near: bool = True) -> Repeats:
    """Compare all rows."""
    prints: Fingerprints = corpus.fingerprints(near=near)
    first = first_of(prints.loose)
    pairs = near_pairs(prints.sketches, np.flatnonzero(first == np.arange(len(first))))
    return Repeats(first, pairs)


def repeat_findings(corpus: Corpus, repeats: Repeats) -> Iterator[Finding]:
    """Say what is alike."""
    yield from _conflicts(corpus, repeats)
    yield from _leaks(corpus, repeats)
    yield from _duplicates(corpus, repeats)
    yield from _near(corpus, repeats)
    yield from _near_leaks(corpus, repeats)


def duplicate_rows(repeats: Repeats, corpus: Corpus) -> tuple[Rows, Rows]:
    """Return the training rows that repeat an earlier one with the same labels, and these earlier ones."""
    n_train = len(corpus.train)
    later = np.flatnonzero(repeats.first[:n_train] != np.arange(n_train))
    earlier = repeats.first[later]
    alike = ~corpus.differ(later, earlier)
    return later[alike], earlier[alike]


def conflict_groups(repeats: Repeats, corpus: Corpus) -> Iterator[Rows]:
    """Yield the training rows of each text that carries different labels."""
    n_train = len(corpus.train)
    first = repeats.first[:n_train]
    later = np.flatnonzero(first != np.arange(n_train))
    texts = np.unique(first[later[corpus.differ(later, first[later])]])
    members = np.flatnonzero(np.isin(first, texts))
    order = members[np.argsort(first[members], kind="stable")]
    ends = np.flatnonzero(np.diff(first[order])) + 1
    yield from np.split(order, ends) if len(order) else ()


def decided(data: Dataset, rows: Rows) -> tuple[Rows, bool]:
    """Return which rows of one text to leave out, and whether its other rows have the majority."""
    said = [tuple(data.labels_of(target.name, int(row)) for target in data.targets) for row in rows]
    (most, count), *others = Counter(said).most_common()
    if others and others[0][1] == count:
        return rows, False
    return rows[[labels != most for labels in said]], True


def leaked_rows(repeats: Repeats, corpus: Corpus) -> tuple[Rows, Rows]:
    """Return the training rows whose text stands in another split too, and a row there."""
    n_train = len(corpus.train)
    beyond = np.arange(n_train, len(repeats.first))
    texts, where = np.unique(repeats.first[beyond], return_index=True)
    rows = np.flatnonzero(np.isin(repeats.first[:n_train], texts))
    return rows, beyond[where[np.searchsorted(texts, repeats.first[rows])]]


def _conflicts(corpus: Corpus, repeats: Repeats) -> Iterator[Finding]:
    items, rows, texts = list[Item](), 0, 0
    for group in conflict_groups(repeats, corpus):
        rows, texts = rows + len(group), texts + 1
        if len(items) < 1_000:
            removed, clear = decided(corpus.train, group)
            kept = np.setdiff1d(group, removed)
            edits: tuple[Edit, ...] = tuple(RemoveRow(row=row) for row in removed.tolist())
            order = [*removed.tolist(), *kept.tolist()][:10]
            told = "most rows say otherwise" if clear else "as many rows say one thing as another"
            items.append(Item(rows=tuple(place_of(corpus, row) for row in order), told=told, edits=edits))
    if texts:
        yield Finding(
            id="conflicts",
            code="conflicts",
            severity="warning",
            message=f"{counted(texts, 'text')} {'carries' if texts == 1 else 'carry'} different labels in different "
            f"rows ({counted(rows)}).",
            why="The same text cannot teach two things: the model learns to be unsure.",
            suggestion="Keep what most rows of the text say; where none has the majority, leave all of them out.",
            fix="conflicts",
            count=texts,
            items=tuple(items),
        )


def _leaks(corpus: Corpus, repeats: Repeats) -> Iterator[Finding]:
    rows, elsewhere = leaked_rows(repeats, corpus)
    if len(rows):
        splits = sorted({corpus.locate(int(row))[0] for row in np.unique(elsewhere)})
        items = tuple(
            Item(rows=(place_of(corpus, row), place_of(corpus, int(other))), edits=(RemoveRow(row=row),))
            for row, other in zip(shown(rows), elsewhere.tolist(), strict=False)
        )
        yield Finding(
            id="leaks",
            code="leaks",
            severity="warning",
            message=f"{counted(len(rows))} of the training data {'stands' if len(rows) == 1 else 'stand'} in the "
            f"{' and '.join(splits)} data too.",
            why="What is measured there flatters: the model has seen the answers.",
            suggestion="Leave these rows out of the training data.",
            fix="leaks",
            count=len(rows),
            items=items,
        )


def _duplicates(corpus: Corpus, repeats: Repeats) -> Iterator[Finding]:
    later, earlier = duplicate_rows(repeats, corpus)
    if len(later):
        items = tuple(
            Item(rows=(place_of(corpus, row), place_of(corpus, int(other))), edits=(RemoveRow(row=row),))
            for row, other in zip(shown(later), earlier.tolist(), strict=False)
        )
        yield Finding(
            id="duplicates",
            code="duplicates",
            severity="warning" if len(later) > MANY * len(corpus.train) else "info",
            message=f"{counted(len(later))} {'repeats' if len(later) == 1 else 'repeat'} an earlier row with the same "
            "labels, but for case and spaces.",
            why="A text that stands twice weighs twice.",
            suggestion="Keep the first row of each text.",
            fix="dedupe",
            count=len(later),
            items=items,
        )


def near_duplicate_rows(repeats: Repeats, corpus: Corpus) -> tuple[Rows, Rows]:
    """Return the training rows that nearly repeat an earlier one with the same labels, and these earlier ones."""
    later, earlier, differ = _near_in_training(repeats, corpus)
    return later[~differ], earlier[~differ]


def _near_in_training(repeats: Repeats, corpus: Corpus) -> tuple[Rows, Rows, np.ndarray]:
    inside = (repeats.near.later < len(corpus.train)) & (repeats.near.earlier < len(corpus.train))
    later, earlier = repeats.near.later[inside], repeats.near.earlier[inside]
    return later, earlier, corpus.differ(later, earlier)


def _near(corpus: Corpus, repeats: Repeats) -> Iterator[Finding]:
    later, earlier, differ = _near_in_training(repeats, corpus)
    for code, which, severity, message, why in (
        (
            "near_conflicts",
            differ,
            "warning",
            "nearly {repeat} an earlier row that is labelled otherwise",
            "A small difference in words seldom changes the meaning: some of these labels are likely to be wrong.",
        ),
        (
            "near_duplicates",
            ~differ,
            "info",
            "nearly {repeat} an earlier row with the same labels (an estimate)",
            "They teach little that is new.",
        ),
    ):
        rows, others = later[which], earlier[which]
        if len(rows):
            fix = None if code == "near_conflicts" else "near-duplicates"
            items = tuple(
                Item(
                    rows=(place_of(corpus, row), place_of(corpus, int(other))),
                    edits=(RemoveRow(row=row),) if fix else (),
                )
                for row, other in zip(shown(rows), others.tolist(), strict=False)
            )
            yield Finding(
                id=code,
                code=code,
                severity="warning" if severity == "warning" else "info",
                message=f"{counted(len(rows))} {message.format(repeat='repeats' if len(rows) == 1 else 'repeat')}.",
                why=why,
                suggestion="Keep the first of each." if fix else "Look at both rows and decide which label is right.",
                fix=fix,
                count=len(rows),
                items=items,
            )


def _near_leaks(corpus: Corpus, repeats: Repeats) -> Iterator[Finding]:
    """Rows to measure on that are nearly rows of the training data: an item for each of these."""
    n_train = len(corpus.train)
    across = (repeats.near.later >= n_train) & (repeats.near.earlier < n_train)
    rows, where = np.unique(repeats.near.earlier[across], return_index=True)
    elsewhere = repeats.near.later[across][where]
    if len(rows):
        count = int(across.sum())
        splits = sorted({corpus.locate(int(row))[0] for row in elsewhere})
        measured = sum(len(corpus.splits[split]) for split in splits)
        items = tuple(
            Item(rows=(place_of(corpus, row), place_of(corpus, int(other))), edits=(RemoveRow(row=row),))
            for row, other in zip(shown(rows), elsewhere.tolist(), strict=False)
        )
        yield Finding(
            id="near_leaks",
            code="near_leaks",
            severity="warning" if count > MANY * measured else "info",
            message=f"{counted(count)} of the {' and '.join(splits)} data nearly "
            f"{'repeats' if count == 1 else 'repeat'} {counted(len(rows))} of the training data (an estimate).",
            why="Where they are copies, what is measured there flatters.",
            suggestion="Leave the training rows out that are copies.",
            count=len(rows),
            items=items,
        )
