import json

import pytest

from tamis.data.dataset import build
from tamis.ml.learnt import Learnt
from tamis.schema import Example


@pytest.fixture
def learnt():
    rows = [("a", "x"), ("b", "y")]
    return Learnt(build([Example(text, {"t": (one,), "m": (one,)}, 1, frozenset({"m"})) for text, one in rows]))


def test_figures_are_of_all_updates_since_they_were_taken(learnt):
    learnt.add(3.0, [(2, 8), (3, 4)])
    learnt.add(1.0, [(4, 4), (1, 4)])
    assert learnt.take() == {
        "train_loss": 2.0,
        "t.train_accuracy": 0.5,
        "m.train_micro_f1": 0.5,
        "train_metric": 0.5,
    }
    learnt.add(5.0, [(1.0, 4.0), (3.0, 4.0)])
    assert learnt.take() == {
        "train_loss": 5.0,
        "t.train_accuracy": 0.25,
        "m.train_micro_f1": 0.75,
        "train_metric": 0.5,
    }


def test_a_target_that_no_row_was_asked_has_no_figure_and_there_is_no_mean(learnt):
    learnt.add(3.0, [(0, 0), (0, 4)])
    assert learnt.take() == {"train_loss": 3.0, "m.train_micro_f1": 0.0}


def test_it_comes_back_from_a_restart_point(learnt):
    learnt.add(3.0, [(2, 8), (3, 4)])
    facts = json.loads(json.dumps(learnt.facts()))
    wanted = learnt.take()
    learnt.add(9.0, [(9, 9), (9, 9)])
    learnt.restore(facts)
    assert learnt.take() == wanted
