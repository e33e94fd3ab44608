"""Where people put in a text, or a chat message by message, and the examples beneath.

Both are built with the module `gradio`, which is given: it is imported only when a page is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from tamis.demo.inputs import LONGEST, MOST_MESSAGES, ROLES, as_messages
from tamis.demo.rendering import conversation
from tamis.schema import Input, plain_text

EXAMPLE_LINE = 80
"""Characters of an example that its button shows."""

NEXT_ROLE = {"user": "assistant", "assistant": "user", "system": "user"}
"""Who speaks after whom, unless the person chooses."""

QUIET = {"show_progress": "hidden", "api_visibility": "private"}


class TextBox:
    """The input of a model of texts.

    Attributes:
        value: the Gradio component whose value is classified.
        changes: events of the page that ask for an answer.
        clear: the button that empties it.
        empty: the value of an empty box.
        samples: the examples, as values of the box.
        labels: the examples, as their buttons show them.
    """

    empty = ""

    def __init__(self, gr: Any, examples: Sequence[Input], *, live: bool) -> None:  # noqa: ANN401  the module gradio
        """Put the box on the page that is being built; `live` answers while somebody types."""
        self.samples = [plain_text(given) for given in examples]
        self.labels = [_cut(text) for text in self.samples]
        hint = "Scores follow as you type." if live else "Shift+Enter classifies it, or the button."
        self.value = gr.Textbox(
            label="Text",
            info=hint,
            placeholder="Type or paste a text",
            lines=6,
            max_lines=16,
            autofocus=True,
            elem_id="tm-text",
        )
        with gr.Row():
            self.clear = gr.Button("Clear", size="sm", min_width=80)
            run = gr.Button("Classify", variant="primary", size="sm", min_width=80, visible=not live)
        self.changes = [self.value.change] if live else [self.value.submit, run.click]


class ChatBox:
    """The input of a model of chats: messages are added one after another; each time the whole chat is classified.

    Its attributes are those of `TextBox`.
    """

    def __init__(self, gr: Any, examples: Sequence[Input], *, longest: int) -> None:  # noqa: ANN401  the module gradio
        """Put the box on the page that is being built; `longest`: characters that a chat may have."""
        self.empty: list[Mapping[str, str]] = []
        self.samples = [as_messages(given) for given in examples]
        self.labels = [_cut(chat[-1]["content"]) if chat else "(empty)" for chat in self.samples]
        self.value = gr.State([])
        shown = gr.HTML(conversation([]), apply_default_css=False, max_height=360, autoscroll=True, elem_id="tm-chat")
        role = gr.Radio(list(ROLES), value=ROLES[0], label="Who says it")
        said = gr.Textbox(
            label="Message",
            info="Shift+Enter adds it, or the button.",
            placeholder="Type a message",
            lines=2,
            max_lines=8,
            elem_id="tm-text",
        )
        with gr.Row():
            self.clear = gr.Button("Clear", size="sm", min_width=80)
            undo = gr.Button("Take back", size="sm", min_width=80)
            add = gr.Button("Add", variant="primary", size="sm", min_width=80)
        self.changes = [self.value.change]
        parts = [self.value, role, said]
        gr.on([add.click, said.submit], partial(added, longest=longest), parts, parts, **QUIET)
        undo.click(without_last, self.value, self.value, **QUIET)
        self.value.change(conversation, self.value, shown, **QUIET)


Box = TextBox | ChatBox


def added(
    chat: Sequence[Mapping[str, str]] | None, role: str, said: str, *, longest: int = LONGEST
) -> tuple[list[Mapping[str, str]], str, str]:
    """Return the chat with one message more, who speaks next, and an empty line to write on.

    A chat that is too long already stays as it is, so that what a visitor's chat takes is bounded.
    """
    before = list(chat or [])
    full = len(before) >= MOST_MESSAGES or sum(len(message["content"]) for message in before) > longest
    if full or not isinstance(said, str) or not said.strip():
        return before, role, said
    message = {"role": role if role in ROLES else ROLES[0], "content": said[: longest + 1]}
    return [*before, message], NEXT_ROLE.get(role, ROLES[0]), ""


def without_last(chat: Sequence[Mapping[str, str]] | None) -> list[Mapping[str, str]]:
    """Return the chat without its last message."""
    return list(chat or [])[:-1]


def _cut(text: str) -> str:
    flat = " ".join(text.split()) or "(empty)"
    return flat if len(flat) <= EXAMPLE_LINE else flat[: EXAMPLE_LINE - 1] + "…"
