import numpy as np
import pytest
from scipy import sparse

from tamis.evaluation import intervals as module
from tamis.evaluation.intervals import affordable, intervals, mean_average_precision_interval, row_weights
from tamis.evaluation.metrics import mean_average_precision


def share(right: np.ndarray) -> tuple[sparse.csr_array, object]:
    rows = len(right)
    return sparse.csr_array(right.astype(float)[:, None]), lambda sums: {"share": sums[:, 0] / rows}


def test_interval_of_a_share_is_what_theory_says():
    right = np.arange(1000) % 10 < 8
    low, high = intervals(*share(right), resamples=2000)["share"]
    error = 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert low == pytest.approx(0.8 - error, abs=0.005)
    assert high == pytest.approx(0.8 + error, abs=0.005)


def test_same_seed_same_interval_and_another_seed_another():
    columns = share(np.random.default_rng(1).random(300) < 0.7)
    assert intervals(*columns, seed=3) == intervals(*columns, seed=3)
    assert intervals(*columns, seed=3) != intervals(*columns, seed=4)


@pytest.mark.parametrize(
    ("right", "expected"), [(True, (0.025 ** (1 / 20), 1.0)), (False, (0.0, 1 - 0.025 ** (1 / 20)))]
)
def test_a_perfect_figure_gets_the_exact_bound(right, expected):
    assert intervals(*share(np.full(20, right)))["share"] == pytest.approx(expected)


def test_memory_is_bounded_by_blocks_that_do_not_change_what_is_drawn_in_all(monkeypatch):
    columns = share(np.arange(200) % 4 > 0)
    monkeypatch.setattr(module, "BLOCK", 1000)
    assert all(weights.shape[1] <= 4 for weights in row_weights(200, 10, 0, block=4))
    low, high = intervals(*columns, resamples=400)["share"]
    assert low < 0.75 < high


def test_every_resample_has_as_many_rows_as_the_data():
    for weights in row_weights(50, 7, 0, block=3):
        np.testing.assert_array_equal(weights.sum(axis=0), 50)


def test_not_a_number_is_left_out_and_no_rows_have_no_interval():
    columns, _ = share(np.ones(30))
    assert intervals(columns, lambda sums: {"never": np.full(len(sums), np.nan)}) == {}
    assert intervals(sparse.csr_array((0, 1)), lambda sums: {"share": sums[:, 0]}) == {}
    assert intervals(columns, lambda sums: {"share": sums[:, 0]}, resamples=0) == {}


def test_fewer_resamples_for_more_rows():
    assert affordable(1000, 3000, 50_000_000) == 1000
    assert affordable(1000, 500_000, 50_000_000) == module.FEWEST
    assert affordable(10, 10**9, 50_000_000) == 10


def test_mean_average_precision_interval_is_that_of_the_resampled_rows():
    rng = np.random.default_rng(0)
    actual = rng.random((200, 3)) < [0.5, 0.1, 0.02]
    scores = np.round(np.clip(actual * 0.3 + rng.random((200, 3)) * 0.7, 0, 1), 2).astype(np.float32)
    low, high = mean_average_precision_interval(scores, actual, resamples=300)
    (weights,) = row_weights(200, 300, seed=0, block=300)
    drawn = [np.repeat(np.arange(200), weights[:, at].astype(int)) for at in range(300)]
    plain = [mean_average_precision(scores[rows], actual[rows]) for rows in drawn]
    assert (low, high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])))


def test_no_interval_of_mean_average_precision_where_it_would_take_minutes(monkeypatch):
    monkeypatch.setattr(module, "RANKED", 10)
    assert mean_average_precision_interval(np.ones((6, 2)), np.ones((6, 2), dtype=bool)) is None
    assert mean_average_precision_interval(np.ones((2, 2)), np.zeros((2, 2), dtype=bool)) is None
