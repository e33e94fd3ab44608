import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax

from tamis.evaluation import calibration as module
from tamis.evaluation.calibration import (
    MultiCalibration,
    SingleCalibration,
    cross_fitted_multi,
    cross_fitted_single,
    ece,
    fit_multi,
    fit_single,
    folds,
    probabilities_multi,
    probabilities_single,
    reliability_bins,
)
from tamis.evaluation.metrics import log_loss


def answers(rows: int, labels: int, *, overconfident: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `overconfident` times too large for how the labels were drawn."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, labels)) * 2
    noise = rng.gumbel(size=(rows, labels))
    return (logits * overconfident).astype(np.float32), (logits + noise).argmax(axis=1).astype(np.int32)


def decisions(rows: int, labels: int, *, scale: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, size=(rows, labels))
    return (logits * scale).astype(np.float32), rng.random((rows, labels)) < expit(logits)


def test_expected_calibration_error_by_hand():
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    correct = np.array([True, True, True, False])
    assert ece(confidence, correct, bins=10) == pytest.approx((2 * 0.05 + 2 * 0.05) / 4)
    assert np.isnan(ece(np.zeros(0), np.zeros(0)))


def test_bins_of_chunks_add_up_and_hold_every_row():
    rng = np.random.default_rng(0)
    confidence = np.append(rng.random(500), [0.0, 1.0]).astype(np.float32)
    correct = rng.random(502) < confidence
    whole = reliability_bins(confidence, correct)
    parts = reliability_bins(confidence[:100], correct[:100]) + reliability_bins(confidence[100:], correct[100:])
    assert whole.rows.sum() == 502
    assert parts.error() == pytest.approx(whole.error())


@given(
    rows=st.integers(1, 30), labels=st.integers(1, 6), seed=st.integers(0, 999), size=st.sampled_from([1, 1e3, 1e30])
)
@settings(max_examples=40, deadline=None)
def test_single_scores_sum_to_one_whatever_the_logits(rows, labels, seed, size):
    logits = (np.random.default_rng(seed).normal(size=(rows, labels)) * size).astype(np.float32)
    scores = probabilities_single(logits, SingleCalibration(1.5, np.linspace(-1, 1, labels)))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1, dtype=np.float64), 1, atol=1e-6)


def test_scores_are_affine_in_the_logits_and_do_not_depend_on_the_rest_of_the_batch(monkeypatch):
    logits, _ = answers(50, 4)
    calibration = SingleCalibration(0.7, np.array([0.1, -0.2, 0.0, 0.1]))
    scores = probabilities_single(logits, calibration)
    expected = np.exp(log_softmax(0.7 * logits.astype(float) + calibration.bias, axis=1))
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    multi = MultiCalibration(np.full(4, 0.7), calibration.bias)
    both = probabilities_multi(logits, multi)
    np.testing.assert_allclose(both, expit(0.7 * logits.astype(float) + calibration.bias), rtol=1e-6)
    monkeypatch.setattr(module, "BLOCK", 12)
    np.testing.assert_array_equal(probabilities_single(logits, calibration), scores)
    np.testing.assert_array_equal(probabilities_multi(logits, multi), both)
    np.testing.assert_array_equal(probabilities_single(logits[7:8], calibration), scores[7:8])


@pytest.mark.parametrize("overconfident", [0.25, 1.0, 4.0])
def test_temperature_is_recovered(overconfident):
    logits, codes = answers(4000, 5, overconfident=overconfident)
    found = fit_single(logits, codes)
    assert found.scale == pytest.approx(1 / overconfident, rel=0.08)
    np.testing.assert_array_equal(found.bias, 0)  # none was needed
    scores = probabilities_single(logits, found)
    assert ece(scores.max(axis=1), scores.argmax(axis=1) == codes) < 0.02


def test_a_bias_is_fitted_where_it_helps_and_labels_without_rows_do_not_run_away():
    logits, codes = answers(3000, 6)
    kept = codes != 5
    shifted = logits + np.array([3, 0, 0, -3, 0, 0], dtype=np.float32)
    found = fit_single(shifted[kept], codes[kept])
    assert found.bias.sum() == pytest.approx(0, abs=1e-9)
    assert found.bias[0] < found.bias[1] - 2 < found.bias[3] - 4
    before = probabilities_single(shifted[kept], SingleCalibration(1.0, np.zeros(6)))
    assert log_loss(probabilities_single(shifted[kept], found), codes[kept]) < log_loss(before, codes[kept]) - 0.2
    assert -2.5 < found.bias[5] < 0  # the smoothed labels and the prior hold it: without them it would run away


def test_unknown_and_unseen_rows_are_ignored():
    logits, codes = answers(500, 4, overconfident=2)
    more = np.vstack([logits, np.full((50, 4), 1e6, dtype=np.float32)])
    marked = np.concatenate([codes, np.repeat([-1, 4, 9], [20, 20, 10])]).astype(np.int32)
    assert fit_single(more, marked).scale == pytest.approx(fit_single(logits, codes).scale)


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_tiny_single_data_gives_a_finite_calibration(rows):
    logits, codes = answers(rows, 3)
    found = fit_single(logits, codes)
    assert 1e-3 <= found.scale <= 1e3
    assert np.isfinite(found.bias).all()
    if not rows:
        assert found.scale == 1


def test_perfectly_separated_rows_do_not_make_it_sure_of_everything():
    codes = np.arange(30, dtype=np.int32) % 3
    logits = np.eye(3, dtype=np.float32)[codes] * 5
    scores = probabilities_single(logits, fit_single(logits, codes))
    assert 0.9 < scores.max() < 0.999
    assert fit_single(np.ones((30, 3), dtype=np.float32), codes).scale == 1  # logits that say nothing
    indicator = logits > 0
    multi = fit_multi(logits - 2.5, indicator)
    assert probabilities_multi(logits - 2.5, multi).max() < 0.9999


def test_very_many_cells_are_sampled(monkeypatch):
    logits, codes = answers(4000, 5, overconfident=3)
    whole = fit_single(logits, codes).scale
    monkeypatch.setattr(module, "CELLS", 5000)
    assert fit_single(logits, codes).scale == pytest.approx(whole, rel=0.15)
    assert fit_single(logits, codes).scale == fit_single(logits, codes).scale


def test_multi_label_scales_are_recovered_by_label():
    logits, indicator = decisions(20_000, 3)
    stretched = logits * np.array([0.5, 1, 3], dtype=np.float32) + np.array([0, 1, 0], dtype=np.float32)
    found = fit_multi(stretched, indicator)
    np.testing.assert_allclose(found.scale, [2, 1, 1 / 3], rtol=0.1)
    np.testing.assert_allclose(found.bias, [0, -1, 0], atol=0.15)
    scores = probabilities_multi(stretched, found)
    assert ece(scores, indicator) < 0.01


def test_a_label_that_few_rows_carry_stays_near_the_shared_calibration():
    logits, indicator = decisions(400, 4, scale=2)
    indicator[:, 3] = False
    logits[:, 3] = -12
    found = fit_multi(logits, indicator)
    shared = found.scale[:3].mean()
    assert found.scale[3] == pytest.approx(shared, rel=0.2)
    assert abs(found.bias[3]) < 0.5


def test_unknown_rows_are_ignored_by_multi_label_calibration():
    logits, indicator = decisions(300, 3)
    known = np.arange(300) < 200
    logits[200:] = 50
    left_out = fit_multi(logits[:200], indicator[:200])
    np.testing.assert_allclose(fit_multi(logits, indicator, known).scale, left_out.scale)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_tiny_multi_data_gives_a_finite_calibration(rows):
    logits, indicator = decisions(rows, 4)
    found = fit_multi(logits, indicator)
    assert (found.scale > 0).all()
    assert np.isfinite(probabilities_multi(logits, found)).all()


def test_platt_parameters_minimise_the_posterior():
    """The derivative vanishes at what was found, by finite differences."""
    logits, indicator = decisions(300, 2, scale=2)
    wide, wanted = logits.astype(float), indicator.astype(float)
    centre, spread = np.array([0.0, 0.0]), (0.25, 0.5)
    found = module._platt(wide, wanted, centre, spread)

    def posterior(parameters):
        shifted = np.exp(parameters[0]) * wide + parameters[1]
        loss = np.logaddexp(0, shifted).sum(axis=0) - (wanted * shifted).sum(axis=0)
        return loss + (np.square(parameters / np.array(spread)[:, None]) / 2).sum(axis=0)

    for at in range(2):
        step = np.zeros((2, 1))
        step[at] = 1e-5
        slope = (posterior(found + step) - posterior(found - step)) / 2e-5
        np.testing.assert_allclose(slope, 0, atol=1e-2)


def test_every_row_is_held_out_once():
    for rows in (0, 1, 3, 17):
        parts = list(folds(rows, seed=1))
        assert sorted(row for held_out, _ in parts for row in held_out) == list(range(rows))
        assert all(not set(held_out) & set(rest) for held_out, rest in parts)


def test_cross_fitted_scores_do_not_know_their_own_row():
    logits, codes = answers(60, 3, overconfident=3)
    held_out, rest = next(iter(folds(60, seed=0)))
    changed = codes.copy()
    changed[held_out] = (changed[held_out] + 1) % 3
    np.testing.assert_array_equal(
        cross_fitted_single(logits, codes)[held_out], cross_fitted_single(logits, changed)[held_out]
    )
    assert not np.array_equal(cross_fitted_single(logits, codes)[rest], cross_fitted_single(logits, changed)[rest])
    many, indicator = decisions(60, 3, scale=2)
    flipped = indicator.copy()
    flipped[held_out] = ~flipped[held_out]
    known = np.ones(60, dtype=bool)
    np.testing.assert_array_equal(
        cross_fitted_multi(many, indicator, known)[held_out], cross_fitted_multi(many, flipped)[held_out]
    )


def test_serving_scores_loads_neither_scipy_nor_scikit_learn():
    code = "import sys, tamis.evaluation.calibration, tamis.evaluation.thresholds; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"scipy", "sklearn", "plotly"} & set(loaded)


class TestWeights:
    """A row of weight 3 counts as three rows."""

    def test_platt_parameters(self):
        logits, actual = decisions(60, 3)
        weights = np.arange(60) % 3 + 1
        again = np.repeat(np.arange(60), weights)
        wide, wanted, centre = logits.astype(float), actual.astype(float), np.zeros(2)
        found = module._platt(wide, wanted, centre, weights=weights.astype(float))
        np.testing.assert_allclose(found, module._platt(wide[again], wanted[again], centre), atol=1e-5)

    def test_calibration_of_a_single_label_target(self):
        logits, codes = answers(3000, 3, overconfident=2.0)
        logits[:, 1] += 3
        weights = (np.arange(3000) % 3 + 1).astype(np.float32)
        again = np.repeat(np.arange(3000), weights.astype(int))
        found, wanted = fit_single(logits, codes, weights=weights), fit_single(logits[again], codes[again])
        assert found.bias.any()
        assert found.scale == pytest.approx(wanted.scale, rel=0.02)
        np.testing.assert_allclose(found.bias, wanted.bias, atol=0.05)

    def test_calibration_of_a_multi_label_target(self):
        logits, actual = decisions(3000, 2, scale=2.0)
        weights = np.where(actual[:, 0], 5, 1).astype(np.float32)
        again = np.repeat(np.arange(3000), weights.astype(int))
        found, wanted = fit_multi(logits, actual, weights=weights), fit_multi(logits[again], actual[again])
        np.testing.assert_allclose(found.bias, wanted.bias, atol=0.05)
        assert found.bias[0] > fit_multi(logits, actual).bias[0] + 0.5

    @pytest.mark.parametrize("weight", [0.0, 1.0, 7.0])
    def test_only_proportions_count(self, weight):
        weights = np.full(200, weight, dtype=np.float32)
        logits, codes = answers(200, 3)
        assert fit_single(logits, codes, weights=weights).scale == pytest.approx(fit_single(logits, codes).scale)
        logits, actual = decisions(200, 3)
        found = fit_multi(logits, actual, weights=weights)
        np.testing.assert_allclose(found.bias, fit_multi(logits, actual).bias, atol=1e-6)

    def test_cross_fitting_uses_those_of_the_other_rows(self):
        logits, codes = answers(300, 3)
        weights = np.where(codes == 0, 20, 1).astype(np.float32)
        plain = cross_fitted_single(logits, codes)[:, 0].mean()
        assert cross_fitted_single(logits, codes, weights=weights)[:, 0].mean() > plain + 0.1
        logits, actual = decisions(300, 2)
        weights = np.where(actual[:, 0], 20, 1).astype(np.float32)
        plain = cross_fitted_multi(logits, actual)[:, 0].mean()
        assert cross_fitted_multi(logits, actual, weights=weights)[:, 0].mean() > plain + 0.1


def test_without_a_shift_there_is_the_best_scale_alone():
    logits, carried = decisions(3_000, 3, scale=2.0)
    found = fit_multi(logits, carried, shift=False)
    assert (found.bias == 0).all()
    np.testing.assert_allclose(found.scale, 0.5, rtol=0.15)
    moved = fit_multi(logits + 1, carried, shift=False)
    assert (moved.bias == 0).all()
    assert np.abs(fit_multi(logits + 1, carried).bias).min() > 0.2
    scores = cross_fitted_multi(logits + 1, carried, shift=False)
    assert ((scores > 0.5) == (logits + 1 > 0)).all(), "a scale alone moves nothing past a half"
    logits, codes = answers(600, 3)
    logits[:, 0] += 2
    assert np.abs(fit_single(logits, codes).bias).max() > 0.5
    assert (fit_single(logits, codes, shift=False).bias == 0).all()
    assert (cross_fitted_single(logits, codes, shift=False).argmax(1) == logits.argmax(1)).all()


@pytest.mark.parametrize("n_labels", [2, 20])
def test_labels_that_are_plainly_wrong_do_not_make_it_unsure_of_all(n_labels):
    random = np.random.default_rng(0)
    logits = random.standard_normal((4000, n_labels)) * 4
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    right = np.array([random.choice(n_labels, p=row) for row in shares])
    noisy = np.where(random.random(4000) < 0.06, random.integers(0, n_labels, 4000), right)
    given = (logits * 2).astype(np.float32)  # twice too sure
    assert fit_single(given, right).scale == pytest.approx(0.5, abs=0.03)
    found = fit_single(given, noisy)
    assert found.scale == pytest.approx(0.5, abs=0.06)
    scores = probabilities_single(given, found)
    assert ece(scores.max(axis=1), scores.argmax(axis=1) == right) < 0.02


def test_a_model_that_is_often_surely_wrong_is_not_taken_at_its_word():
    """A large share of labels that the model finds improbable speaks against the model, not against the labels."""
    random = np.random.default_rng(0)
    logits, codes = random.standard_normal((2000, 4)).astype(np.float32), random.integers(0, 4, 2000)
    said = np.where(random.random(2000) < 0.75, codes, random.integers(0, 4, 2000))
    logits[np.arange(2000), said] += 6
    scores = probabilities_single(logits, fit_single(logits, codes))
    assert ece(scores.max(axis=1), scores.argmax(axis=1) == codes) < 0.08
