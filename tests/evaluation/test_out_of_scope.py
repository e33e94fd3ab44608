import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tamis.evaluation.out_of_scope import auroc, curve, share_of, turned_away_at


@pytest.mark.parametrize("digits", [1, 8])
def test_auroc_is_that_of_scikit_learn_ties_too(digits):
    random = np.random.default_rng(0)
    inside, outside = random.normal(1, 1, 200).round(digits), random.normal(0, 1, 150).round(digits)
    found = auroc(inside, outside)
    truth = np.repeat([1, 0], [200, 150])
    assert found.value == pytest.approx(roc_auc_score(truth, np.concatenate([inside, outside])))
    assert found.interval[0] < found.value < found.interval[1]


def test_the_interval_of_the_auroc_holds_what_it_should():
    random, held = np.random.default_rng(1), 0
    for _ in range(200):
        low, high = auroc(random.normal(1, 1, 80), random.normal(0, 1, 60)).interval
        held += low <= 0.7602 <= high  # of two normals one standard deviation apart
    assert held >= 180


def test_nothing_on_one_side_says_nothing():
    assert auroc(np.zeros(0), np.ones(3)) is None
    assert auroc(np.ones(3), np.zeros(0)) is None
    assert auroc(np.ones(1), np.zeros(1)).value == 1
    assert share_of(0, 0) is None
    assert np.isnan(turned_away_at(np.zeros(0), np.ones(2), 0.97))


def test_a_share_of_few_rows_has_a_wide_interval():
    few, many = share_of(9, 10), share_of(900, 1000)
    assert few.value == many.value == 0.9
    assert few.interval[0] < many.interval[0] < 0.9 < many.interval[1] < few.interval[1] <= 1


def test_rows_turned_away_at_a_coverage():
    inside, outside = np.arange(100.0), np.array([-1.0, 2.5, 3.0, 50])
    assert turned_away_at(inside, outside, 0.97) == 0.5  # three of a hundred are below 3
    assert turned_away_at(inside, outside, 1.0) == 0.25


def test_the_curve_goes_from_all_to_few_and_agrees_with_its_cuts():
    random = np.random.default_rng(2)
    evidence, outside = random.random(500).round(2), random.random(80) / 2
    right = random.random(500) < evidence
    points = curve(evidence, right, outside)
    assert points[0].coverage == 1
    assert [point.coverage for point in points] == sorted((point.coverage for point in points), reverse=True)
    for point in points:
        above = evidence >= point.cut
        assert point.coverage == pytest.approx(above.mean())
        assert point.accuracy == pytest.approx(right[above].mean())
        assert point.turned_away == pytest.approx((outside < point.cut).mean())
    assert curve(np.zeros(0), np.zeros(0), outside) == []
    assert np.isnan(curve(evidence, right, np.zeros(0))[0].turned_away)
