"""Thresholds for a purpose: a precision or recall that holds on rows not seen yet, a cost, F1, found from counts.

A floor is believed only where the rows show it: by a prior of `PRIOR` rows that are as the calibrated scores expect,
and the rows that were counted, of which there must be `LEAST`, the floor must be held with the probability `SURE`. The
treatment and its constants were chosen by the experiment "Thresholds for a purpose" in docs/log.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tamis.evaluation.metrics import Bools, Doubles, Floats, LabelCounts, ratio
from tamis.evaluation.objectives import Goal, Objective, Wanted
from tamis.evaluation.thresholds import BOTH, CUTS, FINE, Curves, F1Weights, ScoreCounts, drawn, f1_thresholds

SURE = 0.95
"""How probable it must be that a floor holds."""

PRIOR = 10.0
"""Rows that speak for what the calibrated scores expect."""

LEAST = 5.0
"""Rows that must have been given a label, or carry it, before its precision, or recall, is called known."""

ALIKE = 0.005
"""Differences of a share that are none, where no threshold holds the floor and the closest is taken."""

_F1 = {Goal.F1: BOTH, Goal.MICRO_F1: F1Weights(1.0, 0.0), Goal.MACRO_F1: F1Weights(0.0, 1.0)}

Found = tuple[NDArray[np.float32], Bools, Doubles]
"""(n_labels,) thresholds, whether the floor is held, the bound of what was asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Thresholds, and how far they keep what was asked for.

    Attributes:
        thresholds: (n_labels,).
        asked: the objective of each label; None where its threshold was left as it was, or given by hand.
        kept: (n_labels,) False where no threshold is known to hold the floor, so that the closest was taken.
        bound: (n_labels,) what precision or recall is at least, with the probability `SURE`; NaN without a floor, and
            where too few rows say anything of it.
    """

    thresholds: NDArray[np.float32]
    asked: tuple[Objective | None, ...]
    kept: Bools
    bound: Doubles


def choose(counts: ScoreCounts, wanted: Wanted, before: Floats) -> Chosen:
    """Return the thresholds of one target for what is wanted.

    Args:
        counts: of held-out rows, by calibrated score.
        wanted: of the labels.
        before: (n_labels,) thresholds of labels of which nothing is wanted.
    """
    thresholds = before.astype(np.float32)
    kept, bound = np.ones(counts.n_labels, dtype=bool), np.full(counts.n_labels, np.nan)
    asked: list[Objective | None] = [None] * counts.n_labels
    fine, common = counts.curves(), counts.common_curves()
    for objective, shared, labels in _groups(wanted, counts.n_labels):
        of = (fine.of(labels), common.of(labels))
        find = _shared if shared else _each
        thresholds[labels], kept[labels], bound[labels] = find(objective, *of)
        for label in labels.tolist():
            asked[label] = objective
    for label, threshold in wanted.fixed.items():
        thresholds[label] = threshold
    return Chosen(thresholds, tuple(asked), kept, bound)


def as_measured(made: Chosen, measured: LabelCounts, together: Collection[int] = ()) -> Chosen:
    """Return it without promises that the figures deny which are shown beside them: those are calibrated by other rows.

    Args:
        made: what was chosen.
        measured: what its thresholds give, by label.
        together: labels that share a threshold, and of all of which a floor is asked.
    """
    kept, bound = made.kept.copy(), made.bound.copy()
    shared = sorted(together)
    for place, objective in enumerate(made.asked):
        if objective is None or objective.floor is None:
            continue
        labels = shared if place in together else [place]
        of = measured.given if objective.goal is Goal.PRECISION else measured.actual
        rows = float(of[labels].sum())
        if rows > 0:
            share = float(measured.hits[labels].sum()) / rows
            kept[place] &= share >= objective.floor
            bound[place] = np.minimum(bound[place], share)
    return replace(made, kept=kept, bound=bound)


def _groups(wanted: Wanted, n_labels: int) -> Iterable[tuple[Objective, bool, NDArray[np.intp]]]:
    """The labels that share an objective, and whether they share a threshold too."""
    alone: dict[Objective, list[int]] = {}
    for label, objective in wanted.by_label.items():
        alone.setdefault(objective, []).append(label)
    for objective, labels in alone.items():
        yield objective, False, np.array(labels)
    rest = np.setdiff1d(np.arange(n_labels), [*wanted.by_label, *wanted.fixed])
    if wanted.objective is not None and len(rest):
        yield wanted.objective, wanted.shared, rest


def _each(objective: Objective, fine: Curves, common: Curves) -> Found:
    """A threshold for each label."""
    nothing = np.ones(len(fine.actual), dtype=bool), np.full(len(fine.actual), np.nan)
    if objective.goal in _F1:
        return f1_thresholds(common, _F1[objective.goal]), *nothing
    if objective.goal is Goal.COST:
        return _cheapest(objective, fine), *nothing
    thresholds, kept, bound = _holding(objective, fine)
    without = fine.actual <= 0
    if without.any():  # of a label that no row carries nothing is known: what is right for all labels together
        thresholds[without] = _holding(objective, fine.together())[0]
        kept[without], bound[without] = False, np.nan
    return thresholds, kept, bound


def _shared(objective: Objective, fine: Curves, common: Curves) -> Found:
    """One threshold: floors and costs are of all labels together."""
    n_labels = len(fine.actual)
    if objective.goal in _F1:
        best = CUTS[common.shared_f1(_F1[objective.goal]).argmax()] if common.actual.any() else 0.5
        return np.full(n_labels, best, np.float32), np.ones(n_labels, dtype=bool), np.full(n_labels, np.nan)
    found = _each(objective, fine.together(), common)
    return np.repeat(found[0], n_labels), np.repeat(found[1], n_labels), np.repeat(found[2], n_labels)


def _cheapest(objective: Objective, curves: Curves) -> NDArray[np.float32]:
    """(n_labels,) thresholds of the lowest cost, drawn to what is cheapest where scores are probabilities."""
    mixed = curves.mixed()
    cost = objective.fp * (mixed.given - mixed.hits) + objective.fn * (mixed.actual[:, None] - mixed.hits)
    ideal = np.float64(objective.fp / (objective.fp + objective.fn))
    own = FINE[cost.argmin(axis=1)]
    return drawn(own, np.clip(ideal, FINE[0], FINE[-1]), curves.actual, PRIOR)


def _holding(objective: Objective, curves: Curves) -> Found:
    """(n_labels,) thresholds that hold a floor of precision or recall, with the most of the other one."""
    high = objective.goal is Goal.RECALL  # the highest threshold that holds recall, the lowest that holds precision
    belief = _belief(objective.goal, curves)
    good = (belief.rows >= LEAST) & (belief.below(objective.floor or 0.0) <= 1 - SURE)
    kept: Bools = np.asarray(good.any(axis=1))
    best = _last(good) if high else good.argmax(axis=1)
    for label in np.flatnonzero(~kept).tolist():
        shares = np.where(belief.rows[label] > 0, belief.mean(label), -1.0)
        close = shares >= shares.max() - ALIKE
        best[label] = _last(close[None])[0] if high else close.argmax()
    at = (np.arange(len(best)), best)
    return FINE[best].astype(np.float32), kept, np.where(belief.rows[at] >= LEAST, belief.bound(at), np.nan)


def _last(marks: Bools) -> NDArray[np.intp]:
    last: NDArray[np.intp] = marks.shape[1] - 1 - marks[:, ::-1].argmax(axis=1)
    return last


@dataclass(frozen=True, slots=True, eq=False)
class _Belief:
    """What is believed of a share at each cut: a Beta distribution of (n_labels, cuts) `hits` and `misses`.

    `rows`: how many were counted.
    """

    hits: Doubles
    misses: Doubles
    rows: Doubles

    def below(self, floor: float) -> Doubles:
        """(n_labels, cuts) the probability that the share is below a floor."""
        from scipy.special import betainc

        return np.asarray(betainc(self.hits, self.misses, floor), dtype=np.float64)

    def mean(self, label: int) -> Doubles:
        """(cuts,) what is most to be expected of a label's share."""
        found: Doubles = self.hits[label] / (self.hits[label] + self.misses[label])
        return found

    def bound(self, at: tuple[NDArray[np.intp], NDArray[np.intp]]) -> Doubles:
        """What the share is at least, with the probability `SURE`, at some labels and cuts."""
        from scipy.special import betaincinv

        return np.asarray(betaincinv(self.hits[at], self.misses[at], 1 - SURE), dtype=np.float64)


def _belief(goal: Goal, curves: Curves) -> _Belief:
    """What rows and scores say of precision or recall."""
    if goal is Goal.PRECISION:
        of, scored = curves.given, curves.given
    else:
        of, scored = (
            np.broadcast_to(each[:, None], curves.hits.shape) for each in (curves.actual, curves.expected_actual)
        )
    expected = np.clip(ratio(curves.expected, scored, 0.5), 1e-4, 1 - 1e-4)
    return _Belief(curves.hits + PRIOR * expected, np.maximum(of - curves.hits, 0) + PRIOR * (1 - expected), of)


def figures_at(counts: ScoreCounts, thresholds: Floats, unseen: NDArray[np.int64]) -> LabelCounts:
    """Count what thresholds would give; labels that the model lacks (`unseen`: rows by label) come behind others."""
    found, none = counts.at(thresholds), np.zeros(len(unseen))
    return LabelCounts(
        hits=np.concatenate([found.hits, none]),
        given=np.concatenate([found.given, none]),
        actual=np.concatenate([found.actual, unseen.astype(np.float64)]),
    )
