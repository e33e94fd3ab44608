"""What a run of the encoder tier will take, before it starts: tokens are exact, time and memory are rough.

Time is that of the arithmetic, at a speed that is usual for the device; it does not need torch.
"""

from __future__ import annotations

import math
import os
from math import ceil

from tamis.ml.encoder.base_model import EncoderBase
from tamis.ml.encoder.options import encoder_options
from tamis.ml.encoder.planning import MANY_ROWS, WORTH_BEGINNING_AGAIN, Method, method_of, plan_of, reading_of
from tamis.ml.encoder.rows_held import folds_of, held_share
from tamis.ml.estimates import Estimate
from tamis.ml.holding_out import FEW_ROWS
from tamis.ml.progress import Check
from tamis.ml.schedule import STEP_TOKENS, Plan, epochs_of_steps, steps_of_epochs
from tamis.ml.trained import Task

PER_CORE = 3e10
"""Floating-point operations a second of a CPU's core."""

SECONDS = 5.0
SECONDS_PER_UPDATE = 4e-3
JUDGING = 1.15
"""Loading libraries and weights; of an update beside its arithmetic; what evaluations add."""

MEGABYTES = 400.0
BYTES_PER_WEIGHT, BYTES_PER_TRAINED, BYTES_PER_AVERAGED = 8.0, 16.0, 8.0
BYTES_PER_TOKEN = 60.0
"""torch itself; of a weight, of one that is trained, and of one that is averaged, too; of a token at once, a layer and
a number of its width."""

AT_ONCE = 4_096


def estimate_run(base: EncoderBase, task: Task, check: Check) -> Estimate:
    """Return what training will take."""
    options = encoder_options(task.chosen.encoder)
    reading, method = reading_of(base, task.chosen, options), method_of(base, options, task.train)
    encoded = reading.encoding(base.tokenizer_json).encode(task.train.inputs, check)
    n_rows, tokens = len(task.train), int(encoded.offsets[-1])
    planned = plan_of(n_rows, tokens, task.chosen, options, method)
    chosen = task.chosen
    epochs = chosen.epochs if chosen.epochs is not None else planned.epochs_at(planned.updates)
    steps = chosen.training_steps or max(1, ceil(steps_of_epochs(epochs, tokens) - 1e-9))
    longest = int(encoded.lengths.max(initial=1))
    per_trained = BYTES_PER_TRAINED + (BYTES_PER_AVERAGED if n_rows >= MANY_ROWS else 0.0)
    return Estimate(
        rows=n_rows,
        data_tokens=tokens,
        train_tokens_per_step=STEP_TOKENS,
        training_steps=steps,
        train_tokens=steps * STEP_TOKENS,
        epochs=epochs_of_steps(steps, tokens),
        expected_duration_seconds=ceil(_seconds(base, method, planned, fits=_fits(task))),
        peak_memory_mb=round(
            _megabytes(base, method, min(AT_ONCE, max(longest, planned.batch * longest)), per_trained), 1
        ),
    )


def _fits(task: Task) -> float:
    """How many fits to all rows the work comes to."""
    n_rows = len(task.train)
    if task.validation is not None or n_rows < FEW_ROWS:
        return 1.0
    count = folds_of(n_rows)
    return float(count) if count else 1.0 - held_share(n_rows) + (1.0 if n_rows < WORTH_BEGINNING_AGAIN else 0.5)


def _seconds(base: EncoderBase, method: Method, planned: Plan, *, fits: float) -> float:
    weights, trained = _weights(base, method)
    seen = planned.epochs_at(planned.updates) * planned.data_tokens * fits
    operations = seen * (2 * weights + 4 * trained)
    speed = PER_CORE * (os.cpu_count() or 1)
    return SECONDS + JUDGING * (operations / speed + fits * planned.updates * SECONDS_PER_UPDATE)


def _megabytes(base: EncoderBase, method: Method, tokens: int, per_trained: float) -> float:
    _, trained = _weights(base, method)
    held = BYTES_PER_WEIGHT * base.n_weights + per_trained * trained
    return MEGABYTES + (held + BYTES_PER_TOKEN * tokens * base.n_layers * base.card.dimensions) / 1e6


def _weights(base: EncoderBase, method: Method) -> tuple[float, float]:
    """How many weights each token meets, and how many of them are trained."""
    met = sum(math.prod(shape) for name, shape in base.shapes.items() if "embed" not in name and "wte" not in name)
    of_a_layer, layers = met / max(base.n_layers, 1), base.n_layers + method.pools
    return of_a_layer * layers, of_a_layer * (layers - method.n_frozen)
