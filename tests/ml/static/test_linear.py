import numpy as np
import pytest
from scipy.optimize import minimize

from tamis.data.truth import UNKNOWN, SingleTruth, multi_truth
from tamis.ml.static.lexical import count_grams, fit_vocabulary
from tamis.ml.static.linear import LinearDesign, fit_linear
from tamis.ml.static.losses import loss_of
from tamis.ml.static.runs import FIELDS_OF_TEXT, split_runs

STRENGTH = 30.0
TEXTS = ["my card is lost", "lost card", "the parcel", "where is the parcel", "card and parcel", "", "thank you", "?"]


@pytest.fixture(scope="module")
def design():
    counted = count_grams(split_runs(TEXTS, FIELDS_OF_TEXT))
    pooled = np.random.default_rng(0).standard_normal((len(TEXTS), 4)).astype(np.float32)
    return LinearDesign(fit_vocabulary(counted, 1000).matrix(counted), pooled)


@pytest.fixture(scope="module")
def dense(design):
    return design.dot(np.eye(design.n_columns, dtype=np.float32)).astype(np.float64)


TRUTHS = {
    "single": SingleTruth(np.array([0, 0, 1, 1, UNKNOWN, 2, 2, 0], dtype=np.int32), 3),
    "multi": multi_truth([[0], [0], [1], [1], [0, 1], None, [], []], 2),
}


def minimum(dense, truth):
    """Weights at the minimum of the objective by scipy, in double precision."""
    loss, shape = loss_of(truth, 0.5), (dense.shape[1], truth.n_labels)

    def value(flat):
        weights = flat.reshape(shape)
        value, slope = loss(dense @ weights, slice(None))
        return STRENGTH * value + 0.5 * (flat**2).sum(), (STRENGTH * dense.T @ slope + weights).ravel()

    options = {"maxiter": 5000, "maxfun": 9000, "ftol": 1e-15, "gtol": 1e-8}
    return minimize(value, np.zeros(np.prod(shape)), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)


class TestDesign:
    def test_its_columns(self, design, dense):
        terms = design.n_terms
        assert dense.shape == (len(TEXTS), terms + 4 + 1)
        np.testing.assert_array_equal(dense[:, terms:-1], design.pooled)
        np.testing.assert_array_equal(dense[:, -1], 1)
        assert dense[:, :terms].any()

    def test_products(self, design, dense):
        random = np.random.default_rng(1)
        weights = random.standard_normal((design.n_columns, 3)).astype(np.float32)
        values = random.standard_normal((len(TEXTS), 3)).astype(np.float32)
        np.testing.assert_allclose(design.dot(weights), dense @ weights, atol=1e-5)
        np.testing.assert_allclose(design.transposed_dot(values), dense.T @ values, atol=1e-5)

    def test_parts_of_it(self, design, dense):
        rows = np.array([3, 0])
        narrow, columns = design.select(rows).narrow()
        assert len(narrow) == 2
        assert narrow.n_columns == len(columns) < design.n_columns
        again = narrow.dot(np.eye(len(columns), dtype=np.float32))
        np.testing.assert_allclose(again, dense[rows][:, columns], atol=1e-7)
        assert not np.delete(dense[rows], columns, axis=1).any()

    def test_its_pieces_are_all_columns_once(self, design, dense):
        pieces = design.pieces()
        assert [i for piece in pieces for i in range(design.n_columns)[piece.columns]] == list(range(design.n_columns))
        weights = np.random.default_rng(2).standard_normal((design.n_columns, 3)).astype(np.float32)
        parts = sum(piece.design.dot(weights[piece.columns]) for piece in pieces)
        np.testing.assert_allclose(parts, dense @ weights, atol=1e-5)

    def test_squares(self, design, dense):
        squares = design.squared().transposed_dot(np.ones((len(TEXTS), 1), dtype=np.float32))[:, 0]
        np.testing.assert_allclose(squares[design.n_terms :], (dense[:, design.n_terms :] ** 2).sum(axis=0), rtol=1e-5)
        np.testing.assert_allclose(squares[: design.n_terms], design.lexical.column_squares(), rtol=1e-5)


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
class TestFitting:
    def test_progress_is_told(self, design, truth):
        heard = []
        loss = loss_of(truth, 0.5)
        fit_linear(design, loss, truth.n_labels, strength=STRENGTH, iterations=8, told=heard.append)
        assert heard == [step / 8 for step in range(1, 9)]

    def test_it_comes_to_scipys_minimum(self, design, dense, truth):
        best = minimum(dense, truth)
        found = fit_linear(design, loss_of(truth, 0.5), truth.n_labels, strength=STRENGTH, iterations=400)
        assert found.dtype == np.float32
        np.testing.assert_allclose(dense @ found, dense @ best, atol=0.02)

    def test_a_few_iterations_do_most_of_it(self, design, dense, truth):
        loss = loss_of(truth, 0.5)

        def value(weights):
            return STRENGTH * loss(dense @ weights, slice(None))[0] + 0.5 * (weights.astype(np.float64) ** 2).sum()

        best = value(minimum(dense, truth))
        begin = value(np.zeros((design.n_columns, truth.n_labels)))
        found = value(fit_linear(design, loss, truth.n_labels, strength=STRENGTH, iterations=18))
        assert found - best < 0.02 * (begin - best)

    def test_from_the_minimum_it_stays(self, design, dense, truth):
        best = minimum(dense, truth).astype(np.float32)
        again = fit_linear(design, loss_of(truth, 0.5), truth.n_labels, strength=STRENGTH, iterations=6, start=best)
        np.testing.assert_allclose(dense @ again, dense @ best, atol=0.02)

    def test_unknown_rows_do_not_change_it(self, design, truth):
        """As if these rows were not there at all."""
        known = np.flatnonzero(truth.known)
        assert len(known) < len(TEXTS)
        whole = fit_linear(design, loss_of(truth, 0.5), truth.n_labels, strength=STRENGTH, iterations=300)
        some = fit_linear(
            design.select(known), loss_of(truth.select(known), 0.5), truth.n_labels, strength=STRENGTH, iterations=300
        )
        np.testing.assert_allclose(design.dot(whole), design.dot(some), atol=0.02)
