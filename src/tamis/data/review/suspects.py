"""Labels that are likely to be wrong, ranked by the evidence of out-of-fold scores.

The evidence is confident learning's (Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in
dataset labels"): what a model says of rows that it did not see tells, over all rows, how often one label stands in the
place of another. Where that paper counts confident rows and then sorts by each row's own margin, the posterior is
computed here, as Dawid and Skene (1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm")
do for annotators: with q(true | text) from the scores and T(given | true) the rate at which labels are exchanged,

    P(true | text, given) ~ q(true | text) T(given | true)

and T is estimated from these posteriors, in turns, drawn towards "nearly always right, any error as likely". A label
that stands for another again and again is thus found even where each row alone is uncertain, and scattered errors are
ranked by the scores alone. Scores are softened first: a model trained on wrong labels is too sure of them.

Multi-label targets have two rates a label: how often it is missing, how often it is given in vain.

It knows scores and labels, neither texts nor models. `docs/log.md` says how the constants were chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamis.data.review.scores import Codes, Floats, MultiScores, Rows, Scores, SingleScores, portions

SOFTENED = 1.3
"""The temperature at which calibrated scores are read."""

ERRORS_EXPECTED = 0.01
"""The share of wrong labels that is expected before the rows have been looked at."""

PRIOR_ROWS = 3.0
"""How much that expectation weighs, in times the mean rows of a label."""

BELIEVED = 20.0
"""What the odds of an error are multiplied by in the end: softened scores make them about so much too small."""

TURNS = 10
MOST_LABELS = 2_000
"""Labels beyond which all exchanges of labels count as equally likely: a table of their pairs is too large."""

_BLOCK = 65_536  # rows at a time


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """How likely the labels of each row are wrong, and what they are more likely to be.

    Attributes:
        score: (n,) float32 from 0 to 1; 0 where nothing can be said.
        proposed: (n,) int32: of a single-label target the label to give instead (-1: none), of a multi-label target
            the label whose presence or absence is most doubtful.
        cells: multi-label: rows, labels and scores (m,) of the doubtful cells, rows ascending; None for single-label.
    """

    score: Floats
    proposed: Codes
    cells: tuple[Rows, Codes, Floats] | None = None

    def ranked(self, least: float) -> Rows:
        """Return the rows that score at least so high, the most doubtful first."""
        rows = np.flatnonzero(self.score >= least)
        order: Rows = rows[np.argsort(-self.score[rows], kind="stable")]
        return order


def find_suspects(scores: Scores) -> Suspects:
    """Return how doubtful each row's labels are."""
    return _of_single(scores) if isinstance(scores, SingleScores) else _of_multi(scores)


def _of_single(scores: SingleScores) -> Suspects:
    rows = np.flatnonzero(scores.own)
    given = scores.labels[rows, 0]
    n_labels = scores.truth.n_labels
    exchange = _expected(n_labels)
    prior = PRIOR_ROWS * len(rows) / max(n_labels, 1)
    for _ in range(TURNS if n_labels <= MOST_LABELS else 0):
        counts = np.zeros((n_labels, n_labels))
        for some in portions(len(rows), _BLOCK):
            posterior = _posterior(scores, rows[some], given[some], exchange)
            labels = scores.labels[rows[some]].astype(np.int64)
            place = labels * n_labels + given[some, None]
            counts += np.bincount(place.ravel(), posterior.ravel(), n_labels**2).reshape(counts.shape)
        exchange = counts + prior * _expected(n_labels)
        exchange /= exchange.sum(axis=1, keepdims=True)
    score, proposed = np.zeros(len(scores), dtype=np.float32), np.full(len(scores), -1, dtype=np.int32)
    for some in portions(len(rows), _BLOCK) if n_labels > 1 else ():
        posterior = _posterior(scores, rows[some], given[some], exchange)
        score[rows[some]] = _believed(1 - posterior[:, 0])
        best = 1 + posterior[:, 1:].argmax(axis=1)
        proposed[rows[some]] = scores.labels[rows[some], best]
    return Suspects(score, proposed)


def _believed(doubt: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely an error is, from the posterior."""
    believed: NDArray[np.float64] = BELIEVED * doubt / (1 + (BELIEVED - 1) * doubt)
    return believed


def _expected(n_labels: int) -> NDArray[np.float64]:
    """(true, given): what is expected of labels before any row was seen; (1, 1) or a full table."""
    if n_labels > MOST_LABELS:
        return np.zeros((0, 0))
    table = np.full((n_labels, n_labels), ERRORS_EXPECTED / max(n_labels - 1, 1))
    np.fill_diagonal(table, 1 - ERRORS_EXPECTED if n_labels > 1 else 1.0)
    return table


def _posterior(scores: SingleScores, rows: Rows, given: Codes, exchange: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, kept) how likely each kept label is the true one; the row's own is the first."""
    labels = scores.labels[rows]
    joint = np.maximum(scores.probabilities[rows].astype(np.float64), 1e-7) ** (1 / SOFTENED)
    if len(exchange):
        joint *= exchange[labels, given[:, None]]
    else:
        joint[:, 0] *= (1 - ERRORS_EXPECTED) / ERRORS_EXPECTED * max(scores.truth.n_labels - 1, 1)
    joint /= joint.sum(axis=1, keepdims=True)
    return joint


def _of_multi(scores: MultiScores) -> Suspects:
    score, proposed = np.zeros(len(scores), dtype=np.float32), np.full(len(scores), -1, dtype=np.int32)
    likely = scores.probabilities.astype(np.float64).clip(1e-6, 1 - 1e-6)
    odds = (likely / (1 - likely)) ** (1 / SOFTENED)
    n_labels, known = scores.truth.n_labels, max(int(scores.truth.known.sum()), 1)
    carried = scores.truth.counts().astype(np.float64)
    missing, vain = np.full(n_labels, ERRORS_EXPECTED), np.full(n_labels, ERRORS_EXPECTED)
    prior = PRIOR_ROWS * carried.mean() if n_labels else 0.0
    for _ in range(TURNS):
        present = _presence(odds, scores, missing, vain)
        given = scores.carried
        right = np.bincount(scores.labels[given], present[given], n_labels)
        lacking = np.bincount(scores.labels[~given], present[~given], n_labels)
        wrong = np.maximum(carried - right, 0)
        missing = (lacking + prior * ERRORS_EXPECTED) / np.maximum(right + lacking + prior, 1e-9)
        # where a label is absent: all other rows, as far as they do not lack it wrongly
        absent = np.maximum(known - right - lacking, 1e-9)
        vain = (wrong + prior * ERRORS_EXPECTED * carried / known) / (absent + prior)
    present = _presence(odds, scores, missing, vain)
    doubt = _believed(np.where(scores.carried, 1 - present, present)).astype(np.float32)
    order = np.lexsort((doubt, scores.rows))
    last = np.ones(len(order), dtype=bool)
    last[:-1] = scores.rows[order][1:] != scores.rows[order][:-1]
    most = order[last]
    score[scores.rows[most]], proposed[scores.rows[most]] = doubt[most], scores.labels[most]
    return Suspects(score, proposed, (scores.rows, scores.labels, doubt))


def _presence(
    odds: NDArray[np.float64], scores: MultiScores, missing: NDArray[np.float64], vain: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(m,) how likely each cell's label truly belongs to its row."""
    lacks, spurious = missing[scores.labels], vain[scores.labels]
    told = np.where(scores.carried, (1 - lacks) / np.maximum(spurious, 1e-12), lacks / np.maximum(1 - spurious, 1e-12))
    both = odds * told
    present: NDArray[np.float64] = both / (1 + both)
    return present


def trusted(suspects: list[Suspects], n_rows: int, least: float = 0.02) -> Floats:
    """Return (n_rows,) how far each row's labels can be trusted, over all targets: a weight to train with."""
    weights = np.ones(n_rows, dtype=np.float32)
    for each in suspects:
        posterior = each.score / (each.score + np.float32(BELIEVED) * (1 - each.score))
        np.minimum(weights, 1 - posterior, out=weights)
    return np.maximum(weights, np.float32(least))


def confusions(scores: Scores) -> NDArray[np.float64] | None:
    """Return (given, said) the share of each label's rows that the scores take for each label; None for multi-label."""
    if not isinstance(scores, SingleScores) or scores.truth.n_labels > MOST_LABELS:
        return None
    n_labels = scores.truth.n_labels
    rows = np.flatnonzero(scores.own)
    best = scores.probabilities[rows].argmax(axis=1)
    given, said = scores.labels[rows, 0].astype(np.int64), scores.labels[rows, best]
    table = np.bincount(given * n_labels + said, minlength=n_labels**2).reshape(n_labels, n_labels).astype(np.float64)
    shares: NDArray[np.float64] = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    return shares
