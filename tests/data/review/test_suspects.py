import numpy as np
import pytest

from tamis.data.review.scores import gatherer
from tamis.data.review.suspects import confusions, find_suspects, trusted
from tamis.data.truth import SingleTruth, multi_truth


def single(codes, probabilities):
    truth = SingleTruth(np.asarray(codes, dtype=np.int32), probabilities.shape[1])
    given = gatherer(truth)
    given.add(np.arange(len(codes)), probabilities.astype(np.float32))
    return given.finish()


def noisy(n=600, labels=6, rate=0.05, seed=0):
    """Labels of which a share is exchanged, and scores that know the truth but for some blur."""
    random = np.random.default_rng(seed)
    true = random.integers(0, labels, n)
    given = true.copy()
    wrong = random.random(n) < rate
    given[wrong] = (true[wrong] + 1) % labels
    logits = random.normal(0, 1, (n, labels))
    logits[np.arange(n), true] += 5
    probabilities = np.exp(logits)
    return true, given, probabilities / probabilities.sum(axis=1, keepdims=True)


def average_precision(score, wrong):
    hits = wrong[np.argsort(-score, kind="stable")]
    return (np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()


def test_wrong_labels_come_first_and_the_right_one_is_proposed():
    true, given, probabilities = noisy()
    suspects = find_suspects(single(given, probabilities))
    wrong = given != true
    assert average_precision(suspects.score, wrong) > 0.9
    surest = suspects.ranked(0.9)
    assert len(surest)
    assert (suspects.proposed[surest] == true[surest]).mean() > 0.9


def test_exchanges_that_happen_again_and_again_are_found_better_than_by_each_row_alone():
    random = np.random.default_rng(1)
    true = random.integers(0, 10, 2_000)
    given = true.copy()
    wrong = (true == 3) & (random.random(2_000) < 0.3)
    given[wrong] = 4  # always the same exchange
    logits = random.normal(0, 1, (2_000, 10))
    logits[np.arange(2_000), true] += 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    alone = 1 - probabilities[np.arange(2_000), given]
    ours = find_suspects(single(given, probabilities)).score
    assert average_precision(ours, wrong) > average_precision(alone, wrong) + 0.1


def test_rows_without_a_label_and_targets_with_one_label_are_never_suspect():
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert find_suspects(single([-1, 1], probabilities)).score.tolist()[0] == 0
    alone = find_suspects(single([0, 0], np.ones((2, 1))))
    assert alone.score.tolist() == [0, 0]
    assert alone.proposed.tolist() == [-1, -1]


def test_very_many_labels_are_ranked_without_a_table_of_pairs(monkeypatch):
    true, given, probabilities = noisy()
    monkeypatch.setattr("tamis.data.review.suspects.MOST_LABELS", 5)
    suspects = find_suspects(single(given, probabilities))
    assert average_precision(suspects.score, given != true) > 0.9


def test_scores_are_probabilities():
    _, given, probabilities = noisy()
    score = find_suspects(single(given, probabilities)).score
    assert score.min() >= 0
    assert score.max() <= 1
    assert np.isfinite(score).all()


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_scores_of_0_and_1_are_no_trouble(probability):
    scores = single([0, 1], np.array([[probability, 1 - probability], [1 - probability, probability]]))
    assert np.isfinite(find_suspects(scores).score).all()


def test_multi_label_cells_that_lack_or_have_too_much():
    random = np.random.default_rng(2)
    true = random.random((400, 4)) < 0.3
    given = true.copy()
    given[0, 0], given[1, 1] = ~given[0, 0], ~given[1, 1]
    probabilities = np.where(true, 0.97, 0.01).astype(np.float32)
    rows = gatherer(multi_truth([np.flatnonzero(row).tolist() for row in given], 4))
    rows.add(np.arange(400), probabilities)
    suspects = find_suspects(rows.finish())
    assert set(suspects.ranked(0.5).tolist()) == {0, 1}
    assert suspects.proposed[0] == 0
    assert suspects.proposed[1] == 1


def test_a_multi_label_target_nobody_carries():
    rows = gatherer(multi_truth([[], None], 2))
    rows.add(np.arange(2), np.zeros((2, 2), dtype=np.float32))
    assert find_suspects(rows.finish()).score.tolist() == [0, 0]


def test_doubtful_rows_weigh_less_and_never_nothing():
    true, given, probabilities = noisy()
    suspects = find_suspects(single(given, probabilities))
    weights = trusted([suspects, suspects], len(given))
    assert weights.min() >= 0.02
    assert weights[given == true].mean() > weights[given != true].mean()


def test_confusions_are_shares_of_the_given_label():
    table = confusions(single([0, 0, 1], np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])))
    assert table is not None
    assert table.tolist() == [[0.5, 0.5], [0.0, 1.0]]
