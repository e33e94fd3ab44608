"""Explanations in the terminal: signs and bars tell what colours do."""

from io import StringIO

import pytest
from rich.console import Console

from tamis.cli.explain_view import show_explanation
from tamis.ml.explaining import Explanation, LabelExplanation, Piece
from tamis.schema import Message

PIECES = (Piece("parcel", 12, 18, 2.0, 0.4, None), Piece("where", 0, 5, -0.5, 0.93, None))
FOUND = LabelExplanation("topic", "delivery", True, 0.91, 0.1, PIECES)


def shown(given, explanation, **how):
    console = Console(file=StringIO(), width=100, **how)
    show_explanation(given, explanation, console)
    return console.file.getvalue()


def test_without_a_terminal_signs_and_numbers_tell():
    said = shown("where is my parcel", Explanation((FOUND,), ("A note.",)))
    lines = [line.rstrip() for line in said.splitlines()]
    assert lines[0] == "  why topic: delivery  0.91; without any word 0.10"
    assert lines[1].split() == ["+2.00", "━" * 12, "parcel", "0.91", "→", "0.40", "without"]
    assert lines[2].split() == ["−0.50", "╌" * 3, "where", "0.91", "→", "0.93", "without"]
    assert lines[3].strip() == "A note."


def test_in_a_terminal_the_words_are_marked_without_colour_too():
    said = shown("where is my parcel", Explanation((FOUND,)), force_terminal=True, no_color=True)
    assert "\x1b[1;4mparcel\x1b[0m" in said
    assert "\x1b[3;4mwhere\x1b[0m" in said


def test_words_of_chats_name_their_message_and_nothing_steers_the_terminal():
    chat = (Message("user", "my \x1b[2Jparcel"),)
    piece = Piece("\x1b[2Jparcel", 3, 13, 1.0, 0.5, 0)
    said = shown(chat, Explanation((LabelExplanation("t", "a", False, 0.6, 0.5, (piece,)),)), force_terminal=True)
    assert "message 1, user" in said
    assert "\x1b[2J" not in said
    assert "not given" in said


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [(0.91, 0.4, "0.91 → 0.40"), (0.999, 0.996, "0.999 → 0.996"), (0.99999, 0.99998, "1.0000 → 1.0000")],
)
def test_scores_have_the_digits_that_tell_them_apart(before, after, told):
    found = LabelExplanation("t", "a", True, before, 0.1, (Piece("a", 0, 1, 1.0, after),))
    assert f"{told} without" in shown("a", Explanation((found,)))


@pytest.mark.parametrize("pieces", [(), (Piece("a", 0, 1, 0.0, 0.5),)])
def test_where_no_word_moves_anything_that_is_said(pieces):
    assert "no word moves it" in shown("a", Explanation((LabelExplanation("t", "a", True, 0.5, 0.5, pieces),)))
