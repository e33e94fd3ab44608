"""Strings in portions of bounded work: memory is bounded, and other threads get their turn in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def portions(strings: Sequence[str], characters: int, most: int | None = None) -> Iterator[list[str]]:
    """Yield the strings in order, so many together that they have few characters; one alone may have more.

    Args:
        strings: any.
        characters: of a portion, at most.
        most: strings of a portion; None for any number.
    """
    portion, size = list[str](), 0
    for string in strings:
        if portion and (len(portion) == most or size + len(string) > characters):
            yield portion
            portion, size = [], 0
        portion.append(string)
        size += len(string)
    if portion:
        yield portion
