"""Words with their places, and inputs without some of them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.ml.pieces import LONG, Span, joined, leave_out, text_of, together, words_of
from tamis.schema import Ending, Message

CHAT = (Message("user", "hello there"), Message("assistant", ""), Message("user", "my parcel"))


def cut(text):
    return [text[start:end] for start, end, _ in words_of(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n\0 ", []),
        ("Where's my card?", ["Where's", "my", "card?"]),
        ("a\0b\u2003c", ["a", "b", "c"]),
        ("我要退货", ["我", "要", "退", "货"]),
        ("订单ABC-1丢了", ["订", "单", "ABC-1", "丢", "了"]),
        ("カードが届かない", ["カード", "が", "届", "かない"]),
        ("한국어 단어", ["한국어", "단어"]),
        ("👩‍👩‍👧 👋🏽", ["👩‍👩‍👧", "👋🏽"]),
        ("aaa,bbb;" * 6, ["aaa,", "bbb;"] * 6),
        ("x" * 100, ["x" * LONG, "x" * LONG, "x" * 20]),
    ],
)
def test_words(text, words):
    assert cut(text) == words


def test_thai_is_cut_and_marks_stay_with_their_letter():
    text = "พัสดุของฉันอยู่ที่ไหน"
    assert "".join(cut(text)) == text
    assert len(cut(text)) > 3


@given(st.text(max_size=200))
def test_words_are_all_that_is_not_white_space_in_order(text):
    spans = words_of(text)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert "".join(cut(text)) == "".join(text.replace("\0", " ").split())
    assert all(text_of(text, span) for span in spans)


def test_words_of_a_chat_know_their_message():
    assert [(text_of(CHAT, span), span.message) for span in words_of(CHAT)] == [
        ("hello", 0),
        ("there", 0),
        ("my", 2),
        ("parcel", 2),
    ]


def test_a_word_goes_with_one_of_its_spaces():
    assert leave_out("a b c", [Span(2, 3)]) == "a c"
    assert leave_out("a b c", [Span(0, 1)]) == "b c"
    assert leave_out("a b c", [Span(4, 5), Span(0, 1)]) == "b "
    assert leave_out("我要", [Span(0, 1)]) == "要"
    assert leave_out("a b c", [Span(2, 3)], "[MASK]") == "a [MASK] c"
    assert leave_out("a", []) == "a"


def test_what_an_input_is_stays():
    assert isinstance(leave_out(Ending("a b"), [Span(0, 1)]), Ending)
    assert leave_out(CHAT, [Span(3, 9, 2), Span(0, 5, 0)]) == (
        Message("user", "there"),
        Message("assistant", ""),
        Message("user", "my "),
    )


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 40))
def test_groups_are_few_and_cross_no_messages(counts, most):
    chat = tuple(Message("user", "w " * count) for count in counts)
    words = words_of(chat)
    groups = together(words, most)
    assert [word for group in groups for word in group] == words
    assert all(len({word.message for word in group}) == 1 for group in groups)
    assert len(groups) <= max(most, sum(count > 0 for count in counts))


def test_a_group_is_the_stretch_from_its_first_word_to_its_last():
    words = words_of("one two three four")
    first, second = together(words, 2)
    assert text_of("one two three four", joined(first)) == "one two"
    assert text_of("one two three four", joined(second)) == "three four"
