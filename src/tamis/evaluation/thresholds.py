"""Decision rules fitted on held-out scores: from which score a label is given, and when to give no answer.

Scores are calibrated probabilities; a label is given where `score >= threshold`. The rules and the constants here were
chosen by the experiment "Thresholds a label" in docs/log.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tamis.evaluation.metrics import Bools, Doubles, Floats, LabelCounts, ratio

CUTS: Doubles = 1 / (1 + np.exp(-np.linspace(-5, 4, 91)))  # thresholds to choose from: 0.007 to 0.982, even in log-odds
LOWER: Doubles = 1 / (1 + np.exp(-np.linspace(-7, -5.1, 20)))
HIGHER: Doubles = 1 / (1 + np.exp(-np.linspace(4.1, 6, 20)))
FINE: Doubles = np.concatenate([LOWER, CUTS, HIGHER])  # CUTS and further out, 0.001 to 0.998: what counts are kept at
BINS = len(FINE) + 1  # scores below the lowest of them, between two of them, from the highest on
OBSERVED = 0.1  # share of what was observed against what the calibrated scores expect
PRIOR_ROWS = 3.0  # rows that speak for the shared threshold
MICRO_WEIGHT = 8.0  # of micro-F1 against macro-F1: rare labels are heard, frequent ones not sacrificed for them
SWEEPS = 5
BLOCK = 1_000_000  # scores held in double precision at a time


class F1Weights(NamedTuple):
    """How much micro-F1 and macro-F1 count where thresholds are chosen for F1."""

    micro: float
    macro: float


BOTH = F1Weights(MICRO_WEIGHT, 1.0)


class Curves(NamedTuple):
    """Rows at each threshold of `CUTS`, by label: (n_labels, cuts). `actual` and `expected_actual`: (n_labels,).

    `hits` were given the label and carry it, `expected` is the same as the scores expect it, `given` were given it.
    """

    hits: Doubles
    expected: Doubles
    given: Doubles
    actual: Doubles
    expected_actual: Doubles

    def f1(self) -> Doubles:
        """(n_labels, cuts) F1 as observed."""
        return ratio(2 * self.hits, self.given + self.actual[:, None])

    def shared_f1(self, weights: F1Weights = BOTH) -> Doubles:
        """(cuts,) micro-F1 plus macro-F1 of one threshold for all labels, each times its weight."""
        micro = ratio(2 * self.hits.sum(axis=0), self.given.sum(axis=0) + self.actual.sum())
        total: Doubles = weights.micro * micro + weights.macro * self.f1().mean(axis=0)
        return total

    def mixed(self) -> Curves:
        """The same with hits mostly as they are expected: what was observed varies from sample to sample."""
        hits = OBSERVED * self.hits + (1 - OBSERVED) * self.expected
        actual = OBSERVED * self.actual + (1 - OBSERVED) * self.expected_actual
        return self._replace(hits=hits, actual=actual)

    def of(self, labels: NDArray[np.intp]) -> Curves:
        """The same for some labels."""
        return Curves(*(each[labels] for each in self))

    def together(self) -> Curves:
        """All labels as if they were one."""
        return Curves(*(each.sum(axis=0, keepdims=True) for each in self))


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCounts:
    """Rows by label and by the bin of `FINE` that their score is in: all that choosing thresholds needs of rows.

    Only bins that have rows are kept. `place` (n,) is `label * BINS + bin`, ascending; `hits`, `expected` and `given`
    (n,) as in `Curves`, of that bin alone.
    """

    n_labels: int
    place: NDArray[np.int64]
    hits: Doubles
    expected: Doubles
    given: Doubles

    def curves(self) -> Curves:
        """What each threshold of `FINE` would give."""
        return self._above()[0]

    def common_curves(self) -> Curves:
        """What each threshold of `CUTS` would give."""
        curves, first = self._above()[0], len(LOWER)
        hits, expected, given = (each[:, first : first + len(CUTS)] for each in curves[:3])
        return Curves(hits, expected, given, *curves[3:])

    def at(self, thresholds: Floats) -> LabelCounts:
        """Count what a threshold a label (n_labels,) would give; between two thresholds of `FINE` in proportion."""
        curves, everything = self._above()
        inside = np.clip(thresholds.astype(np.float64), FINE[0], FINE[-1])
        where = np.interp(_log_odds(inside), _log_odds(FINE), np.arange(len(FINE)))
        low = np.minimum(where.astype(np.intp), len(FINE) - 2)
        share, row = where - low, np.arange(self.n_labels)
        hits, given = (
            np.where(thresholds <= 0, all_rows, (1 - share) * each[row, low] + share * each[row, low + 1])
            for each, all_rows in ((curves.hits, curves.actual), (curves.given, everything))
        )
        return LabelCounts(hits=hits, given=given, actual=curves.actual)

    def _above(self) -> tuple[Curves, Doubles]:
        """The curves, and (n_labels,) all rows."""
        sums = np.zeros((3, self.n_labels * BINS))
        sums[:, self.place] = self.hits, self.expected, self.given
        return _curves(sums, BINS), sums[2].reshape(self.n_labels, BINS).sum(axis=1)


def count_scores(
    scores: Floats, indicator: Bools, known: Bools | None = None, weights: Floats | None = None
) -> ScoreCounts:
    """Count rows by score; arguments as `fit_thresholds`."""
    sums = _histogram((scores, indicator, known, weights), FINE)
    place = np.flatnonzero(sums[2])
    return ScoreCounts(scores.shape[1], place, sums[0, place], sums[1, place], sums[2, place])


def fit_thresholds(
    scores: Floats, indicator: Bools, known: Bools | None = None, weights: Floats | None = None
) -> NDArray[np.float32]:
    """(n_labels,) thresholds that make micro-F1, and macro-F1 beside it, high on rows not seen yet.

    A label's own best threshold on the held-out rows follows their accidents. So F1 is computed mostly from the rows
    that calibrated scores *expect* to carry the label (the sum of the scores above a threshold), which hardly varies;
    macro-F1 / n_labels and micro-F1 are raised together, label by label, until nothing moves; and in log-odds each
    threshold is drawn towards the best shared one, as if `PRIOR_ROWS` rows spoke for it. A label without rows gets the
    shared threshold; if no row carries any label, all are 0.5.

    Args:
        scores: (n, n_labels) calibrated probabilities of held-out rows.
        indicator: (n, n_labels) whether the row carries the label.
        known: (n,) rows that say anything about the target; all, if not given.
        weights: (n,) how much each row counts beside the others; None: all the same.
    """
    return f1_thresholds(count_scores(scores, indicator, known, weights).common_curves())


def f1_thresholds(curves: Curves, weights: F1Weights = BOTH) -> NDArray[np.float32]:
    """(n_labels,) the thresholds of `fit_thresholds`, from counts at `CUTS`; `weights`: what counts."""
    if not curves.actual.any():
        return np.full(len(curves.actual), 0.5, dtype=np.float32)
    shared = int(curves.shared_f1(weights).argmax())
    mixed = curves.mixed()
    chosen = _raise_together(mixed.hits, mixed.given, mixed.actual, weights)
    return drawn(CUTS[chosen], CUTS[shared], curves.actual)


def drawn(
    own: Doubles, shared: Doubles | np.float64, actual: Doubles, prior: float = PRIOR_ROWS
) -> NDArray[np.float32]:
    """(n_labels,) thresholds between a label's own and a shared one, in log-odds.

    `prior` rows speak for the shared one, and as many for the label's own as carry it, `actual` (n_labels,).
    """
    weight = actual / (actual + prior)
    between = weight * _log_odds(own) + (1 - weight) * _log_odds(shared)
    return (1 / (1 + np.exp(-between))).astype(np.float32)


def fit_shared_threshold(scores: Floats, indicator: Bools, known: Bools | None = None) -> float:
    """Return the one threshold with the highest weighted micro-F1 plus macro-F1; arguments as `fit_thresholds`."""
    curves = threshold_curves(scores, indicator, known)
    return float(CUTS[curves.shared_f1().argmax()]) if curves.actual.any() else 0.5


def threshold_curves(
    scores: Floats, indicator: Bools, known: Bools | None = None, weights: Floats | None = None
) -> Curves:
    """Count what each threshold of `CUTS` would give; arguments as `fit_thresholds`."""
    return _curves(_histogram((scores, indicator, known, weights), CUTS), len(CUTS) + 1)


def _histogram(rows: tuple[Floats, Bools, Bools | None, Floats | None], cuts: Doubles) -> Doubles:
    """(3, n_labels * bins) rows that carry the label, are expected to, and all, by the bin that their score is in."""
    scores, indicator, known, weights = rows
    n_labels, size = scores.shape[1], len(cuts) + 1
    sums = np.zeros((3, n_labels * size))
    used = np.arange(len(scores)) if known is None else np.flatnonzero(known)
    relative = None if weights is None or not len(used) else weights / max(float(weights[used].mean()), 1e-12)
    step = max(1, BLOCK // max(1, n_labels))
    for start in range(0, len(used), step):
        block = used[start : start + step]
        values = scores[block].astype(np.float64)
        place = (np.searchsorted(cuts, values, side="right") + np.arange(n_labels) * size).ravel()
        each = None if relative is None else np.repeat(relative[block].astype(np.float64), n_labels)
        for total, of_row in zip(sums, (indicator[block].ravel(), values.ravel(), None), strict=True):
            counted = of_row if each is None else each if of_row is None else each * of_row
            total += np.bincount(place, weights=counted, minlength=len(total))
    return sums


def _curves(sums: Doubles, size: int) -> Curves:
    above = sums.reshape(3, -1, size)[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
    return Curves(above[0, :, 1:], above[1, :, 1:], above[2, :, 1:], above[0, :, 0], above[1, :, 0])


def _raise_together(hits: Doubles, given: Doubles, actual: Doubles, weights: F1Weights) -> NDArray[np.intp]:
    """(n_labels,) the place in `CUTS` for each label, by coordinate ascent on weighted micro-F1 plus macro-F1."""
    n_labels = len(hits)
    own = ratio(2 * hits, given + actual[:, None])
    chosen: NDArray[np.intp] = own.argmax(axis=1)
    row = np.arange(n_labels)
    lowest = (given == given[:, :1]).sum(axis=1) - 1  # a label that fits all rows: no lower than all rows score
    all_hits, all_given, everything = hits[row, chosen].sum(), given[row, chosen].sum(), actual.sum()
    for _ in range(SWEEPS):
        before = chosen.copy()
        for label in range(n_labels):
            other_hits = all_hits - hits[label, chosen[label]] + hits[label]
            other_given = all_given - given[label, chosen[label]] + given[label]
            micro = ratio(2 * other_hits, other_given + everything)
            both = weights.macro * own[label] / n_labels + weights.micro * micro
            best = int(lowest[label] + both[lowest[label] :].argmax())
            chosen[label], all_hits, all_given = best, other_hits[best], other_given[best]
        if (chosen == before).all():
            break
    return chosen


def _log_odds(probability: Doubles | np.float64) -> Doubles:
    odds: Doubles = np.asarray(np.log(probability / (1 - probability)))
    return odds


def decide(scores: Floats, thresholds: Floats | None) -> Bools:
    """(n, n_labels) which labels are given.

    Args:
        scores: (n, n_labels).
        thresholds: (n_labels,); None, for a single-label target: the label of the highest score is given.
    """
    if thresholds is not None:
        reached: Bools = scores >= thresholds
        return reached
    highest = np.zeros(scores.shape, dtype=np.bool_)
    highest[np.arange(len(scores)), scores.argmax(axis=1)] = True
    return highest


def fit_abstain(confidence: Floats, *, coverage: float = 0.97, weights: Floats | None = None) -> float:
    """Return the confidence below which no answer is given.

    The highest cut that leaves at least `coverage` of the held-out answers standing: it turns away as much of what is
    unlike the training data as that price allows. Ties are kept, so a cut never costs more than agreed; with fewer
    than `1 / (1 - coverage)` rows it costs none. 0 (always answer) without rows.

    Args:
        confidence: (n,) calibrated confidence of held-out rows that the model has a label for.
        coverage: share of them that must still be answered.
        weights: (n,) how much each row counts in that share; None: all the same.
    """
    if not len(confidence):
        return 0.0
    if weights is not None and weights.any():
        order = np.argsort(confidence, kind="stable")
        chosen = weights[order].astype(np.float64)
        before = (np.cumsum(chosen) - chosen) / chosen.sum()
        return float(confidence[order[np.searchsorted(before, 1 - coverage + 1e-9, side="right") - 1]])
    lost = int(len(confidence) * (1 - coverage) + 1e-9)
    return float(np.partition(confidence, lost)[lost]) if lost < len(confidence) else float(confidence.max())


def abstains(confidence: Floats, cut: float) -> Bools:
    """(n,) whether no answer is given. `confidence`: (n,), compared in single precision, as it is stored."""
    below: Bools = confidence.astype(np.float32) < np.float32(cut)
    return below
