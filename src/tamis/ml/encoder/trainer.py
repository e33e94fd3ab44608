"""Trains an encoder: holds rows out, fine-tunes, and uses every row in the end.

Three ways to hold rows out. A validation set is given: all training rows are fitted once and judged on it. Many rows: a
share is held out, and the fit then goes on with all rows, or begins again with them. Few rows: cross-validation, then
one fit to all rows. Either way the logits of held-out rows come back, which calibration and thresholds are fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tamis.data.dataset import Dataset, columns_of
from tamis.data.splits import different_texts, folds, split_rows
from tamis.ml.encoder.base_model import EncoderBase
from tamis.ml.encoder.fits import Fits, Part, Place
from tamis.ml.encoder.inputs import Encoded, Encoding
from tamis.ml.encoder.machine import repeatable
from tamis.ml.encoder.options import EncoderOptions
from tamis.ml.encoder.planning import Method, Reading, method_of, reading_of
from tamis.ml.encoder.rows_held import folds_of, held_share
from tamis.ml.encoder.watching import judged_rows
from tamis.ml.holding_out import (
    ENOUGH_TO_CALIBRATE,
    FEW_ROWS,
    NOTHING_TO_VALIDATE,
    VALIDATION,
    repeats,
    small_validation,
    told_rows,
)
from tamis.ml.progress import Progress
from tamis.ml.restart import State
from tamis.ml.schedule import Plan
from tamis.ml.static.watching import Checkpoint, Outcome, averaged
from tamis.ml.static.watching import repeatable as repeatable_rows
from tamis.ml.trained import Attended, HeldOut, Task

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

WORTH_BEGINNING_AGAIN = 3_000
"""Rows below which all are fitted from the beginning: a fifth that was held out then tells (`docs/log.md`)."""

MORE_EPOCHS, MORE_RATE = 2, 0.5
"""How long, and at which part of the rate, a fit to more rows goes on with those that were held out."""


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What a run comes to, before it is calibrated or exported.

    Attributes:
        network: transformers' classifier with its weights, on the CPU.
        reading: how inputs become tokens.
        held: rows that the fit did not see, with the network's logits, all targets side by side; None for too few.
        checkpoints: the curve.
        remarks: for the report.
        facts: for the manifest.
    """

    network: nn.Module
    reading: Reading
    held: Held | None
    checkpoints: tuple[Checkpoint, ...]
    remarks: tuple[str, ...]
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Rows that a fit did not see: `rows` says what they are, `logits` is (n, all labels).

    Of some targets others are to be taken, `instead`.
    """

    rows: str
    data: Dataset
    logits: Floats
    instead: Mapping[str, Held] = field(default_factory=dict)

    def out(self) -> HeldOut:
        """The same by target."""
        of = {name: self.instead.get(name, self) for name in self.data.truth}
        columns = columns_of(self.data)
        logits = {name: np.ascontiguousarray(held.logits[:, columns[name]]) for name, held in of.items()}
        truth = {name: held.data.truth[name] for name, held in of.items()}
        weights = {name: held.data.weights for name, held in of.items()}
        return HeldOut(self.told(), max(map(len, truth.values())), logits, truth, weights)

    def told(self) -> str:
        """Return what rows these are."""
        told = {name: other.rows for name, other in self.instead.items()}
        return told_rows(self.rows, told, len(self.data.targets))


@dataclass(frozen=True, slots=True, eq=False)
class _Once:
    """A share of the rows, held out once: the other rows, how the fit to these went, and what was held out."""

    train: Part
    outcome: Outcome
    held: Held


class EncoderTrainer:
    """One training run."""

    def __init__(self, base: EncoderBase, task: Task, attended: Attended) -> None:
        """Remember what to learn, and who attends."""
        self._base, self._task, self._attended = base, task, attended
        self._options = task.chosen.encoder or EncoderOptions()
        self._reading: Reading = reading_of(base, task.chosen, self._options)
        self._method: Method = method_of(base, self._options)
        self._fits = Fits(task, self._options, self._method, self._reading, attended)
        self._remarks: list[str] = []

    def train(self) -> Finished:
        """Train, and leave torch as it was."""
        with repeatable(self._fits.machine.device):
            return self._train()

    def _train(self) -> Finished:
        data, validation = self._task.train, self._task.validation
        if validation is not None and not any(_judged(validation).values()):
            self._remarks.append(NOTHING_TO_VALIDATE)
            validation = None
        self._tell("reading texts", 0.0)
        encoding = self._reading.encoding(self._base.tokenizer_json)
        encoded = self._encoded(encoding, data)
        watched = None if validation is None else self._encoded(encoding, validation)
        self._tell("loading the base model", 0.02)
        self._fits.open(self._base)
        facts = self._told_inputs(encoded)
        self._fits.check_padding(encoded)
        remember = self._fits.remembers(encoded, *([watched] if watched else []))
        given = Part(data, self._fits.material(encoded, remember=remember))
        with self._fits.recalling(given.material):
            if validation is not None and watched is not None:
                part = Part(validation, self._fits.material(watched, remember=remember))
                held, curve = self._with_validation(given, part)
            elif len(data) < FEW_ROWS:
                held, curve = None, self._fit_blind(given)
            elif folds_of(len(data)):
                held, curve = self._cross_validate(given)
            else:
                held, curve = self._hold_out_once(given)
        facts |= {"held_out": held.rows} if held else {}
        checkpoints = tuple(repeatable_rows(curve))
        return Finished(self._fits.network(), self._reading, held, checkpoints, tuple(self._remarks), facts)

    def _encoded(self, encoding: Encoding, data: Dataset) -> Encoded:
        return encoding.encode(data.inputs, self._attended.check)

    def _told_inputs(self, encoded: Encoded) -> dict[str, object]:
        """Remark on inputs that were cut and chats that the template refused, and return what the manifest keeps."""
        n, reading = len(encoded), self._reading
        if encoded.n_cut:
            where = "seq_len" if self._task.chosen.seq_len == reading.max_length else "what the model is given at once"
            cure = "" if reading.windows > 1 else ", or read long texts in windows (long_texts=windows)"
            self._remarks.append(
                f"{encoded.n_cut:,} of {n:,} training inputs ({encoded.n_cut / n:.1%}) were longer than "
                f"{reading.max_length * reading.windows:,} tokens ({where}), and were cut. Choose a larger seq_len, up "
                f"to {self._base.longest:,}{cure}."
            )
        if encoded.n_lines:
            self._remarks.append(
                f"The base model's chat template refused {encoded.n_lines:,} of the training chats (some templates "
                "want user and assistant to take turns): these are read as lines that name the role."
            )
        return {
            "tokens": int(encoded.offsets[-1]),
            "cut_share": encoded.n_cut / max(n, 1),
            "frozen_layers": self._fits.n_frozen,
            "lora": self._method.lora,
            "device": self._fits.machine.device.type,
            "precision": str(self._fits.machine.half or "float32").removeprefix("torch."),
            "processes": self._fits.machine.world,
        }

    def _with_validation(self, given: Part, watched: Part) -> tuple[Held, list[Checkpoint]]:
        few = {name: n for name, n in _judged(watched.data).items() if n < ENOUGH_TO_CALIBRATE}
        outcome, logits = self._fits.watched(given, watched, Place("validation", 0.05, 0.4 if few else 0.95))
        self._remarks += outcome.remarks()
        held = Held(VALIDATION, watched.data, logits)
        if few:
            best = self._fits.weights()
            held = self._with_more(given, held, few)
            self._fits.set_weights(best)
        return held, outcome.checkpoints

    def _with_more(self, given: Part, held: Held, few: Mapping[str, int]) -> Held:
        """Hold training rows out too, for the targets of which the validation data has few rows."""
        between = (0.4, 0.95)
        if len(given.data) < FEW_ROWS:
            return held
        if folds_of(len(given.data)):
            folded = self._folded(given, between)
            more = folded[0] if folded else None
        else:
            once = self._once(given, between)
            more = once.held if once else None
        if more is None:
            return held
        rows = _judged(more.data)
        instead = {name: more for name, n in few.items() if rows[name] > n}
        if instead:
            self._remarks.append(small_validation({name: few[name] for name in instead}, more.rows))
        return replace(held, instead=instead)

    def _hold_out_once(self, given: Part) -> tuple[Held | None, list[Checkpoint]]:
        once = self._once(given, (0.05, 0.75))
        if once is None:  # a text, repeated
            return None, self._fit_blind(given)
        self._remarks += once.outcome.remarks()
        self._tell("using all rows", 0.75)
        outcome = once.outcome
        if len(given.data) < WORTH_BEGINNING_AGAIN:
            self._fit_all(given, outcome.best_update / outcome.plan.updates)
        elif (more := _second(outcome, once.train, given)).updates:
            self._fits.unwatched(given, more, Place("all", 0.75, 0.95, fold=True), go_on=True)
        return once.held, outcome.checkpoints

    def _once(self, given: Part, between: tuple[float, float]) -> _Once | None:
        """Hold a share of the rows out, once; None where there is nothing to hold out."""
        data, share = given.data, held_share(len(given.data))
        split = split_rows(data, {"train": 1 - share, "held": share}, self._task.chosen.seed, self._attended.check)
        if not len(split["held"]):
            return None
        train, held = given.select(split["train"]), given.select(split["held"])
        outcome, logits = self._fits.watched(train, held, Place("held out", *between))
        name = f"{len(held.data):,} of the training rows, held out"
        return _Once(train, outcome, Held(name, held.data, logits))

    def _cross_validate(self, given: Part) -> tuple[Held | None, list[Checkpoint]]:
        folded = self._folded(given, (0.05, 0.75))
        if folded is None:
            return None, self._fit_blind(given)
        held, outcomes = folded
        self._remarks += Outcome.remarks_on_all(outcomes)
        curve = averaged([outcome.checkpoints for outcome in outcomes])
        for row in curve:
            self._attended.listener(Progress("cross-validated", 0.75, row))
        share = float(np.median([outcome.best_update / outcome.plan.updates for outcome in outcomes]))
        self._fit_all(given, share)
        return held, curve

    def _fit_all(self, given: Part, share: float) -> None:
        """Fit to all rows from the beginning, for the share of the plan that was best on held-out rows."""
        plan = self._fits.plan(given)
        end = max(1, round(share * plan.updates))
        self._fits.unwatched(given, plan, Place("all", 0.75, 0.95, fold=True), end=end, go_on=False)

    def _folded(self, given: Part, between: tuple[float, float]) -> tuple[Held, list[Outcome]] | None:
        """Hold each row out of one of several fits; None where a row's label is never in two of its parts."""
        data, (begin, end) = given.data, between
        count = min(folds_of(len(data)), different_texts(data))
        if count < 2 or not repeats(data):
            return None
        fold = folds(data, count, self._task.chosen.seed)
        logits = np.zeros((len(data), sum(len(target.labels) for target in data.targets)), dtype=np.float32)
        outcomes = []
        for number in range(count):
            inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            wide = (end - begin) / count
            place = Place(f"fold {number}", begin + wide * number, begin + wide * (number + 1), True)
            outcome, logits[outside] = self._fold(given, inside, outside, place)
            outcomes.append(outcome)
        return Held(f"{count}-fold cross-validation", data, logits), outcomes

    def _fold(self, given: Part, inside: Ints, outside: Ints, place: Place) -> tuple[Outcome, Floats]:
        """Return how the fit of a fold went, and the logits of the rows outside."""
        stage, train = self._attended.stage(place.name), given.select(inside)
        done = stage.recall("done")
        if done is None:
            outcome, logits = self._fits.watched(train, given.select(outside), place)
            done = State({"logits": logits}, outcome.facts())
        else:
            outcome = Outcome.of(self._fits.plan(train), done.facts)
        stage.forget()
        stage.keep("done", done)
        return outcome, np.array(done.arrays["logits"])

    def _fit_blind(self, given: Part) -> list[Checkpoint]:
        """Fit with nobody watching."""
        return self._fits.unwatched(given, self._fits.plan(given), Place("all", 0.05, 0.95), go_on=False)

    def _tell(self, stage: str, share: float) -> None:
        self._attended.check()
        self._attended.listener(Progress(stage, share))


def _judged(data: Dataset) -> dict[str, int]:
    """Return how many rows of each target can be judged."""
    return {name: int(judged_rows(truth).sum()) for name, truth in data.truth.items()}


def _second(first: Outcome, train: Part, given: Part) -> Plan:
    """Return the plan for going on with all rows: what the first pass left of what is allowed, at a lower rate."""
    planned = first.plan
    per_epoch = max(1, -(-len(given.data) // planned.batch))
    updates = min(MORE_EPOCHS * per_epoch, first.best_update)
    if planned.allowed_epochs is not None:
        left = (planned.allowed_epochs - planned.epochs_at(first.stopped_at)) * train.tokens
        updates = min(updates, max(0, int(left / max(given.tokens, 1) * per_epoch)))
    return replace(
        planned,
        n_rows=len(given.data),
        data_tokens=given.tokens,
        updates=updates,
        rate=planned.rate * MORE_RATE,
        warmup=0.0,
    )
