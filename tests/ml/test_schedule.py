from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.errors import InvalidSetting
from tamis.ml.schedule import (
    EVALUATIONS,
    MOST_TIMES,
    STEP_TOKENS,
    USUAL_UPDATES,
    Hyperparameters,
    epochs_of_steps,
    hyperparameters,
    plan,
    steps_of_epochs,
)

TUNED = {"learning_rate": 4e-3, "embedding_learning_rate": 2e-2, "weight_decay": 0.06}


def planned(n_rows=3000, tokens=24_900, **chosen):
    return plan(n_rows, tokens, hyperparameters(**chosen), TUNED)


class TestHyperparameters:
    def test_what_is_not_given_has_a_default(self):
        assert hyperparameters(epochs=None, seed=None, learning_rate=None) == Hyperparameters()
        assert Hyperparameters().learning_rate == 1e-4

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("training_steps", 0),
            ("training_steps", -1),
            ("training_steps", 2.5),
            ("training_steps", "many"),
            ("epochs", 0),
            ("epochs", -0.1),
            ("epochs", float("nan")),
            ("epochs", float("inf")),
            ("learning_rate", 0),
            ("learning_rate", 1.01),
            ("learning_rate", float("nan")),
            ("weight_decay", -1),
            ("weight_decay", 2),
            ("warmup_fraction", 1.1),
            ("seed", -1),
            ("seed", 1 << 63),
            ("sead", 1),
        ],
    )
    def test_what_cannot_be_meant_is_refused_by_name(self, name, value):
        with pytest.raises(InvalidSetting, match=name) as refused:
            hyperparameters(**{name: value})
        assert refused.value.context["setting"] == name

    def test_steps_or_epochs(self):
        with pytest.raises(InvalidSetting, match="not both"):
            hyperparameters(training_steps=1, epochs=1)


class TestSteps:
    def test_the_published_example(self):
        """250 steps on 3,000 short rows."""
        assert epochs_of_steps(250, 24_900) == pytest.approx(658, abs=0.5)

    @given(st.floats(0.01, 1e6), st.integers(1, 10**9))
    def test_there_and_back(self, steps, tokens):
        assert steps_of_epochs(epochs_of_steps(steps, tokens), tokens) == pytest.approx(steps)
        assert epochs_of_steps(1, STEP_TOKENS) == 1

    def test_rows_without_a_token(self):
        assert planned(tokens=0, training_steps=250).updates == MOST_TIMES * planned(tokens=0).updates
        assert planned(tokens=0).steps_at(5) == 0


class TestLength:
    def test_hundreds_of_epochs_are_capped_and_told(self):
        far = planned(training_steps=250)
        assert far.capped
        assert far.allowed_epochs == pytest.approx(658, abs=0.5)
        assert far.epochs_at(far.updates) < 30
        assert far.updates == MOST_TIMES * planned().updates
        assert planned(epochs=658).updates == far.updates

    @given(st.integers(1, 2_000_000), st.floats(0.001, 1000))
    @settings(max_examples=60, deadline=None)
    def test_epochs_are_an_upper_bound(self, n_rows, epochs):
        run = planned(n_rows, 9 * n_rows, epochs=epochs)
        assert run.updates >= min(EVALUATIONS, max(1, int(epochs * n_rows)))
        assert run.updates <= max(1, epochs * run.updates_per_epoch * (1 + 1e-9))
        assert run.capped or run.updates > epochs * run.updates_per_epoch - 1
        assert run.allowed_epochs == epochs

    @given(st.integers(1, 2_000_000))
    @settings(max_examples=60, deadline=None)
    def test_neither_given_goes_by_the_size_of_the_data(self, n_rows):
        run = planned(n_rows, 9 * n_rows)
        assert run.allowed_epochs is None
        assert not run.capped
        assert run.updates >= USUAL_UPDATES
        assert run.epochs_at(run.updates) >= 2
        assert 8 <= run.batch <= 256
        assert run.updates_per_epoch * run.batch >= n_rows > (run.updates_per_epoch - 1) * run.batch

    def test_more_rows_bigger_batches(self):
        batches = [planned(n).batch for n in (10, 1000, 5000, 100_000)]
        assert batches == sorted(batches)
        assert batches[0] < batches[-1]


class TestEvaluations:
    @given(st.integers(1, 2_000_000), st.one_of(st.none(), st.floats(0.01, 100)), st.sampled_from([0, 0.1, 0.9, 1, 3]))
    @settings(max_examples=120, deadline=None)
    def test_twenty_a_run_and_one_an_epoch(self, n_rows, epochs, least):
        run = planned(n_rows, 9 * n_rows, epochs=epochs)
        run = replace(run, least=round(least * run.updates))
        assert run.updates >= EVALUATIONS or run.batch == 1
        assert run.updates // run.evaluate_every >= min(EVALUATIONS, run.updates)
        assert run.evaluate_every <= run.updates_per_epoch
        evaluated = [update for update in range(1, min(run.updates, 20_000) + 1) if run.evaluates_at(update)]
        if run.updates <= 20_000:
            assert len(evaluated) >= min(EVALUATIONS, run.updates)
        assert max(np.diff(evaluated), default=1) <= run.evaluate_every
        if 120 <= run.updates <= 20_000:
            most = max(run.patience, min(run.least, run.updates)) + EVALUATIONS
            assert evaluated[EVALUATIONS - 1] <= most, "a run that stops as early as it may has them all"

    def test_a_run_that_is_not_stopped_is_looked_at_evenly(self):
        run = planned(n_rows=3000, tokens=24_900)
        often = sum(run.evaluates_at(update) for update in range(1, run.updates + 1))
        evenly = replace(run, least=run.updates)
        at = [update for update in range(1, run.updates + 1) if evenly.evaluates_at(update)]
        assert len(at) < often
        assert set(np.diff(at)[:-1]) == {evenly.evaluate_every}, "the last may be nearer"

    def test_steps_told_grow_and_end_at_those_of_the_run(self):
        run = planned(n_rows=3000, tokens=24_900, epochs=2)
        told = [run.steps_at(update) for update in range(1, run.updates + 1)]
        assert np.all(np.diff(told) > 0)
        assert told[-1] == pytest.approx(steps_of_epochs(2, 24_900), rel=0.02)
        assert run.epochs_at(run.updates_per_epoch) == 1


class TestRates:
    def test_the_usual_rate_is_the_base_models_own(self):
        run = planned()
        assert (run.rate, run.embedding_rate, run.decay) == pytest.approx((4e-3, 2e-2, 0.06))

    def test_half_of_it_is_half_of_both(self):
        run = planned(learning_rate=5e-5)
        assert (run.rate, run.embedding_rate, run.decay) == pytest.approx((2e-3, 1e-2, 0.06))

    def test_decay_is_relative_too(self):
        assert planned(weight_decay=0.05).decay == pytest.approx(0.03)
        assert planned(weight_decay=0).decay == 0

    @given(st.floats(0, 0.9), st.integers(20, 5000))
    @settings(max_examples=30, deadline=None)
    def test_a_rise_and_a_fall(self, warmup, n_rows):
        run = planned(n_rows, warmup_fraction=warmup)
        factors = np.array([run.factor(update) for update in range(1, run.updates + 1)])
        assert np.all(factors > 0)
        assert np.all(factors <= 1)
        top = int(factors.argmax())
        assert np.all(np.diff(factors[: top + 1]) >= -1e-12)
        assert np.all(np.diff(factors[top:]) <= 1e-12)
        assert top <= warmup * run.updates + 1

    def test_without_warming_up_it_begins_at_the_top(self):
        run = planned(warmup_fraction=0)
        assert run.factor(1) == 1
        assert run.factor(run.updates) == pytest.approx(0.02)
