"""From logits to answers: calibration, thresholds and the abstain rule of a target, fitted on held-out rows.

Only single-label targets abstain: a multi-label target already says "none of them" by giving no label. It does not
know where logits come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tamis.data.thinning import evenly
from tamis.data.truth import Bools, SingleTruth, Truth
from tamis.evaluation.answered import count_evidence
from tamis.evaluation.calibration import (
    Bins,
    MultiCalibration,
    SingleCalibration,
    cross_fitted_multi,
    cross_fitted_single,
    ece,
    fit_multi,
    fit_single,
    probabilities_multi,
    probabilities_single,
    reliability_bins,
)
from tamis.evaluation.evidence import Familiar, Weights, evidence, fit_weights
from tamis.evaluation.thresholds import abstains, f1_thresholds, fit_abstain
from tamis.ml.manifest import Abstain, Calibration, ChosenFor
from tamis.ml.schedule import DEFAULT_LOSS
from tamis.ml.scoping import narrowed
from tamis.ml.threshold_record import Held, count_held
from tamis.schema import Kind

Floats = NDArray[np.float32]

LEAST_ROWS = 10
"""Held-out rows below which nothing is fitted: scores stay as the training objective made them."""

MOST_SCORES = {Kind.SINGLE_LABEL: 25_000_000, Kind.MULTI_LABEL: 5_000_000}
"""Rows x labels that are looked at; a multi-label target has two numbers to fit a label, which takes longer."""

PLAIN_THRESHOLD = 0.5
BLOCK = 1_000_000  # rows x labels that are measured at a time


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """How a target's logits become answers, and how well that went on held-out rows.

    Attributes:
        calibration: affine in the logits.
        thresholds: (n_labels,) the score from which each label is given; None for a single-label target.
        chosen_for: what these were chosen for, where that was said.
        abstain: the rule for giving no answer, or None.
        ece_before: expected calibration error of the raw scores; None where nothing was held out.
        ece_after: the same of `scores`.
        truth: the held-out rows that were looked at: all, or evenly many where they are very many.
        scores: (n, n_labels) calibrated scores of these, each row's calibration fitted on other rows.
        evidence: (n,) what the rule looks at, by the calibration that serves; None without a rule.
        abstained: (n,) whether the rule gives no answer to these; None without a rule.
        held: counts by which thresholds, or the rule, can be chosen again.
    """

    calibration: Calibration = field(default_factory=Calibration)
    thresholds: tuple[float, ...] | None = None
    chosen_for: ChosenFor | None = None
    abstain: Abstain | None = None
    ece_before: float | None = None
    ece_after: float | None = None
    truth: Truth | None = None
    scores: Floats | None = None
    evidence: Floats | None = None
    abstained: Bools | None = None
    held: Held | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Abstaining:
    """What the abstain rule is to be fitted to.

    Attributes:
        loss: the share of in-scope answers that it may cost; 0: none, there is no rule.
        familiar: how familiar each held-out row is to what did not learn from it; None: not known.
        learnt: whether the last column of the logits, and the last label of the truth, is that of rows out of scope.
    """

    loss: float = DEFAULT_LOSS
    familiar: Familiar | None = None
    learnt: bool = False

    def select(self, rows: NDArray[np.intp]) -> Abstaining:
        """The same for some rows."""
        return self if self.familiar is None else replace(self, familiar=self.familiar.select(rows))


def fit_decisions(
    truth: Truth,
    logits: Floats,
    *,
    seed: int = 0,
    weights: Floats | None = None,
    abstaining: Abstaining | None = None,
    shift: bool = True,
) -> Decisions:
    """Return what turns logits into answers.

    Args:
        truth: the labels of held-out rows.
        logits: (n, n_labels) what the model says of them.
        seed: of the folds in which calibration is judged.
        weights: (n,) how much each row counts in what is fitted, as in training; None: all the same. What is measured
            (`ece_before`, `ece_after`) counts each row once.
        abstaining: of a single-label target: what to fit its abstain rule to.
        shift: whether calibration may add a number to each label's logit.
    """
    abstaining = abstaining or Abstaining()
    if int(truth.known.sum()) < LEAST_ROWS:
        return plain_decisions(truth)
    kind = Kind.SINGLE_LABEL if isinstance(truth, SingleTruth) else Kind.MULTI_LABEL
    most = max(LEAST_ROWS, MOST_SCORES[kind] // truth.n_labels)
    if len(truth) > most:
        rows = np.flatnonzero(truth.known | truth.out_of_scope if isinstance(truth, SingleTruth) else truth.known)
        rows = rows[evenly(len(rows), most)]
        truth, logits, weights = truth.select(rows), logits[rows], None if weights is None else weights[rows]
        abstaining = abstaining.select(rows)
    if isinstance(truth, SingleTruth):
        return _fit_single(truth, logits, seed, weights, abstaining, shift=shift)
    known, carried = truth.known, truth.indicator()
    calibration = fit_multi(logits, carried, known, weights, shift=shift)
    scores = cross_fitted_multi(logits, carried, known, seed=seed, weights=weights, shift=shift)
    held = count_held(truth, probabilities_multi(logits, calibration), scores, weights)
    return Decisions(
        calibration=Calibration(scale=_plain(calibration.scale), bias=_plain(calibration.bias)),
        thresholds=tuple(f1_thresholds(held.fit.common_curves()).tolist()),
        ece_before=raw_reliability(truth, logits).error(),
        ece_after=ece(scores[known], carried[known]),
        truth=truth,
        scores=scores,
        held=held,
    )


def plain_decisions(truth: Truth) -> Decisions:
    """Return the decisions of a target without held-out rows: scores as they come, thresholds of a half."""
    if isinstance(truth, SingleTruth):
        return Decisions()
    return Decisions(thresholds=(PLAIN_THRESHOLD,) * truth.n_labels)


def _fit_single(
    truth: SingleTruth, logits: Floats, seed: int, weights: Floats | None, abstaining: Abstaining, *, shift: bool
) -> Decisions:
    calibration = fit_single(logits, truth.codes, seed=seed, weights=weights, shift=shift)
    scores = cross_fitted_single(logits, truth.codes, seed=seed, weights=weights, shift=shift)
    served = probabilities_single(logits, calibration)
    if abstaining.learnt:
        truth = narrowed(truth)
        scores, served = scores[:, : truth.n_labels], served[:, : truth.n_labels]
    made = Decisions(
        calibration=Calibration(scale=(calibration.scale,), bias=_plain(calibration.bias)),
        ece_before=raw_reliability(truth, logits).error(),
        ece_after=_ece_single(truth, scores),
        truth=truth,
        scores=scores,
    )
    if abstaining.loss > 0:
        return _with_rule(made, truth, served, weights, abstaining)
    found = served.max(axis=1)
    return replace(made, held=count_evidence(truth, scores.argmax(axis=1), found, weights=weights))


def _with_rule(
    made: Decisions, truth: SingleTruth, served: Floats, weights: Floats | None, abstaining: Abstaining
) -> Decisions:
    """Return the decisions with an abstain rule; `served` (n, n_labels) are scores by the calibration that serves."""
    in_scope = (truth.codes >= 0) & (truth.codes < truth.n_labels)
    if made.scores is None or not in_scope.any():
        return made
    parts = fit_weights(served, abstaining.familiar, in_scope, learnt=abstaining.learnt)
    found = evidence(served, parts, abstaining.familiar)
    counted = None if weights is None else weights[in_scope]
    cut = fit_abstain(found[in_scope], coverage=1 - abstaining.loss, weights=counted)
    abstained = abstains(found, cut)
    some = counted is None or counted.any()
    answered = float(np.average(~abstained[in_scope], weights=counted)) if some else 1.0
    rule = Abstain(threshold=cut, coverage=round(answered, 6), evidence=parts, loss=abstaining.loss)
    held = count_evidence(truth, made.scores.argmax(axis=1), found, weights=weights, by=parts)
    return replace(made, abstain=rule, evidence=found, abstained=abstained, held=held)


def raw_reliability(truth: Truth, logits: Floats) -> Bins:
    """Return how far scores could be trusted before calibration: what `ece_before` is made of.

    Args:
        truth: the labels; unknown rows are left out.
        logits: (n, n_labels) what the model says of the same rows.
    """
    bins = reliability_bins(np.zeros(0), np.zeros(0))
    step = max(1, BLOCK // truth.n_labels)
    for first in range(0, len(truth), step):
        rows = first + np.flatnonzero(truth.known[first : first + step])
        part = truth.select(rows)
        if isinstance(part, SingleTruth):
            raw = calibrated(Kind.SINGLE_LABEL, Calibration(), logits[rows])
            bins += reliability_bins(raw.max(axis=1), raw.argmax(axis=1) == part.codes)
        else:
            bins += reliability_bins(calibrated(Kind.MULTI_LABEL, Calibration(), logits[rows]), part.indicator())
    return bins


def _ece_single(truth: SingleTruth, scores: Floats) -> float:
    known = truth.known
    right = scores[known].argmax(axis=1) == truth.codes[known]
    return ece(scores[known].max(axis=1), right)


def _plain(numbers: NDArray[np.floating]) -> tuple[float, ...]:
    """Numbers as JSON has them; one number where all are the same 0 (a bias that was not fitted)."""
    return (0.0,) if not numbers.any() else tuple(numbers.tolist())


def calibrated(kind: Kind, calibration: Calibration, logits: Floats) -> Floats:
    """(n, n_labels) float32 scores: softmax or sigmoid of `scale * logits + bias`."""
    return activation(kind, calibration)(logits)


def evidence_by(weights: Weights | None, scores: Floats, familiar: Familiar | None) -> Floats:
    """(n,) what a rule with these weights of evidence looks at in (n, n_labels) scores; None: the highest score."""
    return scores.max(axis=1) if weights is None else evidence(scores, weights, familiar)


def activation(kind: Kind, calibration: Calibration) -> Callable[[Floats], Floats]:
    """Return `calibrated` for one target, with what can be made ready once."""
    scale: Any = np.array(calibration.scale)  # one number or one a label: either way it broadcasts
    bias = np.array(calibration.bias)
    if kind is Kind.MULTI_LABEL:
        return partial(probabilities_multi, calibration=MultiCalibration(scale, bias))
    return partial(probabilities_single, calibration=SingleCalibration(float(scale[0]), bias))
