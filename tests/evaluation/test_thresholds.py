import numpy as np
import pytest

from tamis.evaluation import thresholds as module
from tamis.evaluation.metrics import count_multi, macro_f1, micro_f1
from tamis.evaluation.thresholds import (
    CUTS,
    FINE,
    MICRO_WEIGHT,
    abstains,
    count_scores,
    decide,
    f1_thresholds,
    fit_abstain,
    fit_shared_threshold,
    fit_thresholds,
    threshold_curves,
)

RATES = np.array([0.6, 0.2, 0.05, 0.01])


def calibrated(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are true probabilities, of labels from frequent to rare."""
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-(np.log(RATES / (1 - RATES)) + rng.normal(size=(rows, 4)) * 2)))
    return scores.astype(np.float32), rng.random((rows, 4)) < scores


def quality(scores: np.ndarray, actual: np.ndarray, thresholds: np.ndarray | float) -> float:
    counts = count_multi(actual, decide(scores, np.float32(thresholds)))
    return float(MICRO_WEIGHT * micro_f1(counts) + macro_f1(counts, occurring_only=False))


def test_curves_count_what_each_threshold_would_give(monkeypatch):
    scores, actual = calibrated(300, 0)
    monkeypatch.setattr(module, "BLOCK", 100)
    curves = threshold_curves(scores, actual)
    for at in (0, 30, 90):
        given = scores >= CUTS[at]
        np.testing.assert_array_equal(curves.given[:, at], given.sum(axis=0))
        np.testing.assert_array_equal(curves.hits[:, at], (given & actual).sum(axis=0))
        np.testing.assert_allclose(curves.expected[:, at], (scores * given).sum(axis=0, dtype=float), rtol=1e-6)
    np.testing.assert_array_equal(curves.actual, actual.sum(axis=0))
    np.testing.assert_allclose(curves.expected_actual, scores.sum(axis=0, dtype=float), rtol=1e-6)


def test_counts_by_score_say_what_any_threshold_gives():
    scores, actual = calibrated(400, 3)
    known = np.arange(400) % 3 > 0
    counts = count_scores(scores, actual, known)
    for at in (0, 40, 130):
        thresholds = np.full(4, FINE[at])
        found, given = counts.at(thresholds), (scores >= FINE[at]) & known[:, None]
        np.testing.assert_allclose(found.given, given.sum(axis=0), atol=1e-9)
        np.testing.assert_allclose(found.hits, (given & actual).sum(axis=0), atol=1e-9)
        np.testing.assert_allclose(found.actual, (actual & known[:, None]).sum(axis=0))
    between = counts.at(np.full(4, (FINE[60] + FINE[61]) / 2))
    low, high = (counts.at(np.full(4, FINE[at])) for at in (60, 61))
    assert ((high.given <= between.given) & (between.given <= low.given)).all()
    everything = counts.at(np.zeros(4))
    assert everything.given.tolist() == [known.sum()] * 4
    np.testing.assert_array_equal(everything.hits, everything.actual)


def test_counts_at_the_common_thresholds_are_the_curves():
    scores, actual = calibrated(500, 4)
    weights = np.linspace(0, 2, 500).astype(np.float32)
    found = count_scores(scores, actual, None, weights).common_curves()
    for mine, theirs in zip(found, threshold_curves(scores, actual, None, weights), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(f1_thresholds(found), fit_thresholds(scores, actual, None, weights))


def test_shared_threshold_is_the_best_of_all_cuts():
    scores, actual = calibrated(500, 1)
    best = max(quality(scores, actual, cut) for cut in CUTS)
    assert quality(scores, actual, fit_shared_threshold(scores, actual)) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("held_out", [60, 300])
def test_fitted_thresholds_generalise_better_than_shared_and_own_best_ones(held_out):
    fresh, truth = calibrated(20_000, 99)
    gains = []
    for seed in range(8):
        scores, actual = calibrated(held_out, seed)
        own = CUTS[threshold_curves(scores, actual).f1().argmax(axis=1)]
        fitted = quality(fresh, truth, fit_thresholds(scores, actual))
        shared = quality(fresh, truth, fit_shared_threshold(scores, actual))
        gains.append((fitted - shared, fitted - quality(fresh, truth, own)))
    assert (np.mean(gains, axis=0) > 0.005).all()


def test_unknown_rows_do_not_count():
    scores, actual = calibrated(200, 2)
    known = np.arange(200) < 120
    np.testing.assert_array_equal(fit_thresholds(scores, actual, known), fit_thresholds(scores[:120], actual[:120]))


def test_a_label_without_rows_gets_the_shared_threshold():
    scores, actual = calibrated(300, 3)
    actual[:, 3] = False
    found = fit_thresholds(scores, actual)
    assert found[3] == pytest.approx(fit_shared_threshold(scores, actual), abs=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("rows", [0, 5])
def test_without_any_label_thresholds_are_one_half(rows):
    scores = np.full((rows, 3), 0.2, dtype=np.float32)
    none = np.zeros((rows, 3), dtype=bool)
    np.testing.assert_array_equal(fit_thresholds(scores, none), 0.5)
    assert fit_shared_threshold(scores, none) == 0.5


def test_a_label_that_every_row_gets_is_not_given_at_any_score_at_all():
    scores = np.full((400, 1), 0.8, dtype=np.float32)
    actual = np.arange(400)[:, None] % 5 > 0
    assert 0.6 < fit_thresholds(scores, actual)[0] <= 0.8


def test_five_thousand_labels():
    rng = np.random.default_rng(0)
    scores = (rng.random((60, 5000)) ** 30).astype(np.float32)
    found = fit_thresholds(scores, rng.random((60, 5000)) < scores)
    assert found.shape == (5000,)
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize("rows", [1, 20, 33, 34, 100, 1000, 1001])
def test_abstaining_never_costs_more_than_agreed_and_uses_what_it_may(rows):
    confidence = np.random.default_rng(rows).permutation(rows).astype(np.float32) / rows
    lost = int(abstains(confidence, fit_abstain(confidence)).sum())
    assert lost == int(rows * 0.03 + 1e-9)
    assert abstains(confidence, fit_abstain(confidence, coverage=0.5)).sum() == rows // 2


def test_ties_are_answered_and_no_rows_mean_always_answer():
    assert not abstains(np.full(1000, 0.7, dtype=np.float32), fit_abstain(np.full(1000, 0.7, dtype=np.float32))).any()
    assert fit_abstain(np.zeros(0)) == 0
    assert not abstains(np.array([0.0]), 0.0).any()


def test_a_row_of_weight_3_counts_as_three(monkeypatch):
    scores, actual = calibrated(200, 0)
    weights = (np.arange(200) % 3 + 1).astype(np.float32)
    again = np.repeat(np.arange(200), weights.astype(int))
    monkeypatch.setattr(module, "BLOCK", 100)
    found, wanted = threshold_curves(scores, actual, weights=weights), threshold_curves(scores[again], actual[again])
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine * weights.mean(), theirs, rtol=1e-5)
    heavy = np.where(actual[:, 1], 50, 1).astype(np.float32)
    assert fit_thresholds(scores, actual, weights=heavy)[1] < fit_thresholds(scores, actual)[1]
    confidence = scores[:, 0]
    assert fit_abstain(confidence, coverage=0.9, weights=weights) == fit_abstain(confidence[again], coverage=0.9)
    assert fit_abstain(confidence, coverage=0.0, weights=weights) == confidence.max()
    assert fit_abstain(confidence, weights=np.zeros(200, dtype=np.float32)) == fit_abstain(confidence)
