import numpy as np
import pytest

from tamis.data.truth import UNKNOWN, SingleTruth, multi_truth
from tamis.ml.static import squares as module
from tamis.ml.static.lexical import count_grams, fit_vocabulary
from tamis.ml.static.linear import LinearDesign
from tamis.ml.static.runs import FIELDS_OF_TEXT, split_runs
from tamis.ml.static.squares import carried, fit_by_squares

N, LABELS = 60, 7


@pytest.fixture(scope="module")
def design(texts_about):
    counted = count_grams(split_runs([text for text, _ in texts_about(N, LABELS)], FIELDS_OF_TEXT))
    pooled = np.random.default_rng(0).standard_normal((N, 3)).astype(np.float32)
    return LinearDesign(fit_vocabulary(counted, 200, private=False).matrix(counted), pooled)


codes = np.random.default_rng(3).integers(0, LABELS, N).astype(np.int32)
codes[:2] = UNKNOWN, LABELS
TRUTHS = {
    "single": SingleTruth(codes, LABELS, ("odd",)),
    "multi": multi_truth([None, [LABELS], *([int(code), (int(code) + 1) % LABELS] for code in codes[2:])], LABELS),
}


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
@pytest.mark.parametrize("rows_at_once", [4096, 7])
def test_it_is_the_minimum(design, truth, rows_at_once, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(module, "LABELS_AT_ONCE", 2)
    weights = np.random.default_rng(1).random(N).astype(np.float32)
    weights[0], heard = 0, []
    found = fit_by_squares(design, truth, weights, 0.5, heard.append)
    assert (found.shape, found.dtype) == ((design.n_columns, LABELS), np.float32)
    dense = design.dot(np.eye(design.n_columns, dtype=np.float32)).astype(np.float64)
    wanted = carried(truth, np.arange(N)).toarray()
    gram = dense.T @ (dense * weights[:, None]) + 0.5 * np.eye(design.n_columns)
    np.testing.assert_allclose(found, np.linalg.solve(gram, dense.T @ (wanted * weights[:, None])), atol=1e-4)
    assert heard == sorted(heard)
    assert heard[-1] == 1


def test_what_rows_carry():
    single = carried(TRUTHS["single"], np.array([0, 1, 5])).toarray()
    assert single.sum(axis=1).tolist() == [0, 0, 1]
    assert single[2, codes[5]] == 1
    assert carried(TRUTHS["multi"], np.array([0, 1, 5])).toarray().sum(axis=1).tolist() == [0, 0, 2]
