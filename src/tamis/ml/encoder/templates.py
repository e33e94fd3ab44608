"""Chats as one string: by the base model's own chat template where it has one, else as lines that name the role.

A template is a program in a sandbox: it is given the messages and the special tokens, and nothing else; what it may do
is in `template_bounds`, which is read only where there is one. It does not know tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tamis.schema import Message, plain_text

if TYPE_CHECKING:
    from tamis.ml.encoder.template_meter import Meter

LONGEST_TEMPLATE = 1 << 18
LONGEST_CHAT = 1 << 26
"""Characters of a template, and of what it may make of a chat."""


@dataclass(frozen=True, slots=False, eq=False)
class ChatTemplate:
    """How a chat becomes a string: a template in Jinja (`source`; "" for none), and the special tokens it may name."""

    source: str = ""
    special: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, chat: Sequence[Message]) -> tuple[str, bool]:
        """Return the chat as a string, and whether the template made it.

        A chat that the template refuses (some want user and assistant to take turns) is written as lines.
        """
        if self._compiled is None or not chat:
            return plain_text(tuple(chat)), False
        messages = [{"role": message.role, "content": message.content} for message in chat]
        try:
            return self._render(messages), True
        except Exception:  # noqa: BLE001  a template can raise anything
            return plain_text(tuple(chat)), False

    @property
    def is_usable(self) -> bool:
        """Whether there is a template, and it can be read."""
        return self._compiled is not None

    def _render(self, messages: list[dict[str, str]]) -> str:
        made, size = list[str](), 0
        compiled: Any = self._compiled
        self._meter.begin()
        for part in compiled.generate(messages=messages, add_generation_prompt=False, **self.special):
            made.append(part)
            size += len(part)
            if size > LONGEST_CHAT:
                raise ValueError("the template makes too much of the chat")
        return "".join(made)

    @cached_property
    def _meter(self) -> Meter:
        from tamis.ml.encoder.template_meter import Meter

        return Meter()

    @cached_property
    def _compiled(self) -> Any:  # noqa: ANN401  a third party's object
        if not self.source or len(self.source) > LONGEST_TEMPLATE:
            return None
        from tamis.ml.encoder.template_bounds import BoundedEnvironment

        try:
            return BoundedEnvironment(self._meter).from_string(self.source)
        except Exception:  # noqa: BLE001  the same: what cannot be compiled is not used
            return None


def template_in(config: Mapping[str, object], file: str = "") -> str:
    """Return the template that a tokenizer's configuration or a file of its own holds; "" for none.

    Of several the one called "default" is taken.
    """
    given = file or config.get("chat_template")
    if isinstance(given, list):
        named = {str(entry.get("name")): entry.get("template") for entry in given if isinstance(entry, dict)}
        given = named.get("default")
    return given if isinstance(given, str) else ""


def special_tokens(config: Mapping[str, object]) -> dict[str, str]:
    """Return the special tokens that a tokenizer's configuration names, like `bos_token`, as strings."""
    made = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token"):
        token = config.get(name)
        content = token.get("content") if isinstance(token, dict) else token
        if isinstance(content, str):
            made[name] = content
    return made
