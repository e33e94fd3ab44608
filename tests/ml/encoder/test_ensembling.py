"""How much a target gains by a static model beside the network."""

import numpy as np
import pytest

from tamis.ml.encoder.ensembling import LOGITS, STATIC, USUAL_SHARE, Beside, gains_of, told_gains
from tamis.ml.holding_out import Held
from tamis.ml.schedule import Hyperparameters
from tamis.ml.trained import Attended, Task


@pytest.fixture
def held_of(dataset_of):
    """A function: 400 held-out rows of which each tells the truth so clearly."""

    def make(network, static, *, several=False, weights=None, seed=0):
        draw = np.random.default_rng(seed)
        codes = draw.integers(0, 3, 400)
        rows = [(str(row), {"t": [str(code)] if several else str(code)}) for row, code in enumerate(codes)]
        data = dataset_of(rows, weights=weights)
        sure = np.eye(3, dtype=np.float32)[codes]
        said = {
            name: (clear * sure + draw.normal(size=(400, 3))).astype(np.float32)
            for name, clear in ((LOGITS, network), (STATIC, static))
        }
        return Held("some rows", data, said)

    return make


@pytest.mark.parametrize("several", [False, True])
def test_different_evidence_is_a_gain(held_of, several):
    gain = gains_of(held_of(2.0, 2.0, several=several), forced=False)["t"]
    assert 0.5 <= gain.share <= 2
    assert gain.both > max(gain.network, gain.static)


def test_noise_is_none_unless_it_is_asked_for(held_of):
    held = held_of(2.0, 0.0)
    assert gains_of(held, forced=False)["t"].share == 0
    assert gains_of(held, forced=True)["t"].share == 0.1
    assert told_gains(gains_of(held, forced=False)) == []


def test_a_network_that_knows_nothing_leaves_nearly_all_to_the_static_model(held_of):
    gain = gains_of(held_of(0.0, 3.0), forced=False)["t"]
    assert gain.share >= 2
    assert gain.static > gain.network + 0.3


def test_a_static_model_that_is_as_good_alone_is_told(held_of):
    held = held_of(0.0, 30.0)
    remarks = told_gains(gains_of(held, forced=False))
    assert "100.0%" in remarks[0]
    assert "--encoder-option ensemble=false" in remarks[0]
    assert "--base static-en" in remarks[1]
    assert len(told_gains(gains_of(held_of(2.0, 2.0), forced=False))) == 1


def test_rows_without_weight_have_no_say(held_of):
    weights = [1.0] * 200 + [0.0] * 200
    held = held_of(2.0, 2.0, weights=weights)
    held.said[STATIC][200:] *= -9
    assert gains_of(held, forced=False)["t"].share >= 0.5


def test_without_a_row_to_judge_by_nothing_is_added_unless_asked_for(held_of, dataset_of):
    held = held_of(1.0, 1.0)
    unknown = Held("none", dataset_of([("x", {"t": "0"})] * 3 + [("y", {})] * 2).select(np.array([3, 4])), {})
    said = {name: array[:2, :1] for name, array in held.said.items()}
    held = Held(unknown.rows, unknown.data, said)
    assert gains_of(held, forced=False)["t"].share == 0
    assert gains_of(held, forced=True)["t"].share == USUAL_SHARE


def test_static_models_say_what_they_learnt_and_the_last_is_kept(dataset_of, rows_of):
    data = dataset_of([(text, {"t": label}) for text, label in rows_of(60)])
    others = dataset_of([(text, {"t": label}) for text, label in rows_of(30, seed=4)], data.targets)
    beside = Beside(Task(data, None, Hyperparameters()), Attended())
    said = beside.said(data, others)
    assert said.shape == (30, 3)
    assert (said.argmax(axis=1) == others.truth["t"].codes).mean() > 0.8
    scorer, partner = beside.partner(data, {"t": 0.5})
    assert scorer is beside.fit(data).scorer
    assert partner.base_model.id == "static-en"
    assert beside.fit(others) is not beside.fit(data)
