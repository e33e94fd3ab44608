import numpy as np

from tamis.data.review.scores import KEPT, gatherer
from tamis.data.truth import UNKNOWN, SingleTruth, multi_truth


def test_a_single_label_row_keeps_its_own_label_first_and_the_most_probable_others():
    truth = SingleTruth(np.array([19, UNKNOWN], dtype=np.int32), 20)
    given = gatherer(truth)
    probabilities = np.linspace(0.05, 0.02, 20, dtype=np.float32)[None, :]
    given.add(np.array([0]), probabilities)
    scores = given.finish()
    assert scores.labels.shape == (2, KEPT)
    assert scores.labels[0].tolist() == [19, 0, 1, 2, 3, 4, 5, 6]
    assert scores.own.tolist() == [True, False]
    assert scores.labels[1].tolist() == [-1] * KEPT


def test_rows_may_come_in_any_order():
    truth = SingleTruth(np.array([0, 1, 0], dtype=np.int32), 2)
    given = gatherer(truth)
    given.add(np.array([2, 1]), np.array([[0.9, 0.1], [0.4, 0.6]], dtype=np.float32))
    given.add(np.array([0]), np.array([[0.2, 0.8]], dtype=np.float32))
    scores = given.finish()
    assert np.allclose(scores.probabilities[:, 0], [0.2, 0.6, 0.9], atol=1e-3)


def test_a_multi_label_target_keeps_carried_and_plausible_cells_of_known_rows():
    truth = multi_truth([[0], [], None], 3)
    given = gatherer(truth)
    given.add(np.arange(3), np.array([[0.01, 0.5, 0.02], [0.01, 0.02, 0.9], [0.9, 0.9, 0.9]], dtype=np.float32))
    scores = given.finish()
    cells = list(zip(scores.rows.tolist(), scores.labels.tolist(), scores.carried.tolist(), strict=True))
    assert cells == [(0, 0, True), (0, 1, False), (1, 2, False)]


def test_nothing_added_is_nothing_kept():
    assert len(gatherer(multi_truth([None], 2)).finish().rows) == 0
