"""Chats: a list of messages as JSON or Parquet gives it, checked and made an input."""

from __future__ import annotations

from collections.abc import Mapping

from tamis.data.formats.values import Value, check_characters, kind_of
from tamis.data.rows import BadRow, Notes
from tamis.schema import Message

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_READ = frozenset({"role", "content"})


def read_chat(messages: Value, line: int, notes: Notes) -> tuple[Message, ...]:
    """Return the messages.

    Raises:
        BadRow: it is no list of messages, or no message of the user says anything.
    """
    if not isinstance(messages, list):
        raise BadRow("bad_message", f"The messages are {kind_of(messages)}, not a list")
    if not messages:
        raise BadRow("no_messages", "The list of messages is empty")
    chat = tuple(_message(message, place, line, notes) for place, message in enumerate(messages, start=1))
    if not any(message.role == "user" and message.content.strip() for message in chat):
        raise BadRow("no_user_message", "No message of the user has any content")
    return chat


def _message(given: Value, place: int, line: int, notes: Notes) -> Message:
    if not isinstance(given, dict):
        raise BadRow("bad_message", f"Message {place} is {kind_of(given)}, not an object")
    role = given.get("role")
    if not isinstance(role, str):
        raise BadRow("bad_message", f"Message {place} has no role")
    if role not in ROLES:
        raise BadRow("unknown_role", f"Message {place} has the unknown role {role[:40]!r}")
    content = content_text(given.get("content"), f"The content of message {place}")
    if not content.isprintable():
        check_characters(content, f"message {place}")
    if not content:
        notes.add("empty_message", line, role)
    for key in given.keys() - _READ:
        if given[key] is not None:
            notes.add("extra_key", line, f"messages.{key}")
    return Message(role, content)


def content_text(content: object, what: str) -> str:
    """Return what a message says: a string, or a list of text parts a line each; null is what tool calls leave.

    `what` names the content in messages: "The content of message 2".

    Raises:
        BadRow: it is neither, or a part is no text (an image, say).
    """
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list | tuple):
        raise BadRow("bad_message", f"{what} is {kind_of(content)}, not a string")
    return "\n".join(_part(part, what) for part in content)


def _part(part: object, what: str) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text") if isinstance(part, Mapping) else None
    if not isinstance(text, str):
        named = f" of type {part.get('type')!r}"[:60] if isinstance(part, Mapping) else ""
        raise BadRow("bad_message", f"{what} has a part{named} that is not text")
    return text
