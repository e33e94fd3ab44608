import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tamis.ml.encoder.batches import by_length, epoch_order

LENGTHS = st.lists(st.integers(0, 300), max_size=60).map(lambda some: np.array(some, dtype=np.int64))


@given(lengths=LENGTHS, budget=st.integers(1, 500), most=st.none() | st.integers(1, 9))
def test_batches_hold_every_row_once_and_keep_to_the_budget(lengths, budget, most):
    batches = by_length(lengths, budget, most)
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget
        assert most is None or len(batch) <= most


@given(lengths=LENGTHS, batch=st.integers(1, 16), seed=st.integers(0, 5))
def test_a_pass_holds_every_row_once_and_is_repeatable(lengths, batch, seed):
    order = epoch_order(lengths, batch, seed, 3)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert order.tolist() == epoch_order(lengths, batch, seed, 3).tolist()


def test_passes_differ_and_batches_are_alike_in_length():
    lengths = np.random.default_rng(0).integers(5, 100, 512)
    first, second = (epoch_order(lengths, 16, 0, epoch) for epoch in (0, 1))
    assert first.tolist() != second.tolist()
    wide = [lengths[first[start : start + 16]] for start in range(0, 512, 16)]
    padding = 1 - lengths.sum() / sum(16 * some.max() for some in wide)
    assert padding < 0.1
