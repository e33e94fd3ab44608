"""Promises that hold on rows not seen yet, costs that are low, and honesty where little is known."""

from functools import cache

import numpy as np
import pytest

from tamis.evaluation.metrics import LabelCounts
from tamis.evaluation.objectives import Goal, Objective, Wanted, parse_objective
from tamis.evaluation.purposes import LEAST, as_measured, choose, figures_at
from tamis.evaluation.thresholds import CUTS, FINE, count_scores, f1_thresholds

RATES = np.array([0.6, 0.2, 0.05, 0.01])
HALF = np.full(4, 0.5, dtype=np.float32)


@cache
def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are true probabilities, of labels from frequent to rare."""
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-(np.log(RATES / (1 - RATES)) + rng.normal(size=(count, 4)) * 2)))
    return scores.astype(np.float32), rng.random((count, 4)) < scores


def chosen(counts, objective: str, *, shared: bool = False):
    return choose(counts, Wanted(parse_objective(objective), shared), HALF)


def shares(thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of thresholds on very many other rows."""
    scores, actual = rows(100_000, 999)
    given = scores >= thresholds
    hits = (given & actual).sum(axis=0)
    return hits / np.maximum(given.sum(axis=0), 1), hits / actual.sum(axis=0)


@pytest.mark.parametrize("objective", ["precision>=0.8", "precision>=0.9", "recall>=0.8", "recall>=0.9"])
def test_a_floor_that_is_called_kept_holds_on_rows_not_seen_yet(objective):
    floor, held, kept = parse_objective(objective).floor, 0, 0
    for seed in range(25):
        made = chosen(count_scores(*rows(400, seed)), objective)
        precision, recall = shares(made.thresholds)
        found = precision if objective.startswith("p") else recall
        held += int((found[made.kept] >= floor).sum())
        kept += int(made.kept.sum())
    assert kept >= 40
    assert held / kept >= 0.9


def test_what_is_observed_alone_would_not_hold():
    broken = total = 0
    for seed in range(25):
        curves = count_scores(*rows(400, seed)).curves()
        good = curves.hits >= 0.9 * np.maximum(curves.given, 1)
        thresholds = FINE[good.argmax(axis=1)]
        broken += int((shares(thresholds)[0] < 0.9).sum())
        total += 4
    assert broken / total > 0.4


def test_more_rows_allow_more_recall_for_the_same_precision():
    few, many = (
        np.mean([shares(chosen(count_scores(*rows(count, seed)), "precision>=0.9").thresholds)[1] for seed in range(8)])
        for count in (200, 5000)
    )
    assert many > few


def test_few_rows_are_told_apart_from_a_promise_and_get_the_closest():
    scores = np.array([[0.99], [0.98], [0.97], [0.96], *[[0.01]] * 200], dtype=np.float32)
    actual = scores > 0.5
    made = choose(count_scores(scores, actual), Wanted(parse_objective("precision>=0.8")), HALF[:1])
    assert not made.kept[0]
    assert np.isnan(made.bound[0])  # four rows were given it at most
    assert 0.5 < made.thresholds[0] < 0.99
    many = choose(
        count_scores(np.tile(scores, (5, 1)), np.tile(actual, (5, 1))),
        Wanted(parse_objective("precision>=0.8")),
        HALF[:1],
    )
    assert many.kept[0]
    assert many.bound[0] >= 0.8


def test_where_no_threshold_reaches_a_floor_the_closest_is_taken_and_said():
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.1, 0.4, (2000, 1)).astype(np.float32)
    made = choose(
        count_scores(scores, rng.random((2000, 1)) < scores), Wanted(parse_objective("precision>=0.9")), HALF[:1]
    )
    assert not made.kept[0]
    assert made.bound[0] < 0.6
    assert 0.3 < made.thresholds[0] < 0.45  # as high as any row scores, and not where all of them do


def test_a_label_without_rows_gets_what_is_right_for_all_and_no_promise():
    scores, actual = rows(2000, 3)
    actual = actual & [True, True, True, False]
    made = chosen(count_scores(scores, actual), "recall>=0.8")
    assert made.kept.tolist() == [True, True, True, False]
    assert made.thresholds[3] == chosen(count_scores(scores, actual), "recall>=0.8", shared=True).thresholds[0]
    nothing = choose(count_scores(scores, np.zeros_like(actual)), Wanted(parse_objective("precision>=0.8")), HALF)
    assert not nothing.kept.any()


def test_a_shared_floor_is_one_of_all_labels_together():
    made = chosen(count_scores(*rows(2000, 5)), "precision>=0.8", shared=True)
    assert len(set(made.thresholds.tolist())) == 1
    scores, actual = rows(100_000, 999)
    given = scores >= made.thresholds
    assert 0.8 <= (given & actual).sum() / given.sum() < 0.88


@pytest.mark.parametrize(("fp", "fn"), [(1, 1), (1, 5), (5, 1)])
def test_a_cost_is_nearly_as_low_as_true_probabilities_allow(fp, fn):
    scores, actual = rows(50_000, 999)

    def cost(thresholds):
        given = scores >= thresholds
        return fp * (given & ~actual).sum() + fn * (~given & actual).sum()

    best = cost(np.float32(fp / (fp + fn)))
    for seed in range(4):
        made = chosen(count_scores(*rows(300, seed)), f"cost:fp={fp},fn={fn}")
        assert cost(made.thresholds) < 1.05 * best
        assert made.kept.all()
        assert np.isnan(made.bound).all()


def test_macro_f1_raises_rare_labels_more_than_micro_f1_does():
    def recall_of_the_rarest(objective):
        return np.mean(
            [shares(chosen(count_scores(*rows(1000, seed)), objective).thresholds)[1][3] for seed in range(6)]
        )

    assert recall_of_the_rarest("macro-f1") > recall_of_the_rarest("micro-f1")


def test_f1_is_what_training_chooses_and_a_shared_one_is_a_cut():
    counts = count_scores(*rows(500, 1))
    np.testing.assert_array_equal(chosen(counts, "f1").thresholds, f1_thresholds(counts.common_curves()))
    shared = chosen(counts, "f1", shared=True).thresholds
    assert np.isin(shared, CUTS.astype(np.float32)).all()
    assert len(set(shared.tolist())) == 1


def test_labels_keep_what_nobody_asked_to_change():
    counts = count_scores(*rows(2000, 2))
    recall = Objective(Goal.RECALL, 0.9)
    made = choose(counts, Wanted(None, by_label={1: recall}, fixed={2: 0.25}), HALF)
    assert made.thresholds[[0, 3]].tolist() == [0.5, 0.5]
    assert made.thresholds[2] == np.float32(0.25)
    assert made.asked == (None, recall, None, None)
    alone = choose(counts, Wanted(recall), HALF)
    assert made.thresholds[1] == alone.thresholds[1]


@pytest.mark.parametrize("shared", [False, True])
def test_what_the_measured_figures_deny_is_not_promised(shared):
    scores, actual = rows(2_000, 3)
    made = chosen(count_scores(scores, actual), "precision>=0.8", shared=shared)
    assert made.kept[0]
    together = range(4) if shared else ()
    ten = np.full(4, 10.0)
    denied = as_measured(made, LabelCounts(hits=np.full(4, 7.0), given=ten, actual=ten), together)
    assert not denied.kept.any()
    assert denied.bound[0] == pytest.approx(0.7)
    borne_out = as_measured(made, LabelCounts(hits=ten, given=ten, actual=ten), together)
    assert borne_out.kept.tolist() == made.kept.tolist()
    np.testing.assert_array_equal(borne_out.bound, made.bound)
    one = as_measured(
        made, LabelCounts(hits=np.array([100.0, 0, 0, 0]), given=np.array([100.0, 1, 1, 1]), actual=ten), together
    )
    assert one.kept[1] == (shared and made.kept[1])


def test_five_rows_are_the_least_that_a_promise_is_made_of():
    scores = np.full((200, 1), 0.001, dtype=np.float32)
    actual = np.zeros((200, 1), dtype=bool)
    for given, kept in ((int(LEAST) - 1, False), (40, True)):
        scores[:given], actual[:given] = 0.995, True
        assert choose(count_scores(scores, actual), Wanted(parse_objective("recall>=0.5")), HALF[:1]).kept[0] == kept


def test_figures_count_labels_that_the_model_lacks_as_misses():
    scores, actual = rows(100, 0)
    found = figures_at(count_scores(scores, actual), HALF.astype(float), np.array([3, 1]))
    assert found.actual.tolist() == [*actual.sum(axis=0).tolist(), 3, 1]
    assert found.given[4:].tolist() == found.hits[4:].tolist() == [0, 0]
