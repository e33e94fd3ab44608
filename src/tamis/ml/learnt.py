"""What a fit made of the rows that it learnt from, since its last checkpoint: the loss, and how often it was right.

It is counted from logits that are there anyway. It does not know the network, nor its losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from tamis.data.dataset import Dataset
from tamis.ml.progress import TRAIN_LOSS, TRAIN_METRIC, figure_of

Counts = Sequence[tuple[float, float]]
"""How often each target was right, of how often.

Of a single-label target rows that were right, of rows. Of a multi-label one labels that were rightly given, twice, of
those wanted and those given: what is divided is the micro-F1.
"""


class Learnt:
    """Losses of updates and counts of their rows, until a checkpoint takes them."""

    def __init__(self, data: Dataset) -> None:
        """Begin with nothing learnt of the targets of these rows."""
        self._names = [figure_of(target.name, multi=target.is_multi, train=True) for target in data.targets]
        self._losses, self._counts = list[float](), self._nothing()

    def _nothing(self) -> NDArray[np.int64]:
        return np.zeros((len(self._names), 2), dtype=np.int64)

    def add(self, loss: float, counts: Counts) -> None:
        """Count an update: the mean loss of its rows, and for each target how often it was right."""
        self._losses.append(loss)
        self._counts += np.asarray(counts, dtype=np.int64)

    def take(self) -> dict[str, float]:
        """Return the figures of a checkpoint, and begin again; a target that was not asked of any row has none."""
        counted = zip(self._names, self._counts.tolist(), strict=True)
        found = {name: right / of for name, (right, of) in counted if of}
        mean = {TRAIN_METRIC: float(np.mean(list(found.values())))} if len(found) == len(self._names) else {}
        figures = {TRAIN_LOSS: float(np.mean(self._losses)), **found, **mean}
        self._losses, self._counts = [], self._nothing()
        return figures

    def facts(self) -> dict[str, JsonValue]:
        """As a restart point keeps it."""
        return {"since": list(self._losses), "right": cast("JsonValue", self._counts.tolist())}

    def restore(self, facts: Mapping[str, JsonValue]) -> None:
        """The way back."""
        self._losses = [float(loss) for loss in cast("list[float]", facts["since"])]
        self._counts = np.asarray(cast("list[list[int]]", facts["right"]), dtype=np.int64)
