import numpy as np
import pytest

from tamis.evaluation import metrics
from tamis.evaluation.sums import RowSums, marks, terms


def sums_of(actual: np.ndarray, given: np.ndarray, labels: int, answered: np.ndarray | None = None) -> RowSums:
    rows, right = np.arange(len(actual)), actual == given
    losses = np.where(actual < labels - 1, 0.5, np.nan)  # the last label is unseen
    shape = (len(actual), labels)
    return RowSums(
        hits=marks(rows[right], actual[right], shape),
        given=marks(rows, given, shape),
        actual=marks(rows, actual, shape),
        terms=terms(
            right, losses, right * 0.25, right * 1.0, np.ones(len(actual), bool) if answered is None else answered
        ),
        occurring_only=True,
    )


def test_figures_are_those_of_the_array_functions():
    rng = np.random.default_rng(0)
    actual, answered = rng.integers(0, 5, 200), rng.random(200) < 0.8
    given = np.where(rng.random(200) < 0.7, np.minimum(actual, 3), rng.integers(0, 4, 200))
    found = sums_of(actual, given, 5, answered).figures()
    counts = metrics.count_single(actual, given, 5)
    assert found["accuracy"] == pytest.approx(metrics.accuracy(actual, given))
    assert found["macro_f1"] == pytest.approx(metrics.macro_f1(counts, occurring_only=True))
    assert found["weighted_f1"] == pytest.approx(metrics.weighted_f1(counts))
    assert found["micro_f1"] == pytest.approx(metrics.micro_f1(counts))
    assert found["log_loss"] == pytest.approx(0.5)
    assert found["coverage"] == pytest.approx(answered.mean())
    assert found["selective_accuracy"] == pytest.approx((actual == given)[answered].mean())


def test_macro_f1_counts_labels_that_are_given_but_carried_by_no_row():
    actual, given = np.array([0, 0, 1]), np.array([0, 2, 1])
    counts = metrics.count_single(actual, given, 4)
    found = sums_of(actual, given, 4).figures()["macro_f1"]
    assert found == pytest.approx(metrics.macro_f1(counts, occurring_only=True))
    assert found == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_rare_labels_do_not_pull_the_interval_below_the_figure():
    actual = np.repeat(np.arange(60), 2)
    given = actual.copy()
    given[::10] = 0
    sums = sums_of(actual, given, 61)
    low, high = sums.intervals(500, seed=0)["macro_f1"]
    assert low < sums.figures()["macro_f1"] < high


def test_no_rows_have_no_figures():
    none = np.zeros(0, dtype=int)
    assert sums_of(none, none, 3).figures() == {}
    assert sums_of(none, none, 3).intervals(100, 0) == {}
