import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tamis.examples import EXAMPLES, example_path
from tamis.ml.base_models import load_base
from tamis.ml.static import tokens as module
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT, OPENING_RUNS, TEXT, split_runs
from tamis.ml.static.tokens import RunTokenizer, pool, token_matrix, used_tokens
from tamis.schema import Message


@pytest.fixture(scope="module")
def static_en():
    base = load_base("static-en")
    return RunTokenizer(base.tokenizer_json, base.unknown_id)


@pytest.fixture(scope="module")
def whole(static_en):
    """A function: the tokens of a whole text."""
    tokenizer, unknown = Tokenizer.from_str(static_en.source.decode()), static_en.unknown_id
    return lambda text: [i for i in tokenizer.encode(text, add_special_tokens=False).ids if i != unknown]


def by_runs(tokenizer, text):
    """The tokens of a text, a run at a time."""
    runs = split_runs([text], FIELDS_OF_TEXT)
    found = tokenizer(runs.strings)
    return [token for run in runs.run.tolist() for token in of(found, run)]


def of(found, run):
    return found.ids[found.offsets[run] : found.offsets[run + 1]].tolist()


class TestTokenizer:
    def test_unknown_tokens_are_left_out(self, semantics, words):
        found = semantics.tokenizer([words[3], "unheardof", "", f"{words[0]},{words[1]}"])
        assert [of(found, run) for run in range(4)] == [[4], [], [], [1, 2]]
        assert found.lengths.tolist() == [1, 0, 0, 2]

    def test_without_an_unknown_token_all_are_kept(self, semantics):
        tokenizer = RunTokenizer(semantics.tokenizer.source, None)
        assert of(tokenizer(["unheardof"]), 0) == [0]

    def test_nothing_to_tokenize(self, semantics):
        found = semantics.tokenizer([])
        assert found.ids.tolist() == []
        assert found.offsets.tolist() == [0]

    @given(st.lists(st.text(alphabet=st.characters(), max_size=12), max_size=6))
    @settings(max_examples=40, deadline=None)
    def test_few_are_as_many(self, static_en, strings):
        many, few = static_en(strings), static_en.few(strings)
        np.testing.assert_array_equal(many.ids, few.ids)
        np.testing.assert_array_equal(many.offsets, few.offsets)

    def test_what_it_says_of_itself(self, semantics, static_en):
        assert semantics.tokenizer.highest_id == 199
        assert not static_en.changes_lengths
        cutting = Tokenizer.from_str(static_en.source.decode())
        cutting.enable_truncation(4)
        assert RunTokenizer(cutting.to_str().encode(), None).changes_lengths


def test_the_same_tokenizer_is_read_once_in_a_row_and_another_anew(semantics):
    source = semantics.tokenizer.source
    module._read.cache_clear()
    first, again = (RunTokenizer(bytes(bytearray(source)), None) for _ in range(2))
    assert module._read.cache_info().hits == 1
    assert first(["a"]).ids.tolist() == again(["a"]).ids.tolist()
    RunTokenizer(source + b" ", None)
    assert module._read.cache_info().misses == 2


class TestRunsOrWhole:
    """static-en, whole texts against a run at a time."""

    def test_packaged_texts_have_the_same_tokens(self, static_en, whole):
        texts = []
        for name in EXAMPLES:
            for line in example_path(name).read_text(encoding="utf-8").splitlines():
                try:
                    texts.append(json.loads(line)["text"])
                except (ValueError, KeyError):
                    continue  # wrong on purpose
        texts = [text for text in texts if isinstance(text, str)]
        assert len(texts) > 600
        assert [text for text in texts if by_runs(static_en, text) != whole(text)] == []

    @pytest.mark.parametrize("text", ["日本 語", "👋🏽 ok", "naïve café", "שלום עולם", "don't stop", "x" * 999])
    def test_so_have_others(self, static_en, whole, text):
        assert by_runs(static_en, text) == whole(text)

    @pytest.mark.parametrize("text", ["a  b", "a\tb", "a\nb", " a", "a ", "a\u00a0b"])
    def test_white_space_alone_makes_a_difference(self, static_en, whole, text):
        """A single space is part of the next token; other white space would be tokens of its own: left out here."""
        plain = " ".join(text.split())
        assert by_runs(static_en, text) == by_runs(static_en, plain) == whole(plain)
        assert whole(text) != whole(plain)


@pytest.mark.parametrize("n_fields", [FIELDS_OF_TEXT, FIELDS_OF_CHAT])
def test_shares_of_tokens_are_those_of_loops(semantics, words, n_fields):
    inputs = [
        f"{words[0]} {words[1]} {words[0]}, {words[2]}!  {words[3]}",
        "",
        "unheard of",
        (Message("system", words[4]), Message("user", f"{words[5]} {words[5]} {words[6]}"), Message("tool", "")),
    ]
    runs = split_runs(inputs, n_fields)
    found = semantics.tokenizer(runs.strings)
    matrix = token_matrix(runs, found, 200)
    expected = np.zeros((len(inputs) * (n_fields + 1), 200))
    seen = {}
    for run, row, segment in zip(runs.run.tolist(), runs.row.tolist(), runs.segment.tolist(), strict=True):
        field = int(runs.run_fields[run])
        rank = seen[segment] = seen.get(segment, -1) + 1
        for token in of(found, run):
            expected[row * (n_fields + 1) + field, token] += 1
            if field == TEXT and rank < OPENING_RUNS:
                expected[row * (n_fields + 1) + n_fields, token] += 1
    expected /= np.maximum(expected.sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(matrix.toarray(), expected, rtol=1e-6)
    assert np.isin(np.round(expected.sum(axis=1), 6), [0, 1]).all()
    assert expected.sum() >= 4


def test_pools_are_averages_of_the_rows_in_use(semantics, words):
    runs = split_runs([f"{words[7]} {words[9]} {words[7]}", "", words[1]], FIELDS_OF_TEXT)
    matrix, n_tokens = semantics.tokens(runs)
    assert n_tokens == 4
    assert used_tokens(matrix).tolist() == [2, 8, 10]
    dense = matrix.toarray() @ semantics.matrix.astype(np.float32)
    np.testing.assert_allclose(pool(matrix, semantics.matrix), dense, atol=1e-3)
    pooled = semantics.pooled(matrix)
    lengths = np.linalg.norm(pooled, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 0, 0, 1, 1], atol=1e-5)
    np.testing.assert_allclose(pooled[0] * np.linalg.norm(dense[0]), dense[0], atol=1e-3)


def test_no_token_at_all(semantics):
    matrix, n_tokens = semantics.tokens(split_runs(["", "unheard"], FIELDS_OF_TEXT))
    assert n_tokens == 0
    assert not pool(matrix, semantics.matrix).any()
    assert not semantics.pooled(matrix).any()


def test_portions_of_the_strings_change_nothing(static_en, monkeypatch):
    strings = ["Where", "is", "中文", "", "👩‍👧", "x" * 50, "\ud800"]
    whole = static_en(strings)
    monkeypatch.setattr(module, "STRINGS_AT_ONCE", 2)
    found = static_en(strings)
    assert found.ids.tolist() == whole.ids.tolist()
    assert found.offsets.tolist() == whole.offsets.tolist()
