"""Inputs cut to a number of tokens, for those who ask for it: the static tier itself has no window.

A text keeps its beginning, a chat its end: what was said last matters most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tamis.ml.progress import Check, nothing
from tamis.ml.static.runs import LONGEST_RUN
from tamis.ml.static.tokens import RunTokenizer
from tamis.schema import Input, Message

_RUN = re.compile(rf"[^\s\0]{{1,{LONGEST_RUN}}}")
CHECKED_INPUTS = 200


def cut_inputs(
    inputs: Sequence[Input], tokenizer: RunTokenizer, most: int, check: Check = nothing
) -> tuple[Sequence[Input], int]:
    """Return the inputs with at most so many tokens each, and how many were cut; tokens as the trainer counts them."""
    made, n_cut = list(inputs), 0
    for place, given in enumerate(inputs):
        if place % CHECKED_INPUTS == 0:
            check()
        if _bytes(given) <= most:  # a token has at least one byte
            continue
        made[place] = _cut_text(given, tokenizer, most) if isinstance(given, str) else _cut_chat(given, tokenizer, most)
        n_cut += made[place] != given
    return (made, n_cut) if n_cut else (inputs, 0)


def _bytes(given: Input) -> int:
    if isinstance(given, str):
        return len(given) if given.isascii() else len(given.encode("utf-8", "replace"))
    return sum(_bytes(message.content) for message in given)


def _cut_text(text: str, tokenizer: RunTokenizer, most: int) -> str:
    spans = _spans(text, tokenizer)
    return text if len(spans) <= most else text[: spans[most - 1][1]]


def _cut_chat(chat: tuple[Message, ...], tokenizer: RunTokenizer, most: int) -> Input:
    """Drop the oldest messages, and the beginning of the first that stays."""
    kept: list[Message] = []
    for message in reversed(chat):
        spans = _spans(message.content, tokenizer)
        if len(spans) > most:
            if most:
                kept.append(Message(message.role, message.content[spans[-most][0] :]))
            break
        kept.append(message)
        most -= len(spans)
    return tuple(reversed(kept))


def _spans(text: str, tokenizer: RunTokenizer) -> list[tuple[int, int]]:
    """Return where each token of a text begins and ends."""
    runs = list(_RUN.finditer(text))
    spans = tokenizer.spans([run[0] for run in runs])
    return [(run.start() + a, run.start() + b) for run, tokens in zip(runs, spans, strict=True) for a, b in tokens]
