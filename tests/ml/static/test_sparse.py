import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.ml.static.sparse import counts, dampen, find, row_sums, scale_rows

cells = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=40)


def matrix_of(pairs):
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return counts(rows, columns, (5, 7))


@given(cells)
@settings(max_examples=40, deadline=None)
def test_counts_are_counts(pairs):
    matrix = matrix_of(pairs)
    dense = np.zeros((5, 7), dtype=np.float32)
    for row, column in pairs:
        dense[row, column] += 1
    np.testing.assert_array_equal(matrix.toarray(), dense)
    assert matrix.dtype == np.float32
    assert matrix.nnz == len(set(pairs)), "nothing twice"
    assert matrix.has_sorted_indices


@given(cells)
@settings(max_examples=40, deadline=None)
def test_damping_and_scaling_and_sums_of_squares(pairs):
    matrix = matrix_of(pairs)
    dense = matrix.toarray()
    factors, weights = np.arange(5, dtype=np.float32), np.arange(7, dtype=np.float32)
    np.testing.assert_allclose(scale_rows(matrix, factors).toarray(), dense * factors[:, None])
    np.testing.assert_allclose(row_sums(matrix, weights), (dense**2) @ weights)
    expected = np.where(dense > 0, 1 + np.log(np.maximum(dense, 1)), 0)
    np.testing.assert_allclose(dampen(matrix).toarray(), expected, rtol=1e-6)


@given(st.sets(st.integers(0, 2**64 - 1), max_size=20), st.lists(st.integers(0, 2**64 - 1), max_size=20))
@settings(max_examples=40, deadline=None)
def test_finding(vocabulary, others):
    known = np.array(sorted(vocabulary), dtype=np.uint64)
    wanted = np.array([*others, *sorted(vocabulary)[::2]], dtype=np.uint64)
    place, there = find(known, wanted)
    for hash_, at, is_there in zip(wanted.tolist(), place.tolist(), there.tolist(), strict=True):
        assert is_there == (hash_ in vocabulary)
        if is_there:
            assert known[at] == hash_
