"""How a run holds rows out, and uses every row in the end: in both tiers the same, only the fits differ.

Three ways. A validation set is given: all training rows are fitted once and judged on it. Many rows: a share is held
out, and the fit then goes on with all rows, or begins again with them. Few rows: cross-validation, then one fit to all
rows. Either way there is what a fit said of rows that it did not see, which calibration and thresholds are fitted on.

How many rows are held out, and in how many parts, is a tier's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset
from tamis.data.splits import different_texts, folds, split_rows
from tamis.data.truth import SingleTruth, Truth
from tamis.ml.curve import Checkpoint, Outcome, averaged
from tamis.ml.progress import Progress
from tamis.ml.restart import State
from tamis.ml.schedule import Plan
from tamis.ml.tensors import Tensor
from tamis.ml.trained import Attended

Ints = NDArray[np.int64]

FEW_ROWS = 10
"""Below, nothing can be held out."""

ENOUGH_TO_CALIBRATE = 50
"""Validation rows of a target below which training rows are held out too: fewer calibrate worse (`docs/log.md`)."""

BEGIN, SMALL, HELD, END = 0.05, 0.4, 0.75, 0.95
"""How much of a run is behind: when fits begin; after a small validation set; when rows were held out; in the end."""

MORE_RATE = 0.5
"""At which part of the rate a fit goes on with the rows that were held out."""

HELD_OUT = "held out"
"""The restart point of a fit of which rows are held out once."""

VALIDATION = "the validation data"
NOTHING_TO_VALIDATE = (
    "No row of the validation data carries a label of the training data: it was left aside, and rows of the training "
    "data were held out instead."
)

F = TypeVar("F")
"""What a tier's fit leaves."""


class Part(Protocol):
    """Some rows, made ready for a tier's fits."""

    @property
    def data(self) -> Dataset:
        """The rows."""

    @property
    def tokens(self) -> int:
        """Tokens of all rows."""

    def select(self, rows: Ints, /) -> Self:
        """The same for some rows."""


P = TypeVar("P", bound=Part)
P_contra = TypeVar("P_contra", bound=Part, contravariant=True)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fit stands in the run.

    Attributes:
        name: among the restart points.
        begin: the share of progress when it begins.
        end: that when it ends.
        fold: whether it is one of several that are watched, or of all rows after one that was.
        rehearses: whether a fit to all rows follows, which goes as far as it does by itself: what is said of the rows
            that it did not see is to be true of that one.
        told: of several, which one, for whoever watches.
    """

    name: str
    begin: float
    end: float
    fold: bool = False
    rehearses: bool = False
    told: str = ""

    def share(self, done: float) -> float:
        """How much of the run is behind when so much of the fit is."""
        return self.begin + (self.end - self.begin) * done


@dataclass(frozen=True, slots=True, eq=False)
class Watched(Generic[F]):
    """A fit as it was when it was best, how it went, and what it said then of the rows that it did not see.

    `said` are arrays by name, with a row for each of these rows.
    """

    fit: F
    outcome: Outcome
    said: Mapping[str, Tensor]


class Fits(Protocol[P_contra, F]):
    """The fits of a run, one after the other."""

    def plan(self, part: P_contra) -> Plan:
        """Return how a fit to some rows is planned."""

    def watched(self, train: P_contra, held: P_contra, place: Place, later: P_contra | None = None) -> Watched[F]:
        """Fit to some rows until others say stop; `later` are rows that the fit may go on with."""

    def alone(self, given: P_contra, share: float | None = None) -> tuple[F, list[Checkpoint]]:
        """Fit to all rows with nobody watching; `share`: of the plan, so much others came to, which may be heeded."""

    def go_on(self, first: Watched[F], train: P_contra, given: P_contra) -> F:
        """Return a fit to all rows, after one to those for training alone."""


@dataclass(frozen=True, slots=True)
class Ways:
    """In how many parts rows are held out, one after the other, or (0) which share of them once."""

    folds: int
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Rows that a fit did not see: `rows` says what they are, `said` what it said of them, as in `Watched`.

    Of some targets others are to be taken, `instead`.
    """

    rows: str
    data: Dataset
    said: Mapping[str, Tensor]
    instead: Mapping[str, Held] = field(default_factory=dict)

    def of(self, target: str) -> Held:
        """Return the rows for a target."""
        return self.instead.get(target, self)

    def told(self) -> str:
        """Return what rows these are."""
        told = {name: other.rows for name, other in self.instead.items()}
        return told_rows(self.rows, told, len(self.data.targets))


@dataclass(frozen=True, slots=True, eq=False)
class Run(Generic[F]):
    """What a run came to: the last fit, the curve, and rows that were held out, if there were enough."""

    fit: F
    checkpoints: list[Checkpoint]
    held: Held | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Once(Generic[P, F]):
    """A share of the rows, held out once: the other rows, the fit to these, and what was held out."""

    train: P
    watched: Watched[F]
    held: Held


class HoldingOut(Generic[P, F]):
    """One run: which rows are fitted, and by which they are watched. `remarks` are for the report."""

    def __init__(self, fits: Fits[P, F], ways: Ways, seed: int, attended: Attended) -> None:
        """Remember who fits and how rows are held out."""
        self._fits, self._ways, self._seed, self._attended = fits, ways, seed, attended
        self.remarks: list[str] = []

    def run(self, given: P, validation: P | None) -> Run[F]:
        """Fit to the given rows, in the way that suits."""
        if validation is not None:
            return self._with_validation(given, validation)
        if len(given.data) < FEW_ROWS:
            return Run(*self._fits.alone(given))
        return self._in_turn(given) if self._ways.folds else self._all_but_once(given)

    def _with_validation(self, given: P, validation: P) -> Run[F]:
        few = {name: n for name, n in judged(validation.data).items() if n < ENOUGH_TO_CALIBRATE}
        place = Place("validation", BEGIN, SMALL if few else END)
        watched = self._fits.watched(given, validation, place)
        self.remarks += watched.outcome.remarks()
        held = Held(VALIDATION, validation.data, watched.said)
        if few and len(given.data) >= FEW_ROWS:
            held = self._with_more(given, held, few)
        return Run(watched.fit, watched.outcome.checkpoints, held)

    def _with_more(self, given: P, held: Held, few: Mapping[str, int]) -> Held:
        """Hold training rows out of fits that serve nothing else, for targets with few rows of validation data."""
        place = Place(HELD_OUT, SMALL, END)
        made = self._folded(given, place) if self._ways.folds else self._once(given, place)
        if made is None:
            return held
        rows = judged(made.held.data)
        instead = {name: made.held for name, n in few.items() if rows[name] > n}
        if instead:
            self.remarks.append(small_validation({name: few[name] for name in instead}, made.held.rows))
        return replace(held, instead=instead)

    def _all_but_once(self, given: P) -> Run[F]:
        once = self._once(given, Place(HELD_OUT, BEGIN, HELD, rehearses=True))
        if once is None:  # a text, repeated
            return Run(*self._fits.alone(given))
        self.remarks += once.watched.outcome.remarks()
        self._tell()
        fit = self._fits.go_on(once.watched, once.train, given)
        return Run(fit, once.watched.outcome.checkpoints, once.held)

    def _once(self, given: P, place: Place) -> _Once[P, F] | None:
        """Hold a share of the rows out, once; None where there is nothing to hold out."""
        shares = {"train": 1 - self._ways.share, "held": self._ways.share}
        split = split_rows(given.data, shares, self._seed, self._attended.check)
        if not len(split["held"]):
            return None
        train, held = given.select(split["train"]), given.select(split["held"])
        watched = self._fits.watched(train, held, place, given)
        name = f"{len(held.data):,} of the training rows, held out"
        return _Once(train, watched, Held(name, held.data, watched.said))

    def _in_turn(self, given: P) -> Run[F]:
        folded = self._folded(given, Place(HELD_OUT, BEGIN, HELD, rehearses=True))
        if folded is None:
            return Run(*self._fits.alone(given))
        self.remarks += Outcome.remarks_on_all(folded.outcomes)
        curve = averaged([outcome.checkpoints for outcome in folded.outcomes])
        for row in curve:
            self._attended.listener(Progress("cross-validated", HELD, row))
        self._tell()
        share = float(np.median([outcome.best_update / outcome.plan.updates for outcome in folded.outcomes]))
        fit, _ = self._fits.alone(given, share)
        return Run(fit, curve, folded.held)

    def _folded(self, given: P, place: Place) -> _Folded | None:
        """Hold each row out of one of several fits; None where a row's label is never in two of its parts."""
        data, count = given.data, min(self._ways.folds, different_texts(given.data))
        if count < 2 or not repeats(data):
            return None
        fold = folds(data, count, self._seed)
        said, outcomes = dict[str, Tensor](), []
        for number in range(count):
            inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            begin, end = place.share(number / count), place.share((number + 1) / count)
            told = f", fold {number + 1} of {count}"
            of_fold = replace(place, name=f"fold {number}", begin=begin, end=end, fold=True, told=told)
            outcome, arrays = self._fold(given.select(inside), given.select(outside), of_fold)
            for name, array in arrays.items():
                if name not in said:
                    said[name] = np.zeros((len(data), *array.shape[1:]), array.dtype)
                said[name][outside] = array
            outcomes.append(outcome)
        return _Folded(Held(f"{count}-fold cross-validation", data, said), outcomes)

    def _fold(self, train: P, held: P, place: Place) -> tuple[Outcome, Mapping[str, Tensor]]:
        """Return how the fit of a fold went, and what it said of the rows that it did not see."""
        stage = self._attended.stage(place.name)
        done = stage.recall("done")
        if done is None:
            watched = self._fits.watched(train, held, place)
            outcome, done = watched.outcome, State(watched.said, watched.outcome.facts())
        else:
            outcome = Outcome.of(self._fits.plan(train), done.facts)
        stage.forget()
        stage.keep("done", done)
        return outcome, done.arrays

    def _tell(self) -> None:
        self._attended.check()
        self._attended.listener(Progress("using all rows", HELD))


@dataclass(frozen=True, slots=True, eq=False)
class _Folded:
    """Rows that were held out, each in its turn, and how the fits went."""

    held: Held
    outcomes: list[Outcome]


def second_plan(first: Outcome, train: Part, given: Part, epochs: int) -> Plan:
    """Return the plan for going on with all rows for so many passes at most, at a lower rate.

    It is not longer than what the first fit left of what is allowed, nor than what was best there.
    """
    planned = first.plan
    per_epoch = max(1, -(-len(given.data) // planned.batch))
    updates = min(epochs * per_epoch, first.best_update)
    if planned.allowed_epochs is not None:
        left = (planned.allowed_epochs - planned.epochs_at(first.stopped_at)) * train.tokens
        updates = min(updates, max(0, int(left / max(given.tokens, 1) * per_epoch)))
    return replace(
        planned,
        n_rows=len(given.data),
        data_tokens=given.tokens,
        updates=updates,
        rate=planned.rate * MORE_RATE,
        embedding_rate=planned.embedding_rate * MORE_RATE,
        warmup=0.0,
    )


def judged_rows(truth: Truth) -> NDArray[np.bool_]:
    """Return (n,) which rows have a label that the model has."""
    known = truth.known
    return known & (truth.codes < truth.n_labels) if isinstance(truth, SingleTruth) else known


def judged(data: Dataset) -> dict[str, int]:
    """Return how many rows of each target can be judged."""
    return {name: int(judged_rows(truth).sum()) for name, truth in data.truth.items()}


def repeats(data: Dataset) -> bool:
    """Whether a row that is held out can have a label that is learnt from other rows."""
    truths = data.truth.values()
    return any(not isinstance(truth, SingleTruth) or truth.counts().max(initial=0) > 1 for truth in truths)


def that_counts(validation: Dataset | None, attended: Attended) -> Dataset | None:
    """Return validation data, or None where no row of it can be judged, which is told at once."""
    if validation is None or any(judged(validation).values()):
        return validation
    attended.listener(Progress("reading texts", 0.0, remark=NOTHING_TO_VALIDATE))
    return None


def small_validation(few: Mapping[str, int], rows: str) -> str:
    """Return the remark on validation data with few rows of some targets; `rows` are what calibrated instead."""
    told = ", ".join(f"{name}: {n}" for name, n in few.items())
    return (
        f"The validation data has fewer than {ENOUGH_TO_CALIBRATE} rows of a target ({told}): they chose the "
        f"state that was kept, but scores and thresholds were fitted on training rows ({rows})."
    )


def told_rows(rows: str, instead: Mapping[str, str], n_targets: int) -> str:
    """Return what rows were held out; `instead` are others, by target."""
    if not instead:
        return rows
    everything = len(instead) == n_targets
    beside = f"; {VALIDATION} is small" if everything else f" for {', '.join(instead)}"
    others = dict.fromkeys(instead.values())
    return ", ".join([*([] if everything else [rows]), *(other + beside for other in others)])
