"""Bodies that endpoints answer with: completions, and errors in their many shapes. Nothing in them is trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from tamis.data.rows import printable

Json = dict[str, Any]

MOST_TOKENS = 100_000_000
"""Tokens of one answer beyond which a count is no count."""

LONGEST_COMPLAINT = 300


class NoCompletion(Exception):
    """A body that is no chat completion; the message says what it is, `status` which HTTP status it names itself."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep what it is."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Completion:
    """What an LLM said.

    Attributes:
        content: the answer as text, without what it thought aloud where that is told apart.
        refusal: why it declined, in its words; empty where it did not.
        finish: why it ended: stop, length, content_filter, ...
        prompt_tokens: as the endpoint counted them; None where it did not, or cannot have.
        completion_tokens: the same.
        seconds: how long the endpoint took.
    """

    content: str
    refusal: str = ""
    finish: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0

    @property
    def was_cut(self) -> bool:
        """Whether it reached the longest answer that it was allowed."""
        return self.finish == "length"

    @property
    def was_filtered(self) -> bool:
        """Whether a filter took the answer away."""
        return self.finish == "content_filter"

    def to_json(self) -> Json:
        """Plain types, for the cache."""
        return asdict(self)

    @classmethod
    def of(cls, kept: Json) -> Completion | None:
        """Return what the cache kept; None where it is none."""
        try:
            found = cls(**{key: value for key, value in kept.items() if key != "key"})
        except TypeError:
            return None
        texts = isinstance(found.content, str) and isinstance(found.refusal, str) and isinstance(found.finish, str)
        counts = (found.prompt_tokens, found.completion_tokens)
        counted = all(count is None or _count(count, least=0) is not None for count in counts)
        timed = isinstance(found.seconds, int | float) and isfinite(found.seconds) and found.seconds >= 0
        return found if texts and counted and timed else None


def read_completion(body: bytes) -> Completion:
    """Return the first choice of a chat completion.

    Raises:
        NoCompletion: it is none.
    """
    read = _object(body)
    if read is None:
        raise NoCompletion("the answer is no JSON object")
    if read.get("error") and not read.get("choices"):
        raise NoCompletion(complaint_of(body), _status(read["error"]))
    choices = read.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise NoCompletion("the answer is no chat completion")
    usage = read.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Completion(
        content=_text(message.get("content")),
        refusal=_text(message.get("refusal")),
        finish=choice["finish_reason"] if isinstance(choice.get("finish_reason"), str) else "",
        prompt_tokens=_count(counts.get("prompt_tokens"), least=1),
        completion_tokens=_count(counts.get("completion_tokens"), least=0),
    )


def complaint_of(body: bytes) -> str:
    """Return what an error's body says, as one line; what is no JSON is shown as it begins."""
    read = _object(body)
    said = _said(read) if read is not None else body[: LONGEST_COMPLAINT * 4].decode("utf-8", "replace")
    return " ".join(printable(said).split())[:LONGEST_COMPLAINT]


def _object(body: bytes) -> Json | None:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _said(value: object) -> str:
    """The message of an error with its code and type, wherever a server puts them."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, map(_said, value[:5])))
    if not isinstance(value, Mapping):
        return ""
    inner = [_said(value.get(key)) for key in ("message", "detail", "error", "msg", "errors")]
    marks = [str(value[key]) for key in ("code", "param", "loc", "type") if isinstance(value.get(key), str | list)]
    return " ".join(filter(None, [*dict.fromkeys(inner), f"({', '.join(marks)})" if marks else ""]))


def _status(error: object) -> int | None:
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600 else None


def _text(value: object) -> str:
    """A message's content: text, or parts of which only those of the type text count."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    texts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type", "text") == "text"]
    return "".join(text for text in texts if isinstance(text, str))


def _count(value: object, *, least: int) -> int | None:
    sure = isinstance(value, int) and not isinstance(value, bool) and least <= value <= MOST_TOKENS
    return int(value) if sure and isinstance(value, int) else None
