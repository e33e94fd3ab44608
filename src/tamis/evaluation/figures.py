"""What is measured for one target, as frozen records that go to JSON and back.

Figures are rounded to six digits; what cannot be said (no rows, no positives) is null, never NaN. A pair `*_ci` is a
95 % bootstrap interval. It knows neither arrays nor pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from tamis.evaluation.metrics import Doubles, Floats, LabelCounts, label_jaccard, precision_recall_f1
from tamis.schema import Kind, Target


def rounded(value: float | None) -> float | None:
    """Return a finite number with six digits, or None."""
    return round(float(value), 6) if value is not None and isfinite(value) else None


def _interval(value: tuple[float | None, float | None] | None) -> tuple[float, float] | None:
    low, high = (rounded(bound) for bound in value) if value is not None else (None, None)
    return None if low is None or high is None else (low, high)


Figure = Annotated[float | None, BeforeValidator(rounded)]
IntervalFigure = Annotated[tuple[float, float] | None, BeforeValidator(_interval)]


class Record(BaseModel):
    """A frozen record without surprises."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelFigures(Record):
    """One label: `support` rows carry it, `given` were given it, `hits` both. F1 and its like are 0 without rows."""

    label: str
    precision: Figure
    recall: Figure
    f1: Figure
    support: int
    given: int
    hits: int
    jaccard: Figure
    average_precision: Figure = None
    threshold: Figure = None
    unseen: bool = False


def label_figures(
    target: Target,
    names: Sequence[str],
    counts: LabelCounts,
    precisions: Doubles | None,
    thresholds: Sequence[float] | Floats | None,
) -> tuple[LabelFigures, ...]:
    """Return the figures of each label.

    Args:
        target: whose labels.
        names: its labels, and behind them those that only the rows have.
        counts: of each name.
        precisions: (n_labels,) average precision; None: not known.
        thresholds: (n_labels,); None where there are none.
    """
    precision, recall, f1 = precision_recall_f1(counts)
    jaccard, n_known = label_jaccard(counts), len(target.labels)
    return tuple(
        LabelFigures(
            label=name,
            precision=precision[at],
            recall=recall[at],
            f1=f1[at],
            support=int(counts.actual[at]),
            given=int(counts.given[at]),
            hits=int(counts.hits[at]),
            jaccard=jaccard[at],
            average_precision=precisions[at] if precisions is not None and at < n_known else None,
            threshold=thresholds[at] if thresholds is not None and at < n_known else None,
            unseen=at >= n_known,
        )
        for at, name in enumerate(names)
    )


class Confusion(Record):
    """In so many `rows`, `given` was answered in place of `actual`; for multi-label targets, one wrong, one missing."""

    actual: str
    given: str
    rows: int


class Mistake(Record):
    """A wrong answer: `row` counts from 0 in the rows that were evaluated; `scores` are the ones that explain it."""

    row: int
    actual: tuple[str, ...]
    given: tuple[str, ...]
    loss: Figure
    scores: dict[str, float]
    abstained: bool = False


class ReliabilityBin(Record):
    """Rows (multi-label: scores) between `low` and `high`, their mean confidence, and the share that was right."""

    low: float
    high: float
    rows: int
    confidence: Figure
    correct: Figure


class ThresholdCurve(Record):
    """Precision and recall of a label at each of the report's `cuts`; label None is all labels together."""

    label: str | None
    support: int
    precision: tuple[Figure, ...]
    recall: tuple[Figure, ...]


class CoveragePoint(Record):
    """If no answer were given below the evidence `cut`: share of rows answered, and share of those that is right.

    `oos_recall` is the share of the rows out of scope that would get no answer.
    """

    cut: float
    coverage: Figure
    accuracy: Figure = None
    oos_recall: Figure = None


class Baseline(Record):
    """The best constant answer: the most frequent label, or for multi-label the most frequent so many labels."""

    answer: tuple[str, ...]
    accuracy: Figure = None
    micro_f1: Figure = None
    macro_f1: Figure
    weighted_f1: Figure


class TargetFigures(Record):
    """What single-label and multi-label targets have in common.

    `n` rows say something about the target, `unknown` do not. `unseen_rows` carry a label that the model does not have,
    and count as misses. Coverage is the share of rows that got an answer, selective accuracy the share of those that is
    right; both are null without an abstain rule.
    """

    n: int
    unknown: int
    unseen_labels: tuple[str, ...]
    unseen_rows: int
    macro_f1: Figure = None
    macro_f1_ci: IntervalFigure = None
    weighted_f1: Figure = None
    weighted_f1_ci: IntervalFigure = None
    ece: Figure = None
    ece_before: Figure = None
    log_loss: Figure = None
    log_loss_ci: IntervalFigure = None
    brier: Figure = None
    brier_ci: IntervalFigure = None
    coverage: Figure = None
    coverage_ci: IntervalFigure = None
    selective_accuracy: Figure = None
    selective_accuracy_ci: IntervalFigure = None
    unseen_abstained: Figure = None
    baseline: Baseline
    per_label: tuple[LabelFigures, ...]
    reliability: tuple[ReliabilityBin, ...]
    confusions: tuple[Confusion, ...]
    mistakes: tuple[Mistake, ...]
    ranked_rows: int

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """The figures alone: curves, tables and mistakes are there to be asked for, not to fill a screen."""
        for name, value in super().__repr_args__():
            if isinstance(value, int | float | Kind):
                yield name, value


class SingleReport(TargetFigures):
    """A single-label target. `ece` and `reliability` are about the answers' confidence.

    `oos_rows` are known to be out of scope, and count nowhere else: `oos_recall` is the share of them that got no
    answer, `oos_auroc` how often such a row has less evidence than one with a label of the model.
    """

    kind: Literal[Kind.SINGLE_LABEL] = Kind.SINGLE_LABEL
    accuracy: Figure = None
    accuracy_ci: IntervalFigure = None
    coverage_curve: tuple[CoveragePoint, ...]
    oos_rows: int = 0
    oos_recall: Figure = None
    oos_recall_ci: IntervalFigure = None
    oos_auroc: Figure = None
    oos_auroc_ci: IntervalFigure = None


class MultiReport(TargetFigures):
    """A multi-label target. `ece` and `reliability` are about every score of every label."""

    kind: Literal[Kind.MULTI_LABEL] = Kind.MULTI_LABEL
    subset_accuracy: Figure = None
    subset_accuracy_ci: IntervalFigure = None
    micro_f1: Figure = None
    micro_f1_ci: IntervalFigure = None
    samples_jaccard: Figure = None
    samples_jaccard_ci: IntervalFigure = None
    mean_average_precision: Figure = None
    mean_average_precision_ci: IntervalFigure = None
    cuts: tuple[float, ...]
    curves: tuple[ThresholdCurve, ...]
