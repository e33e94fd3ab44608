"""The pieces that an explanation speaks of: words with their places, and inputs with some of them left out.

A word is what stands between white space. Scripts that are written without it (Chinese, Japanese, Thai and the like)
and very long words are cut further. It knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from tamis.schema import Input, Message

LONG = 40
"""Characters from which a word is cut at its punctuation, or where there is none, after so many."""

_RUN = re.compile(r"[^\s\0]+")
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA, _KATAKANA = "\u3040-\u309f", "\u30a0-\u30ff\uff66-\uff9f"
_SOUTH_EAST = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
_THEIR_MARKS = "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd\u102b-\u103e\u17b4-\u17d3"
_SPACELESS = re.compile(f"[{_HAN}{_HIRAGANA}{_KATAKANA}{_SOUTH_EAST}]")
_BY_SCRIPT = re.compile(
    f"[{_HAN}][\ufe00-\ufe0f\U000e0100-\U000e01ef]*|[{_HIRAGANA}]{{1,4}}|[{_KATAKANA}]{{1,12}}"
    f"|[{_SOUTH_EAST}]{{1,4}}[{_THEIR_MARKS}]{{0,4}}|[^{_HAN}{_HIRAGANA}{_KATAKANA}{_SOUTH_EAST}]+"
)
_PARTS = re.compile(rf"\w{{1,{LONG}}}\W{{0,{LONG}}}|\W{{1,{LONG}}}")


class Span(NamedTuple):
    """A stretch of characters: `text[start:end]` of a text, or of the content of a chat's message number `message`."""

    start: int
    end: int
    message: int | None = None


def runs_of(text: str) -> list[tuple[int, int]]:
    """Return where the stretches between white space are."""
    return [found.span() for found in _RUN.finditer(text)]


def words_of(given: Input) -> list[Span]:
    """Return the words of a text, or of all messages of a chat, in reading order."""
    if isinstance(given, str):
        return [Span(start, end) for start, end in _words(given)]
    return [Span(*word, at) for at, message in enumerate(given) for word in _words(message.content)]


def _words(text: str) -> Iterable[tuple[int, int]]:
    for start, end in runs_of(text):
        if end - start <= LONG and text.isascii():
            yield start, end
        else:
            yield from _cut(text, start, end)


def _cut(text: str, start: int, end: int) -> Iterable[tuple[int, int]]:
    """Cut what is no word yet."""
    run = text[start:end]
    parts = [found.span() for found in _BY_SCRIPT.finditer(run)] if _SPACELESS.search(run) else [(0, len(run))]
    for first, last in parts:
        if last - first <= LONG:
            yield start + first, start + last
        else:
            yield from (found.span() for found in _PARTS.finditer(text, start + first, start + last))


def together(words: Sequence[Span], most: int) -> list[list[Span]]:
    """Return the words in at most `most` groups of neighbours, none of which crosses messages.

    There is a group a message at least.
    """
    if len(words) <= most:
        return [[word] for word in words]
    messages = [list(group) for _, group in groupby(words, key=lambda word: word.message)]
    room = max(1, most - len(messages)) if len(messages) > 1 else max(1, most)
    size = -(-len(words) // room) if most > len(messages) else len(words)
    return [message[at : at + size] for message in messages for at in range(0, len(message), size)]


def joined(group: Sequence[Span]) -> Span:
    """Return the stretch from the first word of a group to its last."""
    return Span(group[0].start, group[-1].end, group[0].message)


def leave_out(given: Input, spans: Sequence[Span], filler: str = "") -> Input:
    """Return the input without some stretches, none of which overlaps another; `filler` takes the place of each."""
    if isinstance(given, str):
        made = _without(given, sorted(spans), filler)
        return made if type(given) is str else type(given)(made)
    of_message: dict[int | None, list[Span]] = {}
    for span in spans:
        of_message.setdefault(span.message, []).append(span)
    return tuple(
        Message(message.role, _without(message.content, sorted(of_message[at], key=lambda span: span.start), filler))
        if at in of_message
        else message
        for at, message in enumerate(given)
    )


def _without(text: str, spans: Sequence[Span], filler: str) -> str:
    kept, done = [], 0
    for span in spans:
        kept += [text[done : span.start], filler]
        done = span.end
        opens = span.start == 0 or text[span.start - 1].isspace()
        if not filler and opens and text[done : done + 1].isspace():
            done += 1  # one of two spaces goes with the word
    return "".join([*kept, text[done:]])


def text_of(given: Input, span: Span) -> str:
    """Return the characters of a stretch."""
    whole = given if isinstance(given, str) else given[span.message or 0].content
    return whole[span.start : span.end]
