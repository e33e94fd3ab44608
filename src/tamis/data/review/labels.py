"""Labels that make trouble: one name written in two ways, too few rows, hard to tell apart, none beside others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tamis.data.label_names import same_names, similar_names
from tamis.data.review.corpus import Corpus
from tamis.data.review.edits import Edit, RenameLabel, SetLabels
from tamis.data.review.places import counted, first_items, named, place_of, shown
from tamis.data.review.report import Finding, Item
from tamis.data.review.scores import Rows, Scores
from tamis.data.review.suspects import confusions
from tamis.data.truth import MultiTruth
from tamis.schema import NONE_LABELS, Target

FEW = 10
"""Rows of a label below which it is named."""

CONFUSED, LEAST_CONFUSED = 0.25, 4
"""Share of the rows of two labels that are taken for the other from which they are named, and rows at least."""

_RARE, _UNEVEN, _MUCH_NONE = 0.1, 10.0, 0.5
_MOST_TOGETHER = 2_000  # labels up to which pairs are counted


def label_findings(corpus: Corpus, scores: dict[str, Scores]) -> Iterator[Finding]:
    """Say what is wrong with the labels of the training data."""
    for target in corpus.train.targets:
        counts = corpus.train.truth[target.name].counts()
        yield from _same_names(target, counts)
        yield from _slips(target, counts)
        yield from _few(corpus, target, counts)
        yield from _uneven(target, counts)
        if target.name in scores:
            yield from _confused(target, scores[target.name])
        truth = corpus.train.truth[target.name]
        if isinstance(truth, MultiTruth):
            yield from _beside_none(corpus, target, truth)
            yield from _never_alone(target, truth, counts)
            yield from _unknown_or_none(target, truth)


def merged_names(target: Target, counts: np.ndarray) -> dict[str, str]:
    """Return which labels to call by which other name: that of the most rows among those that seem the same."""
    rows = dict(zip(target.labels, counts.tolist(), strict=True))
    names = dict[str, str]()
    for group in same_names(target.labels):
        best = max(group, key=lambda label: (rows[label], -group.index(label)))
        names |= {label: best for label in group if label != best}
    return names


def none_labels_of(target: Target) -> set[str]:
    """Return the labels that mean "nothing applies"; of a single-label target those with the usual names."""
    return set(target.none_labels) or {label for label in target.labels if label.lower() in NONE_LABELS}


def beside_none(target: Target, truth: MultiTruth) -> Rows:
    """Return the rows that carry a none label and another one."""
    codes = [code for code, label in enumerate(target.labels) if label in none_labels_of(target)]
    if not codes:
        return np.zeros(0, dtype=np.int64)
    row = np.repeat(np.arange(len(truth)), np.diff(truth.offsets))
    is_none = np.isin(truth.codes, codes)
    none, some = np.zeros(len(truth), dtype=bool), np.zeros(len(truth), dtype=bool)
    none[row[is_none]], some[row[~is_none]] = True, True
    return np.flatnonzero(none & some)


def _same_names(target: Target, counts: np.ndarray) -> Iterator[Finding]:
    names, rows = merged_names(target, counts), dict(zip(target.labels, counts.tolist(), strict=True))
    if names:
        items = [
            Item(
                told=f"{label!r} ({counted(rows[label])}) and {into!r} ({counted(rows[into])})",
                proposed=(into,),
                edits=(RenameLabel(target=target.name, label=label, into=into),),
            )
            for label, into in names.items()
        ]
        yield Finding(
            id=f"same_names:{target.name}",
            code="same_names",
            severity="warning",
            target=target.name,
            message=f"{counted(len(names), 'label')} of {target.name!r} {'differs' if len(names) == 1 else 'differ'} "
            "from another only in case, spaces or plural.",
            why="The model is taught to tell apart what is the same.",
            suggestion="Call each by the name that has more rows.",
            fix="labels",
            count=len(names),
            items=first_items(items),
        )


def _slips(target: Target, counts: np.ndarray) -> Iterator[Finding]:
    rows, items = dict(zip(target.labels, counts.tolist(), strict=True)), list[Item]()
    for pair in similar_names(target.labels):
        rare, usual = sorted(pair, key=lambda label: rows[label])
        if rows[rare] <= max(2, _RARE * rows[usual]):
            edits: tuple[Edit, ...] = (RenameLabel(target=target.name, label=rare, into=usual),)
            told = f"{rare!r} ({counted(rows[rare])}), perhaps {usual!r} ({counted(rows[usual])})"
            items.append(Item(told=told, proposed=(usual,), edits=edits))
    if items:
        yield Finding(
            id=f"misspelt_names:{target.name}",
            code="misspelt_names",
            severity="warning",
            target=target.name,
            message=f"{counted(len(items), 'rare label')} of {target.name!r} {'is' if len(items) == 1 else 'are'} "
            "written almost like a frequent one.",
            why="A slip of the pen makes a label of its own.",
            suggestion="Call it by the frequent name, if that is what was meant.",
            count=len(items),
            items=first_items(items),
        )


def _few(corpus: Corpus, target: Target, counts: np.ndarray) -> Iterator[Finding]:
    few = [(label, rows) for label, rows in zip(target.labels, counts.tolist(), strict=True) if rows < FEW]
    few.sort(key=lambda each: each[1])
    if few and len(corpus.train) >= FEW:
        yield Finding(
            id=f"few_rows:{target.name}",
            code="few_rows",
            severity="warning" if len(few) > len(target.labels) / 2 or few[0][1] < 2 else "info",
            target=target.name,
            message=f"{counted(len(few), 'label')} of {target.name!r} {'has' if len(few) == 1 else 'have'} fewer than "
            f"{FEW} rows: {named([label for label, _ in few])}.",
            why="They can hardly be learnt, and how well cannot be measured.",
            suggestion=f"Add rows (best), merge labels, or leave these out: drop-rare={FEW}.",
            fix=f"drop-rare={FEW}",
            count=len(few),
            items=first_items([Item(told=f"{label!r}: {counted(rows)}") for label, rows in few]),
        )


def _uneven(target: Target, counts: np.ndarray) -> Iterator[Finding]:
    there = counts[counts > 0]
    if len(there) < 3:
        return
    cap = int(_UNEVEN * max(np.median(there), FEW))
    over = [(label, rows) for label, rows in zip(target.labels, counts.tolist(), strict=True) if rows > cap]
    if over:
        over.sort(key=lambda each: -each[1])
        yield Finding(
            id=f"uneven:{target.name}",
            code="uneven",
            severity="info",
            target=target.name,
            message=f"{counted(len(over), 'label')} of {target.name!r} {'has' if len(over) == 1 else 'have'} more than "
            f"{_UNEVEN:.0f} times the rows of the usual label: {named([label for label, _ in over])}.",
            why="Rare labels lose against them, and the accuracy says little about the rest.",
            suggestion=f"Keep at most {cap:,} rows of a label: cap-label:{target.name}={cap}. Only if the rows to come "
            "are more even than these.",
            count=len(over),
            items=first_items([Item(told=f"{label!r}: {counted(rows)}") for label, rows in over]),
        )


def _confused(target: Target, scores: Scores) -> Iterator[Finding]:
    table = confusions(scores)
    if table is None:
        return
    rows = scores.truth.counts()[: len(table)]
    mistaken = table * rows[:, None]
    np.fill_diagonal(mistaken, 0)
    both = np.triu(mistaken + mistaken.T)
    share = both / np.maximum(rows[:, None] + rows[None, :], 1)
    # of the smaller label, how many rows: a big label swallows a small one whole
    small = both / np.maximum(np.minimum(rows[:, None], rows[None, :]), 1)
    one, other = np.nonzero(((share >= CONFUSED) | (small >= 2 * CONFUSED)) & (both >= LEAST_CONFUSED))
    order = np.argsort(-both[one, other], kind="stable")
    pairs = [(int(one[place]), int(other[place])) for place in order]
    if pairs:
        items = [
            Item(
                told=f"{target.labels[a]!r} and {target.labels[b]!r}: {counted(int(both[a, b]))} of "
                f"{int(rows[a] + rows[b]):,} taken for the other"
            )
            for a, b in pairs
        ]
        yield Finding(
            id=f"hard_to_tell:{target.name}",
            code="hard_to_tell",
            severity="info",
            target=target.name,
            message=f"{counted(len(pairs), 'pair')} of labels of {target.name!r} "
            f"{'is' if len(pairs) == 1 else 'are'} hard to tell apart.",
            why="A model that had not seen these rows took many of one for the other.",
            suggestion="Say more clearly which is for what and relabel, or make one label of the two.",
            count=len(pairs),
            items=first_items(items),
        )


def _beside_none(corpus: Corpus, target: Target, truth: MultiTruth) -> Iterator[Finding]:
    rows, none = beside_none(target, truth), none_labels_of(target)
    if len(rows):
        items = []
        for row in shown(rows):
            others = tuple(label for label in corpus.train.labels_of(target.name, row) or () if label not in none)
            edit = SetLabels(row=row, target=target.name, labels=others)
            items.append(Item(rows=(place_of(corpus, row),), proposed=others, edits=(edit,)))
        yield Finding(
            id=f"beside_none:{target.name}",
            code="beside_none",
            severity="warning",
            target=target.name,
            message=f"{counted(len(rows))} {'carries' if len(rows) == 1 else 'carry'} a label that means “nothing "
            f"applies” ({', '.join(sorted(none))}) beside others of {target.name!r}.",
            why="Both cannot be true.",
            suggestion="Take the none label away and keep the others.",
            fix="none-labels",
            count=len(rows),
            items=tuple(items),
        )


def _never_alone(target: Target, truth: MultiTruth, counts: np.ndarray) -> Iterator[Finding]:
    if len(target.labels) > _MOST_TOGETHER or len(target.labels) < 2:
        return
    widths = np.diff(truth.offsets)
    row = np.repeat(np.arange(len(truth)), widths)
    alone = np.bincount(truth.codes[(widths[row] == 1)], minlength=len(counts))[: len(counts)]
    items = []
    for code in np.flatnonzero((alone == 0) & (counts >= FEW)).tolist():
        beside = truth.select(np.unique(row[truth.codes == code])).counts()
        beside[code] = 0
        partner = int(beside.argmax())
        always = "always" if beside[partner] == counts[code] else f"{beside[partner] / counts[code]:.0%}"
        told = f"{target.labels[code]!r} ({counted(int(counts[code]))}): {always} with {target.labels[partner]!r}"
        items.append(Item(told=told))
    if items:
        yield Finding(
            id=f"never_alone:{target.name}",
            code="never_alone",
            severity="info",
            target=target.name,
            message=f"{counted(len(items), 'label')} of {target.name!r} never "
            f"{'stands' if len(items) == 1 else 'stand'} alone in a row.",
            why="The model cannot learn what is special about it: it learns what it stands beside.",
            suggestion="Add rows that carry it alone, if there can be such.",
            count=len(items),
            items=first_items(items),
        )


def _unknown_or_none(target: Target, truth: MultiTruth) -> Iterator[Finding]:
    bare = int(((np.diff(truth.offsets) == 0) & truth.known).sum())
    unknown = int((~truth.known).sum())
    none = [code for code, label in enumerate(target.labels) if label in none_labels_of(target)]
    labelled_none = int(np.isin(truth.codes, none).sum()) if none else 0
    ways = [
        told
        for told, count in (
            (f"as unknown ({counted(unknown)})", unknown),
            (f"as an empty list ({counted(bare)})", bare),
            (f"by a none label ({counted(labelled_none)})", labelled_none),
        )
        if count
    ]
    if len(ways) > 1:
        yield Finding(
            id=f"unknown_or_none:{target.name}",
            code="unknown_or_none",
            severity="info",
            target=target.name,
            message=f"That no label of {target.name!r} applies seems to be said in {len(ways)} ways: "
            f"{', '.join(ways)}.",
            why="Unknown rows teach nothing; empty lists and none labels both teach “none of them”.",
            suggestion="Say it in one way. In tables, --empty-means-none reads empty cells as “none”.",
            count=unknown + bare + labelled_none,
        )
