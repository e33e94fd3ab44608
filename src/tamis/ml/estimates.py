"""What a run will take, before it starts: steps, epochs, tokens, time, memory. How it is known is the tier's."""

from __future__ import annotations

from dataclasses import dataclass

from tamis.data.dataset import Dataset
from tamis.ml.base_models import Base
from tamis.ml.progress import Check, nothing
from tamis.ml.schedule import Hyperparameters
from tamis.ml.tiers import tier
from tamis.ml.trained import Task


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take.

    Attributes:
        rows: rows to learn from.
        data_tokens: their tokens, as the base model's tokenizer cuts them (after `seq_len`).
        train_tokens_per_step: 65,536.
        training_steps: as given; else those of the epochs given, or of what the trainer would pick, rounded up.
        train_tokens: `training_steps` x `train_tokens_per_step`.
        epochs: `train_tokens` / `data_tokens`.
        expected_duration_seconds: of training, whole seconds; early stopping makes it less.
        peak_memory_mb: the most memory of the process, in MB of 10^6 bytes.
    """

    rows: int
    data_tokens: int
    train_tokens_per_step: int
    training_steps: int
    train_tokens: int
    epochs: float
    expected_duration_seconds: int
    peak_memory_mb: float


def estimate(
    data: Dataset,
    base: Base,
    chosen: Hyperparameters,
    validation: Dataset | None = None,
    *,
    check: Check = nothing,
) -> Estimate:
    """Return what training on `data` will take; `check` is called between portions of the counting."""
    return tier(base.card.tier).estimate(base, Task(data, validation, chosen), check)
