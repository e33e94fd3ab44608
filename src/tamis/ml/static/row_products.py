"""Matrix products in which a row does not depend on what other rows there are.

A BLAS picks its way by the shape of a product, and adds up in another order for 3 rows than for 300. So rows go
through it in blocks of one size, the last one filled up.
"""

from __future__ import annotations

import numpy as np

from tamis.ml.static.sparse import Floats

BLOCK_ROWS = 32
"""More waste time on few rows, fewer on many."""


def product_by_rows(rows: Floats, weights: Floats, block_rows: int = BLOCK_ROWS) -> Floats:
    """Return (n, k) = rows (n, d) @ weights (d, k), each row the same whatever the others are."""
    product = np.empty((len(rows), weights.shape[1]), dtype=np.float32)
    whole = len(rows) - len(rows) % block_rows
    for first in range(0, whole, block_rows):
        np.dot(rows[first : first + block_rows], weights, out=product[first : first + block_rows])
    if whole < len(rows):
        filled = np.zeros((block_rows, rows.shape[1]), dtype=np.float32)
        filled[: len(rows) - whole] = rows[whole:]
        product[whole:] = (filled @ weights)[: len(rows) - whole]
    return product
