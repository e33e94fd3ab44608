import numpy as np
import pytest
from scipy.optimize import minimize

from tamis.ml.static.margins import ManyLabelsHinge, OneLabelHinge, with_private_columns

ROWS = slice(None)
WEIGHTS = np.array([1.0, 0.5, 2.0], dtype=np.float32)
SQUARES = np.array([0.0, 0.3, 1.2], dtype=np.float32)
LOSSES = {
    "one label": OneLabelHinge(
        np.array([0, 1, 1], dtype=np.int32), WEIGHTS, np.array([1.0, 3.0, 0.4], dtype=np.float32)
    ),
    "many labels": ManyLabelsHinge(
        np.array([[1, 0], [1, 1], [0, 0]], dtype=bool), WEIGHTS, np.array([1.0, 3.0], dtype=np.float32)
    ),
}


@pytest.fixture(params=LOSSES)
def loss(request):
    return LOSSES[request.param]


@pytest.fixture
def logits():
    return np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)


def test_private_columns_are_as_if_they_were_there(loss, logits):
    def with_them(flat):
        private = flat.reshape(3, 2)
        value, _ = loss((logits + np.sqrt(SQUARES)[:, None] * private).astype(np.float64), ROWS)
        return value + 0.5 * (flat**2).sum()

    found, _ = with_private_columns(loss, SQUARES)(logits, ROWS)
    assert found == pytest.approx(minimize(with_them, np.zeros(6), tol=1e-10).fun, rel=1e-4)
    assert found < loss(logits, ROWS)[0]


def test_the_gradient_is_that_of_what_is_left(loss, logits):
    left = with_private_columns(loss, SQUARES)
    _, gradient = left(logits, ROWS)
    for at in np.ndindex(3, 2):
        move = np.zeros((3, 2))
        move[at] = 1e-3
        higher, lower = (left(logits + sign * move, ROWS)[0] for sign in (1, -1))
        assert gradient[at] == pytest.approx((higher - lower) / 2e-3, abs=2e-3)


def test_rows_without_singles_are_as_before(loss, logits):
    left = with_private_columns(loss, np.zeros(3, dtype=np.float32))
    assert left(logits, ROWS)[0] == pytest.approx(loss(logits, ROWS)[0])


def test_some_rows(loss, logits):
    left, rows = with_private_columns(loss, SQUARES), np.array([2, 0])
    np.testing.assert_allclose(left(logits[rows], rows)[1], left(logits, ROWS)[1][rows], rtol=1e-6)
