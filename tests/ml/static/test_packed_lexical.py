import numpy as np
import pytest

from tamis.ml.static import packed, packed_lexical
from tamis.ml.static.lexical import count_grams, fit_vocabulary
from tamis.ml.static.packed import pack_runs
from tamis.ml.static.packed_lexical import CountedRuns, Tallied, fit_packed_vocabulary, packed_matrix
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT, split_runs
from tamis.schema import Message

LOUD = 1.4


@pytest.fixture
def inputs(texts_about, words):
    chat = (Message("user", f"{words[0]} {words[1]}"), Message("assistant", words[0]), Message("user", words[1]))
    return [*(text for text, _ in texts_about(40, 3)), chat, chat, "", f"{words[3]} " * 4]


@pytest.mark.parametrize("n_fields", [FIELDS_OF_TEXT, FIELDS_OF_CHAT])
@pytest.mark.parametrize("most", [50, 10_000])
def test_the_same_terms_and_the_same_matrix(monkeypatch, inputs, n_fields, most):
    monkeypatch.setattr(packed, "PORTION", 6)
    monkeypatch.setattr(packed_lexical, "STRING_CHARACTERS", 40)
    plain, asked = count_grams(split_runs(inputs, n_fields)), []
    counted = CountedRuns.of(pack_runs(inputs, n_fields), lambda: asked.append(1))
    wanted = fit_vocabulary(plain, most, private=False)
    found, singles = fit_packed_vocabulary(counted, most, lambda: None)
    for mine, theirs in zip(found.blocks, wanted.blocks, strict=True):
        np.testing.assert_array_equal(mine.hashes, theirs.hashes)
        np.testing.assert_array_equal(mine.idf, theirs.idf)
        assert (mine.unknown, len(mine.single_hashes)) == (theirs.unknown, 0)
    matrix, alone = packed_matrix(found, singles, counted, LOUD, lambda: None)
    assert matrix.widths == wanted.matrix(plain).widths
    every = np.eye(sum(matrix.widths), dtype=np.float32)
    np.testing.assert_allclose(matrix.dot(every), wanted.matrix(plain).emphasised(LOUD).dot(every), atol=1e-6)
    own = fit_vocabulary(plain, most).matrix(plain).private
    squares = np.asarray(own.multiply(own).sum(axis=1)).ravel()
    np.testing.assert_allclose(alone[:-1], squares[:-1], atol=1e-5)
    assert 0 < alone[-1] < 1, "a pair again and again counts as often, and no more than the whole text"
    assert len(asked) > 10


def test_rows_that_were_left_out_count_for_nothing(monkeypatch, inputs):
    monkeypatch.setattr(packed, "PORTION", 6)
    some = np.arange(10)
    counted = CountedRuns.of(pack_runs(inputs, FIELDS_OF_TEXT).select(some), lambda: None)
    found, _ = fit_packed_vocabulary(counted, 10_000, lambda: None)
    wanted = fit_vocabulary(count_grams(split_runs(inputs[:10], FIELDS_OF_TEXT)), 10_000, private=False)
    for mine, theirs in zip(found.blocks, wanted.blocks, strict=True):
        np.testing.assert_array_equal(mine.hashes, theirs.hashes)


class TestTallied:
    def test_it_counts(self):
        tallied = Tallied()
        for hashes, times in (([5, 3, 5], [1, 2, 1]), ([], []), ([9, 3], [4, 1])):
            tallied.add(np.array(hashes, dtype=np.uint64), np.array(times, dtype=np.int64))
        assert tallied.hashes.tolist() == [3, 5, 9]
        assert tallied.frequency.tolist() == [3, 2, 4]

    def test_the_rarest_are_let_go_of_and_the_frequent_stay(self, monkeypatch):
        monkeypatch.setattr(packed_lexical, "MOST_TALLIED", 20)
        tallied = Tallied()
        for first in range(10, 200, 10):
            hashes = np.array([1, 2, *range(first, first + 10)], dtype=np.uint64)
            tallied.add(hashes, np.ones(len(hashes), dtype=np.int64))
            assert len(tallied.hashes) <= 20
        assert tallied.hashes[:2].tolist() == [1, 2]
        assert tallied.frequency[:2].tolist() == [19, 19]
