"""Which sequences are computed together: alike in length, and no more tokens at once than fit.

Used for training and for serving alike. It does not know what is computed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

WORTH_SORTING = 32
"""Batches of rows among which rows of like length are put together."""


def by_length(lengths: Ints, budget: int, most: int | None = None, spare: int | None = None) -> list[Ints]:
    """Return batches of places in `lengths`, longest first: each costs at most `budget` tokens, padding included.

    One sequence alone may cost more. `most` bounds how many sequences a batch has. It ends before shorter ones where
    that saves more than `spare` tokens of padding.
    """
    order = np.argsort(-lengths, kind="stable")
    made, start = [], 0
    while start < len(order):
        longest = int(lengths[order[start]])
        count = max(1, budget // max(1, longest))
        count = count if most is None else min(count, most)
        some = order[start : start + count]
        while spare is not None:
            saved = (longest - lengths[some]) * np.arange(len(some), 0, -1)  # by ending before each
            if saved.max() <= spare:
                break
            some = some[: int(np.argmax(saved))]
        made.append(some)
        start += len(some)
    return made


def epoch_order(lengths: Ints, batch: int, seed: int, epoch: int) -> Ints:
    """Return all rows in an order for one pass in batches of so many: shuffled, and alike in length within a batch.

    Rows are shuffled, sorted by length in chunks of many batches, and then the batches are shuffled. The same seed and
    epoch give the same order.
    """
    random = np.random.default_rng([seed, epoch, 11])
    shuffled = random.permutation(len(lengths))
    chunk = batch * WORTH_SORTING
    batches: list[Ints] = []
    for start in range(0, len(shuffled), chunk):
        some = shuffled[start : start + chunk]
        some = some[np.argsort(lengths[some], kind="stable")]
        batches += [some[begin : begin + batch] for begin in range(0, len(some), batch)]
    short = [rows for rows in batches if len(rows) < batch]
    full = [rows for rows in batches if len(rows) == batch]
    mixed = [full[place] for place in random.permutation(len(full)).tolist()] + short
    return np.concatenate(mixed) if mixed else np.zeros(0, dtype=np.int64)
