"""Rows behind a report's figures: counted like the report counts, few of each kind, the most telling ones."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tamis.data.truth import SingleTruth, multi_truth
from tamis.evaluation.behind import RIGHT, WRONG, behind
from tamis.evaluation.report import evaluate_target
from tamis.schema import Kind, Target

NAMES = ("a", "b", "c")
ONE = Target(name="t", kind=Kind.SINGLE_LABEL, labels=NAMES)
MANY = Target(name="t", kind=Kind.MULTI_LABEL, labels=NAMES)


Floats = NDArray[np.float32]


def scores_of(rows: int, seed: int) -> Floats:
    found: Floats = np.random.default_rng(seed).random((rows, 3)).astype(np.float32)
    found /= found.sum(axis=1, keepdims=True)
    return found


def in_parts(gathering: Any, scores: Floats, step: int) -> dict[Any, Any]:
    for first in range(0, len(scores), step):
        gathering.add(first, scores[first : first + step])
    return {(cell.actual, cell.given): cell for cell in gathering.cells()}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-2, 4), min_size=1, max_size=80), st.integers(1, 90), st.integers(0, 99))
def test_a_single_label_counts_like_its_report(codes: list[int], step: int, seed: int) -> None:
    truth = SingleTruth(np.array(codes, dtype=np.int32), 3, ("new", "newer"))
    scores = scores_of(len(codes), seed)
    cells = in_parts(behind(ONE, truth, None), scores, step)
    report = evaluate_target(ONE, truth, scores, resamples=0)
    wrong = {pair: cell.count for pair, cell in cells.items() if pair[0] != pair[1] and None not in pair}
    assert wrong == {(each.actual, each.given): each.rows for each in report.confusions}
    assert {at[0]: cell.count for at, cell in cells.items() if at[0] == at[1]} == {
        label.label: label.hits for label in report.per_label if label.hits
    }
    for label in report.per_label:
        missed, extra = cells.get((label.label, None)), cells.get((None, label.label))
        assert (missed.count if missed else 0) == label.support - label.hits
        assert (extra.count if extra else 0) == label.given - label.hits
    for cell in cells.values():
        assert len(cell.rows) == min(cell.count, RIGHT if cell.actual == cell.given else WRONG)


def test_the_surest_mistakes_and_the_least_sure_hits_are_kept() -> None:
    truth = SingleTruth(np.zeros(100, dtype=np.int32), 3)
    sure = np.linspace(0.5, 0.99, 50, dtype=np.float32)
    hits = np.stack([sure, 1 - sure, np.zeros_like(sure)], axis=1)
    cells = in_parts(behind(ONE, truth, None), np.concatenate([hits, hits[:, [1, 0, 2]] + [[-1e-3, 1e-3, 0]]]), 7)
    assert [row.row for row in cells["a", "a"].rows] == list(range(RIGHT))
    assert [row.row for row in cells["a", "b"].rows] == list(range(99, 99 - WRONG, -1))
    first = cells["a", "b"].rows[0]
    assert first.given_score is not None
    assert first.actual_score is not None
    assert first.given_score > first.actual_score


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.sets(st.integers(0, 3), max_size=4)), min_size=1, max_size=60),
    st.integers(1, 70),
    st.integers(0, 99),
)
def test_several_labels_count_like_their_report(rows: list[Any], step: int, seed: int) -> None:
    truth = multi_truth([None if each is None else sorted(each) for each in rows], 3, ("new",))
    scores, thresholds = scores_of(len(rows), seed), np.array([0.3, 0.4, 0.2], dtype=np.float32)
    cells = in_parts(behind(MANY, truth, thresholds), scores, step)
    report = evaluate_target(MANY, truth, scores, thresholds, resamples=0)
    for label in report.per_label:
        missed, extra = cells.get((label.label, None)), cells.get((None, label.label))
        assert (missed.count if missed else 0) == label.support - label.hits
        assert (extra.count if extra else 0) == label.given - label.hits
    swapped = {pair: cell.count for pair, cell in cells.items() if None not in pair}
    assert swapped == {(each.actual, each.given): each.rows for each in report.confusions}


def test_a_label_that_the_model_lacks_has_no_score() -> None:
    truth = multi_truth([[3], [0]], 3, ("new",))
    cells = in_parts(behind(MANY, truth, None), np.full((2, 3), 0.1, dtype=np.float32), 2)
    assert cells["new", None].rows[0].actual_score is None
    assert cells["a", None].rows[0].actual_score == 0.1
    assert cells["a", None].rows[0].given_score is None
