"""Examples that are shown to an LLM before it is asked: some rows of each label, or the nearest rows to each input.

A row whose input is the one that is asked about is never shown, since it would give the answer away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tamis.data.truth import MultiTruth
from tamis.errors import InvalidSetting
from tamis.labelers.answer_schema import choices
from tamis.schema import Example, Input, plain_text

if TYPE_CHECKING:
    from tamis.data.dataset import Dataset
    from tamis.ml.static.base_model import StaticBase

MOST_SHOTS = 400
"""Examples in one request at most."""

_AT_ONCE = 4_096


class Shots(Protocol):
    """Where examples come from."""

    def of(self, given: Input) -> Sequence[Example]:
        """Return the examples to show before an input; each has labels of all targets."""
        ...


class DrawnShots:
    """The same rows for every input: some of each label, drawn by a seed, in an order that depends on it too."""

    def __init__(self, data: Dataset, per_label: int, seed: int = 0) -> None:
        """Draw `per_label` rows that carry each label; of multi-label targets, as many without any too.

        Raises:
            InvalidSetting: no row has labels of all targets, or there would be too many.
        """
        if per_label < 1:
            raise InvalidSetting(f"{per_label} examples a label: give 1 or more.", setting="shots")
        rows = _complete_rows(data)
        draw = Random(seed)
        drawn: dict[int, None] = {}
        for carriers in _carriers(data, rows):
            wanted = per_label - sum(row in carriers for row in drawn)
            free = sorted(carriers - drawn.keys())
            drawn.update(dict.fromkeys(draw.sample(free, max(0, min(wanted, len(free))))))
        if len(drawn) > MOST_SHOTS:
            raise InvalidSetting(
                f"{per_label} examples a label are {len(drawn):,} in each request, and {MOST_SHOTS} are allowed: show "
                "fewer, or the nearest ones to each text.",
                setting="shots",
            )
        order = list(drawn)
        draw.shuffle(order)
        self._shots = [_example(data, row) for row in order]

    def of(self, given: Input) -> Sequence[Example]:
        """Return the examples but for the input itself."""
        text = plain_text(given)
        return [shot for shot in self._shots if plain_text(shot.input) != text]


class NearestShots:
    """The rows whose texts are nearest to the input by a base model's embeddings, the nearest last."""

    def __init__(self, data: Dataset, count: int, base: StaticBase) -> None:
        """Embed the rows; `count` of them are shown for an input.

        Raises:
            InvalidSetting: no row has labels of all targets, or there would be too many.
        """
        from tamis.ml.few_shot import Embedder

        if not 1 <= count <= MOST_SHOTS:
            raise InvalidSetting(f"{count} nearest examples: give 1 to {MOST_SHOTS}.", setting="nearest")
        self._data, self._count = data, count
        self._embed = Embedder(base)
        self._rows = np.array(_complete_rows(data))
        texts = [plain_text(data.inputs[row]) for row in self._rows.tolist()]
        parts = [self._embed(texts[first : first + _AT_ONCE]) for first in range(0, len(texts), _AT_ONCE)]
        self._vectors = np.concatenate(parts)

    def of(self, given: Input) -> Sequence[Example]:
        """Return the nearest examples, without repeats of a text and without the input itself."""
        text = plain_text(given)
        likeness = self._vectors @ self._embed([text])[0]
        found: dict[str, Example] = {}
        for place in np.argsort(-likeness, kind="stable").tolist():
            shot = _example(self._data, int(self._rows[place]))
            shown = plain_text(shot.input)
            if shown != text:
                found.setdefault(shown, shot)
            if len(found) == self._count:
                break
        return list(found.values())[::-1]


def _complete_rows(data: Dataset) -> list[int]:
    """The rows of which every target is known, with what may be answered."""
    allowed = {target.name: frozenset(choices(target)) for target in data.targets}

    def shows_all(row: int) -> bool:
        carried = ((names, data.labels_of(target, row)) for target, names in allowed.items())
        return all(labels is not None and names.issuperset(labels) for names, labels in carried)

    rows = [row for row in range(len(data)) if shows_all(row)]
    if not rows:
        raise InvalidSetting(
            "No row of the file with examples has labels of all targets: an example must show a whole answer. Add "
            "some, or show no examples.",
            setting="shots",
        )
    return rows


def _carriers(data: Dataset, rows: Iterable[int]) -> Iterable[set[int]]:
    """Of each label in turn, and of "none of them", the rows that carry it."""
    some = set(rows)
    for target in data.targets:
        carried: dict[str | None, set[int]] = {label: set() for label in choices(target)}
        if isinstance(data.truth[target.name], MultiTruth):
            carried[None] = set()
        for row in some:
            labels = data.labels_of(target.name, row) or (None,)
            for label in labels:
                carried.setdefault(label, set()).add(row)
        yield from carried.values()


def _example(data: Dataset, row: int) -> Example:
    labels = {target.name: data.labels_of(target.name, row) or () for target in data.targets}
    return Example(data.inputs[row], labels, int(data.lines[row]))
