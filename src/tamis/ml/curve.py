"""The curve of a fit: its checkpoints, the best state so far, when to stop, how it went; in both tiers.

It does not know what is fitted, nor how rows were held out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from time import perf_counter
from typing import cast

import numpy as np
from pydantic import JsonValue

from tamis.ml.restart import State
from tamis.ml.schedule import EVALUATIONS, STEP_TOKENS, Plan
from tamis.ml.tensors import Tensor

Checkpoint = dict[str, float]

NOT_REPEATABLE = "tokens_per_second"
WHERE = ("epoch", "update", "tokens", "learning_rate", NOT_REPEATABLE)
"""Figures that say where a fit stands, not how good it is."""

HOPELESS = 1e6
"""A loss so many times the best one, or that is no number, ends the curve early: what follows would be no numbers."""


class Curve:
    """Checkpoints while they come: `rows` has the figures of each."""

    def __init__(self, plan: Plan, learning_rate: float, rows: list[Checkpoint]) -> None:
        """Start the clock; `rows` are those of an earlier attempt, `learning_rate` is the hyperparameter."""
        self.plan, self.learning_rate, self.rows = plan, learning_rate, rows
        self._moment, self._update = perf_counter(), int(self.rows[-1]["update"]) if self.rows else 0

    def facts(self) -> dict[str, JsonValue]:
        """As a restart point keeps it."""
        return {"checkpoints": cast("JsonValue", repeatable(self.rows))}

    def add(self, update: int, figures: Mapping[str, float]) -> Checkpoint:
        """Append a checkpoint with figures of training and, where somebody watches, of held-out rows; return it."""
        plan, moment = self.plan, perf_counter()
        tokens = plan.epochs_at(update) * plan.data_tokens
        since = tokens - plan.epochs_at(self._update) * plan.data_tokens
        row: Checkpoint = {
            "step": next_step(self.rows, plan.steps_at(update)),
            "epoch": plan.epochs_at(update),
            "update": update,
            "tokens": round(tokens),
            **figures,
            "learning_rate": self.learning_rate * plan.factor(update),
            NOT_REPEATABLE: since / max(moment - self._moment, 1e-9),
        }
        self.rows.append(row)
        self._moment, self._update = perf_counter(), update
        return row


def checkpoints_in(state: State | None) -> list[Checkpoint]:
    """Return the checkpoints that a state remembers."""
    return list(cast("list[Checkpoint]", state.facts["checkpoints"])) if state else []


def next_step(rows: list[Checkpoint], steps: float) -> int:
    """Return the number of the next checkpoint: steps of tokens, rounded up, or one more than the last."""
    last = int(rows[-1]["step"]) if rows else 0
    return max(last + 1, ceil(steps - 1e-9))


class Best:
    """The best state of a network so far, and whether to go on looking for a better one."""

    def __init__(self, copies: Callable[[], Mapping[str, Tensor]], plan: Plan, *, late: bool = False) -> None:
        """Start with nothing: the first evaluation is the best.

        Args:
            copies: gives the weights as they are.
            plan: the run.
            late: whether a state after the least number of updates is better than any earlier one.
        """
        self._copies, self._plan = copies, plan
        self._least, self._late = min(plan.least, plan.updates), late
        self._loss: float | None = None
        self.update = 0
        self.state = State({}, {"update": 0, "loss": None})

    def look(self, update: int, loss: float, n_checkpoints: int) -> bool:
        """Take the present state if it is better; return whether to stop."""
        if self._loss is None or loss < self._loss or self._first_late_one(update, loss):
            self._loss, self.update = loss, update
            self.state = State(self._copies(), {"update": update, "loss": loss})
        enough = n_checkpoints >= EVALUATIONS and update >= self._least
        return (enough or _is_hopeless(loss, self._loss)) and update - self.update >= self._plan.patience

    def _first_late_one(self, update: int, loss: float) -> bool:
        assert self._loss is not None
        return self._late and self.update < self._least <= update and not _is_hopeless(loss, self._loss)

    def restore(self, state: State) -> None:
        """Go on with the best state of an earlier attempt."""
        self.state = state
        self._loss = cast("float | None", state.facts["loss"])
        self.update = int(cast("int", state.facts["update"]))


def _is_hopeless(loss: float, best: float) -> bool:
    """Whether what follows would be no numbers."""
    return not loss <= HOPELESS * best


def _so_many(plan: Plan, update: int) -> str:
    """How far a fit was, in words: less than a pass over the data is told in updates."""
    epochs = plan.epochs_at(update)
    if epochs >= 1:
        return f"{epochs:.1f} passes over the data"
    return "1 update" if update == 1 else f"{update:,} updates"


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How a watched fit went: its plan, the update of its best state, the one it stopped at, its checkpoints."""

    plan: Plan
    best_update: int
    stopped_at: int
    checkpoints: list[Checkpoint]

    def facts(self) -> dict[str, JsonValue]:
        """As a restart point keeps it, without the plan."""
        return {
            "best_update": self.best_update,
            "stopped_at": self.stopped_at,
            "checkpoints": cast("JsonValue", repeatable(self.checkpoints)),
        }

    def remarks(self) -> list[str]:
        """Return what is to be said of how long the fit went on."""
        planned, said = self.plan, []
        if planned.capped:
            said.append(
                f"{planned.allowed_epochs:,.0f} passes over the data were allowed; "
                f"{planned.epochs_at(planned.updates):,.0f} were planned, since more only overfit."
            )
        if self.stopped_at < planned.updates:
            said.append(
                f"Stopped early after {_so_many(planned, self.stopped_at)}: the loss on held-out rows was lowest after "
                f"{_so_many(planned, self.best_update)}."
            )
        return said

    @staticmethod
    def remarks_on_all(outcomes: Sequence[Outcome]) -> list[str]:
        """Return what is to be said of fits to parts of the rows, whose mean curve is shown."""
        capped = replace(outcomes[0], stopped_at=outcomes[0].plan.updates).remarks()
        if all(each.stopped_at >= each.plan.updates for each in outcomes):
            return capped
        best = sorted(outcomes, key=lambda each: each.plan.epochs_at(each.best_update))
        first, last = (_so_many(each.plan, each.best_update) for each in (best[0], best[-1]))
        number, _, unit = first.partition(" ")
        after = last if first == last else f"{number if last.endswith(unit) else first} to {last}"
        told = (
            f"Stopped early: in {len(outcomes)} parts, each held out of a fit of its own, the loss was lowest after "
            f"{after}. The curve is their mean."
        )
        return [*capped, told]

    @classmethod
    def of(cls, plan: Plan, facts: Mapping[str, JsonValue]) -> Outcome:
        """The way back."""
        checkpoints = cast("list[Checkpoint]", facts["checkpoints"])
        return cls(plan, int(cast("int", facts["best_update"])), int(cast("int", facts["stopped_at"])), checkpoints)


def repeatable(checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """Return checkpoints without what is never the same twice."""
    return [{name: value for name, value in row.items() if name != NOT_REPEATABLE} for row in checkpoints]


def averaged(runs: list[list[Checkpoint]]) -> list[Checkpoint]:
    """Return the mean curve of several fits of one plan; one that has stopped stays at its last figures.

    A fit whose held-out rows say nothing of a target has no figure for it. Where the fits stand (epoch, tokens, rate)
    is told by those that still go on.
    """
    curve: list[Checkpoint] = []
    for place in range(max(map(len, runs), default=0)):
        going = [rows[place] for rows in runs if place < len(rows)]
        every = [rows[min(place, len(rows) - 1)] for rows in runs if rows]
        names = dict.fromkeys(name for row in every for name in row)
        mean = {name: _mean(name, going if name in WHERE else every) for name in names}
        steps = float(np.mean([row["tokens"] for row in going])) / STEP_TOKENS
        curve.append({**mean, "step": next_step(curve, steps), "update": round(mean["update"])})
    return curve


def _mean(name: str, rows: list[Checkpoint]) -> float:
    values = [row[name] for row in rows if name in row]
    return float(np.mean(values)) if values else 0.0
