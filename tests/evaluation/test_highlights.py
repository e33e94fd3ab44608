"""Marked words in their text."""

from hypothesis import given
from hypothesis import strategies as st

from tamis.evaluation.highlights import GAP, LONGEST, Highlight, marked_parts, plain_offset
from tamis.schema import Message, plain_text


def test_a_short_text_is_whole_with_its_words_marked():
    text = "where is\n my  parcel?"
    marks = [Highlight(14, 21, 2.0), Highlight(0, 5, -1.0)]
    assert marked_parts(text, marks, 300) == [("where", -1.0), (" is my ", 0.0), ("parcel?", 2.0)]


def test_a_long_text_is_its_beginning_and_what_is_around_marks():
    text = "a" * 1000 + " parcel " + "b" * 1000
    parts = marked_parts(text, [Highlight(1001, 1007, 1.0)], 300)
    assert ("parcel", 1.0) in parts
    assert [part for part, _ in parts].count(GAP) == 2
    assert sum(len(part) for part, _ in parts) < 300
    assert parts[0][0] == "a" * 120


def test_a_very_long_word_is_cut_in_the_middle():
    ((part, weight),) = marked_parts("x" * 200, [Highlight(0, 200, 1.0)], 300)
    assert len(part) == LONGEST + 1
    assert weight == 1.0


@given(st.text(max_size=400), st.lists(st.tuples(st.integers(0, 400), st.integers(1, 50)), max_size=5))
def test_no_mark_is_lost_whatever_the_text(text, places):
    marks, done = [], 0
    for start, length in sorted(places):
        if done <= start and start + length <= len(text):
            marks.append(Highlight(start, start + length, 1.0))
            done = start + length
    shown = [part for part, weight in marked_parts(text, marks, 100) if weight]
    assert len(shown) == sum(bool(text[mark.start : mark.end]) for mark in marks)


def test_places_in_messages_are_places_in_the_plain_text():
    chat = (Message("user", "hello"), Message("assistant", "my parcel"))
    start = plain_offset(chat, 1) + 3
    assert plain_text(chat)[start : start + 6] == "parcel"
    assert plain_offset("text", None) == 0
