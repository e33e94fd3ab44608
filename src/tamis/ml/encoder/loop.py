"""The mini-batches that train a network, one after the other: they can be stopped after any, and gone on with.

The random numbers of an update follow from the seed and the update alone, and the order of the rows from the seed and
the pass: where a run stands is its weights, the optimizer's moments, and a number. It does not know which state is
best, nor when to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import nn

from tamis.ml.encoder.averaging import Average
from tamis.ml.encoder.batches import by_length, epoch_order
from tamis.ml.encoder.frozen import FrozenLayers, Remembered
from tamis.ml.encoder.inputs import Encoded
from tamis.ml.encoder.losses import Losses
from tamis.ml.encoder.machine import Machine, watched
from tamis.ml.encoder.network import Parts
from tamis.ml.encoder.second_head import SecondHead
from tamis.ml.progress import Check, nothing
from tamis.ml.restart import State
from tamis.ml.schedule import Plan
from tamis.ml.tensors import Tensor

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

After = Callable[[int, Mapping[str, float]], bool]
"""Called after an evaluation's worth of updates with the update and the figures of the rows since; True stops."""

HEAD_FACTOR = 10.0
"""A new head learns at so many times the rate of the layers."""

LAYER_FACTOR = 0.9
"""A layer learns at so much of the rate of the one above it."""


@dataclass(frozen=True, eq=False)
class Trainee:
    """A network in training: the model, its parts, its padding token, and its frozen layers.

    `second` is a head for training only; the weights are `averaged` over so much of a pass.
    """

    model: nn.Module
    parts: Parts
    pad_id: int
    frozen: FrozenLayers
    second: SecondHead | None = None
    averaged: float = 0.0

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """The weights that are trained, by name."""
        own = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}
        return own if self.second is None else own | self.second.weights

    def learn(self) -> None:
        """Dropout on, but for what is not trained."""
        self.model.train()
        if self.second is not None:
            self.second.train()
        for module in self.still:
            module.eval()

    @cached_property
    def still(self) -> list[nn.Module]:
        """The parts of which nothing is trained."""
        return [
            module
            for module in self.model.modules()
            if (weights := list(module.parameters())) and not any(weight.requires_grad for weight in weights)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Inputs as tokens, and what the frozen layers say of them where that is remembered."""

    encoded: Encoded
    remembered: Remembered | None = None

    def __len__(self) -> int:
        """Inputs."""
        return len(self.encoded)

    def select(self, rows: Ints) -> Material:
        """The same for some inputs."""
        return Material(self.encoded.select(rows), None if self.remembered is None else self.remembered.select(rows))


def logits_of(trainee: Trainee, material: Material, rows: Ints, machine: Machine) -> torch.Tensor:
    """Return (rows, labels) logits of some inputs: the mean over an input's windows."""
    return _logits(trainee, material, rows, machine)[0]


def _logits(trainee: Trainee, material: Material, rows: Ints, machine: Machine) -> list[torch.Tensor]:
    """(rows, labels) of the network's own head and, where gradients are wanted, of a second one that it may have."""
    sequences, of = material.encoded.sequences_of(rows)
    ids, mask = (torch.from_numpy(each) for each in material.encoded.padded(sequences, trainee.pad_id))
    if material.remembered is not None:
        trainee.frozen.recall(material.remembered.padded(sequences, mask))
    ids, mask = ids.to(machine.device), mask.to(machine.device)
    with machine.precision():
        made = [trainee.model(input_ids=ids, attention_mask=mask).logits.float()]
        if trainee.second is not None and torch.is_grad_enabled():
            made.append(trainee.second(mask).float())
    return made if len(sequences) == len(rows) else [_mean_of_windows(logits, of, len(rows)) for logits in made]


def _mean_of_windows(logits: torch.Tensor, of: Ints, n_rows: int) -> torch.Tensor:
    counts = torch.from_numpy(np.bincount(of, minlength=n_rows).astype(np.float32)).to(logits.device)
    summed = torch.zeros((n_rows, logits.shape[1]), device=logits.device)
    summed = summed.index_add(0, torch.from_numpy(of).to(logits.device), logits)
    return summed / counts[:, None]


def _spare(material: Material, machine: Machine) -> int | None:
    """Tokens of padding that are worth a batch; windows are alike in length whatever their inputs have of them."""
    return None if material.encoded.in_windows else machine.spare


def all_logits(trainee: Trainee, material: Material, machine: Machine, check: Check = nothing) -> Floats:
    """Return (inputs, labels) logits of all inputs, without dropout."""
    trainee.model.eval()
    spare = _spare(material, machine)
    batches = by_length(material.encoded.tokens_of_inputs, machine.tokens_at_once, machine.rows_at_once, spare)
    made: torch.Tensor | None = None
    with torch.no_grad(), watched(trainee.parts.layers, check, machine.device):
        for rows in batches[machine.rank :: machine.world]:
            check()
            logits = logits_of(trainee, material, rows, machine)
            if made is None:
                made = torch.zeros((len(material), logits.shape[1]), device=logits.device)
            made[torch.from_numpy(rows).to(logits.device)] = logits
    if made is None:
        n_labels = int(cast("Any", trainee.model).config.num_labels)
        made = torch.zeros((len(material), n_labels), device=machine.device)
    result: Floats = machine.gathered(made).float().cpu().numpy()
    return result


class Updates:
    """The training of one network, in place, by mini-batches of rows."""

    def __init__(
        self,
        trainee: Trainee,
        material: Material,
        losses: Losses,
        plan: Plan,
        machine: Machine,
        seed: int,
    ) -> None:
        """Start before the first update."""
        self.update, self.plan = 0, plan
        self._trainee, self._material, self._losses, self._machine, self._seed = (
            trainee,
            material,
            losses,
            machine,
            seed,
        )
        self._costs, self._spare = material.encoded.tokens_of_inputs, _spare(material, machine)
        self._weights = trainee.trained
        self._groups = _groups(trainee, plan)
        self._optimizer = machine.optimizer(self._groups)
        self._average = Average(self._weights, trainee.averaged * plan.updates_per_epoch)
        self._learnt = losses.learnt()
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    def run(self, after: After, pulse: Check = nothing, check: Check = nothing) -> None:
        """Go on to the end of the plan, or until `after` says stop; `pulse` is called between two updates.

        `after` sees the mean of the weights in their place, and so does whoever comes once it has ended. `check` is
        called many times within an update.
        """
        while self.update < self.plan.updates:
            self._trainee.learn()
            with watched(self._trainee.parts.layers, check, self._machine.device):
                self._step()
            if self.plan.evaluates_at(self.update):
                learnt = self._learnt.take()
                with self._average.instead():
                    stop = self._machine.same(after(self.update, learnt))
                if stop:
                    break
            pulse()
        self._average.settle()

    def _step(self) -> None:
        rows = self._next_rows()
        self.update += 1
        machine, plan = self._machine, self.plan
        torch.manual_seed((self._seed * 1_000_003 + self.update * 1_009 + machine.rank) % (1 << 63))
        mine = rows[machine.rank :: machine.world]
        sums = torch.zeros(1 + 2 * self._losses.n_targets, device=machine.device)
        for places in by_length(self._costs[mine], machine.tokens_at_once, spare=self._spare):
            some = mine[places]
            made = _logits(self._trainee, self._material, some, machine)
            losses = torch.stack([self._losses(logits, some) for logits in made]) / len(rows)
            machine.backward(losses.sum())
            sums[0] += losses[0].detach()
            sums[1:] += self._losses.right(made[0].detach(), some).flatten()
        weights = list(self._weights.values())
        loss, *right = machine.together(weights, sums)
        machine.clip(weights)
        factor = plan.factor(self.update)
        for group, planned in zip(self._optimizer.param_groups, self._groups, strict=True):
            group["lr"] = planned["rate"] * factor
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._average.add()
        self._learnt.add(loss, list(zip(right[::2], right[1::2], strict=True)))

    def _next_rows(self) -> Ints:
        """The rows of the update that comes next."""
        epoch, place = divmod(self.update, self.plan.updates_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, epoch_order(self._costs, self.plan.batch, self._seed, epoch)
        return self._order[place * self.plan.batch : (place + 1) * self.plan.batch]

    def state(self, more: Mapping[str, JsonValue]) -> State:
        """Return where it stands: weights, moments, the update, and `more` facts. Its arrays may be those in use."""
        arrays: dict[str, Tensor] = weights_in(self._trainee) | self._average.arrays()
        steps = 0
        for name, weight in self._weights.items():
            moments = self._optimizer.state.get(weight)
            if moments:
                arrays[f"mean.{name}"] = _array(moments["exp_avg"])
                arrays[f"square.{name}"] = _array(moments["exp_avg_sq"])
                steps = int(moments["step"])
        return State(arrays, {"update": self.update, "steps": steps, **self._learnt.facts(), **more})

    def restore(self, state: State) -> None:
        """Go on from a state that `state` gave."""
        self.update = int(cast("int", state.facts["update"]))
        self._learnt.restore(state.facts)
        set_weights(self._trainee, state)
        self._average.restore(state, self.update)
        steps = float(cast("int", state.facts["steps"]))
        for name, weight in self._weights.items():
            if f"mean.{name}" in state.arrays:
                self._optimizer.state[weight] = {
                    "step": torch.tensor(steps, dtype=torch.float32, device=weight.device),
                    "exp_avg": _tensor(state.arrays[f"mean.{name}"], weight),
                    "exp_avg_sq": _tensor(state.arrays[f"square.{name}"], weight),
                }


def weights_in(trainee: Trainee) -> dict[str, Tensor]:
    """Return the weights that are trained, by name; not copies on a CPU."""
    return {name: _array(weight.detach()) for name, weight in trainee.trained.items()}


def set_weights(trainee: Trainee, state: State) -> None:
    """Set the weights that are trained to those of a state."""
    with torch.no_grad():
        for name, weight in trainee.trained.items():
            weight.copy_(_tensor(state.arrays[name], weight))


def _array(tensor: torch.Tensor) -> Tensor:
    return tensor.float().cpu().numpy()


def _tensor(array: Tensor, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.array(array)).to(like)


def _groups(trainee: Trainee, plan: Plan) -> list[dict[str, Any]]:
    """Weights by rate and decay: a new head learns fast, lower layers slower; biases and norms do not decay."""
    depth = {id(weight): place for place, layer in enumerate(trainee.parts.layers) for weight in layer.parameters()}
    head, top = set(trainee.parts.head), len(trainee.parts.layers) - 1
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in trainee.trained.items():
        place = depth.get(id(weight), -1 if name in trainee.parts.below else top)
        rate = plan.rate * (HEAD_FACTOR if name in head else LAYER_FACTOR ** (top - place))
        groups.setdefault((rate, plan.decay if weight.ndim > 1 else 0.0), []).append(weight)
    return [
        {"params": weights, "lr": rate, "rate": rate, "weight_decay": decay}
        for (rate, decay), weights in groups.items()
    ]
