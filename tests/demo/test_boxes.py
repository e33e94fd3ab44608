"""Chats of the page, message by message."""

from __future__ import annotations

from tamis.demo.boxes import added, without_last
from tamis.demo.inputs import MOST_MESSAGES

HELLO = {"role": "user", "content": "hello"}


def test_one_after_another() -> None:
    chat, role, said = added(None, "user", "hello")
    assert (chat, role, said) == ([HELLO], "assistant", "")
    chat, role, _ = added(chat, role, "yes?")
    assert (chat[1], role) == ({"role": "assistant", "content": "yes?"}, "user")
    assert without_last(chat) == [HELLO]
    assert without_last(None) == []


def test_nothing_is_not_added() -> None:
    assert added([HELLO], "system", " \n") == ([HELLO], "system", " \n")


def test_roles_are_those_of_the_page() -> None:
    assert added([], "<b>", "x")[0] == [{"role": "user", "content": "x"}]


def test_a_chat_does_not_grow_for_ever() -> None:
    full = [HELLO] * MOST_MESSAGES
    assert added(full, "user", "more") == (full, "user", "more")
    long, _, _ = added([HELLO], "user", "x" * 100, longest=10)
    assert [len(message["content"]) for message in long] == [5, 11]
    assert added(long, "user", "more", longest=10)[0] == long
