import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.ml.static.ngrams import MOST_MARKS, _long_marks, fold_case, grams_of_runs, word_pairs
from tamis.ml.static.runs import FIELDS_OF_CHAT, WORD, code_points, split_runs
from tamis.schema import Message

texts = st.one_of(st.text(alphabet=st.characters(), max_size=20), st.text(alphabet="aAbé _-1\0", max_size=20))
chats = st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), texts), max_size=3).map(tuple)
inputs = st.lists(st.one_of(texts, chats), max_size=6)


def characters_by_loops(runs):
    """(run, field, n-gram) of the padded runs, shortest first."""
    found = []
    for length in (2, 3, 4):
        for number, string in enumerate(runs.strings):
            padded = f" {fold_case(string)} "
            for at in range(len(padded) - length + 1):
                found.append((number, int(runs.run_fields[number]), padded[at : at + length]))
    return found


def words_of(string):
    """The stretches of word characters."""
    words, word = [], ""
    for character in fold_case(string):
        if code_points(character)[1][0] == WORD:
            word += character
        else:
            words.append(word)
            word = ""
    return [each for each in [*words, word] if each]


def agree(expected, hashes):
    """Equal things have equal hashes and different things different ones."""
    assert len(expected) == len(hashes)
    assert len(set(zip(expected, hashes, strict=True))) == len(set(expected)) == len(set(hashes))


@given(inputs)
@settings(max_examples=80, deadline=None)
def test_characters_and_words_are_those_of_loops(given_inputs):
    runs = split_runs(given_inputs, FIELDS_OF_CHAT)
    found = grams_of_runs(runs)
    expected = characters_by_loops(runs)
    assert found.characters.where.tolist() == [number for number, _, _ in expected]
    agree([each[1:] for each in expected], found.characters.hashes.tolist())
    words = [(n, int(runs.run_fields[n]), word) for n, string in enumerate(runs.strings) for word in words_of(string)]
    assert found.words.where.tolist() == [number for number, _, _ in words]
    agree([each[1:] for each in words], found.words.hashes.tolist())
    assert found.n_runs == len(runs.strings)


@given(inputs)
@settings(max_examples=80, deadline=None)
def test_pairs_are_neighbours_of_one_message(given_inputs):
    runs = split_runs(given_inputs, FIELDS_OF_CHAT)
    found = word_pairs(runs, grams_of_runs(runs).words)
    expected = []
    for segment in sorted(set(runs.segment.tolist())):
        at = np.flatnonzero(runs.segment == segment)
        group, field = int(runs.group[at[0]]), int(runs.run_fields[runs.run[at[0]]])
        sequence = [word for run in runs.run[at].tolist() for word in words_of(runs.strings[run])]
        expected += [(group, field, *pair) for pair in pairwise(sequence)]
    assert found.where.tolist() == [each[0] for each in expected]
    agree([each[1:] for each in expected], found.hashes.tolist())


def pairs_of(given_input):
    runs = split_runs([given_input], FIELDS_OF_CHAT)
    return set(word_pairs(runs, grams_of_runs(runs).words).hashes.tolist())


def test_pairs_know_their_order_and_not_their_spaces():
    assert pairs_of("card lost") != pairs_of("lost card")
    assert pairs_of("card lost") == pairs_of("Card\n\n lost") == pairs_of("card-lost")
    assert len(pairs_of("a b a b")) == 2
    assert not pairs_of("one") | pairs_of("") | pairs_of("?! ...")


def test_pairs_do_not_cross_messages():
    assert not pairs_of((Message("user", "one"), Message("user", "two")))


@pytest.mark.parametrize(
    ("spelling", "folded"),
    [
        ("Straße", "straße"),
        ("ＡＢＣ１", "abc1"),
        ("ﬁne", "fine"),
        ("e\u0301", "é"),
        ("ÉCOLE", "école"),
        ("İ", "i̇"),
        ("HELLO", "hello"),
        ("\ud800A", "\ud800a"),
        ("", ""),
    ],
)
def test_spellings_meet(spelling, folded):
    assert fold_case(spelling) == folded


def test_a_fold_that_brings_a_space_keeps_the_runs_apart():
    runs = split_runs(["\u00a8x y"], FIELDS_OF_CHAT)  # NFKC: space, combining diaeresis
    assert " " in fold_case("\u00a8x")
    found = grams_of_runs(runs)
    alone = grams_of_runs(split_runs(["y"], FIELDS_OF_CHAT))
    mine = found.characters.hashes[found.characters.where == runs.strings.index("y")]
    np.testing.assert_array_equal(mine, alone.characters.hashes)


class TestMarks:
    """Normalizing takes time with the square of the marks in a row: minutes for a text of 200,000, all else waiting."""

    @pytest.mark.parametrize(
        "marks", ["\u0315\u0300\u05ae", "\u0f73", "\uff9e\u0315", "\u0344", "\U0001e8d0\U0001d165"]
    )
    def test_no_more_in_a_row_than_text_has(self, marks):
        assert len(fold_case("a" + marks * 50_000)) <= 3 * MOST_MARKS

    def test_all_of_unicodes_are_known(self):
        pattern = _long_marks()
        for code in range(0x300, 0x110000):
            character = chr(code)
            if unicodedata.combining(unicodedata.normalize("NFKD", character)[0]):
                assert pattern.fullmatch(character * (MOST_MARKS + 1)), f"U+{code:04X}"

    @pytest.mark.parametrize(
        "text", ["Z\u0351\u036b\u0343a\u0327l\u0335go" * 20, "한국어" * 50, "A\u0301" * 40, "نَصٌّ" * 20]
    )
    def test_texts_are_what_they_were(self, text):
        assert fold_case(text) == unicodedata.normalize("NFKC", text.lower())
