"""What is chosen to be labelled: uncertain, unlike each other, each once, the same every time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.errors import Cancelled
from tamis.ml.active import choose, closeness, disagreement, diverse, nearness, uncertainties


def test_a_row_is_uncertain_where_its_two_best_scores_are_close():
    scores = np.array([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0], [0.4, 0.3, 0.3]], dtype=np.float32)
    assert closeness(scores) == pytest.approx([1.0, 0.2, 0.9])


def test_a_row_of_a_multi_label_target_is_uncertain_where_a_score_is_near_its_threshold():
    scores = np.array([[0.8, 0.0], [0.9, 0.4], [1.0, 0.0]], dtype=np.float32)
    assert nearness(scores, np.array([0.8, 0.5], dtype=np.float32)) == pytest.approx([1.0, 0.8, 0.0])
    assert nearness(scores, None)[1] == pytest.approx(0.8)


def test_one_label_and_none_leave_nothing_to_be_unsure_of():
    assert closeness(np.ones((2, 1), dtype=np.float32)).tolist() == [0, 0]
    assert nearness(np.ones((2, 0), dtype=np.float32), None).tolist() == [0, 0]
    assert disagreement(np.ones((2, 0), dtype=np.float32), np.ones((2, 0), dtype=np.float32)).tolist() == [0, 0]


def test_two_models_disagree_by_the_score_that_is_farthest_apart():
    one, other = np.array([[0.9, 0.1]], dtype=np.float32), np.array([[0.2, 0.3]], dtype=np.float32)
    assert disagreement(one, other) == pytest.approx([0.7])


def groups(per_group, n_groups=4):
    """Rows in groups that point the same way, and their vectors."""
    rows = np.repeat(np.arange(n_groups), per_group)
    noise = np.random.default_rng(0).normal(scale=0.01, size=(len(rows), n_groups))
    vectors = (np.eye(n_groups)[rows] + noise).astype(np.float32)
    return rows, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_of_rows_that_say_the_same_thing_one_is_taken():
    of, vectors = groups(10)
    doubt = np.where(of == 0, 0.9, 0.8).astype(np.float32)
    assert sorted(of[diverse(doubt, lambda rows: vectors[rows], 4)]) == [0, 1, 2, 3]
    assert set(of[np.argsort(-doubt)[:4]]) == {0}, "by doubt alone it would be one thing four times"


def test_rows_that_the_model_is_sure_of_are_left_alone():
    of, vectors = groups(100)
    doubt = np.where(of == 3, 0.0, 0.9).astype(np.float32)
    assert 3 not in of[diverse(doubt, lambda rows: vectors[rows], 12)]


@settings(max_examples=40, deadline=None)
@given(
    doubt=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60),
    count=st.integers(0, 70),
    kinds=st.integers(1, 5),
)
def test_as_many_as_are_asked_for_each_once_the_most_uncertain_first(doubt, count, kinds):
    values = np.array(doubt, dtype=np.float32)
    vectors = np.eye(kinds, dtype=np.float32)[np.arange(len(values)) % kinds]  # most rows are repeats
    rows = diverse(values, lambda some: vectors[some], count, seed=1)
    assert len(set(rows.tolist())) == len(rows) == min(count, len(values))
    assert np.all(np.diff(values[rows]) <= 0)
    assert rows.tolist() == diverse(values, lambda some: vectors[some], count, seed=1).tolist()


def test_a_pool_is_chosen_from_by_a_model_of_several_targets(tiny_model):
    pool = [f"where is my parcel {n}" for n in range(30)] + ["refund me", "zzz qqq"]
    chosen = choose(tiny_model.predictor, pool, 5)
    assert len(set(chosen.rows.tolist())) == 5
    assert chosen.uncertainty.tolist() == sorted(chosen.uncertainty.tolist(), reverse=True)
    assert chosen.uncertainty == pytest.approx(uncertainties(tiny_model.predictor, pool)[chosen.rows])


def test_choosing_can_be_stopped(tiny_model):
    def stop():
        raise Cancelled

    with pytest.raises(Cancelled):
        choose(tiny_model.predictor, ["a", "b"], 1, check=stop)
