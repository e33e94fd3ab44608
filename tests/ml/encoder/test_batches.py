import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tamis.ml.encoder.batches import by_length, epoch_order

LENGTHS = st.lists(st.integers(0, 300), max_size=60).map(lambda some: np.array(some, dtype=np.int64))


@given(
    lengths=LENGTHS,
    budget=st.integers(1, 500),
    most=st.none() | st.integers(1, 9),
    spare=st.none() | st.integers(0, 300),
)
def test_batches_hold_every_row_once_and_keep_to_the_budget(lengths, budget, most, spare):
    batches = by_length(lengths, budget, most, spare)
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget
        assert most is None or len(batch) <= most


@given(lengths=LENGTHS.filter(len), spare=st.integers(0, 300))
def test_no_batch_could_be_cut_in_two_for_more_than_is_spare(lengths, spare):
    for batch in by_length(lengths, 500, None, spare):
        longest = lengths[batch].max()
        assert all((longest - lengths[batch[place]]) * (len(batch) - place) <= spare for place in range(len(batch)))


def test_one_long_text_does_not_fill_up_the_others():
    lengths = np.array([9, 512, 11, 10, 12, 8, 9, 10])
    assert [batch.tolist() for batch in by_length(lengths, 4_096, spare=512)] == [[1], [4, 2, 3, 7, 0, 6, 5]]
    assert len(by_length(lengths, 4_096)) == 1


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
