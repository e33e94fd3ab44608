"""Rows as a report shows them: where they are, how they begin, without personal data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tamis.data.review.corpus import Corpus
from tamis.data.review.personal import masked
from tamis.data.review.report import MOST_ITEMS, Item, Place
from tamis.data.review.scores import Rows
from tamis.data.rows import printable
from tamis.schema import plain_text

EXCERPT = 160


def place_of(corpus: Corpus, row: int) -> Place:
    """Return how a row is shown."""
    split, data, number = corpus.locate(row)
    labels = {target.name: data.labels_of(target.name, number) for target in data.targets}
    return Place(
        split=split,
        row=number,
        file=corpus.file_of(split, number),
        line=int(data.lines[number]),
        text=excerpt(plain_text(data.inputs[number])),
        labels={name: known for name, known in labels.items() if known is not None},
    )


def excerpt(text: str) -> str:
    """Return how a text begins, on one line, with personal data masked."""
    line = " ".join(printable(masked(text[: 8 * EXCERPT])).split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


def shown(rows: Rows) -> list[int]:
    """Return the rows that a report keeps."""
    return [int(row) for row in rows[:MOST_ITEMS]]


def named(labels: Sequence[str], most: int = 4) -> str:
    """Return names in quotes, the first few of them."""
    more = f" and {len(labels) - most:,} more" if len(labels) > most else ""
    return ", ".join(map(repr, labels[:most])) + more


def counted(count: int, noun: str = "row") -> str:
    """Return `3 rows`, `1 row`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def told(labels: Mapping[str, tuple[str, ...]]) -> str:
    """Return the labels of a row in a line."""
    parts = [" + ".join(given) or "(none)" for given in labels.values()]
    return ", ".join(parts)


def first_items(items: Sequence[Item]) -> tuple[Item, ...]:
    """Return the items that a report keeps."""
    return tuple(items[:MOST_ITEMS])
