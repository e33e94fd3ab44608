"""How long and how fast to train, in the hosted products' terms.

A step is a budget of 65,536 tokens, however many mini-batches that takes. Rates are relative: a learning rate of 1e-4
(the service's default) is the base model's own tuned rate. It knows no model: only rows, tokens and hyperparameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tamis.errors import InvalidSetting
from tamis.evaluation.objectives import Purpose, parse_purpose
from tamis.ml.encoder.options import EncoderOptions

STEP_TOKENS = 65_536
"""Tokens of one step."""

DEFAULT_RATE = 1e-4
DEFAULT_DECAY = 0.1
DEFAULT_WARMUP = 0.05
DEFAULT_LOSS = 0.03
"""Share of in-scope answers that abstaining may cost."""

EVALUATIONS = 20
"""Evaluations a run at least."""

PATIENCE = 6
"""Evaluations, at their usual distance, without improvement after which training stops."""

MOST_TIMES = 3
"""More than so many times the usual number of updates are never planned: they only overfit."""

USUAL_UPDATES = 120
LEAST_EPOCHS = 3
LEAST_EPOCHS_OF_MANY_ROWS = 2
MANY_ROWS = 300_000


class Hyperparameters(BaseModel):
    """What a user may choose; None lets the trainer pick by data size. Steps and epochs are upper bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    training_steps: int | None = Field(default=None, ge=1, le=10_000_000)
    epochs: float | None = Field(default=None, gt=0, le=1_000_000)
    learning_rate: float = Field(default=DEFAULT_RATE, gt=0, le=1)
    weight_decay: float = Field(default=DEFAULT_DECAY, ge=0, le=1)
    warmup_fraction: float = Field(default=DEFAULT_WARMUP, ge=0, le=1)
    seq_len: int | None = Field(default=None, ge=100, le=10_000_000)
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    optimise: tuple[str, ...] | None = Field(default=None, max_length=10_000)
    abstain_loss: float = Field(default=DEFAULT_LOSS, ge=0, le=0.5)
    oos_label: str | None = Field(default=None, min_length=1, max_length=1_000)
    encoder: EncoderOptions | None = None

    @property
    def purpose(self) -> Purpose:
        """What thresholds are to be chosen for."""
        return parse_purpose(self.optimise)


def hyperparameters(**chosen: object) -> Hyperparameters:
    """Return the hyperparameters; what is None keeps its default.

    Raises:
        InvalidSetting: a value is out of range or of the wrong type, or both steps and epochs are given.
    """
    given = {name: value for name, value in chosen.items() if value is not None}
    if isinstance(given.get("optimise"), str):
        given["optimise"] = (given["optimise"],)
    try:
        made = Hyperparameters.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise InvalidSetting(f"{name} = {first['input']!r}: {first['msg'].lower()}.", setting=name) from None
    parse_purpose(made.optimise)
    if made.training_steps is not None and made.epochs is not None:
        raise InvalidSetting("Give training_steps or epochs, not both: each says how long to train.")
    return made


def chosen_facts(chosen: Hyperparameters) -> dict[str, object]:
    """Return the hyperparameters as a manifest keeps them: options of another tier, or of no use, are left out."""
    return chosen.model_dump(
        exclude={name for name in ("encoder", "optimise", "oos_label") if getattr(chosen, name) is None}
    )


def epochs_of_steps(steps: float, data_tokens: int) -> float:
    """Return how many times `steps` go over data of so many tokens."""
    return steps * STEP_TOKENS / max(data_tokens, 1)


def steps_of_epochs(epochs: float, data_tokens: int) -> float:
    """Return how many steps so many passes over the data are."""
    return epochs * data_tokens / STEP_TOKENS


@dataclass(frozen=True, slots=True)
class Plan:
    """A run: `updates` mini-batches of `batch` rows.

    `allowed_epochs` is what the user's steps or epochs come to (None: not given); `capped` says that fewer are planned.
    Before `least` updates it is not stopped, however long it has not become better.
    """

    n_rows: int
    data_tokens: int
    batch: int
    updates: int
    rate: float
    embedding_rate: float
    decay: float
    warmup: float
    allowed_epochs: float | None
    capped: bool
    least: int = 0

    @property
    def updates_per_epoch(self) -> int:
        """Mini-batches that cover the data once."""
        return max(1, -(-self.n_rows // self.batch))

    @property
    def evaluate_every(self) -> int:
        """Updates between evaluations, once there are twenty: at least twenty a run and one an epoch."""
        return max(1, min(self.updates // EVALUATIONS, self.updates_per_epoch))

    @property
    def patience(self) -> int:
        """Updates without improvement after which training stops."""
        return PATIENCE * self.evaluate_every

    def evaluates_at(self, update: int) -> bool:
        """Whether to evaluate after so many updates (from 1).

        The first twenty evaluations come so early that a run which stops as soon as it may has them all.
        """
        soonest = max(PATIENCE * self.evaluate_every, min(self.least, self.updates))
        early = min(self.evaluate_every, max(1, -(-soonest // EVALUATIONS)))
        return update % (early if update <= EVALUATIONS * early else self.evaluate_every) == 0 or update == self.updates

    def factor(self, update: int) -> float:
        """Return the share of the rate at an update (from 1): a linear rise, then a linear fall to a fiftieth."""
        rise = self.warmup * self.updates + 1
        return min(1.0, update / rise) * max(0.02, 1 - (update - 1) / max(self.updates, 1))

    def epochs_at(self, update: int) -> float:
        """Return how often the data was passed over after so many updates."""
        return update / self.updates_per_epoch

    def steps_at(self, update: int) -> float:
        """Return how many steps of 65,536 tokens so many updates are."""
        return steps_of_epochs(self.epochs_at(update), self.data_tokens)


def allowed_epochs(chosen: Hyperparameters, data_tokens: int) -> float | None:
    """Return how many passes the user's steps or epochs come to; None where neither is given."""
    return chosen.epochs if chosen.training_steps is None else epochs_of_steps(chosen.training_steps, data_tokens)


def batch_within(usual: int, n_rows: int, allowed: float | None) -> int:
    """Return the rows of a mini-batch: the usual number, or fewer, so that there are as many as evaluations.

    Where fewer than twenty rows are allowed in all, each is one.
    """
    return usual if allowed is None else max(1, min(usual, int(n_rows * allowed / EVALUATIONS)))


def plan(n_rows: int, data_tokens: int, chosen: Hyperparameters, tuned: dict[str, float]) -> Plan:
    """Return the run for so many rows and tokens; `tuned` holds the base model's own rates."""
    allowed = allowed_epochs(chosen, data_tokens)
    batch = batch_within(int(np.clip(2 ** round(np.log2(max(n_rows, 1) / 20)), 8, 256)), n_rows, allowed)
    per_epoch = max(1, -(-n_rows // batch))
    least = LEAST_EPOCHS if n_rows < MANY_ROWS else LEAST_EPOCHS_OF_MANY_ROWS
    usual = max(USUAL_UPDATES, least * per_epoch)
    wanted = usual if allowed is None else max(1, int(allowed * per_epoch + 1e-6))
    updates = min(wanted, MOST_TIMES * usual)
    relative = chosen.learning_rate / DEFAULT_RATE
    return Plan(
        n_rows=n_rows,
        data_tokens=data_tokens,
        batch=batch,
        updates=updates,
        rate=tuned["learning_rate"] * relative,
        embedding_rate=tuned["embedding_learning_rate"] * relative,
        decay=tuned["weight_decay"] * chosen.weight_decay / DEFAULT_DECAY,
        warmup=chosen.warmup_fraction,
        allowed_epochs=allowed,
        capped=updates < wanted,
    )
