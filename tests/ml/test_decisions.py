from dataclasses import replace

import numpy as np
import pytest

from tamis.data.truth import UNKNOWN, SingleTruth, multi_truth
from tamis.evaluation.evidence import Familiar, evidence
from tamis.ml import decisions
from tamis.ml.decisions import LEAST_ROWS, Abstaining, calibrated, fit_decisions, plain_decisions
from tamis.ml.manifest import Calibration
from tamis.schema import Kind


def single(n=600, labels=4, seed=0, sure=6.0):
    """Rows whose logits are right three times in four and always too sure."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, labels, n).astype(np.int32)
    said = np.where(random.random(n) < 0.75, codes, random.integers(0, labels, n))
    logits = random.standard_normal((n, labels)).astype(np.float32)
    logits[np.arange(n), said] += sure
    return SingleTruth(codes, labels), logits


def several(n=600, labels=3, seed=0):
    random = np.random.default_rng(seed)
    carried = random.random((n, labels)) < 0.3
    logits = (np.where(carried, 2.0, -2.0) + 2 * random.standard_normal((n, labels))) * 4
    rows = [np.flatnonzero(row).tolist() for row in carried]
    return multi_truth(rows, labels), logits.astype(np.float32)


def test_overconfident_scores_are_calibrated_and_the_error_is_told_before_and_after():
    truth, logits = single()
    made = fit_decisions(truth, logits)
    assert made.ece_before > 0.15
    assert made.ece_after < made.ece_before / 2
    assert made.thresholds is None
    assert made.scores.shape == logits.shape
    np.testing.assert_allclose(made.scores.sum(axis=1), 1, atol=1e-6)
    assert made.calibration.scale[0] < 0.9


def test_the_abstain_rule_answers_97_in_100_of_the_rows_that_have_a_label():
    truth, logits = single()
    codes = truth.codes.copy()
    codes[:50] = UNKNOWN
    codes[50:80] = 4  # a label that the model does not have
    made = fit_decisions(SingleTruth(codes, 4, ("new",)), logits)
    in_scope = (codes >= 0) & (codes < 4)
    assert made.abstain.coverage == pytest.approx((~made.abstained[in_scope]).mean(), abs=1e-6)
    assert 0.97 <= made.abstain.coverage < 0.975
    scores = calibrated(Kind.SINGLE_LABEL, made.calibration, logits)
    assert made.abstain.evidence == {"spread": 1.0}
    np.testing.assert_array_equal(evidence(scores, made.abstain.evidence), made.evidence)
    assert ((made.evidence < np.float32(made.abstain.threshold)) == made.abstained).all()


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.5])
def test_the_abstain_rule_costs_what_it_may(loss):
    truth, logits = single()
    made = fit_decisions(truth, logits, abstaining=Abstaining(loss))
    if not loss:
        assert made.abstain is None
        assert made.abstained is None
    else:
        assert 1 - loss <= made.abstain.coverage < 1 - loss + 0.01
        assert made.abstain.loss == loss


def test_tokens_that_were_not_seen_speak_against_an_answer():
    truth, logits = single()
    seen = np.ones(len(truth), dtype=np.float32)
    seen[::10] = 0.2
    made = fit_decisions(truth, logits, abstaining=Abstaining(familiar=Familiar(seen)))
    assert made.abstain.evidence["seen"] > 0
    assert made.abstained[::10].mean() > 5 * made.abstained[seen == 1].mean()


def test_the_column_of_rows_out_of_scope_is_no_label():
    truth, logits = single(labels=5)
    made = fit_decisions(truth, logits, abstaining=Abstaining(learnt=True))
    assert made.truth.n_labels == made.scores.shape[1] == 4
    outside = truth.codes == 4
    assert (made.truth.out_of_scope == outside).all()
    assert set(made.abstain.evidence) == {"confidence", "scope"}
    assert made.abstained[outside].mean() > 5 * made.abstained[~outside].mean()
    assert made.abstained[~outside].mean() <= 0.03
    assert made.scores[outside].sum(axis=1).mean() < 0.5 < made.scores[~outside].sum(axis=1).mean()


def test_a_multi_label_target_gets_a_threshold_a_label_and_never_abstains():
    truth, logits = several()
    made = fit_decisions(truth, logits)
    assert len(made.thresholds) == 3
    assert all(0.1 < threshold < 0.9 for threshold in made.thresholds)
    assert made.abstain is None
    assert made.abstained is None
    assert made.ece_after < made.ece_before
    assert len(made.calibration.scale) == len(made.calibration.bias) == 3


def test_rows_that_say_nothing_are_not_looked_at():
    truth, logits = several()
    known = truth.known.copy()
    known[300:] = False
    hidden = type(truth)(truth.codes, truth.offsets, known, truth.n_labels)
    worse = logits.copy()
    worse[300:] *= -1
    assert fit_decisions(hidden, worse).thresholds == fit_decisions(hidden, logits).thresholds


@pytest.mark.parametrize("make", [single, several])
def test_too_few_rows_leave_scores_as_they_are(make):
    truth, logits = make(n=LEAST_ROWS - 1)
    made = fit_decisions(truth, logits)
    assert made.calibration == Calibration()
    assert made.abstain is None
    assert made.scores is None
    assert made.ece_before is None
    assert made.thresholds == plain_decisions(truth).thresholds
    assert make is single or set(made.thresholds) == {0.5}


@pytest.mark.parametrize("make", [single, several])
def test_very_many_rows_are_thinned(make, monkeypatch):
    truth, logits = make()
    monkeypatch.setattr(decisions, "MOST_SCORES", dict.fromkeys(Kind, 100 * truth.n_labels))
    made = fit_decisions(truth, logits)
    assert len(made.truth) == len(made.scores) == 100
    few = np.arange(len(truth)) % 50 == 1  # whatever is thinned out, it is not these
    hidden = SingleTruth(np.where(few, truth.codes, UNKNOWN), 4) if make is single else replace(truth, known=few)
    assert len(fit_decisions(hidden, logits).truth) == 12


def test_no_row_with_a_label_of_the_model():
    _, logits = single(n=50)
    made = fit_decisions(SingleTruth(np.full(50, 4, dtype=np.int32), 4, ("new",)), logits)
    assert made.abstain is None
    assert made.abstained is None
    assert np.isfinite(made.scores).all()


def test_the_same_rows_give_the_same_decisions():
    truth, logits = single()
    assert fit_decisions(truth, logits, seed=3).calibration == fit_decisions(truth, logits, seed=3).calibration


def test_calibration_is_affine_with_one_number_or_one_a_label():
    logits = np.array([[1.0, -1.0]], dtype=np.float32)
    one = calibrated(Kind.SINGLE_LABEL, Calibration(scale=(2.0,), bias=(0.0,)), logits)
    each = calibrated(Kind.SINGLE_LABEL, Calibration(scale=(2.0, 2.0), bias=(0.0, 0.0)), logits)
    np.testing.assert_allclose(one, [[1 / (1 + np.exp(-4)), 1 / (1 + np.exp(4))]], atol=1e-6)
    np.testing.assert_array_equal(one, each)
    multi = calibrated(Kind.MULTI_LABEL, Calibration(scale=(1.0, 3.0), bias=(0.5, 0.0)), logits)
    np.testing.assert_allclose(multi, [[1 / (1 + np.exp(-1.5)), 1 / (1 + np.exp(3))]], atol=1e-6)


def test_rows_count_by_their_weights(monkeypatch):
    truth, logits = single(labels=2)
    weights = np.where(truth.codes == 1, 30, 1).astype(np.float32)
    plain, made = fit_decisions(truth, logits), fit_decisions(truth, logits, weights=weights)
    assert calibrated(Kind.SINGLE_LABEL, made.calibration, logits)[:, 1].mean() > 0.6
    assert calibrated(Kind.SINGLE_LABEL, plain.calibration, logits)[:, 1].mean() < 0.6
    assert made.abstain.coverage >= 0.97
    monkeypatch.setattr(decisions, "MOST_SCORES", {kind: 300 for kind in Kind})
    assert len(fit_decisions(truth, logits, weights=weights).truth) == 150
    truth, logits = several()
    weights = np.where(truth.indicator()[:, 0], 30, 1).astype(np.float32)
    plain, made = fit_decisions(truth, logits), fit_decisions(truth, logits, weights=weights)
    assert made.calibration.bias[0] > plain.calibration.bias[0] + 0.1
