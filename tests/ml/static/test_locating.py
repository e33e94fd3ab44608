"""Where training rows lie, as a whole run finds it: for targets that ask for it, and honestly for rows held out."""

import numpy as np
import pytest

from tamis.ml.schedule import hyperparameters
from tamis.ml.scorer import FAMILIAR
from tamis.ml.static.locating import familiar_rows
from tamis.ml.static.training import StaticTrainer


@pytest.fixture(scope="module")
def trained(texts_about, data_of, semantics):
    """A run with a target that is located, one that is not, and one of any number of labels."""
    rows = [(text, {"t": label, "u": label, "m": [label[-1]]}) for text, label in texts_about(160, 4)]
    return StaticTrainer(semantics, hyperparameters(epochs=4), {}, located=("t",)).train(data_of(rows))


def test_the_targets_that_ask_for_it_have_centres(trained):
    model = trained.scorer.model
    assert set(model.nearness.targets) == {"t"}
    centres = model.nearness.targets["t"]
    assert all(1 <= number <= 8 for number in np.diff(centres.starts))  # 40 rows a label
    assert centres.usual > 0
    assert {"nearness"} <= set(trained.architecture)


def test_rows_held_out_are_further_than_those_that_were_learnt_from(trained, texts_about):
    familiar = trained.held_out.familiar
    assert familiar["t"].nearness.shape == (160,)
    assert familiar["u"].nearness is None
    texts = [text for text, _ in texts_about(160, 4)]
    column = 1 + list(trained.scorer.model.columns).index("t")
    learnt = trained.scorer.logits(texts)[FAMILIAR][:, column]
    assert familiar["t"].nearness.mean() < learnt.mean()


def test_a_run_that_nothing_asks_it_of_keeps_none(texts_about, data_of, semantics):
    rows = [(text, {"t": label}) for text, label in texts_about(60, 3)]
    made = StaticTrainer(semantics, hyperparameters(epochs=2), {}).train(data_of(rows))
    assert made.scorer.model.nearness is None
    assert made.held_out.familiar["t"].nearness is None
    assert "nearness" not in made.architecture


def test_what_a_part_of_the_fits_does_not_know_is_not_known():
    familiar = np.array([[0.5, 0.1, np.nan], [1.0, 0.2, 0.3]], dtype=np.float32)
    assert familiar_rows(familiar, 0, located=True).nearness.tolist() == pytest.approx([0.1, 0.2])
    assert familiar_rows(familiar, 1, located=True).nearness is None
    assert familiar_rows(familiar, 0, located=False).nearness is None
