"""What can be compared, behind one interface: models, baselines and LLMs answer the same inputs and say what it took.

A contender is put together by `tamis.labelers.comparing`. It knows neither the truth nor what the others say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tamis.data.loading import Check
from tamis.data.thinning import evenly
from tamis.data.truth import MultiTruth
from tamis.evaluation.comparison import ContenderKind, Cost, Speed
from tamis.evaluation.said import Said
from tamis.evaluation.thresholds import decide, fit_shared_threshold
from tamis.schema import Input, Target

if TYPE_CHECKING:
    from tamis.data.dataset import Dataset
    from tamis.labelers.budget import Budget, Price
    from tamis.labelers.cache import Cache
    from tamis.labelers.labeler import Labelled
    from tamis.ml.baselines import Baseline
    from tamis.ml.model import Model

Told = Callable[[int, int], None]
"""Called now and then: inputs answered, and inputs in all."""

AT_ONCE = 4096
SCORES_AT_ONCE = 8_000_000
WARM_UP = 5
ONE_BY_ONE = 200
ONE_BY_ONE_SECONDS = 5.0
"""So many inputs are answered one at a time to see how long one takes, unless that takes too long."""

LEAST_ONE_BY_ONE = 20
MILLION = 1_000_000


@dataclass(slots=True)
class Spoken:
    """What a contender says of all inputs, by target (in the columns of its own labels), and what it took.

    `became` says what became of each input: an `Outcome` of the labeler.
    """

    said: Mapping[str, Said]
    speed: Speed
    cost: Cost
    became: Sequence[str]
    cached: int = 0
    notes: tuple[str, ...] = ()

    @property
    def outcomes(self) -> dict[str, int]:
        """How many inputs each outcome has."""
        return dict(Counter(self.became))


class Contender(Protocol):
    """Anything that answers.

    Attributes:
        name: what it is called in this comparison.
        kind: what it is.
    """

    name: str
    kind: ContenderKind

    @property
    def about(self) -> str:
        """What it is, in words."""
        ...

    @property
    def targets(self) -> tuple[Target, ...]:
        """What it answers, each with its own labels."""
        ...

    def answer(self, inputs: Sequence[Input], told: Told, check: Check) -> Spoken:
        """Return what it says of each input, in their order."""
        ...

    def cuts(self, target: str) -> tuple[Sequence[float] | None, str | None]:
        """The score from which each label of a multi-label target is given, and where these come from."""
        ...


@dataclass(slots=True)
class ModelContender:
    """A model of Tamis."""

    name: str
    model: Model
    hour_price: float | None = None
    kind: ContenderKind = ContenderKind.MODEL

    @property
    def about(self) -> str:
        """Its base model and its rows."""
        manifest = self.model.manifest
        return f"{manifest.base_model.id}, trained on {manifest.data.train_rows:,} rows"

    @property
    def targets(self) -> tuple[Target, ...]:
        """What the model answers."""
        return self.model.targets

    def answer(self, inputs: Sequence[Input], told: Told, check: Check) -> Spoken:
        """Return what the model says."""
        return _computed(self.model.predictor.said, self.targets, inputs, (told, check), self.hour_price)

    def cuts(self, target: str) -> tuple[Sequence[float] | None, str | None]:
        """The model's own thresholds."""
        thresholds = self.model.predictor.thresholds(target)
        return (None, None) if thresholds is None else (thresholds.tolist(), "stored in the model")


@dataclass(slots=True)
class BaselineContender:
    """A trivial classifier, or the usual simple one."""

    name: str
    baseline: Baseline
    about: str
    hour_price: float | None = None
    kind: ContenderKind = ContenderKind.BASELINE

    @property
    def targets(self) -> tuple[Target, ...]:
        """What it was fitted on."""
        return self.baseline.targets

    def answer(self, inputs: Sequence[Input], told: Told, check: Check) -> Spoken:
        """Return what the baseline says."""
        return _computed(self._said, self.targets, inputs, (told, check), self.hour_price)

    def cuts(self, target: str) -> tuple[Sequence[float] | None, str | None]:
        """One threshold for all labels."""
        cut = self.baseline.thresholds.get(target)
        if cut is None:
            return None, None
        width = next(len(mine.labels) for mine in self.targets if mine.name == target)
        return [cut] * width, self.baseline.rows

    def _said(self, inputs: Sequence[Input]) -> dict[str, Said]:
        scores = self.baseline.scores(inputs)
        given = self.baseline.given(inputs, scores)
        nothing = np.zeros(len(inputs), dtype=bool)
        return {
            name: Said(given[name], None if self.baseline.draws else mine, nothing) for name, mine in scores.items()
        }


class Labels(Protocol):
    """What labels inputs: `tamis.labelers.labeler.Labeler`, or a scripted one."""

    def label(self, inputs: Sequence[Input], *, told: Told = ..., check: Check = ...) -> list[Labelled]:
        """Return how each input is labelled."""
        ...


@dataclass(slots=True)
class LlmContender:
    """An LLM.

    Attributes:
        samples: how often it is asked about each input; with more than 1 its scores are shares of votes.
        price: of its tokens, where known.
        chosen: by multi-label target, the share of votes from which a label is given; else it takes more than half.
        rows: what those were chosen on, in words.
        budget: counts what is spent, that on choosing and on answers that never came included.
        cache: where answers are kept; `close` closes it.
    """

    name: str
    labels: Labels
    targets: tuple[Target, ...]
    about: str
    samples: int = 1
    price: Price | None = None
    chosen: dict[str, float] = field(default_factory=dict)
    rows: str = ""
    budget: Budget | None = None
    cache: Cache | None = None
    kind: ContenderKind = ContenderKind.LLM

    def answer(self, inputs: Sequence[Input], told: Told, check: Check) -> Spoken:
        """Return what the LLM says."""
        begin = perf_counter()
        labelled = self.labels.label(inputs, told=told, check=check)
        taken = perf_counter() - begin
        return Spoken(
            said={target.name: self._said(target, labelled) for target in self.targets},
            speed=_speed_of_requests(labelled, taken),
            cost=self._cost(labelled),
            became=[one.outcome.value for one in labelled],
            cached=sum(one.cached for one in labelled),
            notes=_reasons(labelled),
        )

    def close(self) -> None:
        """Close what was opened for it."""
        if self.cache is not None:
            self.cache.close()

    def choose(self, validation: Dataset, told: Told, check: Check) -> None:
        """Ask about other rows too, and choose from which share of votes a label is given."""
        labelled = self.labels.label(validation.inputs, told=told, check=check)
        for target in self.targets:
            truth = validation.truth[target.name]
            if isinstance(truth, MultiTruth):
                said = self._said(target, labelled)
                usable = truth.known & ~said.failed
                if said.scores is not None and usable.any():
                    self.chosen[target.name] = fit_shared_threshold(said.scores, truth.indicator(), usable)
        self.rows = f"{len(validation):,} rows of the validation data, which it was asked about too"

    def cuts(self, target: str) -> tuple[Sequence[float] | None, str | None]:
        """The share of votes from which a label is given."""
        mine = next(one for one in self.targets if one.name == target)
        if not mine.is_multi or self.samples == 1:
            return None, None
        chosen = self.chosen.get(target)
        where = self.rows if chosen is not None else "no rows: a label is given by more than half of the votes"
        return [0.5 if chosen is None else chosen] * len(mine.labels), where

    def _said(self, target: Target, labelled: Sequence[Labelled]) -> Said:
        shape = len(labelled), len(target.labels)
        given, scores = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.float32)
        failed = np.ones(len(labelled), dtype=bool)
        place = {label: at for at, label in enumerate(target.labels)}
        for row, one in enumerate(labelled):
            answer = None if one.prediction is None else one.prediction.answers.get(target.name)
            if answer is None:
                continue
            failed[row] = False
            given[row, [place[label] for label in answer.labels]] = True
            for label, score in answer.scores.items():
                scores[row, place[label]] = score
        if target.name in self.chosen:
            given = decide(scores, np.array(self.chosen[target.name], dtype=np.float32)) & ~failed[:, None]
        silent = None if target.is_multi or target.oos_label is None else ~given.any(axis=1) & ~failed
        return Said(given, None if self.samples == 1 else scores, failed, silent)

    def _cost(self, labelled: Sequence[Labelled]) -> Cost:
        asked = [one for one in labelled if one.prompt_tokens]
        prompt, completion = _tokens(asked)
        if self.price is None:
            return Cost(prompt_tokens=prompt, completion_tokens=completion)
        spent = self.price.of(*_tokens([one for one in asked if not one.cached]))
        if self.budget is not None:
            spent = (self.budget.cost or 0.0) + (self.budget.lost_cost or 0.0)
        return Cost(
            prompt_tokens=prompt,
            completion_tokens=completion,
            this_run=spent,
            million_texts=self.price.of(prompt, completion) / len(asked) * MILLION if asked else None,
        )


def _tokens(labelled: Sequence[Labelled]) -> tuple[int, int]:
    """Tokens of requests and of answers."""
    return sum(one.prompt_tokens for one in labelled), sum(one.completion_tokens for one in labelled)


def _computed(
    said: Callable[[Sequence[Input]], dict[str, Said]],
    targets: Sequence[Target],
    inputs: Sequence[Input],
    going_on: tuple[Told, Check],
    hour_price: float | None,
) -> Spoken:
    """Answers that are computed here, many at a time; then some one at a time, to see how long one takes."""
    told, check = going_on
    width = sum(len(target.labels) for target in targets)
    step = max(1, min(AT_ONCE, SCORES_AT_ONCE // max(1, width)))
    parts: list[dict[str, Said]] = []
    said(inputs[:1])  # what is made ready once is no part of the speed
    begin = perf_counter()
    for first in range(0, len(inputs), step):
        check()
        parts.append(said(inputs[first : first + step]))
        told(min(first + step, len(inputs)), len(inputs))
    seconds = perf_counter() - begin
    latencies = _one_by_one(said, inputs, check)
    per_text = seconds / len(inputs)
    return Spoken(
        said={target.name: Said.joined([part[target.name] for part in parts]) for target in targets},
        speed=Speed(
            seconds=seconds,
            texts_per_second=1 / max(per_text, 1e-9),
            one_by_one_per_second=len(latencies) / max(sum(latencies), 1e-9),
            latency_of="one text at a time",
            latency_rows=len(latencies),
            p50=_quantile(latencies, 0.5),
            p99=_quantile(latencies, 0.99),
        ),
        cost=Cost(
            this_run=None if hour_price is None else hour_price * seconds / 3600,
            million_texts=None if hour_price is None else hour_price * per_text * MILLION / 3600,
            million_texts_hours=per_text * MILLION / 3600,
        ),
        became=["answered"] * len(inputs),
    )


def _one_by_one(said: Callable[[Sequence[Input]], object], inputs: Sequence[Input], check: Check) -> list[float]:
    """Seconds of single texts, evenly many from all over the rows."""
    places = evenly(len(inputs), ONE_BY_ONE).tolist()
    for place in places[:WARM_UP]:
        said([inputs[place]])
    latencies: list[float] = []
    until = perf_counter() + ONE_BY_ONE_SECONDS
    for place in places:
        check()
        begin = perf_counter()
        said([inputs[place]])
        end = perf_counter()
        latencies.append(end - begin)
        if end > until and len(latencies) >= LEAST_ONE_BY_ONE:
            break
    return latencies


def _speed_of_requests(labelled: Sequence[Labelled], taken: float) -> Speed:
    latencies = [one.seconds for one in labelled if one.seconds and not one.cached]
    return Speed(
        seconds=taken,
        texts_per_second=len(latencies) / taken if latencies and taken else None,
        latency_of="the requests of one text",
        latency_rows=len(latencies),
        p50=_quantile(latencies, 0.5),
        p99=_quantile(latencies, 0.99),
    )


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None


def _reasons(labelled: Sequence[Labelled], most: int = 3) -> tuple[str, ...]:
    """Why rows have no answer: the most frequent reasons."""
    why = Counter(f"{one.outcome.value.replace('_', ' ')}: {one.why}" for one in labelled if one.outcome != "answered")
    return tuple(f"{rows:,} rows {reason}" if rows > 1 else f"1 row {reason}" for reason, rows in why.most_common(most))
