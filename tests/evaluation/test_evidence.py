import numpy as np
import pytest

from tamis.evaluation.evidence import LEAST_SCORE, evidence, fit_weights


def scores_of(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def scores():
    return scores_of(np.random.default_rng(0).standard_normal((50, 4)) * 3)


def test_each_part_is_what_it_is_called(scores):
    np.testing.assert_allclose(evidence(scores, {"confidence": 1.0}), np.log(scores.max(axis=1)), atol=1e-5)
    spread = -np.log(np.maximum(scores, LEAST_SCORE)).mean(axis=1)
    np.testing.assert_allclose(evidence(scores, {"spread": 1.0}), spread, rtol=1e-5)
    seen = np.linspace(0, 1, 50, dtype=np.float32)
    np.testing.assert_allclose(evidence(scores, {"seen": 2.0}, seen[:, None]), 2 * seen - 2, atol=1e-6)
    np.testing.assert_array_equal(evidence(scores, {"seen": 2.0}), 0)  # a tier that does not know says nothing
    part = (scores * np.float32(0.25)).astype(np.float32)
    np.testing.assert_allclose(evidence(part, {"scope": 1.0}), np.log(0.25 / 0.75), atol=1e-5)
    np.testing.assert_allclose(evidence(part, {"confidence": 1.0}), np.log(scores.max(axis=1)), atol=1e-5)


def test_parts_add_up_by_their_weights(scores):
    both = evidence(scores, {"confidence": 2.0, "spread": 0.5})
    alone = 2 * evidence(scores, {"confidence": 1.0}) + 0.5 * evidence(scores, {"spread": 1.0})
    np.testing.assert_allclose(both, alone, atol=1e-5)


def test_a_row_has_the_same_evidence_whatever_the_others_are(scores):
    weights, seen = {"confidence": 1.0, "spread": 1.0, "seen": 3.0, "scope": 1.0}, np.full(50, 0.5, dtype=np.float32)
    together = evidence(scores, weights, seen)
    each = [evidence(scores[at : at + 1], weights, seen[at : at + 1])[0] for at in range(50)]
    np.testing.assert_array_equal(together, each)


@pytest.mark.parametrize("row", [[0, 0, 0], [1, 0, 0], [1e-30, 0, 0], [0.5, 0.5, 0]])
def test_extremes_are_numbers(row):
    weights = {"confidence": 2.0, "spread": 1.0, "seen": 1.0, "scope": 1.0}
    assert np.isfinite(evidence(np.array([row], dtype=np.float32), weights, np.zeros(1, dtype=np.float32))).all()


def test_weights_follow_what_is_known(scores):
    inside = np.ones(50, dtype=bool)
    assert set(fit_weights(scores, None, inside, learnt=False)) == {"spread"}
    assert set(fit_weights(scores, None, inside, learnt=True)) == {"confidence", "scope"}
    seen = np.random.default_rng(1).random(50).astype(np.float32)
    varied = fit_weights(scores, seen, inside, learnt=False)["seen"]
    steady = fit_weights(scores, 0.9 + 0.1 * seen, inside, learnt=False)["seen"]
    assert 0 < varied < steady  # where the share hardly varies in scope, little of it says much
    assert np.isfinite(fit_weights(scores, np.ones(50, dtype=np.float32), inside, learnt=False)["seen"])
    assert set(fit_weights(scores, seen, ~inside, learnt=False)) == {"spread"}
