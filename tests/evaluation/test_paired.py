"""Paired differences: known p-values, intervals that hold what they promise, failures that count as wrong."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.truth import SingleTruth, multi_truth
from tamis.errors import InvalidSetting
from tamis.evaluation.metrics import log_loss
from tamis.evaluation.paired import difference, has, holm, mcnemar, resample, resample_sums, row_sums
from tamis.evaluation.report import evaluate_target
from tamis.evaluation.said import Said
from tamis.schema import Kind, Target


def single(codes: list[int] | np.ndarray, n_labels: int = 3, scores: np.ndarray | None = None) -> Said:
    """What is said with these codes; -1 is a failed row."""
    codes = np.asarray(codes, dtype=np.intp)
    given = np.zeros((len(codes), n_labels), dtype=bool)
    given[codes >= 0, codes[codes >= 0]] = True
    return Said(given, scores, codes < 0)


def truth_of(codes: list[int] | np.ndarray, n_labels: int = 3, unseen: tuple[str, ...] = ()) -> SingleTruth:
    return SingleTruth(np.asarray(codes, dtype=np.int32), n_labels, unseen)


def rights(only: int, other: int, both: int = 5, none: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Rows that only one has right, that only the other has, that both have, that nobody has."""
    pattern = [(1, 0)] * only + [(0, 1)] * other + [(1, 1)] * both + [(0, 0)] * none
    columns = np.array(pattern, dtype=bool)
    return columns[:, 0], columns[:, 1]


@pytest.mark.parametrize(
    ("only", "other", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (10, 2, 0.03857421875),  # 2 * (1 + 12 + 66) / 2**12
        (2, 10, 0.03857421875),
        (0, 6, 0.03125),  # 2 / 2**6
        (1, 7, 0.0703125),  # 2 * (1 + 8) / 2**8
        (150, 86, 3.716e-05),  # the approval ratings of Agresti's Categorical Data Analysis, by its exact test
    ],
)
def test_mcnemar_has_its_known_values(only: int, other: int, p: float) -> None:
    assert mcnemar(*rights(only, other)) == pytest.approx(p, rel=1e-3)


def test_mcnemar_agrees_with_the_binomial_test() -> None:
    for only, other in ((3, 9), (40, 61), (0, 1), (200, 150)):
        tail = sum(comb(only + other, k) for k in range(min(only, other) + 1))
        assert mcnemar(*rights(only, other)) == pytest.approx(2 * tail / 2 ** (only + other))


def test_holm_has_its_known_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=12))
@settings(max_examples=50, deadline=None)
def test_holm_only_raises_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(p <= now <= 1 for p, now in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_a_difference_is_that_of_the_figures() -> None:
    truth = truth_of([0, 1, 2, 0, 1, 2, 0, 0])
    good, bad = single([0, 1, 2, 0, 1, 2, 0, 1]), single([0, 1, 1, 0, 0, 2, 1, 1])
    found = difference("accuracy", truth, good, bad, resamples=300)
    assert found.value == pytest.approx(3 / 8)
    assert found.low <= found.value <= found.high
    assert found.p == pytest.approx(0.25)
    turned = difference("accuracy", truth, bad, good, resamples=300)
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))
    macro = difference("macro_f1", truth, good, bad, resamples=300)
    reports = [_evaluated(truth, said).macro_f1 for said in (good, bad)]
    assert macro.value == pytest.approx(reports[0] - reports[1], abs=1e-6)


def _evaluated(truth: SingleTruth, said: Said):
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b", "c"))
    return evaluate_target(target, truth, said.given.astype(np.float32), resamples=0)


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 80)
    truth, a, b = truth_of(codes), single(rng.integers(0, 3, 80)), single(codes)
    first = difference("macro_f1", truth, a, b, resamples=200, seed=1)
    assert difference("macro_f1", truth, a, b, resamples=200, seed=1) == first
    assert difference("macro_f1", truth, a, b, resamples=200, seed=2) != first


def test_unknown_rows_count_nowhere_and_unseen_labels_are_misses() -> None:
    truth = truth_of([0, -1, 3, 1], unseen=("new",))
    sums = row_sums(truth, single([0, 0, 0, 1]))
    assert sums.right.tolist() == [True, False, True]
    assert sums.figures()["accuracy"] == pytest.approx(2 / 3)


def test_failed_rows_are_wrong_even_where_nothing_was_to_be_said() -> None:
    truth = multi_truth([[], [0], [1], []], 2)
    given = np.array([[0, 0], [1, 0], [0, 1], [0, 0]], dtype=bool)
    answered = Said(given, None, np.zeros(4, dtype=bool))
    failed = Said(given, None, np.array([True, True, False, False]))
    assert resample(truth, {"a": answered}, resamples=0).figures["a"]["accuracy"] == 1.0
    found = resample(truth, {"a": failed}, resamples=0).figures["a"]
    assert found["accuracy"] == 0.5
    assert found["samples_jaccard"] == 0.5
    assert found["micro_f1"] == pytest.approx(2 / 3)


def test_a_failed_row_knows_nothing_where_others_have_scores() -> None:
    scores = np.array([[0.8, 0.1, 0.1], [0.0, 0.0, 0.0]], dtype=np.float32)
    truth, said = truth_of([0, 1]), single([0, -1], scores=scores)
    told = said.told(multi=False)
    assert told is not None
    assert told[1] == pytest.approx([1 / 3] * 3)
    found = resample(truth, {"a": said}, resamples=0).figures["a"]
    assert found["log_loss"] == pytest.approx(log_loss(told, truth.codes), rel=1e-6)
    assert said.scores is not None
    assert (said.scores[1] == 0).all()


def test_figures_that_are_not_there_are_absent() -> None:
    truth, said = truth_of([0, 1, 2]), single([0, 1, 1])
    assert "log_loss" not in has(said)
    assert "coverage" not in has(said)
    assert resample(truth, {"a": said, "b": said}, resamples=100).difference("log_loss", "a", "b") is None
    with pytest.raises(InvalidSetting, match="cannot be compared here"):
        difference("brier", truth, said, said, resamples=100)
    with pytest.raises(InvalidSetting, match="no figure 'f1'"):
        difference("f1", truth, said, said)


def test_contenders_that_never_differ_are_no_proof_of_equality() -> None:
    truth, said = truth_of([0, 1, 2, 0, 1]), single([0, 1, 2, 0, 0])
    found = difference("accuracy", truth, said, said, resamples=100)
    assert (found.value, found.p) == (0, 1)
    assert found.high == -found.low
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 5))


def test_no_rows_have_no_difference() -> None:
    nothing = single([])
    assert resample(truth_of([]), {"a": nothing, "b": nothing}, resamples=50).difference("accuracy", "a", "b") is None


def test_a_subset_of_labels_is_the_accuracy_of_many_labels() -> None:
    truth = multi_truth([[0], [1], [0, 1]], 2)
    a = Said(np.array([[1, 0], [0, 1], [1, 1]], dtype=bool), None, np.zeros(3, dtype=bool))
    b = Said(np.array([[1, 0], [0, 1], [1, 0]], dtype=bool), None, np.zeros(3, dtype=bool))
    assert difference("subset_accuracy", truth, a, b, resamples=50).value == pytest.approx(1 / 3)


def test_answers_of_another_shape_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="answers of shape"):
        row_sums(truth_of([0, 1]), single([0]))
    uneven = {"a": (row_sums(truth_of([0]), single([0])), ()), "b": (row_sums(truth_of([]), single([])), ())}
    with pytest.raises(ValueError, match="different rows"):
        resample_sums(uneven)


def _drawn(rng: np.random.Generator, n: int, apart: float) -> tuple[SingleTruth, Said, Said]:
    """Two contenders that are right of 80 % of rows, the second `apart` less, mistaken about the same rows mostly."""
    codes = rng.integers(0, 3, n).astype(np.int32)
    hard = rng.random(n)
    first = np.where((hard < 0.15) | (rng.random(n) < 0.05), (codes + 1) % 3, codes)
    second = np.where((hard < 0.15 + apart) | (rng.random(n) < 0.05), (codes + 1) % 3, codes)
    return truth_of(codes), single(first), single(second)


def test_intervals_hold_the_difference_as_often_as_they_promise() -> None:
    rng = np.random.default_rng(5)
    apart, held = 0.05, 0
    for seed in range(100):
        found = difference("accuracy", *_drawn(rng, 300, apart), resamples=150, seed=seed)
        held += found.low <= 0.95 * apart <= found.high
    assert 0.88 <= held / 100 <= 0.99


def test_equals_look_different_as_rarely_as_they_should() -> None:
    rng = np.random.default_rng(6)
    found = [difference("macro_f1", *_drawn(rng, 200, 0.0), resamples=150, seed=seed).p for seed in range(100)]
    assert np.mean(np.array(found) < 0.05) <= 0.1
    assert np.mean(np.array(found) < 0.5) == pytest.approx(0.5, abs=0.17)


def test_large_differences_have_small_p_values_whatever_the_resamples() -> None:
    truth, a, b = _drawn(np.random.default_rng(7), 400, 0.4)
    assert difference("macro_f1", truth, a, b, resamples=100).p < 1e-6


def test_columns_of_other_labels() -> None:
    said = single([0, 2, -1], scores=np.eye(3, dtype=np.float32))
    wide = said.among(["a", "b", "c"], ["c", "x", "a", "b"])
    assert wide.given.tolist() == [[False, False, True, False], [True, False, False, False], [False] * 4]
    assert wide.scores is not None
    assert wide.scores[0].tolist() == [0, 0, 1, 0]
    assert said.among(["a", "b", "c"], ["a", "b", "c"]) is said
    assert len(wide.select(np.array([2]))) == 1
