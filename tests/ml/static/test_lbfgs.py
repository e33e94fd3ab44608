import numpy as np
import pytest
from scipy.optimize import minimize

from tamis.ml.static.lbfgs import PART_COLUMNS, Descent, parts_of

SCALE = np.ones(15, dtype=np.float32)


class Dense:
    def __init__(self, matrix):
        self.matrix = matrix

    def dot(self, weights):
        return self.matrix @ weights

    def transposed_dot(self, values):
        return self.matrix.T @ values


def problem(n_labels, seed=0, n=40, wide=15):
    """A matrix, a softmax cross-entropy, and a start, in single precision as the code has it."""
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((n, wide), dtype=np.float32)
    wanted = np.eye(n_labels)[random.integers(0, n_labels, n)]

    def objective(logits):
        shifted = logits - logits.max(axis=1, keepdims=True)
        total = np.exp(shifted).sum(axis=1, keepdims=True)
        loss = float(((np.log(total) - shifted) * wanted).sum())
        return loss, (np.exp(shifted) / total - wanted).astype(logits.dtype)

    return Dense(matrix), objective, random.standard_normal((wide, n_labels), dtype=np.float32)


def value_and_slope(design, objective, shape):
    def value(flat):
        weights = flat.reshape(shape)
        loss, slope = objective(design.dot(weights))
        return loss + 0.5 * (flat**2).sum(), (design.transposed_dot(slope) + weights).ravel()

    return value


@pytest.mark.parametrize("n_labels", [2, 5, 2 * PART_COLUMNS + 1])
@pytest.mark.parametrize("from_zero", [True, False])
def test_it_finds_scipys_minimum(n_labels, from_zero):
    design, objective, start = problem(n_labels)
    start = np.zeros_like(start) if from_zero else start
    value = value_and_slope(design, objective, start.shape)
    best = minimize(
        value, start.ravel().astype(np.float64), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9}
    )
    found = Descent(design, objective, SCALE, start).run(300)
    assert found.dtype == np.float32
    assert value(found.ravel().astype(np.float64))[0] == pytest.approx(best.fun, rel=1e-6)
    np.testing.assert_allclose(found, best.x.reshape(start.shape), atol=2e-3)


def test_the_loss_falls_at_each_step_and_is_told():
    design, objective, start = problem(20)
    told = []

    def after(step, loss, logits):
        told.append((step, loss))
        assert loss == pytest.approx(objective(logits)[0])
        return False

    descent = Descent(design, objective, SCALE, np.zeros_like(start))
    found = descent.run(12, after)
    assert [step for step, _ in told] == list(range(1, 13))
    values = [objective(np.zeros_like(descent.logits))[0], *(value for _, value in told)]
    assert values[-1] < 0.5 * values[0]
    np.testing.assert_allclose(descent.logits, design.dot(found), atol=1e-4)


def test_whoever_listens_may_end_it():
    design, objective, start = problem(4)
    steps = []
    Descent(design, objective, SCALE, start).run(50, lambda step, *_: steps.append(step) or step == 3)
    assert steps == [1, 2, 3]


def test_at_the_minimum_it_stays():
    design, objective, start = problem(3)
    found = Descent(design, objective, SCALE, start).run(500)
    np.testing.assert_allclose(Descent(design, objective, SCALE, found).run(20), found, atol=1e-3)


def test_where_nothing_is_to_be_gained_it_stops():
    design, _, start = problem(3)
    steps = []
    descent = Descent(design, lambda logits: (0.0, np.zeros_like(logits)), SCALE, np.zeros_like(start))
    assert not descent.run(20, lambda step, *_: bool(steps.append(step))).any()
    assert steps == []


@pytest.mark.parametrize("n_labels", [3, 2 * PART_COLUMNS])
def test_a_start_is_left_as_it_was(n_labels):
    design, objective, start = problem(n_labels)
    before = start.copy()
    Descent(design, objective, SCALE, start).run(3)
    np.testing.assert_array_equal(start, before)


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_loss_that_is_no_number_ends_it(loss):
    design, _, start = problem(3)
    found = Descent(design, lambda logits: (loss, np.full_like(logits, np.nan)), SCALE, start).run(5)
    np.testing.assert_array_equal(found, start)


@pytest.mark.parametrize("columns", [1, 2, 2 * PART_COLUMNS - 1, 2 * PART_COLUMNS, 101])
def test_parts_are_all_columns_once(columns):
    assert [i for part in parts_of(columns) for i in range(columns)[part]] == list(range(columns))
    assert len(parts_of(columns)) == (2 if columns >= 2 * PART_COLUMNS else 1)
