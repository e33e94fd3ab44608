"""Trains an encoder: reads texts, loads the network, and has it fitted.

How rows are held out and all are used in the end is for `tamis.ml.holding_out`, how a fit goes for `fits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from torch import nn

from tamis.data.dataset import Dataset, columns_of
from tamis.data.thinning import evenly
from tamis.ml.curve import Checkpoint
from tamis.ml.curve import repeatable as repeatable_rows
from tamis.ml.encoder.base_model import EncoderBase
from tamis.ml.encoder.ensemble import Partner, added
from tamis.ml.encoder.ensembling import (
    ENOUGH_ROWS,
    LOGITS,
    STATIC,
    USUAL_SHARE,
    Beside,
    Gain,
    figure_of,
    gains_of,
    told_gains,
)
from tamis.ml.encoder.fits import Fits, Part
from tamis.ml.encoder.inputs import Encoded, Encoding, tokens_read
from tamis.ml.encoder.machine import repeatable
from tamis.ml.encoder.options import encoder_options
from tamis.ml.encoder.planning import Method, Reading, ignored, method_of, reading_of
from tamis.ml.encoder.rows_held import folds_of, held_share
from tamis.ml.holding_out import NOTHING_TO_VALIDATE, Held, HoldingOut, Run, Ways, that_counts
from tamis.ml.progress import Progress
from tamis.ml.restart import State
from tamis.ml.static.scorer import StaticScorer
from tamis.ml.trained import Attended, HeldOut, Task

MOST_LOOKED_AT, WORSE = 500, 0.1
"""Rows by which the last fit is doubted, and how much less often it may be right than the earlier ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What a run comes to, before it is calibrated or exported.

    Attributes:
        network: transformers' classifier with its weights, on the CPU.
        reading: how inputs become tokens.
        held: rows that the fit did not see, with the network's logits, all targets side by side, and those of static
            models of the same rows; None for too few.
        checkpoints: the curve.
        remarks: for the report.
        facts: for the manifest.
        static: the static model that answers together with the network, and what is stored of it; None for none.
    """

    network: nn.Module
    reading: Reading
    held: Held | None
    checkpoints: tuple[Checkpoint, ...]
    remarks: tuple[str, ...]
    facts: Mapping[str, object] = field(default_factory=dict)
    static: tuple[StaticScorer, Partner] | None = None


class EncoderTrainer:
    """One training run."""

    def __init__(self, base: EncoderBase, task: Task, attended: Attended) -> None:
        """Remember what to learn, and who attends."""
        self._base, self._task, self._attended = base, task, attended
        self._options = encoder_options(task.chosen.encoder)
        self._reading: Reading = reading_of(base, task.chosen, self._options)
        self._method: Method = method_of(base, self._options, task.train)
        wanted = len(task.train) >= ENOUGH_ROWS if self._options.ensemble is None else self._options.ensemble
        self._beside = Beside(task, attended) if wanted else None
        self._fits = Fits(task, self._options, self._method, self._reading, attended, self._beside)
        self._remarks: list[str] = []

    def train(self) -> Finished:
        """Train, and leave torch as it was."""
        with repeatable(self._fits.machine.device):
            return self._train()

    def _train(self) -> Finished:
        self._tell("reading texts", 0.0)
        data, validation = self._task.train, that_counts(self._task.validation, self._attended)
        if validation is not self._task.validation:
            self._remarks.append(NOTHING_TO_VALIDATE)
        encoding = self._reading.encoding(self._base.tokenizer_json)
        encoded = self._encoded(encoding, data)
        watched = None if validation is None else self._encoded(encoding, validation)
        self._tell("loading the base model", 0.02)
        self._fits.open(self._base)
        for told in ignored(self._base, self._options, self._method, self._fits.n_frozen):
            self._remark(told)
        facts = self._told_inputs(encoded)
        self._fits.check_padding(encoded)
        remember = self._fits.remembers(encoded, *([watched] if watched else []))
        given = Part(data, self._fits.material(encoded, remember=remember))
        part = None
        if validation is not None and watched is not None:
            part = Part(validation, self._fits.material(watched, remember=remember))
        ways = Ways(folds_of(len(data)), held_share(len(data)))
        holding = HoldingOut(self._fits, ways, self._task.chosen.seed, self._attended)
        with self._fits.fitting(given.material):
            run = holding.run(given, part)
            self._doubt(given, run)
        facts |= {"held_out": run.held.rows} if run.held else {}
        static = self._static(run.held)
        checkpoints, remarks = tuple(repeatable_rows(run.checkpoints)), (*holding.remarks, *self._remarks)
        return Finished(self._fits.network(run.fit), self._reading, run.held, checkpoints, remarks, facts, static)

    def _doubt(self, given: Part, run: Run[State]) -> None:
        """Remark on a last fit that knows less of rows that it learnt than earlier ones of rows that they did not."""
        held = run.held
        if held is None:
            return
        rows = evenly(len(given.data), MOST_LOOKED_AT)
        looked = given.select(rows)
        said = self._fits.logits(looked, run.fit)
        for name, columns in columns_of(given.data).items():
            others = held.of(name)
            theirs = figure_of(others.said[LOGITS][:, columns], others.data.truth[name])
            mine = figure_of(said[:, columns], looked.data.truth[name])
            if mine is not None and theirs is not None and mine < theirs - WORSE:
                self._remarks.append(
                    f"The last fit is right on {mine:.1%} of the rows that it learnt (target {name}), earlier ones on "
                    f"{theirs:.1%} of rows that they did not see: it went wrong, and what was measured is not about "
                    "it. Train again with more epochs, a lower learning rate or another seed before you use this model."
                )

    def _static(self, held: Held | None) -> tuple[StaticScorer, Partner] | None:
        """Return the static model that answers together with the network, where a target gains by it."""
        if self._beside is None:
            return None
        data, forced = self._task.train, bool(self._options.ensemble)
        usual = Gain(USUAL_SHARE if forced else 0.0)
        gains = {target.name: usual for target in data.targets} if held is None else gains_of(held, forced=forced)
        shares = {name: gain.share for name, gain in gains.items()}
        if not any(shares.values()):
            return None
        self._remarks += [] if held is None else told_gains(gains)
        return self._beside.partner(data, shares)

    def _encoded(self, encoding: Encoding, data: Dataset) -> Encoded:
        return encoding.encode(data.inputs, self._attended.check)

    def _told_inputs(self, encoded: Encoded) -> dict[str, object]:
        """Remark on inputs that were cut and chats that the template refused, and return what the manifest keeps."""
        n, reading = len(encoded), self._reading
        if (self._task.chosen.seq_len or 0) > reading.max_length:
            self._remark(
                f"seq_len = {self._task.chosen.seq_len:,} is more than the {reading.max_length:,} tokens that the base "
                f"model can read at once: {reading.max_length:,} are read. Leave it out"
                + (", or read long texts in windows (long_texts=windows)." if reading.windows == 1 else ".")
            )
        if encoded.n_cut:
            about = "" if reading.windows == 1 else "about "
            where = "seq_len" if self._task.chosen.seq_len == reading.max_length else "what the model is given at once"
            cures = [f"choose a larger seq_len, up to {self._base.longest:,}"] * (
                reading.max_length < self._base.longest
            )
            cures += ["read long texts in windows (long_texts=windows)"] * (reading.windows == 1)
            cure = ", or ".join(cures)
            self._remark(
                f"{encoded.n_cut:,} of {n:,} training inputs ({encoded.n_cut / n:.1%}) were longer than "
                f"{about}{tokens_read(reading.max_length, reading.windows):,} tokens "
                f"({where}), and were cut." + (f" {cure[0].upper()}{cure[1:]}." if cure else "")
            )
        if encoded.n_lines:
            self._remark(
                f"The base model's chat template refused {encoded.n_lines:,} of the training chats (some templates "
                "want user and assistant to take turns): these are read as lines that name the role."
            )
        return {
            "tokens": int(encoded.offsets[-1]),
            "cut_share": encoded.n_cut / max(n, 1),
            "frozen_layers": self._fits.n_frozen,
            "lora": self._method.lora,
            "pooling": "mean" if self._method.pools else "first" if self._base.can_pool else None,
            "device": self._fits.machine.device.type,
            "precision": str(self._fits.machine.half or "float32").removeprefix("torch."),
            "processes": self._fits.machine.world,
        }

    def _remark(self, told: str) -> None:
        """Say at once what will stand in the report: it is known before anything is learnt."""
        self._remarks.append(told)
        self._attended.listener(Progress("loading the base model", 0.02, remark=told))

    def _tell(self, stage: str, share: float) -> None:
        self._attended.check()
        self._attended.listener(Progress(stage, share))


def held_out(held: Held, shares: Mapping[str, float] | None = None) -> HeldOut:
    """Return held-out rows by target; `shares` of the static logits are added to the network's."""
    of = {name: held.of(name) for name in held.data.truth}
    columns = columns_of(held.data)
    alone = {name: np.ascontiguousarray(each.said[LOGITS][:, columns[name]]) for name, each in of.items()}
    logits = alone
    if shares:
        logits = {
            name: added(alone[name], each.said[STATIC][:, columns[name]], shares[name]) for name, each in of.items()
        }
    truth = {name: each.data.truth[name] for name, each in of.items()}
    weights = {name: each.data.weights for name, each in of.items()}
    made = HeldOut(held.told(), max(map(len, truth.values())), logits, truth, weights)
    return replace(made, alone=alone) if shares else made
