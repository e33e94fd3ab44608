"""What people ask a model on a page: a text, a text a line, or a chat, read from a form and answered.

Pages that let somebody try a model share it: one for those who have signed in, one for those who have a link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from anyio import from_thread

from tamis.endpoints import InputLimits
from tamis.errors import Overloaded, TamisError
from tamis.schema import Input, Message
from tamis.web.dashboard.visits import Visit
from tamis.workspace.trials import Trial, explained_trials, may_explain, trials

TEXT, CHAT = "text", "chat"
MODES = (TEXT, CHAT)
ROLES = ("user", "assistant", "system")
NEXT_ROLE = {"user": "assistant", "assistant": "user", "system": "user"}
"""Who speaks after whom, unless the person chooses."""

MOST_LINES, MOST_MESSAGES, MOST_CHARACTERS = 100, 50, 20_000
"""What a page takes; files and the API take more."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody put in.

    Attributes:
        mode: `text` or `chat`.
        text: as it stands in the box.
        lines: whether each line is a text of its own.
        messages: of the chat, those that say something.
        explain: whether the words that moved the scores are to be marked.
    """

    mode: str = TEXT
    text: str = ""
    lines: bool = False
    messages: tuple[Message, ...] = ()
    explain: bool = True

    @classmethod
    def sent(cls, visit: Visit) -> Question:
        """Read it from the form."""
        mode = visit.sent("as", TEXT)
        texts, roles = visit.form.get("content", ()), visit.form.get("role", ())
        said = zip(roles, texts, strict=False)
        return cls(
            mode=mode if mode in MODES else TEXT,
            text=_plain(visit.sent("text")),
            lines=bool(visit.sent("lines")),
            messages=tuple(Message(role if role in ROLES else ROLES[0], _plain(text)) for role, text in said if text),
            explain=bool(visit.sent("explain")),
        )

    @property
    def inputs(self) -> list[Input]:
        """What a model is asked; nothing where nothing was put in."""
        if self.mode == CHAT:
            return [self.messages] if any(message.content.strip() for message in self.messages) else []
        if not self.lines:
            return [self.text] if self.text.strip() else []
        return [line.strip() for line in self.text.splitlines() if line.strip()]

    @property
    def next_role(self) -> str:
        """Who is likely to speak next."""
        return NEXT_ROLE[self.messages[-1].role] if self.messages else ROLES[0]

    @property
    def wrong(self) -> str:
        """What is wrong with it, for the person; empty where it can be asked."""
        inputs = self.inputs
        written = sum(len(given) if isinstance(given, str) else sum(len(m.content) for m in given) for given in inputs)
        if not inputs:
            return "Say something first." if self.mode == CHAT else "Type or paste a text first."
        if len(inputs) > MOST_LINES:
            return f"These are {len(inputs):,} lines, and a page takes {MOST_LINES}: upload them as a file."
        if len(self.messages) > MOST_MESSAGES:
            return f"The chat has {len(self.messages):,} messages, and a page takes {MOST_MESSAGES}: leave some out."
        if written > MOST_CHARACTERS:
            return f"That is {written:,} characters long, and a page takes {MOST_CHARACTERS:,}: shorten it."
        return ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model once it is loaded; `trouble` says why it cannot be."""

    quick: bool = False
    chats: bool = False
    trouble: str = ""


def facts_of(visit: Visit, model_id: str) -> Facts:
    """Return what is known of a model; it is loaded, so that its first answer comes at once."""
    try:
        return from_thread.run(
            visit.workspace.answerer.ask,
            model_id,
            [],
            lambda served: Facts(served.predictor.quick, served.chats),
        )
    except TamisError as error:
        return Facts(trouble=error.for_callers)


def answers_to(visit: Visit, model_id: str, inputs: Sequence[Input], *, explain: bool) -> tuple[list[Trial], str]:
    """Return what a model says, and what is to be said of how it was asked.

    Raises:
        TamisError: it cannot be asked.
    """
    answerer, note = visit.workspace.answerer, ""
    limits = InputLimits.of(visit.workspace.settings)
    if explain and may_explain(inputs, limits):
        try:
            return from_thread.run(answerer.ask_long, model_id, partial(explained_trials, inputs)), ""
        except Overloaded:
            note = "Many people ask for words at the moment, so that none are marked here: try again in a moment."
    elif explain:
        note = f"Words are marked in up to {limits.explained} texts at a time."
    return from_thread.run(answerer.ask, model_id, inputs, partial(trials, inputs)), note


def _plain(text: str) -> str:
    """A text as it was typed: browsers send each line end as two characters."""
    return text.replace("\r\n", "\n")
