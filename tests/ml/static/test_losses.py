import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.truth import UNKNOWN, SingleTruth, multi_truth
from tamis.ml.static.judging import metric
from tamis.ml.static.losses import CountedLoss, ScaledLoss, SigmoidLoss, SoftmaxLoss, loss_of, margin_loss_of

EVERY = slice(None)


def single(codes, n_labels, unseen=()):
    return SingleTruth(np.array(codes, dtype=np.int32), n_labels, unseen)


def slope_by_differences(loss, logits, rows, step=1e-6):
    slope = np.zeros_like(logits)
    for cell in np.ndindex(*logits.shape):
        moved = [logits.copy(), logits.copy()]
        moved[0][cell] += step
        moved[1][cell] -= step
        slope[cell] = (loss(moved[0], rows)[0] - loss(moved[1], rows)[0]) / (2 * step)
    return slope


LOSSES = {
    "single": loss_of(single([0, 2, UNKNOWN, 1, 2, 3], 3, ("odd",)), 0.5),
    "smoothed": loss_of(single([0, 2, UNKNOWN, 1, 2, 2], 3), 0.5, 0.1),
    "multi": loss_of(multi_truth([[0], [1, 2], None, [], [2], [0, 3]], 3, ("odd",)), 0.5, 0.1),
    "single margins": margin_loss_of(single([0, 2, UNKNOWN, 1, 2, 3], 3, ("odd",)), 0.5),
    "multi margins": margin_loss_of(multi_truth([[0], [1, 2], None, [], [2], [0, 3]], 3, ("odd",)), 0.5),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([0.0, 0.1, 1.0, 8.0]))
@settings(max_examples=15, deadline=None)
def test_slopes_are_those_of_finite_differences(loss, seed, scale):
    random = np.random.default_rng(seed)
    logits = random.standard_normal((6, 3)) * scale
    np.testing.assert_allclose(loss(logits, EVERY)[1], slope_by_differences(loss, logits, EVERY), atol=1e-6)
    rows = random.permutation(6)[:4]
    value, slope = loss(logits[rows], rows)
    np.testing.assert_allclose(slope, loss(logits, EVERY)[1][rows])
    assert value == pytest.approx(sum(loss(logits[[row]], np.array([row]))[0] for row in rows))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_unknown_says_nothing(loss):
    logits = np.random.default_rng(0).standard_normal((6, 3))
    other = logits.copy()
    other[2] = 99
    assert loss(logits, EVERY)[0] == loss(other, EVERY)[0]
    assert not loss(logits, EVERY)[1][2].any()
    assert loss(logits, EVERY)[1][[0, 1, 3]].any(axis=1).all()


@pytest.mark.parametrize("name", ["single", "single margins"])
def test_an_unseen_label_says_nothing_of_a_single_label_target(name):
    assert not LOSSES[name](np.ones((6, 3)), EVERY)[1][5].any()


@pytest.mark.parametrize("name", ["multi", "multi margins"])
def test_an_unseen_label_of_a_multi_label_target_is_none_of_the_others(name):
    loss = LOSSES[name]
    assert loss.wanted[5].tolist() == [True, False, False]
    assert loss.weights.tolist() == [1, 1, 0, 1, 1, 1]


@pytest.mark.parametrize("name", ["single", "multi"])
def test_how_often_logits_are_right_is_what_the_metric_of_the_known_rows_divides(name):
    truths = {
        "single": single([0, 2, UNKNOWN, 1, 2, 0], 3),
        "multi": multi_truth([[0], [1, 2], None, [], [2], [0, 1]], 3),
    }
    logits, truth = np.random.default_rng(2).standard_normal((6, 3)), truths[name]
    rows = np.flatnonzero(truth.known)
    loss = CountedLoss(ScaledLoss(loss_of(truth, 0.5), 2.0), loss_of(truth, 0.5))
    assert loss(logits[:4], slice(0, 4))[0] == 2 * loss.plain(logits[:4], slice(0, 4))[0]
    loss(logits[4:], np.array([4, 5]))
    right, of = loss.take()
    assert [right / of] == list(metric("t", logits[rows], truth.select(rows)).values())
    assert loss.take() == (0, 0)


def test_rows_that_weigh_nothing_are_not_counted():
    weights = np.array([1, 0, 1], dtype=np.float32)
    assert loss_of(single([0, 1, 1], 2), 0.5, row_weights=weights).right(np.eye(2)[[0, 1, 0]], EVERY) == (1, 2)
    many = loss_of(multi_truth([[0], [0, 1], [1]], 2), 0.5, row_weights=weights)
    assert many.right(np.ones((3, 2)), EVERY) == (4, 6)


def test_values_by_hand():
    value, _ = SoftmaxLoss(np.array([0]), np.ones(1, dtype=np.float32))(np.log([[3.0, 1.0]]), EVERY)
    assert value == pytest.approx(-np.log(3 / 4))
    value, _ = SoftmaxLoss(np.array([0]), np.ones(1, dtype=np.float32), 0.2)(np.log([[3.0, 1.0]]), EVERY)
    assert value == pytest.approx(-(0.9 * np.log(3 / 4) + 0.1 * np.log(1 / 4)))
    value, _ = SigmoidLoss(np.array([[True, False]]), np.ones(1, dtype=np.float32))(np.log([[3.0, 1.0]]), EVERY)
    assert value == pytest.approx(-np.log(3 / 4) - np.log(1 / 2))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_logits_stay_finite(loss, size):
    logits = (np.random.default_rng(1).standard_normal((6, 3)) * size).astype(np.float32)
    value, slope = loss(logits, EVERY)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


class TestClassWeights:
    def test_rare_labels_are_heard(self):
        codes = [0] * 90 + [1] * 10
        weights = loss_of(single(codes, 2), 0.5).weights
        assert weights[0] == pytest.approx((50 / 90) ** 0.5)
        assert weights[-1] == pytest.approx((50 / 10) ** 0.5)

    def test_balance_decides_how_much(self):
        codes = [0] * 9 + [1]
        assert set(loss_of(single(codes, 2), 0.0).weights.tolist()) == {1.0}
        weights = loss_of(single(codes, 2), 1.0).weights
        assert weights[:9].sum() == pytest.approx(weights[9])

    def test_they_are_bounded(self):
        weights = loss_of(single([0] * 5000 + [1], 2), 1.0).weights
        assert weights[-1] == 20
        assert weights[0] == 0.5001 or weights[0] == pytest.approx(2500.5 / 5000)

    def test_labels_without_rows_do_not_count(self):
        weights = loss_of(single([0, 0, 4, UNKNOWN], 5), 1.0).weights
        np.testing.assert_allclose(weights, [0.75, 0.75, 1.5, 0])

    def test_no_known_row_at_all(self):
        value, slope = loss_of(single([UNKNOWN] * 3, 2), 0.5)(np.ones((3, 2)), EVERY)
        assert value == 0
        assert not slope.any()


class TestMargins:
    def test_a_row_that_is_right_by_a_margin_costs_nothing(self):
        right = np.array([[1.0, -1.0], [-3.0, 2.0]])
        for loss in (margin_loss_of(single([0, 1], 2), 0.5), margin_loss_of(multi_truth([[0], [1]], 2), 0.5)):
            value, slope = loss(right, EVERY)
            assert value == 0
            assert not slope.any()

    def test_what_is_missing_is_squared(self):
        logits = np.array([[0.5, 0.0]])
        assert margin_loss_of(single([0], 2), 0.0)(logits, EVERY)[0] == pytest.approx(0.5**2 + 1)
        assert margin_loss_of(multi_truth([[0]], 2), 0.0)(logits, EVERY)[0] == pytest.approx(0.5**2 + 1)
        assert margin_loss_of(multi_truth([[]], 2), 0.0)(logits, EVERY)[0] == pytest.approx(1.5**2 + 1)

    def test_only_what_speaks_for_a_label_is_balanced(self):
        _, slope = margin_loss_of(single([0] * 9 + [1], 2), 1.0)(np.zeros((10, 2), dtype=np.float32), EVERY)
        np.testing.assert_allclose(slope[0], [-2 * 5 / 9, 2], rtol=1e-6)
        np.testing.assert_allclose(slope[9], [2, -2 * 5], rtol=1e-6)
        many = margin_loss_of(multi_truth([[0]] * 9 + [[1]], 2), 1.0)
        np.testing.assert_allclose(many(np.zeros((10, 2), dtype=np.float32), EVERY)[1][[0, 9]], slope[[0, 9]])

    def test_weights_of_rows_count_as_rows_do(self):
        rows = np.array([0, 1, 1, 1, 2, 3])
        logits = np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32)
        weights = np.array([1, 3, 9, 1], dtype=np.float32)
        for truth in (single([0, 1, UNKNOWN, 1], 2), multi_truth([[0], [0, 1], None, []], 2)):
            weighted = margin_loss_of(truth, 0.0, weights)(logits, EVERY)[0]
            repeated = margin_loss_of(truth.select(rows), 0.0)(logits[rows], EVERY)[0]
            assert weighted == pytest.approx(repeated * 3 / 5, rel=1e-5), "only proportions count"
