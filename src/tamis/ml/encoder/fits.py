"""Fits of one network to some rows: watched by others that are held out, or to the end of a plan.

All fits of a run begin from the same weights, those of the base model under a new head. It does not know how rows are
held out, nor what for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tamis.data.dataset import Dataset, columns_of
from tamis.ml.curve import Best, Checkpoint, Curve, Outcome, checkpoints_in
from tamis.ml.encoder.base_model import EncoderBase
from tamis.ml.encoder.ensembling import LOGITS, STATIC, Beside
from tamis.ml.encoder.first_token import first_token_alone, reads_first_token
from tamis.ml.encoder.frozen import FrozenLayers
from tamis.ml.encoder.inputs import Encoded
from tamis.ml.encoder.loop import Material, Trainee, Updates, all_logits, set_weights, weights_in
from tamis.ml.encoder.lora import in_full, merged, with_lora
from tamis.ml.encoder.losses import Losses, prior_log_odds
from tamis.ml.encoder.machine import Machine
from tamis.ml.encoder.network import check_padding, checkpoint_layers, freeze, last_linear, load_network, parts_of
from tamis.ml.encoder.options import EncoderOptions
from tamis.ml.encoder.planning import (
    AVERAGED,
    LORA_RANK,
    MANY_ROWS,
    WORTH_BEGINNING_AGAIN,
    Method,
    Reading,
    plan_of,
)
from tamis.ml.encoder.pooling import add_mean_layer
from tamis.ml.encoder.second_head import SecondHead, can_have
from tamis.ml.encoder.watching import Watcher, rows_to_judge
from tamis.ml.holding_out import BEGIN, END, HELD, Place, Watched, second_plan
from tamis.ml.progress import Progress
from tamis.ml.restart import Stage, State
from tamis.ml.schedule import Plan
from tamis.ml.tensors import Tensor
from tamis.ml.trained import Attended, Task

Ints = NDArray[np.int64]

MORE_EPOCHS = 2
"""How many passes a fit to more rows goes on with those that were held out."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows, made ready."""

    data: Dataset
    material: Material

    def select(self, rows: Ints) -> Part:
        """The same for some rows."""
        return Part(self.data.select(rows), self.material.select(rows))

    @property
    def tokens(self) -> int:
        """Tokens of all rows."""
        return int(self.material.encoded.offsets[-1])


class Fits:
    """The network of one run, and its fits one after the other."""

    def __init__(
        self,
        task: Task,
        options: EncoderOptions,
        method: Method,
        reading: Reading,
        attended: Attended,
        beside: Beside | None = None,
    ) -> None:
        """Remember what to learn, how, who attends, and what static models are fitted to the same rows."""
        self._task, self._options, self._method, self._reading = task, options, method, reading
        self._attended, self._beside = attended, beside
        self.machine, self.n_frozen = Machine(options.precision), 0

    def open(self, base: EncoderBase) -> None:
        """Load the base model and put a new head on it."""
        half = self.machine.half if self._method.lora and not self.machine.is_cpu else None
        torch.manual_seed(self._task.chosen.seed % (1 << 63))
        n_labels = sum(len(target.labels) for target in self._task.train.targets)
        model = load_network(
            base.folder, n_labels, self._reading.pad_id, dtype=half or torch.float32, name=base.card.id
        )
        shared = len(parts_of(model).layers) != base.n_layers  # ALBERT goes through one layer many times
        if self._method.pools:
            add_mean_layer(model)
        parts = parts_of(model)
        if self._options.gradient_checkpointing:
            checkpoint_layers(model)
        if self._method.lora:
            model, parts = with_lora(model, parts, self._options.lora_rank or LORA_RANK)
        self.n_frozen = 0 if shared else self._method.n_frozen
        freeze(model, parts, self.n_frozen)
        frozen = FrozenLayers(model, self.n_frozen)
        many = len(self._task.train) >= MANY_ROWS
        second = None
        own = self._method.lora or self._method.pools  # a head that hears all tokens needs no second
        if many and not own and self.n_frozen < len(parts.layers) and can_have(model):
            second = SecondHead(parts, base.card.dimensions, n_labels).to(self.machine.device)
            parts = replace(parts, head=(*parts.head, *second.weights))
        averaged = AVERAGED if many else 0.0
        whole = self._method.lora or second is not None or self.n_frozen >= len(parts.layers)
        self._first_alone = not whole and reads_first_token(model, self._reading.pad_id)
        self._trainee = Trainee(model.to(self.machine.device), parts, self._reading.pad_id, frozen, second, averaged)
        self._set_prior(self._task.train)
        self._first = self._weights()

    def _set_prior(self, data: Dataset) -> None:
        bias = last_linear(self._trainee.model).bias
        if bias is None:
            return
        for name, columns in columns_of(data).items():
            with torch.no_grad():
                bias[columns] = torch.from_numpy(prior_log_odds(data.truth[name])).to(bias)

    def check_padding(self, encoded: Encoded) -> None:
        """Refuse an architecture whose scores depend on what else is in the batch."""
        longest = int(np.argmax(encoded.lengths))
        ids = encoded.ids[encoded.offsets[longest] : encoded.offsets[longest + 1]][:64].tolist()
        if len(ids) > 2:
            with in_full(self._trainee.model):  # half precision alone is off by more than is allowed
                check_padding(self._trainee.model, self._reading.pad_id, ids)

    def remembers(self, *encoded: Encoded) -> bool:
        """Whether the frozen layers are computed once for these inputs, not in every pass."""
        return self.machine.is_cpu and self._trainee.frozen.pays(sum(len(each.ids) for each in encoded))

    def material(self, encoded: Encoded, *, remember: bool) -> Material:
        """Return inputs as the fits take them."""
        if not remember:
            return Material(encoded)
        frozen, pad_id = self._trainee.frozen, self._reading.pad_id
        return Material(encoded, frozen.remember(encoded, pad_id, self.machine, self._attended.check))

    @contextmanager
    def fitting(self, material: Material) -> Iterator[None]:
        """The context in which fits to this material run: nothing is computed that is known, or that nobody reads."""
        with ExitStack() as inside:
            if material.remembered is not None:
                inside.enter_context(self._trainee.frozen.instead())
            if self._first_alone:
                inside.enter_context(first_token_alone(self._trainee.model))
            yield

    def plan(self, part: Part) -> Plan:
        """Return the run for some rows."""
        chosen = self._task.chosen
        return plan_of(len(part.data), part.tokens, chosen, self._options, self._method)

    def watched(self, train: Part, held: Part, place: Place, later: Part | None = None) -> Watched[State]:
        """Fit to some rows until others say stop; what it says of those are the `LOGITS` of all its labels.

        They are not asked before the end of what is usual: many fits are best while the rate is high, are worse for
        a while, and better than ever once it is low (`docs/log.md`). A fit that rehearses the last one, whom nobody
        watches, is not taken as it was before that, either.

        With static models beside it, theirs are there, too (`STATIC`). The network is left as it was when it was best.
        """
        stage = self._attended.stage(place.name)
        set_weights(self._trainee, self._first)
        updates = self._updates(train, self.plan(train), 0)
        ended = stage.recall("ended")
        if ended is None:
            looked = rows_to_judge(held.data, updates.plan)
            seen = held if len(looked) == len(held.data) else held.select(looked)
            watcher = Watcher(seen.data, seen.material, self._task.target_weights, self.machine)
            best = Best(lambda: self._weights().arrays, updates.plan, late=place.rehearses)
            curve = self._run(updates, watcher, stage, place, best)
            outcome = Outcome(updates.plan, best.update, updates.update, curve.rows)
            ended = State(best.state.arrays, outcome.facts())
        else:
            outcome = Outcome.of(updates.plan, ended.facts)
        stage.keep("ended", ended)
        set_weights(self._trainee, ended)
        logits = all_logits(self._trainee, held.material, self.machine, self._attended.check)
        static = {} if self._beside is None else {STATIC: self._beside.said(train.data, held.data)}
        return Watched(ended, outcome, {LOGITS: logits, **static})

    def _run(self, updates: Updates, watcher: Watcher, stage: Stage, place: Place, best: Best) -> Curve:
        last, before = stage.recall("last"), stage.recall("best")
        if last is not None and before is not None:
            updates.restore(last)
            best.restore(before)
        curve = Curve(updates.plan, self._task.chosen.learning_rate, checkpoints_in(last))

        def after(update: int, learnt: Mapping[str, float]) -> bool:
            row = curve.add(update, {**learnt, **watcher(self._trainee, self._attended.check)})
            stop = best.look(update, row["valid_loss"], len(curve.rows))
            told, fold = ({}, row) if place.fold else (row, {})
            share = place.share(update / updates.plan.updates)
            self._attended.listener(Progress(f"fine-tuning{place.told}", share, told, fold=fold))
            return stop

        def running() -> Mapping[str, State]:
            return {"last": updates.state(curve.facts()), "best": best.state}

        updates.run(after, lambda: stage.pulse(running), check=self._attended.check)
        return curve

    def alone(self, given: Part, share: float | None = None) -> tuple[State, list[Checkpoint]]:
        """Fit to all rows from the beginning, with nobody watching; return the own loss.

        Others were best after that `share` of the plan. Where it asks for more than is usual, what is beyond that is
        left out; the rate falls to the end, which others may not have come to (`docs/log.md`).
        """
        plan = self.plan(given)
        if share is None:
            return self._unwatched(given, plan, Place("all", BEGIN, END), self._first)
        plan = replace(plan, updates=min(plan.updates, max(plan.least, round(share * plan.updates))))
        return self._unwatched(given, plan, Place("all", HELD, END, fold=True), self._first)

    def go_on(self, first: Watched[State], train: Part, given: Part) -> State:
        """Go on with all rows; of few rows, begin again with them."""
        outcome = first.outcome
        if len(given.data) < WORTH_BEGINNING_AGAIN:
            return self.alone(given, outcome.best_update / outcome.plan.updates)[0]
        plan = second_plan(outcome, train, given, MORE_EPOCHS)
        if not plan.updates:
            return first.fit
        return self._unwatched(given, plan, Place("all", HELD, END, fold=True), first.fit)[0]

    def _unwatched(self, part: Part, plan: Plan, place: Place, begin: State) -> tuple[State, list[Checkpoint]]:
        """Fit to some rows from these weights on, to the end of the plan; return checkpoints of its own loss."""
        stage = self._attended.stage(place.name)
        set_weights(self._trainee, begin)
        updates = self._updates(part, plan, 1)
        last, ended = stage.recall("last"), stage.recall("ended")
        curve = Curve(plan, self._task.chosen.learning_rate, checkpoints_in(ended or last))

        def after(update: int, learnt: Mapping[str, float]) -> bool:
            row = curve.add(update, learnt)
            told = {} if place.fold else row
            self._attended.listener(Progress("using all rows", place.share(update / plan.updates), told))
            return False

        if ended is None:
            if last is not None:
                updates.restore(last)
            running = partial(self._state_of, updates, curve)
            updates.run(after, lambda: stage.pulse(running), check=self._attended.check)
            ended = State(self._weights().arrays, curve.facts())
        stage.keep("ended", ended)
        return ended, curve.rows

    @staticmethod
    def _state_of(updates: Updates, curve: Curve) -> Mapping[str, State]:
        return {"last": updates.state(curve.facts())}

    def _updates(self, part: Part, plan: Plan, number: int) -> Updates:
        losses = Losses(part.data, self._task.target_weights)
        seed = 2 * self._task.chosen.seed + number
        return Updates(self._trainee, part.material, losses, plan, self.machine, seed)

    def _weights(self) -> State:
        """The present weights."""
        return State({name: np.array(weight) for name, weight in weights_in(self._trainee).items()})

    def logits(self, part: Part, fit: State) -> Tensor:
        """Return (rows, all labels) what a fit says of some rows."""
        set_weights(self._trainee, fit)
        return all_logits(self._trainee, part.material, self.machine, self._attended.check)

    def network(self, weights: State) -> nn.Module:
        """Return the network with these weights, on the CPU and as for use; no fit follows."""
        set_weights(self._trainee, weights)
        if self._trainee.second is not None:
            self._trainee.second.leave()
        model = self._trainee.model.cpu()
        model = merged(model) if self._method.lora else model.float()
        for weight in model.parameters():
            weight.requires_grad_(False)
        return model.eval()
