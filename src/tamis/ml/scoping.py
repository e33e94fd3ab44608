"""Rows out of scope in training: learnt as one more column of their target, which is none of the model's labels.

A softmax over the labels and "none of them" leaves each label its probability, and the rest to 1 says how likely it is
that none applies. It does not know how a tier trains, nor what is made of the scores.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.out_of_scope import set_apart
from tamis.data.truth import OUT_OF_SCOPE, SingleTruth, Truth
from tamis.schema import Target

LEAST_ROWS = 10
"""Rows out of scope from which on they are learnt; fewer say too little."""


def learnt_targets(data: Dataset) -> tuple[str, ...]:
    """Return the targets that have rows enough out of their scope to learn from."""
    rows = {name: truth.out_of_scope for name, truth in data.truth.items() if isinstance(truth, SingleTruth)}
    return tuple(name for name, outside in rows.items() if int(outside.sum()) >= LEAST_ROWS)


def without_unlearnt(data: Dataset, learnt: Collection[str]) -> Dataset:
    """Return the data without the rows that only say what they are not, of targets that do not learn it."""
    if set(learnt) >= {target.name for target in data.targets if target.oos_label is not None}:
        return data
    known = np.zeros(len(data), dtype=bool)
    for name, truth in data.truth.items():
        known |= truth.known
        if name in learnt and isinstance(truth, SingleTruth):
            known |= truth.out_of_scope
    _, outside = set_apart(data)
    return data if known.all() or not len(outside) else data.select(np.flatnonzero(known))


def widened(data: Dataset, learnt: Collection[str]) -> Dataset:
    """Return the data with a column more for these targets: that of the rows which are out of their scope."""
    if not learnt:
        return data
    targets = tuple(_wide(target) if target.name in learnt else target for target in data.targets)
    truth = {name: _widened(each) if name in learnt else each for name, each in data.truth.items()}
    return replace(data, targets=targets, truth=truth)


def narrowed(truth: SingleTruth) -> SingleTruth:
    """Return widened truth as it was before."""
    own = truth.n_labels - 1
    codes = np.where(truth.codes == own, OUT_OF_SCOPE, truth.codes - (truth.codes > own)).astype(np.int32)
    return SingleTruth(codes, own, truth.unseen)


def _wide(target: Target) -> Target:
    return target.model_copy(update={"labels": (*target.labels, str(target.oos_label)), "oos_label": None})


def _widened(truth: Truth) -> Truth:
    if not isinstance(truth, SingleTruth):
        return truth
    codes = truth.codes + (truth.codes >= truth.n_labels)
    codes = np.where(truth.codes == OUT_OF_SCOPE, truth.n_labels, codes).astype(np.int32)
    return SingleTruth(codes, truth.n_labels + 1, truth.unseen)
