import re

import pytest

from tamis.ml.static import cutting, runs
from tamis.ml.static.cutting import cut_inputs
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT, split_runs
from tamis.schema import Message


def tokens_of(given, semantics):
    chat = not isinstance(given, str)
    return semantics.tokens(split_runs([given], FIELDS_OF_CHAT if chat else FIELDS_OF_TEXT))[1]


@pytest.fixture
def cut(semantics):
    """A function: one input, cut."""

    def one(given, most):
        (made,), n_cut = cut_inputs([given], semantics.tokenizer, most)
        assert n_cut == (made != given)
        return made

    return one


class TestTexts:
    def test_a_text_keeps_its_beginning(self, cut, words, semantics):
        text = f"  {words[0]}\n{words[1]},\t{words[2]}  {words[3]} end"
        assert cut(text, 2) == f"  {words[0]}\n{words[1]}"
        assert tokens_of(cut(text, 3), semantics) == 3

    def test_what_is_short_enough_stays_as_it_is(self, cut, words):
        text = f"{words[0]}   {words[1]}  "
        assert cut(text, 2) is text
        assert cut("", 1) == ""

    def test_unknown_words_do_not_count_and_stay_where_they_are(self, cut, words):
        text = f"unheard {words[0]} unheard unheard {words[1]} {words[2]}"
        assert cut(text, 2) == f"unheard {words[0]} unheard unheard {words[1]}"
        assert cut("unheard " * 500, 3) == "unheard " * 500

    def test_a_run_without_spaces_is_cut_inside(self, cut, words):
        text = "".join(f"{word}," for word in words[:9])
        assert cut(text, 4) == ",".join(words[:4])

    def test_hostile_texts(self, semantics, hostile):
        made, _ = cut_inputs(list(hostile), semantics.tokenizer, 3)
        for before, after in zip(hostile, made, strict=True):
            assert before.startswith(after)
            assert tokens_of(after, semantics) <= 3


class TestChats:
    def test_a_chat_keeps_its_end(self, cut, words, semantics):
        chat = (Message("user", f"{words[0]} {words[1]}"), Message("assistant", words[2]), Message("user", words[3]))
        assert cut(chat, 4) is chat
        assert cut(chat, 3) == (Message("user", words[1]), *chat[1:])
        assert cut(chat, 2) == chat[1:]
        assert cut(chat, 1) == chat[2:]
        assert tokens_of(cut(chat, 3), semantics) == 3

    def test_one_long_message(self, cut, words):
        chat = (Message("user", " ".join(words[:8])),)
        assert cut(chat, 3) == (Message("user", " ".join(words[5:8])),)


def test_all_inputs_are_told(semantics, words):
    given = [" ".join(words[:5]), words[0], (Message("user", " ".join(words[:5])),)]
    made, n_cut = cut_inputs(given, semantics.tokenizer, 3)
    assert n_cut == 2
    assert made[1] == words[0]
    assert given[0] == " ".join(words[:5])


def test_it_checks_whether_to_go_on(semantics):
    class Stopped(Exception):
        pass

    def stop():
        raise Stopped

    with pytest.raises(Stopped):
        cut_inputs(["x"], semantics.tokenizer, 3, stop)


def test_a_run_without_end_has_the_tokens_that_the_trainer_counts(semantics, words, monkeypatch):
    monkeypatch.setattr(runs, "LONGEST_RUN", 5)
    monkeypatch.setattr(cutting, "_RUN", re.compile(r"[^\s\0]{1,5}"))
    text = " ".join([words[0] * 7, *words[:3]])
    (made,), n_cut = cut_inputs([text], semantics.tokenizer, 4)
    assert n_cut == (made != text)
    assert tokens_of(made, semantics) == min(4, tokens_of(text, semantics))
