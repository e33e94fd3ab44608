"""Scores of each row by a model that did not see it: k-fold cross-validation with our own static trainer.

Fits are made twice for small data: the second time, rows whose labels the first found doubtful weigh less, so that
wrong labels teach less. Large data is fitted on some of its rows, all rows are scored, and only what is needed of the
scores is kept. It knows neither findings nor what is done about them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset
from tamis.data.review.scores import Rows, Scores, gatherer, portions
from tamis.data.review.suspects import find_suspects, trusted
from tamis.data.splits import different_texts, folds
from tamis.data.truth import SingleTruth, Truth
from tamis.evaluation.calibration import fit_multi, fit_single, probabilities_multi, probabilities_single
from tamis.ml.progress import Listener, Progress
from tamis.ml.schedule import Hyperparameters
from tamis.ml.scorer import Floats, Scorer
from tamis.ml.static.base_model import StaticBase
from tamis.ml.tiers import tier
from tamis.ml.trained import Attended, Task

FOLDS = 3
TWICE_UP_TO = 20_000
"""Rows up to which all is fitted a second time, with doubtful rows weighing less."""

MOST_FITTED = 30_000
"""Rows that a fold's model is fitted to at most: more would make it a little better and take much longer."""

MOST_WATCHED = 2_000
"""Rows of a fold on which its model is watched and calibrated, at most."""

MOST_SCORES = 20_000_000
"""Rows x labels that are scored at a time; up to here all are, and calibrated together."""

ROWS_AT_ONCE = 20_000
LEAST_TEXTS = 4
"""Different texts below which nothing can be held out."""


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """What was said of rows by models that did not see them.

    Attributes:
        scores: by target.
        folds: how many fits each round had; 0 where there are too few texts to hold any out.
        rounds: 1, or 2 where doubtful rows weighed less the second time.
        fitted_rows: rows that each fit saw at most.
        seconds: wall time.
    """

    scores: Mapping[str, Scores]
    folds: int
    rounds: int
    fitted_rows: int
    seconds: float


def out_of_fold(
    data: Dataset, base: StaticBase, *, seed: int = 0, rounds: int | None = None, attended: Attended | None = None
) -> OutOfFold:
    """Return out-of-fold scores of all rows of `data`, of the rows too whose label is unknown.

    Args:
        data: labelled rows; at least one target can be learnt.
        base: the static base model to start from.
        seed: of the folds and the fits.
        rounds: 1 or 2; None decides by the number of rows.
        attended: told how far it is, may stop it.
    """
    begin = perf_counter()
    attended = attended or Attended()
    texts = different_texts(data)
    if texts < LEAST_TEXTS or not data.targets:
        return OutOfFold({}, 0, 0, 0, perf_counter() - begin)
    rounds = rounds or (2 if len(data) <= TWICE_UP_TO else 1)
    count = min(FOLDS if len(data) <= MOST_FITTED else 2, texts)
    fold = folds(data, count, seed)
    scores: dict[str, Scores] = {}
    weighted = data
    for number in range(rounds):
        told = replace(attended, listener=_part(attended.listener, number, rounds))
        scores = _scores(_Folds(weighted, fold, count, seed), base, told)
        if number + 1 < rounds:
            trust = trusted([find_suspects(each) for each in scores.values()], len(data))
            own = 1.0 if data.weights is None else data.weights
            weighted = replace(data, weights=(trust * own).astype(np.float32))
    fitted = min(MOST_FITTED, int(len(data) - np.bincount(fold).min()))
    return OutOfFold(scores, count, rounds, fitted, perf_counter() - begin)


def _part(listener: Listener, number: int, of: int) -> Listener:
    """Tell a round's progress as that of all rounds."""

    def told(progress: Progress) -> None:
        listener(replace(progress, share=(number + progress.share) / of))

    return told


@dataclass(frozen=True, slots=True, eq=False)
class _Folds:
    """Rows, and which fold each is in."""

    data: Dataset
    of_row: NDArray[np.int32]
    count: int
    seed: int

    def task(self, number: int) -> Task:
        """Return what the model of a fold learns, and is watched on."""
        inside = _some(np.flatnonzero(self.of_row != number), MOST_FITTED, self.seed)
        outside = _some(np.flatnonzero(self.of_row == number), MOST_WATCHED, self.seed)
        watched = replace(self.data.select(outside), weights=None)
        return Task(self.data.select(inside), watched, Hyperparameters(seed=self.seed))

    def portions(self, number: int) -> Iterator[Rows]:
        """Yield the rows that a fold's model scores, some at a time."""
        outside = np.flatnonzero(self.of_row == number)
        width = max(sum(len(target.labels) for target in self.data.targets), 1)
        for some in portions(len(outside), max(1, min(ROWS_AT_ONCE, MOST_SCORES // width))):
            yield outside[some]


def _some(rows: Rows, most: int, seed: int) -> Rows:
    """Return so many rows at most, drawn at random, ascending."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng([seed, 3]).choice(rows, most, replace=False))


def _scores(given: _Folds, base: StaticBase, attended: Attended) -> dict[str, Scores]:
    """Fit a model a fold and gather what it says of the rows outside."""
    data = given.data
    gatherers = {target.name: gatherer(data.truth[target.name]) for target in data.targets}
    width = sum(len(target.labels) for target in data.targets)
    whole = {name: np.zeros((len(data), each.n_labels), np.float32) for name, each in data.truth.items()}
    whole = whole if len(data) * width <= MOST_SCORES else {}
    for number in range(given.count):
        attended.check()
        begin, task = number / given.count, given.task(number)

        def told(progress: Progress, stage: str = f"fold {number + 1} of {given.count}", begin: float = begin) -> None:
            attended.listener(Progress(stage, begin + 0.9 * progress.share / given.count))

        scorer = tier("static").train(base, task, Attended(told, attended.check)).scorer
        calibrations = {} if whole else _calibrations(task.validation or task.train, scorer)
        for rows in given.portions(number):
            attended.check()
            found = scorer.logits([data.inputs[row] for row in rows.tolist()])
            for name, logits in ((name, found[name]) for name in data.truth):
                if whole:
                    whole[name][rows] = logits
                else:
                    gatherers[name].add(rows, calibrations[name](logits))
    for name, logits in whole.items():
        gatherers[name].add(np.arange(len(data)), _calibration(data.truth[name], logits)(logits))
    return {name: each.finish() for name, each in gatherers.items()}


Calibrated = Callable[[Floats], Floats]


def _calibrations(held: Dataset, scorer: Scorer) -> dict[str, Calibrated]:
    """Fit the scores of a model to rows that it did not see."""
    logits = scorer.logits(held.inputs)
    return {name: _calibration(truth, logits[name]) for name, truth in held.truth.items()}


def _calibration(truth: Truth, logits: Floats) -> Calibrated:
    """Return what makes logits probabilities."""
    if isinstance(truth, SingleTruth):
        return partial(probabilities_single, calibration=fit_single(logits, truth.codes))
    return partial(probabilities_multi, calibration=fit_multi(logits, truth.indicator(), truth.known))
