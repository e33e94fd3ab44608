"""Whether one contender is better than another on the same rows: paired differences, with an interval and a p-value.

Both are resampled with the same rows (paired bootstrap: Efron and Tibshirani 1993, chapter 16), so that rows which are
hard for both do not blur the difference. Accuracy has an exact test of its own (McNemar 1947); many p-values at once
are corrected by Holm's method (1979). It knows no contender, only what each said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, isfinite, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import bdtr

from tamis.data.truth import MultiTruth, SingleTruth, Truth
from tamis.errors import InvalidSetting
from tamis.evaluation.intervals import LEVEL, Interval, drawn_figures, percentiles
from tamis.evaluation.metrics import Bools, Doubles, right_rows, row_briers, row_jaccards, row_log_losses
from tamis.evaluation.said import Said
from tamis.evaluation.sums import RowSums, sparse_marks, terms

RESAMPLES = 2000
BLOCK = 2_000_000  # rows x labels that are looked at at a time
SHARES = (
    "accuracy",
    "macro_f1",
    "weighted_f1",
    "micro_f1",
    "samples_jaccard",
    "coverage",
    "selective_accuracy",
)
LOSSES = ("log_loss", "brier")
"""Figures of the scores; the lower, the better."""

FIGURES = SHARES + LOSSES
SUBSET = "subset_accuracy"
"""What reports call the accuracy of a multi-label target: rows with every label right."""

_ABSTAINING = ("coverage", "selective_accuracy")


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher a figure of one contender is than another's, on the same rows.

    Attributes:
        value: the difference.
        low, high: its 95 % interval.
        p: how likely a difference at least as large is where there is none: McNemar's exact test for accuracy, the
            paired bootstrap for everything else.
    """

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Every contender's figures, on the rows themselves and on the same resamples of them.

    Attributes:
        rows: how many there are.
        figures: by contender, by name.
        drawn: by contender, by name, (resamples,).
        right: by contender, (rows,) which it has right.
    """

    rows: int
    figures: Mapping[str, Mapping[str, float]]
    drawn: Mapping[str, Mapping[str, Doubles]]
    right: Mapping[str, Bools]

    def interval(self, name: str, figure: str) -> Interval | None:
        """The 95 % interval of a contender's figure; None where it has none."""
        return percentiles(self.drawn[name][figure], self.rows) if figure in self.drawn[name] else None

    def difference(self, figure: str, name: str, other: str) -> Difference | None:
        """How much higher the figure of `name` is than that of `other`; None where one of them does not have it."""
        mine, theirs = self.figures[name].get(figure), self.figures[other].get(figure)
        if mine is None or theirs is None or not (isfinite(mine) and isfinite(theirs)):
            return None
        moved = self.drawn[name][figure] - self.drawn[other][figure]
        low, high, p = _judged(moved[np.isfinite(moved)], mine - theirs, self.rows, share=figure in SHARES)
        if figure == "accuracy":
            p = mcnemar(self.right[name], self.right[other])
        return Difference(value=mine - theirs, low=low, high=high, p=p)


def difference(figure: str, truth: Truth, a: Said, b: Said, *, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """Return how much higher a figure of `a` is than that of `b`, on the same rows.

    Args:
        figure: one of `FIGURES`, or "subset_accuracy", which is the accuracy of a multi-label target. The
            lower `LOSSES` are, the better: there a difference below 0 is in favour of `a`.
        truth: the labels of the rows; unknown rows are left out.
        a: what one contender says, in the columns of the truth's labels.
        b: what the other one says of the same rows.
        resamples: of the bootstrap.
        seed: the same seed gives the same interval.

    Raises:
        InvalidSetting: there is no such figure, or one of the two does not have it.
    """
    name = "accuracy" if figure == SUBSET else figure
    if name not in FIGURES:
        raise InvalidSetting(
            f"There is no figure {figure!r} to compare: take one of {', '.join((*FIGURES, SUBSET))}.", setting="figure"
        )
    both = resample(truth, {"a": a, "b": b}, resamples=resamples, seed=seed)
    found = both.difference(name, "a", "b")
    if found is None:
        raise InvalidSetting(
            f"{figure} cannot be compared here: there are no rows, or one of the two has no scores, or never abstains.",
            setting="figure",
        )
    return found


def resample(truth: Truth, said: Mapping[str, Said], *, resamples: int = RESAMPLES, seed: int = 0) -> Resampled:
    """Return the figures of every contender on the rows that are known, and on the same resamples of them.

    Args:
        truth: the labels of the rows.
        said: what each contender says of them.
        resamples: how many; fewer where rows are very many (`tamis.evaluation.intervals.DRAWS`).
        seed: the same seed draws the same rows.
    """
    return resample_sums({name: (row_sums(truth, one), has(one)) for name, one in said.items()}, resamples, seed)


def has(said: Said) -> tuple[str, ...]:
    """Which figures a contender has: those of scores and of abstaining only where it has scores, and abstains."""
    lacking = (*(LOSSES if said.scores is None else ()), *(_ABSTAINING if said.abstained is None else ()))
    return tuple(figure for figure in FIGURES if figure not in lacking)


def resample_sums(
    parts: Mapping[str, tuple[RowSums, tuple[str, ...]]], resamples: int = RESAMPLES, seed: int = 0
) -> Resampled:
    """The same from what each row adds to the figures, and which figures there are: what is small enough to be kept."""
    rows = {len(sums) for sums, _ in parts.values()}
    if len(rows) > 1:
        raise ValueError(f"contenders said something of different rows: {sorted(rows)}")
    n_rows = rows.pop() if rows else 0
    drawn = drawn_figures(
        [(sums.columns(), sums.of_sums) for sums, _ in parts.values()] if n_rows else [], resamples=resamples, seed=seed
    )
    return Resampled(
        rows=n_rows,
        figures={
            name: {figure: value for figure, value in sums.figures().items() if figure in figures}
            for name, (sums, figures) in parts.items()
        },
        drawn={
            name: {figure: values for figure, values in found.items() if figure in figures}
            for (name, (_, figures)), found in zip(parts.items(), drawn or [{}] * len(parts), strict=True)
        },
        right={name: sums.right for name, (sums, _) in parts.items()},
    )


def row_sums(truth: Truth, said: Said) -> RowSums:
    """Return what each known row adds to the figures; a failed row is wrong, whatever it carries.

    Args:
        truth: the labels of the rows; unknown rows are left out.
        said: of the same rows, in the columns of the truth's labels.
    """
    if len(said) != len(truth) or said.given.shape[1] != truth.n_labels:
        raise ValueError(f"answers of shape {said.given.shape} for {len(truth)} rows of {truth.n_labels} labels")
    known = np.flatnonzero(truth.known)
    step = max(1, BLOCK // max(1, truth.n_labels + len(truth.unseen)))
    parts = [_block(truth.select(rows), said.select(rows)) for rows in _steps(known, step)]
    hits, given, actual, row_terms = zip(*parts, strict=True)
    return RowSums(
        hits=sparse.csr_array(sparse.vstack(hits)),
        given=sparse.csr_array(sparse.vstack(given)),
        actual=sparse.csr_array(sparse.vstack(actual)),
        terms=np.concatenate(row_terms),
        occurring_only=isinstance(truth, SingleTruth),
    )


def _steps(rows: NDArray[np.intp], step: int) -> list[NDArray[np.intp]]:
    """The rows in parts; one empty part where there are none."""
    return [rows[at : at + step] for at in range(0, max(1, len(rows)), step)]


def _block(truth: Truth, said: Said) -> tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array, Doubles]:
    """Hits, given and actual labels, and the terms, of rows that are all known."""
    actual = indicator(truth)
    given = np.zeros_like(actual)
    given[:, : truth.n_labels] = said.given & ~said.failed[:, None]
    right = right_rows(actual, given) & ~said.failed
    answered = np.ones(len(said), dtype=bool) if said.abstained is None else ~said.abstained
    multi = isinstance(truth, MultiTruth)
    jaccards = np.where(said.failed, 0.0, row_jaccards(actual, given)) if multi else right.astype(np.float64)
    losses, briers = _losses(truth, said)
    row_terms = terms(right, losses, briers, jaccards, answered & ~said.failed)
    return sparse_marks(actual & given), sparse_marks(given), sparse_marks(actual), row_terms


def _losses(truth: Truth, said: Said) -> tuple[Doubles, Doubles]:
    """(n,) log loss and (n,) Brier score of rows; NaN, and 0, where there are no scores."""
    scores = said.told(multi=isinstance(truth, MultiTruth))
    if scores is None:
        return np.full(len(said), np.nan), np.zeros(len(said))
    asked = truth.codes if isinstance(truth, SingleTruth) else truth.indicator()
    return row_log_losses(scores, asked), row_briers(scores, asked)


def indicator(truth: Truth) -> Bools:
    """(n, n_labels and unseen ones) which labels each row carries; all rows are known."""
    if isinstance(truth, MultiTruth):
        return truth.indicator(with_unseen=True)
    carried = np.zeros((len(truth), truth.n_labels + len(truth.unseen)), dtype=bool)
    carried[np.arange(len(truth)), truth.codes] = True
    return carried


def _judged(moved: Doubles, value: float, n_rows: int, *, share: bool) -> tuple[float, float, float]:
    """Interval and p-value of a difference from its resamples.

    The p-value is twice the share of the resamples on the other side of 0, so that it is under 0.05 where the interval
    leaves 0 out. Where no resample is there, the tail of a normal distribution of the same width says what no number
    of resamples could. A difference of shares that never moves gets the width that so many rows cannot exclude.
    """
    if not len(moved):
        return value, value, 1.0
    low, high = (float(bound) for bound in np.quantile(moved, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    if share and moved.min() == moved.max():
        unseen = 1 - float(((1 - LEVEL) / 2) ** (1 / n_rows))
        low, high = max(-1.0, low - unseen), min(1.0, high + unseen)
    across = int(min((moved <= 0).sum(), (moved >= 0).sum()))
    p = min(1.0, 2 * (across + 1) / (len(moved) + 1))
    spread = float(moved.std())
    if not across and spread:
        p = min(p, erfc(abs(value) / spread / sqrt(2)))
    return low, high, p


def mcnemar(right: Bools, other: Bools) -> float:
    """Return the two-sided p-value of McNemar's exact test: are rows that only one has right evenly split?

    Source: McNemar 1947; exact by the binomial distribution of the rows where the two differ.

    Args:
        right: (n,) rows that one contender has right.
        other: (n,) rows that the other has right.
    """
    only, theirs = int((right & ~other).sum()), int((other & ~right).sum())
    if not only + theirs:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(only, theirs), only + theirs, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for being so many (Holm 1979): the chance of any false alarm stays as promised.

    Args:
        p_values: of all the differences that are shown together.
    """
    corrected, reached = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[at]))
        corrected[at] = reached
    return corrected
