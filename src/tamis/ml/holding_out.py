"""What both tiers say of rows that they hold out, and when they do: only the fits differ.

How many rows are held out, and in how many parts, is a tier's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from tamis.data.dataset import Dataset
from tamis.data.truth import SingleTruth

FEW_ROWS = 10
"""Below, nothing can be held out."""

ENOUGH_TO_CALIBRATE = 50
"""Validation rows of a target below which training rows are held out too: fewer calibrate worse (`docs/log.md`)."""

VALIDATION = "the validation data"
NOTHING_TO_VALIDATE = (
    "No row of the validation data carries a label of the training data: it was left aside, and rows of the training "
    "data were held out instead."
)


def repeats(data: Dataset) -> bool:
    """Whether a row that is held out can have a label that is learnt from other rows."""
    truths = data.truth.values()
    return any(not isinstance(truth, SingleTruth) or truth.counts().max(initial=0) > 1 for truth in truths)


def small_validation(few: Mapping[str, int], rows: str) -> str:
    """Return the remark on validation data with few rows of some targets; `rows` are what calibrated instead."""
    told = ", ".join(f"{name}: {n}" for name, n in few.items())
    return (
        f"The validation data has fewer than {ENOUGH_TO_CALIBRATE} rows of a target ({told}): they chose the "
        f"state that was kept, but scores and thresholds were fitted on training rows ({rows})."
    )


def told_rows(rows: str, instead: Mapping[str, str], n_targets: int) -> str:
    """Return what rows were held out; `instead` are others, by target."""
    if not instead:
        return rows
    everything = len(instead) == n_targets
    beside = f"; {VALIDATION} is small" if everything else f" for {', '.join(instead)}"
    others = dict.fromkeys(instead.values())
    return ", ".join([*([] if everything else [rows]), *(other + beside for other in others)])
