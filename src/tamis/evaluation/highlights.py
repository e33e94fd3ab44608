"""The words that moved a score, marked in their text: what reports and terminals show of an explanation.

It knows no model: which words, and how much, is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tamis.schema import Input

LEAD, AROUND, LONGEST = 120, 30, 60
"""Characters of a long text that are shown: of its beginning, on each side of a marked word, and of a word itself."""

GAP = " … "


class Highlight(NamedTuple):
    """A stretch of a text, and by how much it moves a score: above 0 it speaks for the label."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Reasons:
    """What moved the score of `label` in one input: stretches of its plain text, the strongest first."""

    label: str
    highlights: tuple[Highlight, ...]


def plain_offset(given: Input, message: int | None) -> int:
    """Return where in `plain_text(given)` the text, or the content of a chat's message, begins."""
    if isinstance(given, str) or message is None:
        return 0
    before = sum(len(each.role) + len(each.content) + len(": \n") for each in given[:message])
    return before + len(given[message].role) + len(": ")


def marked_parts(text: str, highlights: Sequence[Highlight], room: int) -> list[tuple[str, float]]:
    """Return a text in parts with their weights, 0 where nothing is marked.

    White space becomes one space. Of a text of more than `room` characters, its beginning and what stands around the
    marked words are shown.
    """
    parts: list[tuple[str, float]] = []
    for start, end in _shown(len(text), highlights, room):
        at = start
        for mark in sorted(highlights):
            if start <= mark.start and mark.end <= end:
                parts += [(_line(text[at : mark.start]), 0.0), (_cut(_line(text[mark.start : mark.end])), mark.weight)]
                at = mark.end
        parts += [(_line(text[at:end]), 0.0), (GAP if end < len(text) else "", 0.0)]
    return [part for part in parts if part[0]]


def _shown(size: int, highlights: Sequence[Highlight], room: int) -> list[tuple[int, int]]:
    """Which stretches of a text are shown, in order."""
    if size <= room:
        return [(0, size)]
    wanted = [(0, LEAD), *((max(0, mark.start - AROUND), min(size, mark.end + AROUND)) for mark in highlights)]
    shown: list[tuple[int, int]] = []
    for start, end in sorted(wanted):
        if shown and start <= shown[-1][1]:
            shown[-1] = (shown[-1][0], max(shown[-1][1], end))
        else:
            shown.append((start, end))
    return shown


def _line(text: str) -> str:
    """The text with its white space, at its ends too, as single spaces."""
    words = " ".join(text.split())
    if not words:
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{words}{' ' if text[-1].isspace() else ''}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 :]}"
