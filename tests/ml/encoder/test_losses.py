import numpy as np
import pytest
import torch

from tamis.ml.encoder.losses import Losses
from tamis.ml.static.judging import metric


@pytest.fixture(scope="module")
def data(dataset_of):
    labels = [{"t": "a", "m": ["x"]}, {"t": "b", "m": []}, {"m": ["x", "y"]}, {"t": "c"}, {"t": "a", "m": ["y"]}]
    return dataset_of([(f"text {row}", each) for row, each in enumerate(labels)])


@pytest.mark.parametrize("weights", [None, {"t": 0.0, "m": 1.0}])
def test_how_often_logits_are_right_is_what_the_metric_of_the_known_rows_divides(data, weights):
    logits = np.random.default_rng(0).standard_normal((5, 5)).astype(np.float32)
    some = [np.array([4, 0]), np.array([1, 2, 3])]
    losses = Losses(data, weights)
    counts = sum(losses.right(torch.from_numpy(logits[rows]), rows) for rows in some)
    assert losses.n_targets == 2
    for (right, of), (name, columns) in zip(counts.tolist(), {"t": slice(0, 3), "m": slice(3, 5)}.items(), strict=True):
        known = np.flatnonzero(data.truth[name].known)
        assert len(known) == 4
        assert [right / of] == list(metric(name, logits[known, columns], data.truth[name].select(known)).values())


def test_rows_that_weigh_nothing_are_not_counted(dataset_of):
    data = dataset_of([("a", {"t": "a"}), ("b", {"t": "b"})], weights=[1.0, 0.0])
    assert Losses(data).right(torch.eye(2), np.arange(2)).tolist() == [[1, 1]]
