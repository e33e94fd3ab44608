"""The linear map where inputs x labels are too many to hold at once: AdaGrad over mini-batches.

One step size a column (Duchi et al. 2011, summed over the labels); three passes, or one from where an earlier fit left
off. A little less exact than `lbfgs`, with memory for the weights alone.
"""

from __future__ import annotations

import numpy as np

from tamis.ml.static.linear import LinearDesign
from tamis.ml.static.losses import Loss
from tamis.ml.static.sparse import Floats

BATCH = 256
PASSES = 3
RATE = 0.1


def fit_by_batches(
    design: LinearDesign, loss: Loss, n_labels: int, *, seed: int, start: Floats | None = None
) -> Floats:
    """Return weights (columns, n_labels) that make the loss small; few passes stand in for a penalty."""
    random = np.random.default_rng(seed)
    weights = np.zeros((design.n_columns, n_labels), dtype=np.float32) if start is None else start.copy()
    size = np.full((design.n_columns, 1), 1e-4, dtype=np.float32)
    passes = PASSES if start is None else 1
    updates = passes * max(1, -(-len(design) // BATCH))
    done = 0
    for _ in range(passes):
        order = random.permutation(len(design))
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            batch, columns = design.select(rows).narrow()
            _, slope = loss(batch.dot(weights[columns]), rows)
            gradient = batch.transposed_dot(slope)
            size[columns] += (gradient**2).mean(axis=1, keepdims=True)
            weights[columns] -= np.float32(RATE * (1 - done / updates)) * gradient / np.sqrt(size[columns])
            done += 1
    return weights
