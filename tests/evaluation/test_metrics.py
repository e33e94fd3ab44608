"""Every figure against scikit-learn, on any truth and any answer."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from tamis.evaluation import metrics

FEW = settings(max_examples=60, deadline=None)


def coded(rows: int, labels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, labels, rows), np.where(rng.random(rows) < 0.6, rng.integers(0, labels, rows), 0)


def dense(rows: int, labels: int, seed: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    actual = rng.random((rows, labels)) < share
    return actual, np.where(rng.random((rows, labels)) < 0.7, actual, rng.random((rows, labels)) < 0.3)


def scored(rows: int, labels: int, seed: int) -> np.ndarray:
    """Softmax scores, some of them exactly 0, 1 or equal."""
    rng = np.random.default_rng(seed)
    logits = np.round(rng.normal(size=(rows, labels)), 1) * rng.choice([1, 1, 30], size=(rows, 1))
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


SIZES = {"rows": st.integers(1, 40), "labels": st.integers(2, 7), "seed": st.integers(0, 10**6)}


@given(**SIZES)
@FEW
def test_single_label_f1_is_that_of_scikit_learn(rows, labels, seed):
    actual, answer = coded(rows, labels, seed)
    counts = metrics.count_single(actual, answer, labels)
    found = metrics.precision_recall_f1(counts)
    every = list(range(labels))
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        actual, answer, labels=every, zero_division=0
    )
    np.testing.assert_allclose(found.precision, precision)
    np.testing.assert_allclose(found.recall, recall)
    np.testing.assert_allclose(found.f1, f1)
    np.testing.assert_array_equal(counts.actual, support)
    assert metrics.accuracy(actual, answer) == pytest.approx(reference.accuracy_score(actual, answer))
    assert metrics.macro_f1(counts, occurring_only=True) == pytest.approx(
        reference.f1_score(actual, answer, average="macro", zero_division=0)
    )
    assert metrics.weighted_f1(counts) == pytest.approx(
        reference.f1_score(actual, answer, average="weighted", zero_division=0)
    )
    assert metrics.micro_f1(counts) == pytest.approx(metrics.accuracy(actual, answer))
    np.testing.assert_allclose(
        metrics.label_jaccard(counts),
        reference.jaccard_score(actual, answer, labels=every, average=None, zero_division=0),
    )
    matrix = reference.confusion_matrix(actual, answer, labels=every)
    np.testing.assert_array_equal(metrics.confusion_matrix(actual, answer, labels), matrix)
    pairs = metrics.confusion_pairs(actual, answer)
    assert (np.diff(pairs[:, 2]) <= 0).all()
    off_diagonal = matrix - np.diag(np.diag(matrix))
    assert {(a, g): n for a, g, n in pairs.tolist()} == {
        (a, g): off_diagonal[a, g] for a, g in zip(*off_diagonal.nonzero(), strict=True)
    }


@given(**SIZES, share=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
@FEW
def test_multi_label_f1_is_that_of_scikit_learn(rows, labels, seed, share):
    actual, answer = dense(rows, labels, seed, share)
    counts = metrics.count_multi(actual, answer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, found in (
            ("micro", metrics.micro_f1(counts)),
            ("macro", metrics.macro_f1(counts, occurring_only=False)),
            ("weighted", metrics.weighted_f1(counts)),
        ):
            assert found == pytest.approx(reference.f1_score(actual, answer, average=name, zero_division=0)), name
        np.testing.assert_allclose(
            metrics.label_jaccard(counts), reference.jaccard_score(actual, answer, average=None, zero_division=0)
        )
        assert metrics.samples_jaccard(actual, answer) == pytest.approx(
            reference.jaccard_score(actual, answer, average="samples", zero_division=1)
        )
    assert metrics.accuracy(actual, answer) == pytest.approx((actual == answer).all(axis=1).mean())


@given(**SIZES)
@FEW
def test_single_label_losses_are_those_of_scikit_learn(rows, labels, seed):
    actual, _ = coded(rows, labels, seed)
    scores = scored(rows, labels, seed)
    every = list(range(labels))
    assert metrics.log_loss(scores, actual) == pytest.approx(reference.log_loss(actual, scores, labels=every))
    assert metrics.brier(scores, actual) == pytest.approx(
        reference.brier_score_loss(actual, scores, labels=every, scale_by_half=False)
    )


@given(**SIZES, share=st.sampled_from([0.2, 0.5]))
@FEW
def test_multi_label_losses_and_average_precision_are_those_of_scikit_learn(rows, labels, seed, share):
    actual, _ = dense(rows, labels, seed, share)
    scores = scored(rows, labels, seed)
    columns = range(labels)
    losses = [reference.log_loss(actual[:, at], scores[:, at], labels=[0, 1]) for at in columns]
    assert metrics.log_loss(scores, actual) == pytest.approx(np.mean(losses))
    assert metrics.brier(scores, actual) == pytest.approx(np.mean((scores - actual) ** 2))
    found = metrics.average_precisions(scores, actual)
    for at in columns:
        if actual[:, at].any():
            assert found[at] == pytest.approx(reference.average_precision_score(actual[:, at], scores[:, at]))
        else:
            assert np.isnan(found[at])
    if actual.any():
        assert metrics.mean_average_precision(scores, actual) == pytest.approx(np.nanmean(found))


def test_unseen_labels_are_misses_without_a_log_loss():
    scores = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    actual = np.array([0, 2])
    counts = metrics.count_single(actual, np.array([0, 1]), 3)
    assert metrics.macro_f1(counts, occurring_only=True) == pytest.approx(1 / 3)
    assert metrics.log_loss(scores, actual) == pytest.approx(-np.log(0.9), abs=1e-6)
    assert metrics.row_briers(scores, actual) == pytest.approx([0.02, 0.2**2 + 0.8**2 + 1], abs=1e-6)


def test_certain_and_wrong_has_a_finite_loss_in_single_precision():
    scores = np.array([[1, 0]], dtype=np.float32)
    assert metrics.log_loss(scores, np.array([1])) == pytest.approx(-np.log(np.finfo(np.float32).eps))
    assert np.isfinite(metrics.log_loss(scores, np.array([[False, True]])))


def test_nothing_measured_is_not_a_number_and_no_warning():
    none = np.zeros(0, dtype=np.int32)
    assert np.isnan(metrics.accuracy(none, none))
    assert np.isnan(metrics.log_loss(np.zeros((0, 3)), none))
    assert np.isnan(metrics.mean_average_precision(np.zeros((0, 3)), np.zeros((0, 3), dtype=bool)))
    assert metrics.confusion_pairs(none, none).shape == (0, 3)
    assert metrics.macro_f1(metrics.count_single(none, none, 3), occurring_only=True) == 0


def test_counts_may_have_resamples_in_front():
    rng = np.random.default_rng(0)
    hits = rng.integers(0, 5, (4, 3)).astype(float)
    counts = metrics.LabelCounts(hits, hits + rng.integers(0, 5, (4, 3)), hits + rng.integers(0, 5, (4, 3)))
    for row in range(4):
        one = metrics.LabelCounts(counts.hits[row], counts.given[row], counts.actual[row])
        assert metrics.macro_f1(counts, occurring_only=True)[row] == metrics.macro_f1(one, occurring_only=True)
        assert metrics.weighted_f1(counts)[row] == pytest.approx(metrics.weighted_f1(one))
