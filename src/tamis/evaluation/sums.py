"""What each row adds to the figures, kept row by row so that rows can be resampled.

Accuracy, the F1 family, log loss, Brier score, Jaccard and coverage are all functions of sums over rows. This module
names those sums; one function makes the figures of them, for the whole and for every resample alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from tamis.evaluation.intervals import Interval, intervals
from tamis.evaluation.metrics import (
    Bools,
    Doubles,
    Ints,
    LabelCounts,
    micro_f1,
    precision_recall_f1,
    ratio,
    weighted_f1,
)

TERMS = ("right", "loss", "losses", "brier", "jaccard", "answered", "answered_right")


@dataclass(frozen=True, slots=True, eq=False)
class RowSums:
    """Per row: the labels it carries and was given, and its `TERMS`.

    `hits`, `given`, `actual` are sparse (n, n_labels) with a 1 for each label (unseen ones included); `terms` is
    (n, len(TERMS)): whether the row is right, its log loss, whether it has one, its Brier score, its Jaccard, whether
    it was answered, whether it was answered and right.
    """

    hits: sparse.csr_array
    given: sparse.csr_array
    actual: sparse.csr_array
    terms: Doubles
    occurring_only: bool

    def __len__(self) -> int:
        """Rows."""
        return len(self.terms)

    def counts(self) -> LabelCounts:
        """Rows by label: each (n_labels,)."""
        return LabelCounts(*(np.asarray(part.sum(axis=0), dtype=np.float64) for part in self._labels()))

    def figures(self) -> dict[str, float]:
        """Every figure by name; NaN where there is nothing to divide by. Empty without rows."""
        if not len(self):
            return {}
        counts = self.counts()
        sums = np.concatenate([counts.hits, counts.given, counts.actual, self.terms.sum(axis=0)])
        return {name: float(values[0]) for name, values in self.of_sums(sums[None, :]).items()}

    def intervals(self, resamples: int, seed: int) -> dict[str, Interval]:
        """A 95 % bootstrap interval for every figure that has one."""
        if not len(self):
            return {}
        return intervals(self.columns(), self.of_sums, resamples=resamples, seed=seed)

    def columns(self) -> sparse.csr_array:
        """(n, 3 * n_labels + len(TERMS)) what each row adds to each sum."""
        return sparse.csr_array(sparse.hstack([*self._labels(), sparse.csr_array(self.terms)], format="csr"))

    @property
    def right(self) -> Bools:
        """(n,) rows that are exactly right."""
        right: Bools = self.terms[:, TERMS.index("right")] > 0
        return right

    def _labels(self) -> tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array]:
        return self.hits, self.given, self.actual

    def of_sums(self, sums: Doubles) -> Mapping[str, Doubles]:
        """Figures of sums of `columns`: from sums (resamples, 3 * n_labels + len(TERMS)) to figures (resamples,)."""
        width = self.hits.shape[1]
        counts = LabelCounts(sums[:, :width], sums[:, width : 2 * width], sums[:, 2 * width : 3 * width])
        term = dict(zip(TERMS, sums[:, 3 * width :].T, strict=True))
        rows = np.full(len(sums), float(len(self)))
        return {
            "accuracy": ratio(term["right"], rows, np.nan),
            "micro_f1": micro_f1(counts),
            "macro_f1": self._macro_f1(counts),
            "weighted_f1": weighted_f1(counts),
            "log_loss": ratio(term["loss"], term["losses"], np.nan),
            "brier": ratio(term["brier"], rows, np.nan),
            "samples_jaccard": ratio(term["jaccard"], rows, np.nan),
            "coverage": ratio(term["answered"], rows, np.nan),
            "selective_accuracy": ratio(term["answered_right"], term["answered"], np.nan),
        }

    def _macro_f1(self, counts: LabelCounts) -> Doubles:
        """Macro-F1 of resamples (resamples,); of the rows themselves it is exactly `metrics.macro_f1`.

        A label that carries no row in a resample, but does in truth, is left out of that resample: counting it 0 would
        pull the whole interval below the figure wherever labels are rare.
        """
        whole = self.counts()
        drawn = counts.actual > 0
        mean = ratio((precision_recall_f1(counts).f1 * drawn).sum(axis=-1), drawn.sum(axis=-1).astype(np.float64))
        labels = (whole.actual + whole.given > 0).sum() if self.occurring_only else len(whole.actual)
        mean *= (whole.actual > 0).sum() / max(1, labels)
        return mean


def terms(right: Bools, losses: Doubles, briers: Doubles, jaccards: Doubles, answered: Bools) -> Doubles:
    """(n, len(TERMS)) the terms of rows; each argument is (n,), and a loss of NaN is none."""
    columns = [right, np.nan_to_num(losses), ~np.isnan(losses), briers, jaccards, answered, right & answered]
    found: Doubles = np.column_stack(columns).astype(np.float64)
    return found


def marks(rows: Ints, codes: Ints, shape: tuple[int, int]) -> sparse.csr_array:
    """Sparse `shape` with a 1 at each (row, code)."""
    return sparse.csr_array((np.ones(len(codes)), (rows, codes)), shape=shape)


def sparse_marks(indicator: Bools) -> sparse.csr_array:
    """The same as `marks`, of an indicator (n, n_labels)."""
    rows, codes = np.nonzero(indicator)
    return marks(rows, codes, indicator.shape)
