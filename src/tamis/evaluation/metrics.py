"""Figures of merit as functions of arrays: no model, no file, no label names.

Definitions and edge cases are scikit-learn's (the tests compare), with these words: *actual* is the truth, *given* is
what was answered. Single-label rows are codes `(n,)`; multi-label rows are an indicator `(n, n_labels)` of bool.
Everything that F1 and its relatives need is three counts a label, `LabelCounts`, so that they are quick to resample
and never need an array of rows x labels x labels. Rows must be known: leave unknown ones out before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LabelCounts:
    """Rows a label, each `(..., n_labels)`: that carry it (`actual`), were `given` it, and both (`hits`)."""

    hits: Doubles
    given: Doubles
    actual: Doubles


class PrecisionRecallF1(NamedTuple):
    """Each `(..., n_labels)`; 0 where the denominator is 0."""

    precision: Doubles
    recall: Doubles
    f1: Doubles


def count_single(actual: Ints, given: Ints, n_labels: int) -> LabelCounts:
    """Count by label. `actual`, `given`: (n,) codes in [0, n_labels)."""
    return LabelCounts(
        hits=_tally(actual[actual == given], n_labels), given=_tally(given, n_labels), actual=_tally(actual, n_labels)
    )


def count_multi(actual: Bools, given: Bools) -> LabelCounts:
    """Count by label. `actual`, `given`: (n, n_labels)."""
    return LabelCounts(hits=_column_sums(actual & given), given=_column_sums(given), actual=_column_sums(actual))


def _tally(codes: Ints, n_labels: int) -> Doubles:
    return np.bincount(codes, minlength=n_labels).astype(np.float64)


def _column_sums(indicator: Bools) -> Doubles:
    rows: Doubles = np.count_nonzero(indicator, axis=0).astype(np.float64)
    return rows


def ratio(part: Doubles, whole: Doubles, empty: float = 0.0) -> Doubles:
    """Return `part / whole`, `empty` where `whole` is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    divided: Doubles = np.divide(part, whole, out=np.full(whole.shape, empty), where=whole != 0)
    return divided


def precision_recall_f1(counts: LabelCounts) -> PrecisionRecallF1:
    """Return precision, recall and F1 by label."""
    return PrecisionRecallF1(
        precision=ratio(counts.hits, counts.given),
        recall=ratio(counts.hits, counts.actual),
        f1=ratio(2 * counts.hits, counts.given + counts.actual),
    )


def label_jaccard(counts: LabelCounts) -> Doubles:
    """Rows where both truth and answer carry the label over rows where either does: (..., n_labels)."""
    return ratio(counts.hits, counts.given + counts.actual - counts.hits)


def micro_f1(counts: LabelCounts) -> Doubles:
    """F1 over all decisions together: (...,)."""
    return ratio(2 * counts.hits.sum(axis=-1), counts.given.sum(axis=-1) + counts.actual.sum(axis=-1))


def macro_f1(counts: LabelCounts, *, occurring_only: bool) -> Doubles:
    """Mean F1 over the labels: (...,).

    Args:
        counts: counts by label.
        occurring_only: over the labels that some row carries or was given (the convention for single-label targets);
            otherwise over all labels (for multi-label targets), those without any row counting 0.
    """
    f1 = precision_recall_f1(counts).f1
    if not occurring_only:
        return f1.mean(axis=-1) if f1.shape[-1] else np.zeros(f1.shape[:-1])
    occurs = counts.given + counts.actual > 0
    return ratio(f1.sum(axis=-1), occurs.sum(axis=-1).astype(np.float64))


def weighted_f1(counts: LabelCounts) -> Doubles:
    """Mean F1 over the labels, weighted by the rows that carry them: (...,)."""
    f1 = precision_recall_f1(counts).f1
    return ratio((f1 * counts.actual).sum(axis=-1), counts.actual.sum(axis=-1))


def right_rows(actual: NDArray[Any], given: NDArray[Any]) -> Bools:
    """(n,) whether a row's answer is exactly right: codes (n,), or every label of an indicator (n, n_labels)."""
    same = np.asarray(actual == given, dtype=bool)
    return same if same.ndim == 1 else np.asarray(same.all(axis=1), dtype=bool)


def accuracy(actual: NDArray[Any], given: NDArray[Any]) -> float:
    """Share of rows that are exactly right (for indicators: subset accuracy)."""
    return _mean(right_rows(actual, given))


def row_jaccards(actual: Bools, given: Bools) -> Doubles:
    """(n,) labels in both over labels in either, for indicators (n, n_labels); 1 where both are empty."""
    both = np.count_nonzero(actual & given, axis=1).astype(np.float64)
    return ratio(both, np.count_nonzero(actual | given, axis=1).astype(np.float64), empty=1.0)


def samples_jaccard(actual: Bools, given: Bools) -> float:
    """Mean of `row_jaccards`. An empty answer to an empty truth is right and counts 1: `zero_division=1`."""
    return _mean(row_jaccards(actual, given))


def row_log_losses(scores: Floats, actual: NDArray[Any]) -> Doubles:
    """(n,) log loss of each row; scores are kept one machine epsilon of their type from 0 and 1.

    Args:
        scores: (n, n_labels) probabilities.
        actual: (n,) codes: minus the logarithm of the score of the actual label, NaN where the scores have no such
            label (code >= n_labels). Or an indicator (n, n_labels): mean binary log loss over the labels.
    """
    eps = float(np.finfo(scores.dtype).eps)
    if actual.ndim == 1:
        found: Doubles = -np.log(np.clip(_score_of(scores, actual), eps, 1 - eps))
        return found
    clipped = np.clip(scores.astype(np.float64), eps, 1 - eps)
    means: Doubles = -np.log(np.where(actual, clipped, 1 - clipped)).mean(axis=1)
    return means


def log_loss(scores: Floats, actual: NDArray[Any]) -> float:
    """Mean of `row_log_losses` over the rows whose label the scores have."""
    return _mean(row_log_losses(scores, actual))


def row_briers(scores: Floats, actual: NDArray[Any]) -> Doubles:
    """(n,) squared error of each row.

    Args:
        scores: (n, n_labels) probabilities.
        actual: (n,) codes: summed over the labels, 0 to 2 (Brier 1950), where a label that the scores do not have
            (code >= n_labels) adds 1. Or an indicator (n, n_labels): mean over the labels, 0 to 1.
    """
    wide = scores.astype(np.float64)
    if actual.ndim == 1:
        found: Doubles = np.square(wide).sum(axis=1) + 1 - 2 * np.nan_to_num(_score_of(scores, actual), nan=0.0)
        return found
    means: Doubles = np.square(wide - actual).mean(axis=1)
    return means


def brier(scores: Floats, actual: NDArray[Any]) -> float:
    """Mean of `row_briers`."""
    return _mean(row_briers(scores, actual))


def _score_of(scores: Floats, codes: Ints) -> Doubles:
    seen = codes < scores.shape[1]
    found = np.full(len(codes), np.nan)
    found[seen] = scores[np.flatnonzero(seen), codes[seen]]
    return found


def average_precision(scores: Floats, actual: Bools) -> float:
    """Area under precision over recall as a step function, for one label; NaN where no row carries it.

    `scores`, `actual`: (n,). Rows of equal score are one step.
    """
    if not actual.any():
        return float("nan")
    ranking = rank(scores, actual)
    hits_at_end = np.searchsorted(ranking.positives, ranking.ends, side="right")
    return _mean(hits_at_end / (ranking.ends + 1))


class Ranking(NamedTuple):
    """One label's rows from the highest score down.

    `order` (n,) rows; `positives` (p,) positions in it that carry the label; `ends` (p,) the last position whose score
    equals that of each positive.
    """

    order: NDArray[np.intp]
    positives: NDArray[np.intp]
    ends: NDArray[np.intp]


def rank(scores: Floats, actual: Bools) -> Ranking:
    """Rank the rows of one label by score. `scores`, `actual`: (n,)."""
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    last_of_tie = np.flatnonzero(np.append(descending[1:] != descending[:-1], True))
    positives = np.flatnonzero(actual[order])
    return Ranking(order, positives, last_of_tie[np.searchsorted(last_of_tie, positives)])


def average_precisions(scores: Floats, actual: Bools) -> Doubles:
    """(n_labels,) average precision of each label; NaN where no row carries it. Both arguments: (n, n_labels)."""
    return np.array([average_precision(scores[:, label], actual[:, label]) for label in range(scores.shape[1])])


def mean_average_precision(scores: Floats, actual: Bools) -> float:
    """Mean average precision over the labels that some row carries; NaN where there is none."""
    return _mean(average_precisions(scores, actual))


def confusion_matrix(actual: Ints, given: Ints, n_labels: int) -> NDArray[np.int64]:
    """(n_labels, n_labels) rows by actual (down) and given (across) label; for many labels use `confusion_pairs`."""
    flat = np.bincount(actual.astype(np.int64) * n_labels + given, minlength=n_labels * n_labels)
    return flat.reshape(n_labels, n_labels).astype(np.int64)


def confusion_pairs(actual: Ints, given: Ints) -> NDArray[np.int64]:
    """(pairs, 3) actual code, given code and rows, for wrong answers, most frequent first; ties by code."""
    wrong = actual != given
    if not wrong.any():
        return np.zeros((0, 3), dtype=np.int64)
    width = np.int64(max(actual.max(), given.max())) + 1
    pairs, rows = np.unique(actual[wrong].astype(np.int64) * width + given[wrong], return_counts=True)
    table = np.column_stack([pairs // width, pairs % width, rows])
    return table[np.argsort(-rows, kind="stable")]


def _mean(values: NDArray[Any]) -> float:
    """Mean of what is not NaN; NaN when nothing is left."""
    numbers = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return float(numbers.mean()) if numbers.size else float("nan")
