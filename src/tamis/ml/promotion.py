"""A candidate and the current model on the same rows: what each says, and whether the conditions hold.

Labels that only one of the two has count for both: the other never gives them. It knows neither aliases nor files of a
server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from tamis.data.dataset import Dataset
from tamis.data.formats import ReadOptions
from tamis.data.loading import Given, Part, load
from tamis.data.thinning import evenly
from tamis.evaluation.conditions import P50, Condition
from tamis.evaluation.gate import (
    CANDIDATE,
    CURRENT,
    Ballot,
    GateReport,
    TargetTable,
    Weighed,
    asked_of,
    compared,
    judge,
    unmeasured,
    weigh,
)
from tamis.evaluation.said import Said
from tamis.ml.model import Model
from tamis.ml.own_rows import served
from tamis.ml.reading import reading_for
from tamis.schema import Input, Target

Check = Callable[[], None]
"""Called often; raises what is to end the work."""

AT_ONCE = 4096
SCORES_AT_ONCE = 8_000_000
"""Bounds of what is scored at a time, in rows and in rows x labels."""

TIMED = 200
WARM_UP = 5
TIMED_S = 10.0
"""Inputs answered one at a time to see how long one takes, those before that do not count, and seconds in all."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """The candidate, and the model whose place it would take (None: there is none), each with its name for people."""

    candidate: Model
    name: str
    current: Model | None = None
    current_name: str | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """The candidate's targets, with the labels that only the current model has behind its own."""
        return tuple(_joined(target, _alike(target, self.current)) for target in self.candidate.targets)

    @property
    def lost(self) -> tuple[str, ...]:
        """What the current model has and the candidate has not: `TARGET/LABEL`, or `TARGET` for all of it."""
        return () if self.current is None else _beyond(self.current, self.candidate)

    @property
    def gained(self) -> tuple[str, ...]:
        """What the candidate has and the current model has not."""
        return () if self.current is None else _beyond(self.candidate, self.current)

    @property
    def models(self) -> dict[str, Model]:
        """Those that are there, by the part they play."""
        return {CANDIDATE: self.candidate} | ({} if self.current is None else {CURRENT: self.current})


def rows_for(rivals: Rivals, given: Given, options: ReadOptions | None = None, *, max_bad_share: float = 0.0) -> Part:
    """Read the rows that both are measured on.

    Raises:
        DataError: they cannot be read, or say nothing about any of the candidate's targets.
    """
    options = reading_for(options, [model.manifest for model in rivals.models.values()], rivals.targets)
    return load(given, rivals.targets, options, max_bad_share=max_bad_share)


def contest(
    rivals: Rivals,
    data: Dataset,
    conditions: Sequence[Condition],
    *,
    allow_label_changes: bool = False,
    allow_unmeasured: bool = False,
    check: Check = lambda: None,
) -> GateReport:
    """Measure both on the rows, and judge.

    Args:
        rivals: the models.
        data: rows with the targets of `rivals`.
        conditions: what must hold; those about the current model hold where there is none.
        allow_label_changes: whether the candidate may lack labels that the current model has.
        allow_unmeasured: whether conditions that name no target may hold where the rows say nothing of one.
        check: called often; raises what is to end it.

    Raises:
        InvalidSetting: a condition cannot be judged: it names a target or label that is not there.
    """
    begin = perf_counter()
    there = [target.name for target in data.targets if data.truth[target.name].known.any()]
    asked_of(conditions, data.targets, there)
    said = {who: _said(model, data, check) for who, model in rivals.models.items()}
    weighed = []
    for target in (target for target in data.targets if target.name in there):
        check()
        other = said.get(CURRENT, {}).get(target.name) if _alike(target, rivals.current) else None
        ballot = Ballot(target, data.truth[target.name], said[CANDIDATE][target.name], other)
        weighed.append(weigh(ballot, conditions))
    asks_time = any(condition.figure == P50 for condition in conditions)
    p50 = _p50(rivals.models, data.inputs, check) if asks_time else {}
    judged = judge(conditions, weighed, p50)
    if not allow_unmeasured:
        judged += unmeasured(conditions, [target for target in data.targets if target.name not in there])
    return GateReport(
        rows=len(data),
        candidate=rivals.name,
        current=rivals.current_name,
        targets=_tables(weighed, conditions),
        p50_ms={who: round(value, 3) for who, value in p50.items()},
        conditions=judged,
        lost=rivals.lost,
        gained=rivals.gained,
        remarks=_remarks(rivals, data, there),
        passed=all(each.holds for each in judged) and (allow_label_changes or not rivals.lost),
        seconds=round(perf_counter() - begin, 3),
    )


def _said(model: Model, data: Dataset, check: Check) -> dict[str, Said]:
    """What a model says of all rows, in the columns of the data's labels; of the targets that the data has."""
    wanted = {target.name: target for target in data.targets if _alike(target, model)}
    labels = sum(len(target.labels) for target in model.targets)
    step = max(1, min(AT_ONCE, SCORES_AT_ONCE // labels))
    parts: dict[str, list[Said]] = {name: [] for name in wanted}
    for first in range(0, len(data), step):
        check()
        spoken = model.predictor.said(data.inputs[first : first + step])
        for target in model.targets:
            if target.name in wanted:
                parts[target.name].append(spoken[target.name].among(target.labels, wanted[target.name].labels))
    return {name: Said.joined(spoken) for name, spoken in parts.items()}


def _p50(models: Mapping[str, Model], inputs: Sequence[Input], check: Check) -> dict[str, float]:
    """Milliseconds that one input takes each model, by turns; the median."""
    some = [inputs[at] for at in evenly(len(inputs), TIMED).tolist()]
    taken: dict[str, list[float]] = {who: [] for who in models}
    for given in some[:WARM_UP]:
        for model in models.values():
            model.predictor.predict([given])
    begin = perf_counter()
    for given in some:
        check()
        for who, model in models.items():
            started = perf_counter()
            model.predictor.predict([given])
            taken[who].append(1000 * (perf_counter() - started))
        if perf_counter() - begin > TIMED_S:
            break
    return {who: median(each) for who, each in taken.items()}


def _tables(weighed: Sequence[Weighed], conditions: Sequence[Condition]) -> dict[str, TargetTable]:
    return {each.target.name: TargetTable(rows=each.known, figures=compared(each, conditions)) for each in weighed}


def _remarks(rivals: Rivals, data: Dataset, there: Sequence[str]) -> tuple[str, ...]:
    remarks = [
        f"The rows say nothing about the target {target.name}: it was not measured."
        for target in data.targets
        if target.name not in there
    ]
    names = {CANDIDATE: rivals.name, CURRENT: str(rivals.current_name)}
    for who, model in rivals.models.items():
        known = served(data, model.manifest)
        if known.learnt_from:
            remarks.append(f"{names[who]} learnt from these very rows: give rows that neither model has seen.")
        if known.chosen_by:
            remarks.append(f"The thresholds of {names[who]} were chosen by these very rows: give others.")
    return tuple(remarks)


def _alike(target: Target, model: Model | None) -> Target | None:
    """The model's target of that name and kind."""
    mine = () if model is None else model.targets
    return next((each for each in mine if (each.name, each.kind) == (target.name, target.kind)), None)


def _joined(target: Target, other: Target | None) -> Target:
    more = () if other is None else tuple(label for label in other.labels if label not in target.labels)
    return target if not more else target.model_copy(update={"labels": target.labels + more})


def _beyond(model: Model, other: Model) -> tuple[str, ...]:
    """What one has beyond another: whole targets (of another kind too), and labels."""
    found: list[str] = []
    for target in model.targets:
        theirs = _alike(target, other)
        if theirs is None:
            found.append(target.name)
        else:
            found += [f"{target.name}/{label}" for label in target.labels if label not in theirs.labels]
    return tuple(found)
