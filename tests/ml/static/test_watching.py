import numpy as np
import pytest

from tamis.ml.restart import State
from tamis.ml.static.encoded import Encoded
from tamis.ml.static.fitting import start_semantic
from tamis.ml.static.runs import FIELDS_OF_TEXT
from tamis.ml.static.updates import network_arrays
from tamis.ml.static.watching import Watcher, with_network


@pytest.fixture(scope="module")
def given(texts_about, data_of, semantics):
    data = data_of([(text, {"t": label}) for text, label in texts_about(60, 3)])
    return data, Encoded.of(data.inputs, semantics, FIELDS_OF_TEXT)


@pytest.fixture
def semantic(given, semantics):
    return start_semantic(given[1], 3, semantics, np.random.default_rng(0))


def test_a_state_is_put_into_a_network_of_its_own(semantic):
    state = State({name: array.copy() for name, array in network_arrays(semantic.network).items()})
    semantic.network.heads[:] = 2.0
    assert not with_network(semantic, state).network.heads.any()
    assert (semantic.network.heads == 2.0).all()


class TestTheWatcher:
    def test_it_tells_the_loss_and_a_metric_a_target(self, given, semantic, semantics):
        data, rows = given
        right = 9.0 * np.eye(3, dtype=np.float32)[data.truth["t"].codes]
        told = Watcher(right, data, rows, semantics)(semantic)
        assert told["t.accuracy"] == told["valid_metric"] == 1
        assert 0 < told["valid_loss"] < 0.1

    def test_very_many_rows_are_thinned(self, given, semantic, semantics, monkeypatch):
        monkeypatch.setattr("tamis.ml.static.judging.MOST_ROWS", 4)
        seen = np.arange(60) % 6 == 0
        monkeypatch.setattr("tamis.ml.static.watching.some_rows", lambda _: np.flatnonzero(seen))
        data, rows = given
        wrong = np.where(seen[:, None], 9.0 * np.eye(3)[data.truth["t"].codes], 0).astype(np.float32)
        assert Watcher(wrong, data, rows, semantics)(semantic)["t.accuracy"] == 1
