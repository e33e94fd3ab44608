"""Some of many rows, evenly: the same ones each time, from the first to the last."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def evenly(n_rows: int, most: int) -> Ints:
    """Return at most so many of the places 0 to `n_rows - 1`, in their order."""
    return np.linspace(0, n_rows - 1, min(n_rows, most)).astype(np.int64)
