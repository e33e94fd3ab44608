import numpy as np
import pytest

from tamis.ml.static import packed
from tamis.ml.static.encoded import Encoded, Packed
from tamis.ml.static.model import Centring
from tamis.ml.static.packed_lexical import CountedRuns
from tamis.ml.static.pooled_tokens import pooled_tokens
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT
from tamis.schema import Message


@pytest.fixture(params=[FIELDS_OF_TEXT, FIELDS_OF_CHAT])
def both(request, monkeypatch, semantics, words, texts_about):
    """The columns as products, and as an array; texts of unknown words among them."""
    monkeypatch.setattr(packed, "PORTION", 6)
    chat = (Message("user", words[1]), Message("assistant", f"{words[2]} {words[2]}"), Message("user", words[3]))
    inputs = [*(text for text, _ in texts_about(30, 3)), chat, "", "unheard of", f"{words[4]} " * 3]
    rows = Packed.of(inputs, semantics, request.param)
    found = pooled_tokens(rows, CountedRuns.of(rows.runs, lambda: None).in_groups, None, lambda: None)
    plain = Encoded.of(inputs, semantics, request.param).pooled
    centring = Centring.of(plain)
    np.testing.assert_allclose(found.centring.centre, centring.centre, atol=1e-6)
    assert found.centring.scale == pytest.approx(centring.scale, rel=1e-5)
    return found, centring.apply(plain, request.param)


def test_products(both):
    found, dense = both
    random = np.random.default_rng(1)
    weights = random.standard_normal((dense.shape[1] + 1, 3)).astype(np.float32)
    values = random.standard_normal((len(dense), 3)).astype(np.float32)
    whole = np.concatenate([dense, np.ones((len(dense), 1), dtype=np.float32)], axis=1)
    np.testing.assert_allclose(found.dot(weights), whole @ weights, atol=1e-5)
    np.testing.assert_allclose(found.transposed_dot(values), whole.T @ values, atol=1e-5)


def test_rows(both):
    found, dense = both
    rows = np.array([31, 0, 30])
    assert (len(found), found.shape) == (len(dense), dense.shape)
    np.testing.assert_allclose(found[rows], dense[rows], atol=1e-6)


def test_squares(both):
    found, dense = both
    squares = found.squared().transposed_dot(np.full((len(dense), 2), 3, dtype=np.float32))
    np.testing.assert_allclose(squares[:-1, 1], 3 * (dense**2).sum(axis=0), rtol=1e-3, atol=1e-5)
    assert squares[-1].tolist() == [3 * len(dense)] * 2


def test_a_centring_that_is_given_is_kept(semantics, texts_about):
    rows = Packed.of([text for text, _ in texts_about(9, 3)], semantics, FIELDS_OF_TEXT)
    given = Centring(np.ones(semantics.matrix.shape[1], dtype=np.float32), 2.0)
    assert pooled_tokens(rows, CountedRuns.of(rows.runs, lambda: None).in_groups, given, lambda: None).centring is given


def test_no_known_token(semantics):
    rows = Packed.of(["unheard of", ""], semantics, FIELDS_OF_TEXT)
    found = pooled_tokens(rows, CountedRuns.of(rows.runs, lambda: None).in_groups, None, lambda: None)
    assert not found[np.arange(2)].any()
