"""Rows that are known to be out of a target's scope leave the rows that are learnt from.

It does not know how they are told, nor what they are used for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.truth import SingleTruth
from tamis.schema import Target


def set_apart(data: Dataset) -> tuple[Dataset, Dataset]:
    """Return the rows with a label of some target, and the rows that are out of the scope of some target.

    A row may be both: out of one target's scope, and with a label of another target.
    """
    labelled, outside = np.zeros(len(data), dtype=bool), np.zeros(len(data), dtype=bool)
    for truth in data.truth.values():
        labelled |= truth.known
        if isinstance(truth, SingleTruth):
            outside |= truth.out_of_scope
    kept = labelled | ~outside
    return data if kept.all() else data.select(np.flatnonzero(kept)), data.select(np.flatnonzero(outside))


def scoped(targets: Sequence[Target], oos_label: str | None) -> tuple[Target, ...]:
    """Return the targets with another label of rows out of scope, where that is none of theirs."""
    return tuple(
        target
        if oos_label is None or target.is_multi or oos_label in target.labels
        else target.model_copy(update={"oos_label": oos_label})
        for target in targets
    )
