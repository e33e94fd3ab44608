import numpy as np
import pytest

from tamis.data.truth import UNKNOWN, SingleTruth, multi_truth
from tamis.ml.static import batches as module
from tamis.ml.static.batches import fit_by_batches
from tamis.ml.static.lexical import count_grams, fit_vocabulary
from tamis.ml.static.linear import LinearDesign, fit_linear
from tamis.ml.static.losses import loss_of
from tamis.ml.static.runs import FIELDS_OF_TEXT, split_runs

N, LABELS = 2500, 30


@pytest.fixture(scope="module")
def labelled(texts_about):
    rows = texts_about(N, LABELS)
    counted = count_grams(split_runs([text for text, _ in rows], FIELDS_OF_TEXT))
    matrix = fit_vocabulary(counted, 10_000, private=False).matrix(counted)
    design = LinearDesign(matrix, np.zeros((N, 2), dtype=np.float32))
    codes = np.array([int(label.split()[1]) for _, label in rows], dtype=np.int32)
    return design, SingleTruth(codes, LABELS)


def fit(labelled, seed=0, start=None):
    design, truth = labelled
    return fit_by_batches(design, loss_of(truth, 0.5), LABELS, seed=seed, start=start)


def loss_at(labelled, weights):
    design, truth = labelled
    return loss_of(truth, 0.5)(design.dot(weights), slice(None))[0] / len(design)


def test_it_learns_nearly_what_the_exact_fit_does(labelled):
    design, truth = labelled
    weights = fit(labelled)
    assert weights.shape == (design.n_columns, LABELS)
    assert weights.dtype == np.float32
    exact = fit_linear(design, loss_of(truth, 0.5), LABELS, strength=30, iterations=30)
    right = [float((design.dot(each).argmax(axis=1) == truth.codes).mean()) for each in (weights, exact)]
    assert right[0] > 0.95 * right[1] > 0.9
    assert loss_at(labelled, weights) < 0.5 * np.log(LABELS)


def test_the_seed_decides(labelled):
    np.testing.assert_array_equal(fit(labelled), fit(labelled))
    assert not np.array_equal(fit(labelled), fit(labelled, seed=1))


def test_it_goes_on_from_a_start_and_leaves_that_alone(labelled):
    start = fit(labelled)
    before = start.copy()
    again = fit(labelled, start=start)
    np.testing.assert_array_equal(start, before)
    assert loss_at(labelled, again) < loss_at(labelled, start)


def test_progress_is_told(labelled):
    design, truth = labelled
    heard = []
    fit_by_batches(design, loss_of(truth, 0.5), LABELS, seed=0, told=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1
    assert len(heard) == 3 * -(-N // 256)


def test_very_much_is_gone_over_once_and_less_where_there_is_a_start(labelled, monkeypatch):
    monkeypatch.setattr(module, "MANY_SCORES", 1024 * LABELS)
    design, truth = labelled
    heard = []
    first = fit_by_batches(design, loss_of(truth, 0.5), LABELS, seed=0, told=heard.append)
    assert len(heard) == -(-N // 256)
    fit_by_batches(design, loss_of(truth, 0.5), LABELS, seed=0, start=first, told=heard.append)
    assert len(heard) == -(-N // 256) + 4
    assert loss_at(labelled, first) < 0.7 * np.log(LABELS)


def test_one_label_less_than_two_halves_need():
    counted = count_grams(split_runs(["a word", "another word"], FIELDS_OF_TEXT))
    design = LinearDesign(
        fit_vocabulary(counted, 100, private=False).matrix(counted), np.zeros((2, 2), dtype=np.float32)
    )
    nothing = multi_truth([[0], []], 1)
    assert fit_by_batches(design, loss_of(nothing, 0.5), 1, seed=0).shape == (design.n_columns, 1)


def test_unknown_rows_move_nothing(labelled):
    design, _ = labelled
    nothing = SingleTruth(np.full(N, UNKNOWN, dtype=np.int32), LABELS)
    weights = fit_by_batches(design, loss_of(nothing, 0.5), LABELS, seed=0)
    assert not weights.any()
