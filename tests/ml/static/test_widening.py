import numpy as np
import pytest

from tamis.ml.static.encoded import encode
from tamis.ml.static.lexical import count_grams
from tamis.ml.static.scorer import StaticScorer
from tamis.ml.static.widening import widened, with_labels

NEW = ["quantum parcel zebra", "quantum zebra refund", "please walrus the fee"]
ASKED = [*NEW, "where is my parcel", "please refund the fee now", "", "quantum"]


@pytest.fixture
def grown(tiny_model):
    model = tiny_model.scorer.model
    counted = count_grams(encode(NEW, model.semantics, model.n_fields).runs)
    return model, widened(model, counted, 10_000)


def test_no_score_changes(grown):
    before, after = grown
    for name, logits in StaticScorer(before).logits(ASKED).items():
        np.testing.assert_allclose(StaticScorer(after).logits(ASKED)[name], logits, atol=1e-5)


def test_n_grams_of_new_rows_are_known_afterwards(grown):
    before, after = grown
    assert [len(terms) for terms in after.vocabulary.blocks] > [len(terms) for terms in before.vocabulary.blocks]
    for old, new in zip(before.vocabulary.blocks, after.vocabulary.blocks, strict=True):
        assert set(old.hashes.tolist()) <= set(new.hashes.tolist())
        assert (np.diff(new.hashes.astype(np.float64)) > 0).all()
        assert not set(new.hashes.tolist()) & set(new.single_hashes.tolist())
    assert after.vocabulary.n_owners == before.vocabulary.n_owners + len(NEW)
    assert len(after.weights) > len(before.weights)


def test_room_for_labels_moves_columns_and_no_score(tiny_model):
    before = tiny_model.scorer.model
    (first, a), (second, b) = before.columns.items()
    n_first, n_second = a.stop - a.start, b.stop - b.start
    columns = {first: slice(0, n_first + 2), second: slice(n_first + 2, n_first + 3 + n_second), "new": slice(0, 0)}
    columns["new"] = slice(columns[second].stop, columns[second].stop + 4)
    after = with_labels(before, columns)
    old, new = StaticScorer(before).logits(ASKED), StaticScorer(after).logits(ASKED)
    np.testing.assert_array_equal(new[first][:, :n_first], old[first])
    np.testing.assert_array_equal(new[second][:, :n_second], old[second])
    assert not new["new"].any()
