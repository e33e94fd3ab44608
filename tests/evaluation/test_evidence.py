import numpy as np
import pytest

from tamis.evaluation.evidence import LEAST_SCORE, Familiar, evidence, fit_weights


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
    np.testing.assert_allclose(evidence(scores, {"seen": 2.0}, Familiar(seen)), 2 * seen - 2, atol=1e-6)
    np.testing.assert_array_equal(evidence(scores, {"seen": 2.0}), 0)  # a tier that does not know says nothing
    near = np.linspace(-1, 1, 50, dtype=np.float32)
    np.testing.assert_allclose(evidence(scores, {"nearness": 2.0}, Familiar(seen, near)), 2 * near, atol=1e-6)
    np.testing.assert_array_equal(evidence(scores, {"nearness": 2.0}, Familiar(seen)), 0)
    part = (scores * np.float32(0.25)).astype(np.float32)
    np.testing.assert_allclose(evidence(part, {"scope": 1.0}), np.log(0.25 / 0.75), atol=1e-5)
    np.testing.assert_allclose(evidence(part, {"confidence": 1.0}), np.log(scores.max(axis=1)), atol=1e-5)


@pytest.mark.parametrize("n_labels", [2, 4, 10, 11, 60])
def test_others_are_the_second_to_the_tenth_label(n_labels):
    scores = scores_of(np.random.default_rng(2).standard_normal((40, n_labels)) * 3)
    others = np.sort(scores, axis=1)[:, ::-1][:, 1:10]
    expected = -np.log(np.maximum(others, LEAST_SCORE)).mean(axis=1)
    np.testing.assert_allclose(evidence(scores, {"others": 1.0}), expected, rtol=1e-5)
    assert evidence(np.ones((3, 1), dtype=np.float32), {"others": 1.0}).tolist() == [0, 0, 0]


def test_parts_add_up_by_their_weights(scores):
    both = evidence(scores, {"confidence": 2.0, "spread": 0.5})
    alone = 2 * evidence(scores, {"confidence": 1.0}) + 0.5 * evidence(scores, {"spread": 1.0})
    np.testing.assert_allclose(both, alone, atol=1e-5)


def test_a_row_has_the_same_evidence_whatever_the_others_are(scores):
    weights = {"confidence": 1.0, "spread": 1.0, "others": 1.0, "seen": 3.0, "nearness": 2.0, "scope": 1.0}
    familiar = Familiar(np.full(50, 0.5, dtype=np.float32), np.linspace(-1, 1, 50, dtype=np.float32))
    together = evidence(scores, weights, familiar)
    each = [evidence(scores[[at]], weights, familiar.select(np.array([at])))[0] for at in range(50)]
    np.testing.assert_array_equal(together, each)


@pytest.mark.parametrize("row", [[0, 0, 0], [1, 0, 0], [1e-30, 0, 0], [0.5, 0.5, 0]])
def test_extremes_are_numbers(row):
    weights = {"confidence": 2.0, "spread": 1.0, "others": 1.0, "seen": 1.0, "nearness": 1.0, "scope": 1.0}
    familiar = Familiar(np.zeros(1, dtype=np.float32), np.zeros(1, dtype=np.float32))
    assert np.isfinite(evidence(np.array([row], dtype=np.float32), weights, familiar)).all()


def test_weights_follow_what_is_known(scores):
    inside = np.ones(50, dtype=bool)
    assert set(fit_weights(scores, None, inside, learnt=False)) == {"spread"}
    assert set(fit_weights(scores, None, inside, learnt=True)) == {"confidence", "scope"}
    seen = np.random.default_rng(1).random(50).astype(np.float32)
    varied = fit_weights(scores, Familiar(seen), inside, learnt=False)["seen"]
    steady = fit_weights(scores, Familiar(0.9 + 0.1 * seen), inside, learnt=False)["seen"]
    assert 0 < varied < steady  # where the share hardly varies in scope, little of it says much
    assert np.isfinite(fit_weights(scores, Familiar(np.ones(50, dtype=np.float32)), inside, learnt=False)["seen"])
    assert set(fit_weights(scores, Familiar(seen), ~inside, learnt=False)) == {"spread"}
    near = np.random.default_rng(2).standard_normal(50).astype(np.float32)
    located = fit_weights(scores, Familiar(seen, near), inside, learnt=False)
    closer = fit_weights(scores, Familiar(seen, near / 10), inside, learnt=False)
    assert set(located) == {"others", "nearness", "seen"}
    assert 0 < located["nearness"] < closer["nearness"]
    assert set(fit_weights(scores, Familiar(seen, near), inside, learnt=True)) == {"confidence", "scope"}
