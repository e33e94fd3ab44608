import numpy as np
import pytest

from tamis.data.dataset import build, columns_of
from tamis.ml.restart import State
from tamis.ml.schedule import Plan, hyperparameters, plan
from tamis.ml.static.encoded import Encoded
from tamis.ml.static.fitting import start_semantic
from tamis.ml.static.network import Adam
from tamis.ml.static.runs import FIELDS_OF_TEXT
from tamis.ml.static.training import TUNED
from tamis.ml.static.updates import Updates, network_arrays, relative
from tamis.schema import Example


@pytest.fixture(scope="module")
def given(texts_about, data_of, semantics):
    rows = [(text, {"t": label, "m": [label[-1]]}) for text, label in texts_about(60, 3)]
    data = data_of(rows)
    return data, Encoded.of(data.inputs, semantics, FIELDS_OF_TEXT)


@pytest.fixture(scope="module")
def updates_of(given, semantics):
    """A function: the training of a new network, which is `part`."""

    def make(data=given[0], weights=None, seed=0):
        random = np.random.default_rng(seed)
        part = start_semantic(given[1], 6, semantics, random)
        planned = plan(len(data), given[1].n_tokens, hyperparameters(epochs=5), TUNED)
        made = Updates(data, given[1], part, planned, random, weights)
        made.part = part
        return made

    return make


def go_on(*_):
    return False


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.network.parameters, other.network.parameters, strict=True))


def test_a_state_is_all_that_is_needed_to_go_on(updates_of):
    whole, learnt = updates_of(), []
    whole.run(lambda *told: bool(learnt.append(told)))
    for end in (1, 7, whole.plan.updates - 1, whole.plan.updates):
        first = updates_of()
        first.run(go_on, end=end)
        state = first.state({"more": 1})
        kept = State({name: array.copy() for name, array in state.arrays.items()}, state.facts)
        first.run(go_on)
        second, after = updates_of(seed=9), []
        second.restore(kept)
        assert second.update == end
        assert kept.facts["more"] == 1
        second.run(lambda *told, after=after: bool(after.append(told)))
        assert same(whole.part, second.part)
        assert [update for update, _ in after] == [update for update, _ in learnt if update > end]
        assert after[1:] == learnt[len(learnt) - len(after) + 1 :]


def test_a_state_between_two_checkpoints_gives_the_figures_of_all_rows_since(updates_of, monkeypatch):
    monkeypatch.setattr(Plan, "evaluates_at", lambda _, update: update % 5 == 0)
    whole, learnt, states = updates_of(), [], {}

    def keep():
        state = whole.state({})
        states[whole.update] = State({name: array.copy() for name, array in state.arrays.items()}, state.facts)

    whole.run(lambda *told: bool(learnt.append(told)), keep)
    for begin in (3, 5, 9):
        second, after = updates_of(seed=9), []
        second.restore(states[begin])
        second.run(lambda *told, after=after: bool(after.append(told)))
        assert after == [told for told in learnt if told[0] > begin]


def test_figures_of_training_are_those_of_the_rows_that_it_went_over(given, updates_of, monkeypatch):
    data = given[0]
    updates = updates_of()
    updates.part.network.heads[:] = 0
    updates.part.network.head_bias[:] = [0, 9, 0, 9, -9, 9]  # label 1 of t; labels 0 and 2 of m
    monkeypatch.setattr(Adam, "step", lambda *_: None)
    monkeypatch.setattr(Plan, "evaluates_at", lambda *_: False)
    learnt = []
    updates.run(lambda _, told: bool(learnt.append(told)), end=updates.plan.updates_per_epoch)
    (told,) = learnt
    wanted = np.bincount(data.truth["m"].codes, minlength=3)
    assert told["t.train_accuracy"] == (data.truth["t"].codes == 1).mean()
    assert told["m.train_micro_f1"] == 2 * (wanted[0] + wanted[2]) / (60 + 120)
    assert told["train_metric"] == (told["t.train_accuracy"] + told["m.train_micro_f1"]) / 2


def test_it_pulses_between_updates_and_ends_where_it_is_told(updates_of):
    pulses = []
    updates = updates_of()
    updates.run(go_on, lambda: pulses.append(updates.update), end=5)
    assert pulses == [1, 2, 3, 4, 5]
    assert updates.update == 5


class TestWeightsOfRows:
    def weighted(self, data, weights):
        examples = [
            Example(text, {name: data.labels_of(name, row) for name in ("t", "m")}, row, frozenset({"m"}), weight)
            for row, (text, weight) in enumerate(zip(data.inputs, weights, strict=True))
        ]
        return build(examples)

    def test_equal_weights_are_no_weights(self, given, updates_of):
        one, other = updates_of(), updates_of(self.weighted(given[0], [3.0] * 60))
        one.run(go_on)
        other.run(go_on)
        assert same(one.part, other.part)

    def test_rows_of_next_to_no_weight_are_not_learnt(self, given, updates_of):
        data = given[0]
        third = data.truth["t"].codes == 2
        updates = updates_of(self.weighted(data, np.where(third, 1e-6, 1.0).tolist()))
        updates.run(go_on)
        plain = updates_of()
        plain.run(go_on)
        assert not same(updates.part, plain.part)
        bias = updates.part.network.head_bias[columns_of(data)["t"]]
        assert bias[2] == bias.min()


class TestWeightsOfTargets:
    def test_only_proportions_count(self, given, updates_of):
        parts = []
        for weights in (None, {"t": 5.0, "m": 5.0}, {"t": 1.0, "m": 3.0}, {"t": 2.0, "m": 6.0}):
            updates = updates_of(weights=weights)
            updates.run(go_on)
            parts.append(updates.part)
        assert same(parts[0], parts[1])
        assert same(parts[2], parts[3])
        assert not same(parts[0], parts[2])

    def test_a_target_of_weight_0_leaves_no_trace(self, given, updates_of):
        data = given[0]
        updates = updates_of(weights={"m": 0.0, "t": 1.0})
        updates.run(go_on)
        place = columns_of(data)["m"]
        assert not updates.part.network.heads[:, place].any()
        assert not updates.part.network.head_bias[place].any()
        assert updates.part.network.heads[:, columns_of(data)["t"]].any()

    def test_relative(self, given):
        assert relative(None, given[0]) == {"t": 1.0, "m": 1.0}
        assert relative({"t": 3.0}, given[0]) == {"t": 1.5, "m": 0.5}
        assert relative({"t": 0.1, "m": 0.1}, given[0]) == {"t": 1.0, "m": 1.0}


def test_the_arrays_of_a_network_are_its_own(updates_of):
    part = updates_of().part
    arrays = network_arrays(part.network)
    assert arrays["hidden"] is part.network.hidden
    assert list(arrays) == ["embeddings", "hidden", "hidden_bias", "heads", "head_bias"]
