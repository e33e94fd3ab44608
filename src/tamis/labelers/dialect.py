"""What an endpoint understands: OpenAI-compatible servers differ, and say so by refusing a request.

The first request asks for everything; what is complained about is asked for in a simpler way, or left out, for all
further requests. A complaint that names nothing steps down too, until something was answered once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from tamis.labelers.answer_schema import answer_schema
from tamis.schema import Target

Json = dict[str, Any]

MORE_ROOM = 8
MOST_ROOM = 64
"""Where an LLM thinks before it answers, how much longer the answer may become: in steps, and at most."""

CAPS = ("max_tokens", "max_completion_tokens", "")
"""How the longest answer is called, in the order in which it is tried."""

_FORMS = re.compile(r"response_?format|json_?\s?(schema|object|mode)|structured|grammar|guided|\bschema\b|enum")
_SYSTEM = re.compile(r"system\s*(role|message|prompt|instruction)|role\W+system")
_TOO_LONG = re.compile(
    r"context.?(length|window|size)|maximum context|too (long|large|many tokens)|reduce the length"
    r"|exceeds? the (max|limit)"
)
_FILTERED = re.compile(r"content.?(filter|policy|management)|responsible.?ai|moderation|flagged|safety system")
_QUOTA = re.compile(r"insufficient.{0,2}(quota|funds|balance|credit)|out of credit|no credits")


class Form(StrEnum):
    """How an answer's form is asked for."""

    SCHEMA = "json_schema"  # the endpoint makes sure of it
    OBJECT = "json_object"  # it makes sure of JSON
    TEXT = "text"  # the prompt alone says it


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a request may hold, as far as is known of an endpoint."""

    form: Form = Form.SCHEMA
    cap: str = "max_tokens"  # how the longest answer is called; empty: not at all
    temperature: bool = True
    system: bool = True
    room: int = 1  # times as long as the labels need

    @classmethod
    def of(cls, known: Json) -> Dialect | None:
        """Return a dialect as it was kept; None where it is none, or none that is ever spoken."""
        try:
            found = cls(**{**known, "form": Form(known["form"])})
        except (KeyError, TypeError, ValueError):
            return None
        flags = isinstance(found.temperature, bool) and isinstance(found.system, bool)
        room = isinstance(found.room, int) and 1 <= found.room <= MOST_ROOM
        return found if flags and room and found.cap in CAPS else None

    def to_json(self) -> Json:
        """Plain types."""
        return asdict(self)

    def request(self, targets: Sequence[Target], answer_tokens: int, temperature: float) -> Json:
        """Return the request without model and messages."""
        made: Json = {}
        if self.form is Form.SCHEMA:
            schema = {"name": "labels", "strict": True, "schema": answer_schema(targets)}
            made["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif self.form is Form.OBJECT:
            made["response_format"] = {"type": "json_object"}
        if self.temperature:
            made["temperature"] = temperature
        if self.cap:
            made[self.cap] = answer_tokens
        return made

    def after(self, complaint: str) -> Dialect | None:
        """Return what to try after a complaint that names something of the request; None where it names nothing."""
        said = complaint.lower()
        if self.form is not Form.TEXT and _FORMS.search(said):
            return self.simpler()
        if self.cap and self.cap in said:
            return replace(self, cap="max_completion_tokens" if self.cap == "max_tokens" else "")
        if self.temperature and "temperature" in said:
            return replace(self, temperature=False)
        if self.system and _SYSTEM.search(said):
            return replace(self, system=False)
        return None

    def simpler(self) -> Dialect | None:
        """Return the next simpler way to ask, one thing at a time; None after the simplest."""
        if self.form is not Form.TEXT:
            return replace(self, form=Form.OBJECT if self.form is Form.SCHEMA else Form.TEXT)
        if self.cap == "max_tokens":
            return replace(self, cap="max_completion_tokens")
        if self.temperature:
            return replace(self, temperature=False)
        if self.cap:
            return replace(self, cap="")
        return replace(self, system=False) if self.system else None

    def roomier(self) -> Dialect | None:
        """Return the same with more room for an answer; None where there is as much as is given."""
        return replace(self, room=self.room * MORE_ROOM) if self.room < MOST_ROOM else None


def is_too_long(complaint: str) -> bool:
    """Whether a complaint is that the input does not fit, and not that the schema does not."""
    said = complaint.lower()
    return bool(_TOO_LONG.search(said)) and not _FORMS.search(said)


def is_filtered(complaint: str) -> bool:
    """Whether a complaint is that a filter took offence at the input."""
    return bool(_FILTERED.search(complaint.lower()))


def is_unpaid(complaint: str) -> bool:
    """Whether a complaint is that the account has no money left."""
    return bool(_QUOTA.search(complaint.lower()))
