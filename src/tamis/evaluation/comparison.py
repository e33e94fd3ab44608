"""Several contenders on the same rows: their figures, the differences between them, their costs and speed.

Owns the records of a comparison, which go to JSON and back, and how the figures of one target are made of what the
contenders said. What was said is let go as soon as it is counted: scores are held of one contender at a time. It knows
neither models, LLMs nor pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from typing import NamedTuple

import numpy as np

from tamis.data.truth import MultiTruth, SingleTruth, Truth
from tamis.evaluation.calibration import reliability_bins
from tamis.evaluation.figures import Figure, LabelFigures, Record, label_figures
from tamis.evaluation.intervals import Interval, mean_average_precision_interval
from tamis.evaluation.metrics import Doubles, average_precision
from tamis.evaluation.out_of_scope import share_of
from tamis.evaluation.paired import (
    LOSSES,
    RESAMPLES,
    SUBSET,
    Resampled,
    has,
    holm,
    indicator,
    resample_sums,
    row_sums,
)
from tamis.evaluation.said import Said
from tamis.evaluation.sums import RowSums
from tamis.schema import Kind, Target

SIGNIFICANT = 0.05
PAIRED = {
    Kind.SINGLE_LABEL: ("accuracy", "macro_f1", "weighted_f1", *LOSSES),
    Kind.MULTI_LABEL: ("micro_f1", "macro_f1", "weighted_f1", SUBSET, "samples_jaccard", *LOSSES),
}
"""The figures whose differences are tested, by kind of target; the first is the one that a target is judged by."""

SHOWN = {
    Kind.SINGLE_LABEL: (*PAIRED[Kind.SINGLE_LABEL], "ece", "coverage", "selective_accuracy", "oos_recall"),
    Kind.MULTI_LABEL: (*PAIRED[Kind.MULTI_LABEL], "mean_average_precision", "ece"),
}
"""The figures of a contender, by kind of target, in the order in which they are shown."""

LOWER_IS_BETTER = (*LOSSES, "ece")


class ContenderKind(StrEnum):
    """What can be compared."""

    MODEL = "model"
    BASELINE = "baseline"
    LLM = "llm"


class Measured(Record):
    """A figure with its 95 % interval, where it has one."""

    value: Figure
    low: Figure = None
    high: Figure = None


class Speed(Record):
    """How fast a contender is. Seconds; `latency_of` says what the two latencies are of.

    Models and baselines are given all texts together (`texts_per_second`), then `latency_rows` of them one at a time,
    after a few to warm up (`one_by_one_per_second`; null for an LLM); of an LLM each row's answer counts, with its
    retries, but none that came from the cache.
    """

    seconds: Figure
    texts_per_second: Figure
    one_by_one_per_second: Figure = None
    latency_of: str
    latency_rows: int
    p50: Figure = None
    p99: Figure = None


class Cost(Record):
    """What a contender costs; null where no price is known. Prices are in the currency that they were given in."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    this_run: Figure = None
    million_texts: Figure = None
    million_texts_hours: Figure = None
    """Hours of this machine that a million texts take; null for an LLM."""


class ContenderReport(Record):
    """One contender: who it is, and what it took.

    `outcomes` counts rows by what became of them (answered, refused, invalid, failed, over_budget); `cached` answers
    came from an earlier run. `notes` say what it learnt from, and what else a reader should know of it.
    """

    name: str
    kind: ContenderKind
    about: str
    speed: Speed
    cost: Cost
    outcomes: dict[str, int]
    cached: int = 0
    notes: tuple[str, ...] = ()

    @property
    def failures(self) -> int:
        """Rows without a usable answer."""
        return sum(rows for outcome, rows in self.outcomes.items() if outcome != "answered")


class ContenderFigures(Record):
    """What one contender reached on one target. A figure that it does not have is absent, never 0.

    `failed` rows got no usable answer, and count as wrong. `lacking` labels are other contenders' or the rows', and not
    its own; `lacking_rows` carry one, and count as its misses. `thresholds` says where its thresholds come from.
    """

    figures: dict[str, Measured]
    per_label: tuple[LabelFigures, ...]
    failed: int
    lacking: tuple[str, ...] = ()
    lacking_rows: int = 0
    thresholds: str | None = None


class PairReport(Record):
    """How much higher a figure of `name` is than that of `other`, on the same rows.

    `p` is McNemar's exact test for accuracy, else the paired bootstrap; `p_corrected` is Holm's correction for all
    pairs of this figure and target.
    """

    figure: str
    name: str
    other: str
    value: Figure
    low: Figure
    high: Figure
    p: float
    p_corrected: float

    @property
    def significant(self) -> bool:
        """Whether the two can be told apart."""
        return self.p_corrected < SIGNIFICANT

    def seen_from(self, name: str) -> PairReport:
        """The same with `name` first: it is one of the two."""
        if name == self.name:
            return self
        value, low, high = (None if bound is None else -bound for bound in (self.value, self.high, self.low))
        turned = {"name": self.other, "other": self.name, "value": value, "low": low, "high": high}
        return self.model_copy(update=turned)


class TargetComparison(Record):
    """One target. `n` rows have a label of it; `oos_rows` are known to be out of its scope, and count nowhere else.

    `best` has the highest `main_figure`, `against` is who the others are shown against.
    """

    kind: Kind
    labels: tuple[str, ...]
    n: int
    unknown: int
    oos_rows: int = 0
    unseen_labels: tuple[str, ...]
    unseen_rows: int
    main_figure: str
    best: str
    against: str
    contenders: dict[str, ContenderFigures]
    pairs: tuple[PairReport, ...]
    resamples: int

    def pair(self, figure: str, name: str, other: str) -> PairReport | None:
        """The difference of two contenders, seen from `name`; None where one of them lacks the figure."""
        for pair in self.pairs:
            if pair.figure == figure and {pair.name, pair.other} == {name, other}:
                return pair.seen_from(name)
        return None

    def ranked(self) -> list[str]:
        """The contenders, best main figure first."""
        return ranked(self.contenders, self.main_figure)


class Comparison(Record):
    """Several contenders on the same rows.

    `n` rows were asked about, of `rows` in the data (`sampled` says how they were drawn, where not all were). `used`
    says which rows were used for what; `warnings` what puts the figures in doubt; `notes` what else should be known.
    """

    title: str
    n: int
    rows: int
    sampled: str | None
    seed: int
    contenders: tuple[ContenderReport, ...]
    targets: dict[str, TargetComparison]
    used: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: Figure = None

    def contender(self, name: str) -> ContenderReport:
        """The contender of that name."""
        return next(contender for contender in self.contenders if contender.name == name)


class _Counted(NamedTuple):
    """What is kept of a contender once its answers are counted."""

    sums: RowSums
    has: tuple[str, ...]
    scored: dict[str, Measured]
    precisions: Doubles | None
    cuts: Sequence[float] | None
    lacking: tuple[str, ...]
    lacking_rows: int
    failed: int
    thresholds: str | None


class TargetContest:
    """Gathers what the contenders say of one target, one contender after the other."""

    def __init__(self, target: Target, truth: Truth, *, resamples: int = RESAMPLES, seed: int = 0) -> None:
        """Start without contenders.

        Args:
            target: what is asked; its labels are those of all contenders together.
            truth: the labels of the rows, in the codes of `target`.
            resamples: of the bootstrap.
            seed: of the bootstrap.
        """
        self.target = target
        self._truth = truth.select(np.flatnonzero(truth.known))
        self._known = truth.known
        self._outside = np.flatnonzero(truth.out_of_scope) if isinstance(truth, SingleTruth) else np.zeros(0, np.intp)
        self._resamples, self._seed = resamples, seed
        self._counted: dict[str, _Counted] = {}

    def add(
        self,
        name: str,
        said: Said,
        labels: Sequence[str],
        *,
        cuts: Sequence[float] | None = None,
        thresholds: str | None = None,
    ) -> None:
        """Take what a contender says of all rows.

        Args:
            name: whose it is.
            said: its answers, in the columns of `labels`.
            labels: the labels it has.
            cuts: (its labels,) the score from which it gives each, for a multi-label target.
            thresholds: where these come from, for readers.
        """
        truth, mine = self._truth, set(labels)
        turned_away = self._turned_away(said)
        said = said.select(np.flatnonzero(self._known)).among(labels, self.target.labels)
        sums = row_sums(truth, said)
        lacking = tuple(label for label in self.target.labels if label not in mine)
        scored, precisions = self._of_scores(said, sums)
        place = {label: at for at, label in enumerate(labels)}
        self._counted[name] = _Counted(
            sums=sums,
            has=has(said),
            scored=scored | turned_away,
            precisions=precisions,
            cuts=None if cuts is None else [cuts[place[x]] if x in place else np.nan for x in self.target.labels],
            lacking=(*lacking, *truth.unseen),
            lacking_rows=self._carrying(lacking),
            failed=int(said.failed.sum()),
            thresholds=thresholds,
        )

    def finish(self, against: str | None = None) -> TargetComparison:
        """Return the comparison.

        Args:
            against: who the others are shown against; the best by the main figure, if not given.
        """
        kind = self.target.kind
        resampled = resample_sums({n: (c.sums, c.has) for n, c in self._counted.items()}, self._resamples, self._seed)
        found = {name: self._figures(name, counted, resampled) for name, counted in self._counted.items()}
        main = PAIRED[kind][0]
        best = ranked(found, main)[0]
        return TargetComparison(
            kind=kind,
            labels=self.target.labels,
            n=len(self._truth),
            unknown=len(self._known) - len(self._truth) - len(self._outside),
            oos_rows=len(self._outside),
            unseen_labels=self._truth.unseen,
            unseen_rows=self._carrying(()),
            main_figure=main,
            best=best,
            against=against or best,
            contenders=found,
            pairs=tuple(pair for figure in PAIRED[kind] for pair in _pairs(figure, list(found), resampled)),
            resamples=len(next(iter(resampled.drawn[best].values()), ())),
        )

    def _turned_away(self, said: Said) -> dict[str, Measured]:
        """The share of the rows out of scope that got no label; a row without a usable answer was not turned away."""
        if not len(self._outside):
            return {}
        outside = said.select(self._outside)
        silent = ~outside.given.any(axis=1)
        if outside.abstained is not None:
            silent |= outside.abstained
        found = share_of(int((silent & ~outside.failed).sum()), len(self._outside))
        return {} if found is None else {"oos_recall": _measured(found.value, found.interval)}

    def _of_scores(self, said: Said, sums: RowSums) -> tuple[dict[str, Measured], Doubles | None]:
        """Calibration error and average precision, of a contender with scores; and the latter by label."""
        truth, multi = self._truth, self.target.is_multi
        scores = said.told(multi=multi)
        if scores is None or not len(truth):
            return {}, None
        carried = indicator(truth)[:, : truth.n_labels]
        bins = reliability_bins(scores, carried) if multi else reliability_bins(scores.max(axis=1), sums.right)
        figures = {"ece": Measured(value=bins.error())}
        precisions = np.array([average_precision(scores[:, at], carried[:, at]) for at in range(truth.n_labels)])
        some = precisions[~np.isnan(precisions)]
        if multi and len(some):
            between = mean_average_precision_interval(scores, carried, resamples=self._resamples, seed=self._seed)
            figures["mean_average_precision"] = _measured(float(some.mean()), between)
        return figures, precisions

    def _carrying(self, lacking: Sequence[str]) -> int:
        """Rows that carry one of these labels, or one that nobody has."""
        place = {label: at for at, label in enumerate(self.target.labels)}
        codes = [place[label] for label in lacking]
        codes += range(self._truth.n_labels, self._truth.n_labels + len(self._truth.unseen))
        truth = self._truth
        found = np.isin(truth.codes, codes)
        if isinstance(truth, MultiTruth):
            rows = np.repeat(np.arange(len(truth)), np.diff(truth.offsets))
            return len(np.unique(rows[found]))
        return int(found.sum())

    def _figures(self, name: str, counted: _Counted, resampled: Resampled) -> ContenderFigures:
        values = {
            figure: _measured(value, resampled.interval(name, figure))
            for figure, value in resampled.figures[name].items()
        } | counted.scored
        if self.target.is_multi and "accuracy" in values:
            values[SUBSET] = values.pop("accuracy")
        names = (*self.target.labels, *self._truth.unseen)
        shown = {figure: values[figure] for figure in SHOWN[self.target.kind] if figure in values}
        return ContenderFigures(
            figures={figure: measured for figure, measured in shown.items() if measured.value is not None},
            per_label=label_figures(self.target, names, counted.sums.counts(), counted.precisions, counted.cuts),
            failed=counted.failed,
            lacking=counted.lacking,
            lacking_rows=counted.lacking_rows,
            thresholds=counted.thresholds,
        )


def ranked(contenders: Mapping[str, ContenderFigures], figure: str) -> list[str]:
    """Return the contenders, the best by a figure first; those without it last."""
    sign = -1.0 if figure in LOWER_IS_BETTER else 1.0

    def rank(name: str) -> float:
        measured = contenders[name].figures.get(figure)
        return float("inf") if measured is None or measured.value is None else -sign * measured.value

    return sorted(contenders, key=rank)


def _measured(value: float, interval: Interval | None) -> Measured:
    low, high = interval or (None, None)
    return Measured(value=value, low=low, high=high)


def _pairs(figure: str, names: Sequence[str], resampled: Resampled) -> list[PairReport]:
    """The differences of all pairs of contenders that have the figure, with p-values corrected for being so many."""
    inner = "accuracy" if figure == SUBSET else figure
    found = [(one, other, resampled.difference(inner, one, other)) for one, other in combinations(names, 2)]
    there = [(one, other, difference) for one, other, difference in found if difference is not None]
    return [
        PairReport(
            figure=figure,
            name=one,
            other=other,
            value=difference.value,
            low=difference.low,
            high=difference.high,
            p=difference.p,
            p_corrected=corrected,
        )
        for (one, other, difference), corrected in zip(
            there, holm([difference.p for _, _, difference in there]), strict=True
        )
    ]
