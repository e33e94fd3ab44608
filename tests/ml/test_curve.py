from dataclasses import replace
from math import ceil

import numpy as np
import pytest

from tamis.ml.curve import Best, Curve, Outcome, averaged, checkpoints_in, next_step, repeatable
from tamis.ml.schedule import EVALUATIONS, hyperparameters, plan
from tamis.ml.static.training import TUNED


def plan_of(n_rows=3000, tokens=24_900, **chosen):
    return plan(n_rows, tokens, hyperparameters(**chosen), TUNED)


class TestSteps:
    def test_a_small_file_counts_its_checkpoints(self):
        curve = Curve(plan_of(), 1e-4, [])
        for update in (2, 4, 6):
            curve.add(update, {"train_loss": 1.0})
        assert [row["step"] for row in curve.rows] == [1, 2, 3]

    def test_a_large_file_counts_steps_of_tokens(self):
        planned = plan_of(10**6, 2 * 10**7)
        curve = Curve(planned, 1e-4, [])
        for update in (400, 800, planned.updates):
            row = curve.add(update, {"train_loss": 1.0})
            assert row["step"] == np.ceil(planned.steps_at(update))
            assert row["tokens"] == pytest.approx(row["epoch"] * 2e7)

    def test_they_grow_strictly(self):
        rows = [{"step": 7}]
        assert next_step(rows, 6.5) == 8
        assert next_step(rows, 8.0) == 8
        assert next_step(rows, 8.1) == 9
        assert next_step([], 0.0) == 1


def test_a_checkpoint_has_all_figures():
    curve = Curve(plan_of(), 7e-5, [])
    row = curve.add(60, {"train_loss": 0.5, "valid_loss": 0.4, "t.accuracy": 0.9, "valid_metric": 0.9})
    assert row["train_loss"] == 0.5
    assert row["learning_rate"] == pytest.approx(7e-5 * curve.plan.factor(60))
    assert row["tokens_per_second"] > 0
    (kept,) = checkpoints_in(None) + repeatable(curve.rows)
    assert "tokens_per_second" not in kept
    assert kept["valid_loss"] == 0.4


class TestMeanCurves:
    def rows(self, losses):
        return [
            {
                "step": i + 1,
                "epoch": i / 2,
                "update": 2 * i,
                "tokens": 100 * i,
                "learning_rate": 1e-4,
                "valid_loss": loss,
            }
            for i, loss in enumerate(losses)
        ]

    def test_it_is_as_long_as_the_longest(self):
        curve = averaged([self.rows([4, 2]), self.rows([6, 4, 3, 1])])
        assert [row["valid_loss"] for row in curve] == [5, 3, 2.5, 1.5], "one that stopped stays where it was"
        assert [row["epoch"] for row in curve] == [0, 0.5, 1, 1.5]
        assert [row["step"] for row in curve] == [1, 2, 3, 4]
        assert [row["update"] for row in curve] == [0, 2, 4, 6]

    def test_a_figure_that_some_do_not_have(self):
        one, other = self.rows([1, 1]), self.rows([3, 3])
        one[1]["t.accuracy"] = 0.5
        assert averaged([one, other])[1]["t.accuracy"] == 0.5
        assert "t.accuracy" not in averaged([one, other])[0]

    def test_of_nothing(self):
        assert averaged([]) == averaged([[], []]) == []


class TestTheBest:
    def test_the_lowest_loss_is_kept(self):
        weights = np.zeros(2)
        best = Best(lambda: {"weights": weights.copy()}, plan_of())
        for update, loss in ((2, 3.0), (4, 1.0), (6, 2.0)):
            weights[:] = loss
            best.look(update, loss, update // 2)
        assert best.update == 4
        assert best.state.arrays["weights"].tolist() == [1.0, 1.0]

    def test_it_stops_after_its_patience_and_twenty_checkpoints(self):
        planned = plan_of()
        best = Best(dict, planned)
        assert not best.look(2, 1.0, 1)
        assert not best.look(planned.patience + 1, 2.0, EVALUATIONS)
        assert not best.look(planned.patience + 2, 2.0, EVALUATIONS - 1)
        assert best.look(planned.patience + 2, 2.0, EVALUATIONS)
        assert not best.look(planned.patience + 2, 1e4, 3), "every run has a curve"
        assert best.look(planned.patience + 2, 1e9, 3), "unless its numbers end"
        assert best.look(planned.patience + 2, float("nan"), 3)

    def test_it_does_not_stop_before_it_may(self):
        planned = plan_of()
        best = Best(dict, replace(planned, least=planned.patience + 4))
        best.look(2, 1.0, 1)
        assert not best.look(planned.patience + 2, 2.0, EVALUATIONS)
        assert best.look(planned.patience + 2, 1e9, EVALUATIONS), "unless its numbers end"
        assert best.look(planned.patience + 4, 2.0, EVALUATIONS)

    def test_late_states_are_better_than_early_ones(self):
        best = Best(dict, replace(plan_of(), least=6), late=True)
        updates = []
        for update, loss in ((2, 1.0), (4, 3.0), (6, 2.0), (8, 2.5), (10, 1.5)):
            best.look(update, loss, update // 2)
            updates.append(best.update)
        assert updates == [2, 2, 6, 6, 10]

    def test_unless_their_numbers_have_ended(self):
        best = Best(dict, replace(plan_of(), least=6), late=True)
        for update, loss in ((2, 1.0), (6, 1e9), (8, float("nan"))):
            best.look(update, loss, update // 2)
        assert best.update == 2

    def test_a_state_of_it_goes_on(self):
        one, other = Best(dict, plan_of()), Best(dict, plan_of())
        one.look(4, 1.5, 2)
        other.restore(one.state)
        assert other.update == 4
        other.look(6, 1.7, 3)
        assert other.update == 4


def test_an_outcome_comes_back():
    planned = plan_of()
    outcome = Outcome(planned, 4, 10, [{"step": 1, "update": 2, "tokens_per_second": 3.0}])
    again = Outcome.of(planned, outcome.facts())
    assert (again.best_update, again.stopped_at) == (4, 10)
    assert again.checkpoints == [{"step": 1, "update": 2}]


def test_what_is_said_of_several_fits_is_of_all_of_them():
    planned = plan_of(10_000, 10**6)
    one, other = planned.updates_per_epoch, 3 * planned.updates_per_epoch
    early = [Outcome(planned, best, planned.updates - 1, []) for best in (other, one)]
    (said,) = [remark for remark in Outcome.remarks_on_all(early) if "early" in remark]
    assert "in 2 parts" in said
    assert "lowest after 1.0 to 3.0 passes" in said
    whole = Outcome(planned, one, planned.updates, [])
    assert not any("early" in remark for remark in Outcome.remarks_on_all([whole, whole]))


def test_less_than_a_pass_is_told_in_updates():
    planned = plan_of(10**6, 2 * 10**7)
    short = Outcome(planned, 1, 60, [])
    assert short.remarks()[-1] == (
        "Stopped early after 60 updates: the loss on held-out rows was lowest after 1 update."
    )
    whole = Outcome(planned, ceil(planned.updates_per_epoch), planned.updates, [])
    assert "lowest after 1 update to 1.0 passes over the data." in Outcome.remarks_on_all([whole, short])[-1]
