"""How many rows a run of the encoder tier holds out: each in its turn, or a share once. It does not know which."""

from __future__ import annotations

MANY_ROWS = 1_000
"""From here on a share is held out once: cross-validation would take too long."""

FOLDS = ((300, 5), (600, 3), (MANY_ROWS, 2))
"""Rows below which cross-validation has so many parts."""

HELD_OUT, LEAST_HELD_OUT, MOST_HELD_OUT = 0.1, 1_000, 5_000
MOST_SHARE = 0.2
"""Of many rows one tenth is held out, but at least so many, and at most a fifth."""


def folds_of(n_rows: int) -> int:
    """Return into how many parts so many rows are cut for cross-validation; 0 where a share is held out once."""
    return next((count for most, count in FOLDS if n_rows < most), 0)


def held_share(n_rows: int) -> float:
    """Return the share of so many rows that is held out once."""
    return min(max(HELD_OUT * n_rows, LEAST_HELD_OUT), MOST_SHARE * n_rows, MOST_HELD_OUT) / n_rows
