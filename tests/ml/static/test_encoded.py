import numpy as np
import pytest

from tamis.ml.static import encoded as module
from tamis.ml.static import packed
from tamis.ml.static.encoded import Encoded, Packed, encode
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT
from tamis.schema import Message


@pytest.fixture
def inputs(words, texts_about):
    chat = (Message("user", words[1]), Message("assistant", words[2]), Message("user", f"{words[3]} ok"))
    return [*(text for text, _ in texts_about(20, 3)), chat, "", "unheard of", "\ud800 x"]


@pytest.mark.parametrize("n_fields", [FIELDS_OF_TEXT, FIELDS_OF_CHAT])
class TestPacked:
    @pytest.fixture(autouse=True)
    def _small_portions(self, monkeypatch):
        monkeypatch.setattr(packed, "PORTION", 7)
        monkeypatch.setattr(module, "STRINGS_AT_ONCE", 5)

    @pytest.fixture
    def both(self, inputs, semantics, n_fields):
        return Encoded.of(inputs, semantics, n_fields), Packed.of(inputs, semantics, n_fields)

    def test_its_portions_are_all_rows(self, both):
        whole, many = both
        portions = list(many.portions())
        assert len(portions) == 4
        assert (len(many), many.n_tokens) == (len(whole), whole.n_tokens)
        assert sum(some.n_tokens for some in portions) == whole.n_tokens
        np.testing.assert_array_equal(np.concatenate([some.pooled for some in portions]), whole.pooled)

    @pytest.mark.parametrize("few", [0, 99])
    def test_selected_rows(self, both, monkeypatch, few):
        monkeypatch.setattr(module, "FEW", few)
        whole, many = both
        rows = np.array([3, 20, 3, 21])
        some = many.select(rows)
        assert isinstance(some, Packed if few == 0 else Encoded)
        (only,) = some.portions()
        wanted = whole.select(rows)
        np.testing.assert_array_equal(only.pooled, wanted.pooled)
        np.testing.assert_array_equal(only.tokens.toarray(), wanted.tokens.toarray())
        assert len(only.runs.strings) < len(whole.runs.strings), "strings of other rows are left out"

    def test_pools_of_a_mini_batch(self, both):
        whole, many = both
        used = many.used_tokens()
        np.testing.assert_array_equal(used, whole.used_tokens())
        rows = np.array([22, 0, 20])
        found, wanted = (each.pools_in(used)(rows).toarray() for each in (many, whole))
        np.testing.assert_array_equal(found, wanted)

    def test_tokens_of_rows_that_were_left_out_are_not_used(self, both, monkeypatch):
        monkeypatch.setattr(module, "FEW", 0)
        whole, many = both
        rows = np.arange(3)
        np.testing.assert_array_equal(many.select(rows).used_tokens(), whole.select(rows).used_tokens())


def test_very_many_rows_are_packed(monkeypatch, semantics):
    monkeypatch.setattr(module, "MOST_WHOLE", 3)
    assert isinstance(encode(["a"] * 3, semantics, FIELDS_OF_TEXT), Encoded)
    assert isinstance(encode(["a"] * 4, semantics, FIELDS_OF_TEXT), Packed)
