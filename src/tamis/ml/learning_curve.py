"""Would more rows help, and which labels need them? Models of a part of the rows, measured on rows held out.

What twice the rows would bring is read off a power law of the error, a rule of thumb that holds well near the data
(Hestness et al. 2017, "Deep learning scaling is predictable, empirically").
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset
from tamis.data.review.report import CurvePoint, LabelNeed, LearningCurve
from tamis.data.splits import split_rows
from tamis.data.truth import SingleTruth, Truth
from tamis.ml.decisions import calibrated, fit_decisions, plain_decisions
from tamis.ml.progress import Progress
from tamis.ml.schedule import Hyperparameters
from tamis.ml.static.base_model import StaticBase
from tamis.ml.tiers import tier
from tamis.ml.trained import Attended, Task

SHARES = (0.125, 0.25, 0.5, 1.0)
HELD_OUT, MOST_HELD_OUT = 0.2, 5_000
MOST_ROWS = 40_000
"""Training rows of the largest model: a curve tells its course from fewer rows than very many."""

LEAST_ROWS = 40
MOST_NEEDS = 10
WORTH = 0.01
"""A gain from which it is said that more rows would help."""

_LEAST_OF_LABEL = 3  # held-out rows of a label from which its F1 is looked at


def learning_curve(
    data: Dataset, base: StaticBase, *, seed: int = 0, attended: Attended | None = None
) -> LearningCurve | None:
    """Return the curve; None where there are too few rows to hold any out.

    Args:
        data: the training data.
        base: the static base model to start from.
        seed: of what is held out and of the fits.
        attended: told how far it is, may stop it.
    """
    attended = attended or Attended()
    if len(data) < LEAST_ROWS:
        return None
    held_share = min(HELD_OUT, MOST_HELD_OUT / len(data))
    split = split_rows(data, {"train": 1 - held_share, "held": held_share}, seed, attended.check)
    held = data.select(split["held"])
    order = np.random.default_rng([seed, 4]).permutation(split["train"])[:MOST_ROWS]
    if not len(held):
        return None
    points, last = list[CurvePoint](), dict[str, Said]()
    for number, share in enumerate(SHARES):
        attended.check()
        attended.listener(Progress("learning curve", number / len(SHARES)))
        rows = np.sort(order[: max(int(share * len(order)), 1)])
        last = _said(data.select(rows), held, base, seed, attended)
        scores = {name: round(_quality(held.truth[name], said), 4) for name, said in last.items()}
        points.append(CurvePoint(rows=len(rows), share=share, scores=scores))
    doubled = {name: _doubled(points, name) for name in last}
    needs = _needs(data, held, last, doubled, points)
    metric = {target.name: "micro-F1" if target.is_multi else "accuracy" for target in data.targets}
    return LearningCurve(
        metric=metric,
        held_out=len(held),
        points=tuple(points),
        doubled=doubled,
        verdict=_verdict(metric, points, doubled),
        needs=needs,
    )


Said = NDArray[np.bool_]
"""(n, n_labels) whether a model gives each label to each row."""


def _said(train: Dataset, held: Dataset, base: StaticBase, seed: int, attended: Attended) -> dict[str, Said]:
    """Train on some rows as `tamis train` does, and return which labels the model gives to the held-out rows."""
    trained = tier("static").train(base, Task(train, None, Hyperparameters(seed=seed)), Attended(check=attended.check))
    logits, said = trained.scorer.logits(held.inputs), dict[str, Said]()
    for target in train.targets:
        own = trained.held_out
        made = fit_decisions(own.truth[target.name], own.logits[target.name]) if own else None
        made = made or plain_decisions(train.truth[target.name])
        scores = calibrated(target.kind, made.calibration, logits[target.name])
        if made.thresholds is None:
            said[target.name] = scores.argmax(axis=1)[:, None] == np.arange(scores.shape[1])
        else:
            said[target.name] = scores >= np.array(made.thresholds, dtype=np.float32)
    return said


def _quality(truth: Truth, said: Said) -> float:
    """Accuracy, or micro-F1."""
    rows = np.flatnonzero(truth.known)
    if not len(rows):
        return 0.0
    if isinstance(truth, SingleTruth):
        return float((said[rows].argmax(axis=1) == truth.codes[rows]).mean())
    wanted, given = truth.select(rows).indicator(), said[rows]
    return float(2 * (wanted & given).sum() / max(wanted.sum() + given.sum(), 1))


def _doubled(points: list[CurvePoint], name: str) -> float:
    """What twice the rows would bring: the error falls by the same factor with each doubling, as it did on average."""
    rows = np.log([point.rows for point in points])
    errors = np.array([max(1 - point.scores[name], 1e-4) for point in points])
    if len(set(rows.tolist())) < 2:
        return points[-1].scores[name]
    weights = np.sqrt([point.share for point in points])
    slope = min(float(np.polyfit(rows, np.log(errors), 1, w=weights)[0]), 0.0)
    return round(float(1 - errors[-1] * 2**slope), 4)


def _verdict(metric: Mapping[str, str], points: list[CurvePoint], doubled: Mapping[str, float]) -> str:
    gains = {name: doubled[name] - points[-1].scores[name] for name in doubled}
    best = max(gains, key=lambda name: gains[name], default="")
    if not best:
        return "There is nothing to measure."
    of = f" of {best!r}" if len(gains) > 1 else ""
    now, then = points[-1].scores[best], doubled[best]
    if gains[best] >= WORTH:
        return (
            f"More rows would help: with twice as many, expect an {metric[best]}{of} of about {then:.1%} instead of "
            f"{now:.1%}."
        ).replace("an micro", "a micro")
    return (
        f"More rows of the same kind would bring little: the {metric[best]}{of} is {now:.1%}, twice as many would give "
        f"about {then:.1%}."
    )


def _needs(
    data: Dataset,
    held: Dataset,
    said: Mapping[str, Said],
    doubled: Mapping[str, float],
    points: list[CurvePoint],
) -> tuple[LabelNeed, ...]:
    """The labels whose errors weigh most, as far as more rows would help at all."""
    needs = list[LabelNeed]()
    for target in data.targets:
        now, then = points[-1].scores[target.name], doubled[target.name]
        helped = (then - now) / max(1 - now, 1e-6)  # the share of the errors that goes
        rows = data.truth[target.name].counts()
        f1, held_rows = _f1(held.truth[target.name], said[target.name])
        typical = max(float(np.median(rows[rows > 0])) if (rows > 0).any() else 1.0, 1.0)
        for code in np.flatnonzero((held_rows >= _LEAST_OF_LABEL) & (f1 < 1)).tolist():
            # few rows gain more: an error falls with the rows that there are
            gain = helped * (1 - f1[code]) * min(float(np.sqrt(typical / max(rows[code], 1))), 4.0)
            label = target.labels[code]
            needs.append(
                LabelNeed(
                    target=target.name,
                    label=label,
                    rows=int(rows[code]),
                    f1=round(float(f1[code]), 4),
                    gain=round(min(float(gain), float(1 - f1[code])), 4),
                )
            )
    needs.sort(key=lambda need: -need.gain)
    return tuple(needs[:MOST_NEEDS])


def _f1(truth: Truth, said: Said) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(n_labels,) F1 of each label, and its held-out rows."""
    rows, n_labels = np.flatnonzero(truth.known), truth.n_labels
    if isinstance(truth, SingleTruth):
        codes, answers = truth.codes[rows], said[rows].argmax(axis=1)
        inside = codes < n_labels
        wanted = np.bincount(codes[inside], minlength=n_labels)
        hits = np.bincount(codes[codes == answers], minlength=n_labels)
        given = np.bincount(answers, minlength=n_labels)
    else:
        carried, answered = truth.select(rows).indicator(), said[rows]
        wanted, given, hits = carried.sum(axis=0), answered.sum(axis=0), (carried & answered).sum(axis=0)
    return 2 * hits / np.maximum(wanted + given, 1), wanted.astype(np.int64)
