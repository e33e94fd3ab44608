import numpy as np
import pytest

from tamis.data.truth import SingleTruth
from tamis.ml.static.elastic import Frozen, fit_move, in_logits, old_squares
from tamis.ml.static.encoded import encode
from tamis.ml.static.lexical import count_grams
from tamis.ml.static.losses import margin_loss_of
from tamis.ml.static.scorer import StaticScorer
from tamis.ml.static.widening import widened

NEW = ["quantum parcel zebra", "quantum zebra refund", "please walrus the fee", "parcel zebra please"]


@pytest.fixture
def world(tiny_model):
    before = tiny_model.scorer.model
    rows = encode(NEW, before.semantics, before.n_fields)
    counted = count_grams(rows.runs)
    model = widened(before, counted, 10_000)
    frozen = Frozen.of(model, rows)
    return before, model, frozen, old_squares(before.vocabulary, model.vocabulary, frozen, counted, 60)


def test_the_columns_give_the_scores_that_the_moved_model_gives(world):
    _, model, frozen, _ = world
    name, place = next(iter(model.columns.items()))
    by = np.random.default_rng(0).standard_normal((frozen.design.n_columns, place.stop - place.start)).astype("f4")
    moved = StaticScorer(frozen.moved(model, by, place)).logits(NEW)
    still = StaticScorer(model).logits(NEW)
    np.testing.assert_allclose(moved[name], still[name] + frozen.design.dot(by), atol=2e-4)
    for other in set(model.columns) - {name}:
        np.testing.assert_array_equal(moved[other], still[other])


def test_new_n_grams_are_free_and_old_ones_cost(world):
    before, model, frozen, squares = world
    terms, old = model.vocabulary.words, set(before.vocabulary.words.hashes.tolist())
    start = frozen.design.lexical.widths[0]
    of_words = squares[start : start + len(terms)]
    is_old = np.array([value in old for value in terms.hashes.tolist()])
    assert (of_words[is_old] > 0).all()
    assert not of_words[~is_old].any()
    assert squares[-1] == 60
    assert squares.shape == (frozen.design.n_columns,)


def test_a_stiff_weight_moves_less_and_the_loss_falls(world):
    _, _, frozen, squares = world
    truth = SingleTruth(np.array([2, 2, 2, 2], dtype=np.int32), 3)
    loss, base = margin_loss_of(truth, 0.5), np.zeros((4, 3), dtype=np.float32)
    told = []
    free = fit_move(frozen.design, loss, base, slice(0, 2), 0 * squares, told.append)
    stiff = fit_move(frozen.design, loss, base, slice(0, 2), 10 * squares, told.append)
    assert free.shape == stiff.shape == (frozen.design.n_columns, 2)
    assert np.abs(stiff[-1]).max() < 0.1 * np.abs(free[-1]).max()
    assert told[-1] < told[0]
    assert (frozen.design.dot(stiff) < 0).all()
    np.testing.assert_allclose(in_logits(stiff), 5 * stiff)
