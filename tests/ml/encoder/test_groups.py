"""Sequences that are served together: all of them, none twice, within the budget, with little padding."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.ml.encoder.groups import BATCH_COSTS, alike


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 600), max_size=80), st.integers(1, 500))
def test_each_sequence_is_in_one_batch_within_the_budget(lengths, budget):
    made = alike(np.array(lengths, dtype=np.int64), budget)
    assert sorted(place for batch in made for place in batch.tolist()) == list(range(len(lengths)))
    for batch in made:
        of = np.array(lengths)[batch]
        assert len(batch) == 1 or len(batch) * max(1, of.max()) <= budget
        assert (of.max() - of).sum() <= BATCH_COSTS


def test_alike_lengths_share_a_batch():
    assert [sorted(batch.tolist()) for batch in alike(np.array([5, 90, 5, 6, 5]))] == [[1], [0, 2, 3, 4]]
