"""Rows that are known to be out of a target's scope leave the rows that are learnt from.

It does not know how they are told, nor what they are used for.
"""

from __future__ import annotations

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.truth import SingleTruth


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
