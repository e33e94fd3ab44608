"""Whether a candidate may take the place of the current model: figures of both on the same rows, and what must hold.

Both are resampled with the same rows, so that intervals of differences are those of paired rows. A condition that is to
hold surely must hold at the worse end of the 95 % interval. It knows no model: only what each said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from scipy import sparse

from tamis.data.truth import SingleTruth, Truth
from tamis.errors import InvalidSetting
from tamis.evaluation.calibration import BINS
from tamis.evaluation.conditions import LOSSES, LOWER_IS_BETTER, OF_A_LABEL, P50, Condition
from tamis.evaluation.figures import Figure, IntervalFigure, Record
from tamis.evaluation.intervals import LEVEL, Interval, drawn_figures
from tamis.evaluation.metrics import Doubles, ratio
from tamis.evaluation.paired import RESAMPLES, Resampled, indicator, row_sums
from tamis.evaluation.said import Said
from tamis.schema import Target

CANDIDATE, CURRENT = "candidate", "current"
OOS = "oos_recall"
"""The share of rows out of a target's scope that a model leaves without an answer."""

SINGLE = (
    *("accuracy", "macro_f1", "weighted_f1", "micro_f1", "log_loss", "brier", "ece"),
    *("coverage", "selective_accuracy", OOS),
)
MULTI = ("subset_accuracy", "micro_f1", "macro_f1", "weighted_f1", "samples_jaccard", "log_loss", "brier", "ece")
SHOWN = {False: ("accuracy", "macro_f1", "log_loss", "ece"), True: ("micro_f1", "macro_f1", "samples_jaccard", "ece")}
"""Figures that are shown of every target, single-label and multi-label, beside those that conditions name."""

NOT_MEASURED = (
    "the rows say nothing of this target: name the column of its labels, give rows that have them, or say that it need "
    "not be measured"
)
_MANY = 10
Key = tuple[str, str | None]
"""A figure, and the label that it is of."""


class Compared(Record):
    """A figure of both models on the same rows. Without a current model, its half is empty."""

    figure: str
    label: str | None = None
    candidate: Figure = None
    candidate_ci: IntervalFigure = None
    current: Figure = None
    current_ci: IntervalFigure = None
    difference: Figure = None
    difference_ci: IntervalFigure = None
    p: Figure = None


class Judged(Record):
    """What became of a condition for a target (None: it is about the whole model).

    `value` is the candidate's figure, `needed` what it is compared with; `beyond_ci` the 95 % interval of how far the
    one is above the other; `why` says what the numbers do not.
    """

    condition: str
    target: str | None
    value: Figure = None
    needed: Figure = None
    beyond_ci: IntervalFigure = None
    surely: bool = False
    holds: bool
    why: str = ""


class TargetTable(Record):
    """A target's figures: `rows` say something about it."""

    rows: int
    figures: tuple[Compared, ...]


class GateReport(Record):
    """Two models on the same rows, and what was asked of the candidate.

    Attributes:
        rows: how many were read.
        candidate: what the candidate is called.
        current: what the model is called whose place it would take; None: there is none.
        targets: the figures of each target that the rows say something about.
        p50_ms: by model, how long one text takes; where a condition asks.
        conditions: what became of each.
        lost: labels and targets that the current model has and the candidate has not.
        gained: the other way round.
        remarks: what else should be known.
        passed: whether the candidate may take the place.
        seconds: how long all of it took.
    """

    rows: int
    candidate: str
    current: str | None
    targets: dict[str, TargetTable]
    p50_ms: dict[str, float]
    conditions: tuple[Judged, ...]
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    passed: bool
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Ballot:
    """One target's rows: its labels (of either model), the truth, what each model says; no current one: None."""

    target: Target
    truth: Truth
    candidate: Said
    current: Said | None


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """One target's figures, on the rows and on resamples of them; those of labels are of the labels asked for.

    `known` rows have a label of it, `outside` rows are known to have none; `support` rows carry each label.
    """

    target: Target
    known: int
    outside: int
    support: Mapping[str, int]
    resampled: Resampled

    @property
    def has_current(self) -> bool:
        """Whether there are figures to compare with."""
        return CURRENT in self.resampled.figures

    def value(self, who: str, key: Key) -> float:
        """A model's figure; NaN where it is not defined."""
        return self.resampled.figures[who].get(_key(*key), float("nan"))


def asked_of(conditions: Sequence[Condition], targets: Sequence[Target], there: Sequence[str]) -> None:
    """Do nothing where every condition can be judged on targets, of which the data has those `there`.

    Raises:
        InvalidSetting: a target or a label is not there, or no target has the figure.
    """
    for condition in conditions:
        if condition.figure != P50:
            _require(condition, targets, there)


def concerned(condition: Condition, targets: Sequence[Target]) -> list[Target]:
    """Return the targets that a condition is about: the one it names, or all that have the figure."""
    if condition.target is not None:
        return [target for target in targets if target.name == condition.target]
    return [target for target in targets if condition.figure in figures_of(target)]


def figures_of(target: Target) -> tuple[str, ...]:
    """Return the figures that a target has, but for those of labels."""
    return MULTI if target.is_multi else SINGLE


def weigh(ballot: Ballot, conditions: Sequence[Condition], *, resamples: int = RESAMPLES, seed: int = 0) -> Weighed:
    """Return the figures of a target that are shown, or asked for by conditions."""
    names = {CANDIDATE: ballot.candidate} | ({} if ballot.current is None else {CURRENT: ballot.current})
    target, truth = ballot.target, ballot.truth
    labels = [
        target.labels.index(condition.label)
        for condition in conditions
        if condition.target == target.name and condition.label is not None
    ]
    parts = {name: _Part(truth, said, target, sorted(set(labels))) for name, said in names.items()}
    rows = int(truth.known.sum())
    drawn = drawn_figures(
        [(part.columns, part.figures) for part in parts.values()] if rows else [], resamples=resamples, seed=seed
    )
    silent = _silent_outside(truth, names)
    shares = [(sparse.csr_array(each / each.shape[0]), lambda sums: {OOS: sums[:, 0]}) for each in silent.values()]
    outside = drawn_figures(shares, resamples=resamples, seed=seed)
    resampled = Resampled(
        rows=rows,
        figures={name: part.whole() | _whole(silent.get(name)) for name, part in parts.items()},
        drawn={
            name: {**inside, **more}
            for name, inside, more in zip(parts, drawn or [{}] * len(parts), outside or [{}] * len(parts), strict=True)
        },
        right={name: part.sums.right for name, part in parts.items()},
    )
    support = dict(zip(target.labels, truth.counts().tolist(), strict=True))
    return Weighed(target, rows, next((each.shape[0] for each in silent.values()), 0), support, resampled)


def _silent_outside(truth: Truth, said: Mapping[str, Said]) -> dict[str, sparse.csr_array]:
    """(rows out of scope, 1) whether each model gives no answer, by model; nothing where there are no such rows."""
    rows = np.flatnonzero(truth.out_of_scope) if isinstance(truth, SingleTruth) else np.zeros(0, dtype=np.intp)
    if not len(rows):
        return {}
    nothing = np.zeros(len(truth), dtype=bool)
    silent = {name: nothing if one.abstained is None else one.abstained for name, one in said.items()}
    return {name: sparse.csr_array(each[rows, None].astype(np.float64)) for name, each in silent.items()}


def _whole(silent: sparse.csr_array | None) -> dict[str, float]:
    """The share of rows out of scope without an answer."""
    return {} if silent is None else {OOS: float(silent.sum()) / silent.shape[0]}


def compared(weighed: Weighed, conditions: Sequence[Condition]) -> tuple[Compared, ...]:
    """Return the rows of a target's table: the usual figures, then those that conditions ask for."""
    asked = [
        (condition.figure, condition.label)
        for condition in conditions
        if condition.figure != P50 and weighed.target in concerned(condition, [weighed.target])
    ]
    usual: list[Key] = [(figure, None) for figure in SHOWN[weighed.target.is_multi]]
    return tuple(_compared(weighed, key) for key in dict.fromkeys([*usual, *asked]))


def judge(conditions: Sequence[Condition], weighed: Sequence[Weighed], p50: Mapping[str, float]) -> tuple[Judged, ...]:
    """Return what becomes of each condition, for each target that it is about.

    Args:
        conditions: what must hold.
        weighed: the targets that were measured.
        p50: by model, how long one text takes, in ms; of those measured.
    """
    found: list[Judged] = []
    for condition in conditions:
        if condition.figure == P50:
            found.append(_judged_p50(condition, p50))
            continue
        about = concerned(condition, [each.target for each in weighed])
        found += [_judged(condition, each) for each in weighed if each.target in about]
    return tuple(found)


def unmeasured(conditions: Sequence[Condition], targets: Sequence[Target]) -> tuple[Judged, ...]:
    """Return what becomes of conditions on all of a model where the rows say nothing of these targets: none holds."""
    whole = [each for each in conditions if each.target is None and each.figure != P50]
    return tuple(_result(each, target.name)(holds=False, why=NOT_MEASURED) for each in whole for target in targets)


class _Part:
    """What each row adds to the sums of one model's figures, and these figures of such sums."""

    def __init__(self, truth: Truth, said: Said, target: Target, labels: Sequence[int]) -> None:
        self.sums = row_sums(truth, said)
        self._target, self._labels = target, labels
        self._width = self.sums.columns().shape[1]
        gaps = sparse.csr_array(_calibration_gaps(truth, said))
        self.columns = sparse.csr_array(sparse.hstack([self.sums.columns(), gaps], format="csr"))
        self._answers = len(self.sums) * (len(target.labels) if target.is_multi else 1)

    def figures(self, sums: Doubles) -> Mapping[str, Doubles]:
        """From sums (resamples, columns) to figures (resamples,)."""
        usual = self.sums.of_sums(sums[:, : self._width])
        gaps = np.abs(sums[:, self._width :]).sum(axis=1)
        found = {**usual, "ece": gaps / max(1, self._answers)}
        labels = self.sums.hits.shape[1]
        for code in self._labels:
            hits, given, actual = (sums[:, part * labels + code] for part in range(3))
            name = self._target.labels[code]
            found[_key("precision", name)] = np.where(actual + given > 0, ratio(hits, given), np.nan)
            found[_key("recall", name)] = ratio(hits, actual, np.nan)
            found[_key("f1", name)] = np.where(actual > 0, ratio(2 * hits, given + actual), np.nan)
        return found

    def whole(self) -> dict[str, float]:
        """The figures of all rows; none without rows."""
        if not len(self.sums):
            return {}
        sums: Doubles = np.asarray(self.columns.sum(axis=0), dtype=np.float64)[None, :]
        return {name: float(values[0]) for name, values in self.figures(sums).items()}


def _calibration_gaps(truth: Truth, said: Said) -> Doubles:
    """(n known, bins) how much more confident than right a row's answers are, in each bin of confidence.

    Summed over rows, without sign, and divided by the answers, this is the expected calibration error (Naeini et al.
    2015). Answers are the given label of a single-label target, and every label of a multi-label one.
    """
    known = np.flatnonzero(truth.known)
    gaps = np.zeros((len(known), BINS))
    if said.scores is None or not len(known):
        return gaps
    rows, scores = truth.select(known), said.scores[known].astype(np.float64)
    actual = indicator(rows)[:, : scores.shape[1]]
    if isinstance(rows, SingleTruth):
        best = scores.argmax(axis=1)[:, None]
        scores, actual = np.take_along_axis(scores, best, axis=1), np.take_along_axis(actual, best, axis=1)
    place = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    at = np.arange(len(known))[:, None] * BINS + place
    found = np.bincount(at.ravel(), weights=(scores - actual).ravel(), minlength=gaps.size).astype(np.float64)
    gaps += found.reshape(gaps.shape)
    return gaps


def _key(figure: str, label: str | None) -> str:
    """The name of a figure among those of resamples; a multi-label target's accuracy is that of its subsets."""
    if label is None:
        return "accuracy" if figure == "subset_accuracy" else figure
    return f"{figure} of {label}"


def _require(condition: Condition, targets: Sequence[Target], there: Sequence[str]) -> None:
    about = concerned(condition, targets)
    if condition.target is not None and not about:
        raise _cannot(condition, f"there is no target {condition.target!r}, but {_named([t.name for t in targets])}")
    if not about:
        has = "; ".join(f"{target.name} has {', '.join(figures_of(target))}" for target in targets[:_MANY])
        raise _cannot(condition, f"no target has {condition.figure}: {has}")
    for target in about:
        if condition.label is not None and condition.label not in target.labels:
            raise _cannot(condition, f"{target.name} has no label {condition.label!r}, but {_named(target.labels)}")
        if condition.label is None and condition.figure not in figures_of(target):
            raise _cannot(condition, f"{target.name} has no {condition.figure}, but {', '.join(figures_of(target))}")
    if not any(target.name in there for target in about):
        raise _cannot(condition, f"the data says nothing about {_named([target.name for target in about])}")


def _cannot(condition: Condition, why: str) -> InvalidSetting:
    return InvalidSetting(f"“{condition.text}” cannot be judged: {why}.", setting="if")


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MANY:,} more" if len(names) > _MANY else ""
    return ", ".join(names[:_MANY]) + more


def _compared(weighed: Weighed, key: Key) -> Compared:
    figure, label = key
    mine = Compared(
        figure=figure,
        label=label,
        candidate=weighed.value(CANDIDATE, key),
        candidate_ci=_interval(weighed, CANDIDATE, key),
    )
    if not weighed.has_current:
        return mine
    difference = weighed.resampled.difference(_key(*key), CANDIDATE, CURRENT)
    return Compared(
        figure=figure,
        label=label,
        candidate=mine.candidate,
        candidate_ci=mine.candidate_ci,
        current=weighed.value(CURRENT, key),
        current_ci=_interval(weighed, CURRENT, key),
        difference=None if difference is None else difference.value,
        difference_ci=None if difference is None else (difference.low, difference.high),
        p=None if difference is None else difference.p,
    )


def _interval(weighed: Weighed, who: str, key: Key) -> Interval | None:
    values = weighed.resampled.drawn.get(who, {}).get(_key(*key))
    spread = None if values is None else _spread(values, weighed, key)
    if spread is None or key[0] in LOSSES:
        return spread
    return max(0.0, spread[0]), min(1.0, spread[1])


def _spread(values: Doubles, weighed: Weighed, key: Key) -> Interval | None:
    """The 95 % interval of resamples; those of a share that never moves get what so many rows cannot exclude."""
    numbers = values[np.isfinite(values)]
    if not len(numbers):
        return None
    low, high = (float(bound) for bound in np.quantile(numbers, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    rows = weighed.support.get(key[1], 0) if key[1] is not None else weighed.outside if key[0] == OOS else weighed.known
    if key[0] not in LOSSES and numbers.min() == numbers.max() and rows:
        unseen = 1 - float(((1 - LEVEL) / 2) ** (1 / rows))
        return low - unseen, high + unseen
    return low, high


def _judged(condition: Condition, weighed: Weighed) -> Judged:
    key = (condition.figure, condition.label)
    judged: Callable[..., Judged] = _result(condition, weighed.target.name)
    value = weighed.value(CANDIDATE, key)
    if not weighed.known:
        return judged(holds=False, why="no row says anything about it")
    if condition.bound.needs_current and not weighed.has_current:
        return judged(value=value, holds=True, why="there is no current model to compare with")
    current = weighed.value(CURRENT, key) if condition.bound.needs_current else 0.0
    needed = condition.bound.times * current + condition.bound.plus
    if not (isfinite(value) and isfinite(needed)):
        return judged(value=value, needed=needed, holds=False, why=_undefined(condition, weighed))
    beyond = _beyond(condition, weighed, key)
    holds = condition.op.holds(value, needed)
    why = ""
    if condition.surely and holds:
        worse = None if beyond is None else beyond[0 if condition.op.wants_more else 1]
        holds = worse is not None and condition.op.holds(worse, 0.0)
        why = "" if holds else "it holds on these rows, but not surely: more rows would tell"
    return judged(value=value, needed=needed, beyond_ci=beyond, holds=holds, why=why)


def _beyond(condition: Condition, weighed: Weighed, key: Key) -> Interval | None:
    """The 95 % interval of how far the candidate's figure is above the bound."""
    times, plus = condition.bound.times, condition.bound.plus
    if not condition.bound.needs_current:
        own = _interval(weighed, CANDIDATE, key)
        return None if own is None else (own[0] - plus, own[1] - plus)
    drawn = weighed.resampled.drawn
    return _spread(drawn[CANDIDATE][_key(*key)] - times * drawn[CURRENT][_key(*key)] - plus, weighed, key)


def _judged_p50(condition: Condition, p50: Mapping[str, float]) -> Judged:
    judged, value = _result(condition, None), p50[CANDIDATE]
    if condition.bound.needs_current and CURRENT not in p50:
        return judged(value=value, holds=True, why="there is no current model to compare with")
    needed = condition.bound.times * p50.get(CURRENT, 0.0) + condition.bound.plus
    return judged(value=value, needed=needed, holds=condition.op.holds(value, needed))


def _result(condition: Condition, target: str | None) -> Callable[..., Judged]:
    """Return what makes the result of a condition from the rest of its fields."""

    def make(**fields: object) -> Judged:
        return Judged.model_validate(
            {"condition": condition.text, "target": target, "surely": condition.surely} | fields
        )

    return make


def _undefined(condition: Condition, weighed: Weighed) -> str:
    if condition.figure in OF_A_LABEL and not weighed.support.get(str(condition.label)):
        return f"no row carries {condition.label}"
    if condition.figure == OOS:
        return "no row is known to be out of scope"
    return "it is not defined on these rows"


def better(figure: str, difference: float) -> bool:
    """Return whether a difference is in favour of the candidate."""
    return difference < 0 if figure in LOWER_IS_BETTER else difference > 0
