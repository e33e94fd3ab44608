"""Rows whose labels are likely to be wrong, as findings: what to give instead, and which rows speak for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.review.corpus import TRAIN, Corpus
from tamis.data.review.edits import SetLabels
from tamis.data.review.places import counted, place_of, shown
from tamis.data.review.report import Finding, Item
from tamis.data.review.scores import Rows
from tamis.data.review.suspects import Suspects
from tamis.data.truth import SingleTruth

LIKELY = 0.5
"""Score from which a row is named."""

MANY = 0.02
"""Share of the rows from which it is a warning."""

Supporting = Callable[[Rows, list[tuple[str, ...]]], list[list[int]]]
"""From rows and the labels proposed for each to the nearest rows that carry these."""


def suspect_findings(
    corpus: Corpus, suspects: Mapping[str, Suspects], supporting: Mapping[str, Supporting]
) -> Iterator[Finding]:
    """Say which labels are likely to be wrong, by target."""
    for name, each in suspects.items():
        rows = each.ranked(LIKELY)
        if not len(rows):
            continue
        known = max(int(corpus.train.truth[name].known.sum()), 1)
        kept = np.array(shown(rows))
        proposed = [proposal(corpus, name, each, row) for row in kept.tolist()]
        near = supporting[name](kept, proposed) if name in supporting else [[] for _ in proposed]
        items = tuple(
            Item(
                rows=(place_of(corpus, row), *(place_of(corpus, other) for other in others)),
                score=round(float(each.score[row]), 4),
                proposed=labels,
                edits=(SetLabels(row=row, target=name, labels=labels),),
            )
            for row, labels, others in zip(kept.tolist(), proposed, near, strict=True)
        )
        yield Finding(
            id=f"suspects:{name}",
            code="suspects",
            severity="warning" if len(rows) >= MANY * known or each.score.max() >= 0.9 else "info",
            target=name,
            message=f"{counted(len(rows))} of {known:,} {'is' if len(rows) == 1 else 'are'} likely to carry the wrong "
            f"label of {name!r}.",
            why="Models that had not seen these rows, and the way labels stand for one another in all rows, say so.",
            suggestion="Give the label proposed. Look at them first: the surest stand on top.",
            fix=f"suspects:{name}",
            count=len(rows),
            items=items,
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """A row, what it should carry instead, and how likely its own labels are wrong."""

    row: int
    labels: tuple[str, ...]
    score: float


def proposals(data: Dataset, target: str, suspects: Suspects, least: float = LIKELY) -> list[Proposal]:
    """Return what is proposed for a target, the surest first."""
    corpus = Corpus({TRAIN: data})
    return [
        Proposal(row, proposal(corpus, target, suspects, row), float(suspects.score[row]))
        for row in suspects.ranked(max(least, 1e-6)).tolist()
    ]


def proposal(corpus: Corpus, target: str, suspects: Suspects, row: int) -> tuple[str, ...]:
    """Return the labels to give a row instead of its own."""
    truth, names = corpus.train.truth[target], corpus.train.target(target).labels
    if isinstance(truth, SingleTruth):
        return (names[int(suspects.proposed[row])],)
    own = list(corpus.train.labels_of(target, row) or ())
    for label in doubtful_cells(suspects, row):
        name = names[label]
        if name in own:
            own.remove(name)
        else:
            own.append(name)
    return tuple(own)


def doubtful_cells(suspects: Suspects, row: int) -> list[int]:
    """Return the labels of a multi-label row whose presence or absence is likely to be wrong."""
    if suspects.cells is None:
        return []
    rows, labels, scores = suspects.cells
    first, last = np.searchsorted(rows, [row, row + 1])
    return [int(label) for label, score in zip(labels[first:last], scores[first:last], strict=True) if score >= LIKELY]
