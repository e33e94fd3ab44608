import numpy as np
import pytest

from tamis.data.truth import UNKNOWN, SingleTruth, multi_truth
from tamis.ml.static import sampled as module
from tamis.ml.static.losses import loss_of
from tamis.ml.static.sampled import Sampling

LABELS = 40
ROWS = np.array([4, 0, 2, 5, 1])
TRUTHS = {
    "single": SingleTruth(np.array([0, 39, UNKNOWN, 17, 39, 40], dtype=np.int32), LABELS, ("odd",)),
    "multi": multi_truth([[0], [1, 39], None, [], [17, 40], [1]], LABELS, ("odd",)),
}


@pytest.fixture(params=TRUTHS.values(), ids=TRUTHS)
def truth(request):
    return request.param


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(module, "OTHERS", 8)


def drawn(truth, seed=0, smoothing=0.1):
    return Sampling(truth, 0.5, smoothing).draw(ROWS, np.random.default_rng(seed))


@pytest.mark.usefixtures("few")
def test_slopes_are_those_of_finite_differences(truth):
    labels, loss = drawn(truth)
    logits = np.random.default_rng(1).standard_normal((len(ROWS), len(labels)))
    value, slope = loss(logits, ROWS)
    for cell in np.ndindex(*logits.shape):
        moved = [logits.copy(), logits.copy()]
        moved[0][cell] += 1e-5
        moved[1][cell] -= 1e-5
        by_differences = (loss(moved[0], ROWS)[0] - loss(moved[1], ROWS)[0]) / 2e-5
        assert slope[cell] == pytest.approx(by_differences, abs=2e-4)
    assert value > 0
    assert not slope[ROWS == 2].any()


def test_with_all_labels_it_is_the_whole_loss(truth):
    labels, loss = drawn(truth)
    assert labels.tolist() == list(range(LABELS))
    logits = np.random.default_rng(1).standard_normal((len(ROWS), LABELS)).astype(np.float32)
    value, slope = loss(logits, ROWS)
    whole, whole_slope = loss_of(truth, 0.5, 0.1)(logits, ROWS)
    assert value == pytest.approx(whole, rel=1e-5)
    np.testing.assert_allclose(slope, whole_slope, atol=1e-5)


@pytest.mark.usefixtures("few")
def test_on_average_the_slope_is_that_of_the_whole_loss(truth):
    logits = 0.3 * np.random.default_rng(1).standard_normal((len(ROWS), LABELS), dtype=np.float32)
    mean, times = np.zeros_like(logits), 3000
    sampling, random = Sampling(truth, 0.5, 0.1), np.random.default_rng(2)
    for _ in range(times):
        labels, loss = sampling.draw(ROWS, random)
        mean[:, labels] += loss(logits[:, labels], ROWS)[1] / times
    np.testing.assert_allclose(mean, loss_of(truth, 0.5, 0.1)(logits, ROWS)[1], atol=0.1)


@pytest.mark.usefixtures("few")
def test_the_labels_of_the_rows_are_there_and_the_random_numbers_decide_on_the_others(truth):
    there = {0, 1, 17, 39} if truth is TRUTHS["multi"] else {0, 39}
    seen = set()
    for seed in range(30):
        labels = drawn(truth, seed)[0].tolist()
        assert labels == sorted(set(labels))
        assert there <= set(labels)
        assert len(labels) <= len(there) + 8
        assert labels == drawn(truth, seed)[0].tolist()
        seen.update(labels)
    assert seen == set(range(LABELS))


@pytest.mark.usefixtures("few")
def test_rows_that_say_nothing():
    nothing = SingleTruth(np.full(6, UNKNOWN, dtype=np.int32), LABELS)
    labels, loss = drawn(nothing)
    value, slope = loss(np.ones((5, len(labels)), dtype=np.float32), ROWS)
    assert value == 0
    assert not slope.any()
