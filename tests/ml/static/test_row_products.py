import numpy as np
import pytest

from tamis.ml.static.model import one_blas_thread
from tamis.ml.static.row_products import BLOCK_ROWS, product_by_rows

SHAPES = [(256, 3), (256, 1), (512, 256), (12, 3), (256, 77)]


@pytest.mark.parametrize(("inner", "width"), SHAPES)
def test_a_row_is_the_same_to_the_last_bit_in_any_company(inner, width):
    random = np.random.default_rng(0)
    rows = random.standard_normal((3 * BLOCK_ROWS + 5, inner), dtype=np.float32)
    weights = random.standard_normal((inner, width), dtype=np.float32)
    with one_blas_thread():
        whole = product_by_rows(rows, weights)
        np.testing.assert_allclose(whole, rows @ weights, atol=1e-4)
        for n in (1, 2, 3, 7, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, len(rows)):
            some = random.permutation(len(rows))[:n]
            np.testing.assert_array_equal(product_by_rows(rows[some], weights), whole[some])


def test_weights_that_are_a_part_of_a_larger_table():
    table = np.arange(60, dtype=np.float32).reshape(10, 6)
    rows = np.ones((2, 4), dtype=np.float32)
    np.testing.assert_array_equal(product_by_rows(rows, table[3:7]), np.tile(table[3:7].sum(axis=0), (2, 1)))


def test_no_rows():
    assert product_by_rows(np.zeros((0, 4), dtype=np.float32), np.ones((4, 3), dtype=np.float32)).shape == (0, 3)
