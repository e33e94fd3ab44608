"""What a training run tells while it goes on, and how it is asked to stop. It does not know who listens.

A checkpoint holds at least

    step                strictly growing whole number: steps of 65,536 tokens, rounded up, or one more than that of the
                        checkpoint before (a small file is evaluated more often than once a step)
    epoch               passes over the rows that are trained on
    update, tokens      mini-batches, and tokens of the base model, so far
    train_loss          mean loss of a row since the checkpoint before, with dropout and weights
    TARGET.train_accuracy    or TARGET.train_micro_f1, of the rows since the checkpoint before, as the network saw them:
                        with dropout, before it learnt from them, and in the static tier by the semantic part alone. Not
                        of a target with more labels than are looked at in every update
    train_metric        the mean of these over all targets, where each has one
    valid_loss          mean loss of a held-out row, at the temperature that suits best, over all targets
    TARGET.accuracy     or TARGET.micro_f1 for a multi-label target, on held-out rows
    TARGET.precision, TARGET.recall    averages over the labels that the held-out rows have
    valid_metric        the mean of accuracy or micro-F1 over all targets; so valid_precision, valid_recall
    learning_rate       in the terms of the hyperparameter: 1e-4 is the base model's own rate
    tokens_per_second   of training alone; in what is told only, since it is never the same twice

Where there are too few rows to hold any out, there are no validation values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from tamis.errors import Cancelled

if TYPE_CHECKING:
    from tamis.data.loading import Tally
    from tamis.data.rows import Note


@dataclass(frozen=True, slots=True)
class Progress:
    """One thing that happened.

    Attributes:
        stage: in a few words, what is being done.
        share: how much of the whole run is behind, 0 to 1.
        checkpoint: the figures of an evaluation; see the top of this module.
        remark: for the report.
        fold: the figures of an evaluation of one part of a cross-validation. It is no checkpoint of the run: those are
            the means over all parts, and come together when the last part is done.
        tallies: what became of each file, told once, when all are read.
        notes: remarks on the data by split, told with them.
    """

    stage: str
    share: float
    checkpoint: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""
    fold: Mapping[str, float] = field(default_factory=dict)
    tallies: Sequence[Tally] = ()
    notes: Mapping[str, Sequence[Note]] = field(default_factory=dict)


Listener = Callable[[Progress], None]
"""Told what happens. What it raises ends the run, and reaches the caller."""

TRAIN_LOSS, TRAIN_METRIC = "train_loss", "train_metric"
"""What checkpoints call the figures of the rows that were learnt from, over all targets."""

ACCURACY, MICRO_F1, TRAIN = "accuracy", "micro_f1", "train_"
"""What a target is judged by, and what stands before it where rows were learnt from."""

Stop = Callable[[], bool]
"""Asked a few times a second, in the thread that trains, whether to end the run."""

Check = Callable[[], None]
"""Called often while something goes on; raises what is to end it."""


def figure_of(target: str, *, multi: bool, train: bool = False) -> str:
    """Return what checkpoints call the figure that a target is judged by: on held-out rows, or in training."""
    return f"{target}.{TRAIN if train else ''}{MICRO_F1 if multi else ACCURACY}"


def nobody(_: Progress) -> None:
    """Listen to nothing."""


def nothing() -> None:
    """Check nothing."""


class StopCheck:
    """Asks whether to stop, at most every so many seconds however often it is called."""

    def __init__(self, stop: Stop, every: float = 0.1) -> None:
        """Remember whom to ask."""
        self._stop, self._every = stop, every
        self._next = monotonic()

    def __call__(self) -> None:
        """Do nothing while the run may go on.

        Raises:
            Cancelled: it may not.
        """
        now = monotonic()
        if now < self._next:
            return
        self._next = now + self._every
        if self._stop():
            raise Cancelled("The run was cancelled: nothing was written.")
