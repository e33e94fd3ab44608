"""A network judged on held-out rows while it is trained.

It does not know how the rows were held out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tamis.data.dataset import Dataset, columns_of
from tamis.ml.restart import State
from tamis.ml.static.encoded import Rows
from tamis.ml.static.fitting import Semantic
from tamis.ml.static.judging import Judge, means, some_rows
from tamis.ml.static.model import Semantics
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats
from tamis.ml.static.updates import relative, restore_network

WORTH_THINNING = 0.8
"""Held-out rows are thinned to those that are judged where these are a smaller share."""


class Watcher:
    """Judges a semantic part beside a lexical one, and keeps its best state."""

    def __init__(
        self,
        lexical_logits: Floats,
        held: Dataset,
        rows: Rows,
        semantics: Semantics,
        target_weights: Mapping[str, float] | None = None,
    ) -> None:
        """Remember the held-out rows, thinned where they are more than are looked at anyway."""
        seen = _looked_at(held)
        if len(seen) < WORTH_THINNING * len(held):
            lexical_logits, held, rows = lexical_logits[seen], held.select(seen), rows.select(seen)
        self._lexical, self._rows, self._semantics = lexical_logits, rows, semantics
        self._judge = Judge(held, columns_of(held), relative(target_weights, held))

    def __call__(self, semantic: Semantic) -> dict[str, float]:
        """Return the loss on the held-out rows, and a metric a target."""
        loss, metrics = self._judge(self._lexical, semantic.logits(self._rows, self._semantics))
        return {"valid_loss": loss, **metrics, **means(metrics)}


def _looked_at(held: Dataset) -> Ints:
    rows = [some_rows(truth) for truth in held.truth.values()]
    return np.unique(np.concatenate([*rows, np.zeros(0, dtype=np.int64)]))


def with_network(semantic: Semantic, state: State) -> Semantic:
    """Return the part with the parameters of a state, in memory of its own."""
    network = semantic.network.copy()
    restore_network(network, state)
    return replace(semantic, network=network)
