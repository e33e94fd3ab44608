"""The same rows in the label codes of other targets, and some of their targets only.

Models of one task need not have the same labels, nor in the same order: whoever measures several of them on the same
rows needs the truth in the codes of each. It knows neither files nor models.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.truth import OUT_OF_SCOPE, UNKNOWN, MultiTruth, SingleTruth, Truth
from tamis.schema import Target


def only(data: Dataset, names: Collection[str]) -> Dataset:
    """Return the rows with some of their targets, in the order of `names`.

    Raises:
        KeyError: the data lacks a target.
    """
    truth = {name: data.truth[name] for name in names}
    return replace(data, targets=tuple(data.target(name) for name in names), truth=truth)


def recoded(data: Dataset, targets: Sequence[Target]) -> Dataset:
    """Return the rows in the codes of other targets of the same names and kinds.

    A label that the other target does not have becomes an unseen label of it, and one that only it has, is a label
    without rows.

    Raises:
        KeyError: the data lacks a target.
    """
    truth = {target.name: _recoded(data.truth[target.name], data.target(target.name), target) for target in targets}
    return replace(data, targets=tuple(targets), truth=truth)


def _recoded(truth: Truth, old: Target, new: Target) -> Truth:
    if old.labels == new.labels and not truth.unseen and old.oos_label == new.oos_label:
        return truth
    names = (*old.labels, *truth.unseen)
    carried = {names[code] for code in np.unique(truth.codes[truth.codes >= 0]).tolist()}
    outside = None if new.is_multi else new.oos_label
    if old.oos_label is not None and OUT_OF_SCOPE in truth.codes:
        carried.add(old.oos_label)
    unseen = tuple(sorted(carried - {*new.labels, outside}))
    codes = {label: code for code, label in enumerate((*new.labels, *unseen))}
    if outside is not None:
        codes.setdefault(outside, OUT_OF_SCOPE)
    oos = UNKNOWN if old.oos_label is None else codes.get(old.oos_label, UNKNOWN)
    table = np.array([*(codes.get(name, UNKNOWN) for name in names), oos, UNKNOWN], dtype=np.int32)
    recode = table[truth.codes]  # -1 and -2 stand at the table's end, in this order
    if isinstance(truth, MultiTruth):
        return MultiTruth(recode, truth.offsets, truth.known, len(new.labels), unseen)
    return SingleTruth(recode, len(new.labels), unseen)
