import numpy as np
import pytest
from scipy.optimize import minimize

from tamis.ml.static.lbfgs import STRETCH, Descent, Piece, stretches_of


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


def descent_of(design, objective, start, **more):
    """With the columns of X in two pieces, and a scale that is no news."""
    middle, wide = len(start) // 3, len(start)
    cuts = (slice(0, middle), slice(middle, wide))
    pieces = [Piece(cut, Dense(design.matrix[:, cut])) for cut in cuts]
    return Descent(pieces, objective, lambda _: np.full((wide, 1), 0.5, dtype=np.float32), start, **more)


def value_and_slope(design, objective, shape):
    def value(flat):
        weights = flat.reshape(shape)
        loss, slope = objective(design.dot(weights))
        return loss + 0.5 * (flat**2).sum(), (design.transposed_dot(slope) + weights).ravel()

    return value


@pytest.mark.parametrize("n_labels", [2, 5])
@pytest.mark.parametrize("from_zero", [True, False])
def test_it_finds_scipys_minimum(n_labels, from_zero):
    design, objective, start = problem(n_labels)
    start = np.zeros_like(start) if from_zero else start
    value = value_and_slope(design, objective, start.shape)
    best = minimize(
        value, start.ravel().astype(np.float64), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9}
    )
    found = descent_of(design, objective, start).run(300)
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

    descent = descent_of(design, objective, np.zeros_like(start))
    found = descent.run(12, after)
    assert [step for step, _ in told] == list(range(1, 13))
    values = [objective(np.zeros_like(descent.logits))[0], *(value for _, value in told)]
    assert values[-1] < 0.5 * values[0]
    np.testing.assert_allclose(descent.logits, design.dot(found), atol=1e-4)


def test_whoever_listens_may_end_it():
    design, objective, start = problem(4)
    steps = []
    descent_of(design, objective, start).run(50, lambda step, *_: steps.append(step) or step == 3)
    assert steps == [1, 2, 3]


def test_at_the_minimum_it_stays():
    design, objective, start = problem(3)
    found = descent_of(design, objective, start).run(500)
    np.testing.assert_allclose(descent_of(design, objective, found).run(20), found, atol=1e-3)


def test_where_nothing_is_to_be_gained_it_stops():
    design, _, start = problem(3)
    steps = []
    descent = descent_of(design, lambda logits: (0.0, np.zeros_like(logits)), np.zeros_like(start))
    assert not descent.run(20, lambda step, *_: bool(steps.append(step))).any()
    assert steps == []


@pytest.mark.parametrize("n_labels", [3, 4])
def test_a_start_is_left_as_it_was(n_labels):
    design, objective, start = problem(n_labels)
    before = start.copy()
    descent_of(design, objective, start).run(3)
    np.testing.assert_array_equal(start, before)


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_loss_that_is_no_number_ends_it(loss):
    design, _, start = problem(3)
    found = descent_of(design, lambda logits: (loss, np.full_like(logits, np.nan)), start).run(5)
    np.testing.assert_array_equal(found, start)


@pytest.mark.parametrize("columns", [1, 2, 2 * STRETCH - 1, 2 * STRETCH, 501])
def test_stretches_are_all_columns_once(columns):
    assert [i for part in stretches_of(columns) for i in range(columns)[part]] == list(range(columns))
    assert len(stretches_of(columns)) == (2 if columns >= 2 * STRETCH else 1)


def test_wide_ones_are_cut_and_find_the_same():
    """More columns than rows, in two stretches: the minimum is scipy's too, and the same bytes every time."""
    design, objective, start = problem(3, wide=2 * STRETCH + 5)
    value = value_and_slope(design, objective, start.shape)
    options = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 2000}
    best = minimize(value, start.ravel().astype(np.float64), jac=True, method="L-BFGS-B", options=options)
    found = descent_of(design, objective, start).run(300)
    np.testing.assert_allclose(found, best.x.reshape(start.shape), atol=2e-3)
    assert found.tobytes() == descent_of(design, objective, start).run(300).tobytes()


def test_a_scale_of_each_weight_may_come_later_and_changes_the_way_not_the_end():
    design, objective, start = problem(4)
    random = np.random.default_rng(5)
    scales = random.uniform(0.05, 1, start.shape).astype(np.float32)
    descent = descent_of(design, objective, start)
    found = descent.run(200, lambda step, *_: descent.renew(lambda _: scales) if step == 3 else False)
    np.testing.assert_allclose(found, descent_of(design, objective, start).run(200), atol=1e-3)


def test_each_step_ends_where_the_line_is_nearly_flat():
    """Few steps do much: the slope along each is small where it ends."""
    design, objective, start = problem(5)
    value, values = value_and_slope(design, objective, start.shape), []
    descent = descent_of(design, objective, start)
    first = value(start.ravel().astype(np.float64))[0]
    descent.run(6, lambda *_: bool(values.append(value(descent.weights.ravel().astype(np.float64))[0])))
    best = value(descent_of(design, objective, start).run(300).ravel().astype(np.float64))[0]
    assert np.all(np.diff(values) < 0)
    assert values[-1] - best < 0.01 * (first - best)
