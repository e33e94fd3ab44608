"""What a network is trained on: a CPU, a GPU in half precision, several processes of one node; accelerate underneath.

Gradients of several processes are added up by hand, once an update: no process waits for another before, and whatever
network it is needs no wrapper. It does not know networks nor data.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

import torch
from torch import nn

from tamis.errors import InvalidSetting
from tamis.extras import require
from tamis.ml.progress import Check

CLIP = 1.0
"""Gradients are not longer than this."""

TOKENS_AT_ONCE = {"cpu": 4_096, "cuda": 32_768}
"""Tokens of a forward pass, padding included; on a GPU what its memory bounds is found as it goes."""

ROWS_ON_CPU = 16
"""Rows that are judged at once on a CPU, where few are as quick a row as many and are filled up less."""

SPARE_ON_CPU = 512
"""Tokens of padding on a CPU that take longer than a further pass through the network (`docs/log.md`)."""


class Machine:
    """A device, or several processes with one each."""

    def __init__(self, precision: str = "auto") -> None:
        """Find the device; `precision` as in `EncoderOptions`.

        Raises:
            InvalidSetting: the device cannot compute in this precision.
        """
        accelerate = require("accelerate", "encoder")
        mixed = _mixed(precision)
        state = require("accelerate.state", "encoder").AcceleratorState
        if state._shared_state and state().mixed_precision != mixed:
            state._reset_state()  # an earlier run of this process had another precision
        self._accelerator: Any = accelerate.Accelerator(mixed_precision=mixed, cpu=not torch.cuda.is_available())
        self.device: torch.device = self._accelerator.device
        self.rank, self.world = int(self._accelerator.process_index), int(self._accelerator.num_processes)
        self.half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(mixed)
        self.tokens_at_once = TOKENS_AT_ONCE.get(self.device.type, TOKENS_AT_ONCE["cpu"])
        self.rows_at_once = ROWS_ON_CPU if self.is_cpu else None
        self.spare = SPARE_ON_CPU if self.is_cpu else None

    @property
    def is_cpu(self) -> bool:
        """Whether it computes on a CPU, where the same bytes come out every time."""
        return self.device.type == "cpu"

    def precision(self) -> AbstractContextManager[None]:
        """Return a context in which networks compute in half precision where that is chosen."""
        return cast("AbstractContextManager[None]", self._accelerator.autocast())

    def optimizer(self, groups: list[dict[str, Any]]) -> Any:  # noqa: ANN401  accelerate's wrapper of torch's
        """Return AdamW over groups of weights, computed in one go."""
        made = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, fused=True)
        return self._accelerator.prepare_optimizer(made)

    def backward(self, loss: torch.Tensor) -> None:
        """Compute gradients, scaled where half precision needs it."""
        self._accelerator.backward(loss)

    def together(self, weights: Sequence[nn.Parameter], sums: torch.Tensor) -> list[float]:
        """Add up gradients and other `sums` (n,) over all processes; return these."""
        if self.world == 1:
            return cast("list[float]", sums.tolist())
        grads = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        bucket = torch.cat([*(grad.float().reshape(-1) for grad in grads), sums])
        bucket = self._accelerator.reduce(bucket, reduction="sum")
        at = 0
        for weight in weights:
            weight.grad = bucket[at : at + weight.numel()].view_as(weight).to(weight.dtype, copy=True)
            at += weight.numel()
        return cast("list[float]", bucket[at:].tolist())

    def clip(self, weights: Sequence[nn.Parameter]) -> None:
        """Shorten the gradients that are too long."""
        self._accelerator.clip_grad_norm_(weights, CLIP)

    def gathered(self, values: torch.Tensor) -> torch.Tensor:
        """Return (n, …) values of all processes added up: each has those of its own rows, and zeros elsewhere."""
        return values if self.world == 1 else cast("torch.Tensor", self._accelerator.reduce(values, reduction="sum"))

    def same(self, stop: bool) -> bool:
        """Return what the first process says."""
        if self.world == 1:
            return stop
        told = torch.tensor([float(stop and self.rank == 0)], device=self.device)
        return bool(self._accelerator.reduce(told, reduction="sum")[0] > 0)

    def wait(self) -> None:
        """Wait for the other processes."""
        self._accelerator.wait_for_everyone()


def _mixed(precision: str) -> str:
    """The name that accelerate has for it."""
    gpu = torch.cuda.is_available()
    if precision in ("bf16", "fp16") and not gpu:
        raise InvalidSetting(
            f"precision = {precision!r} needs a GPU; a CPU computes in float32. Leave it out.", setting="precision"
        )
    if precision == "auto" and gpu:
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return precision if precision in ("bf16", "fp16") else "no"


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Compute in a way that gives the same bytes again, and leave torch's random numbers as they were."""
    deterministic, warn = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    settings: Any = torch.utils.deterministic
    fill = settings.fill_uninitialized_memory
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.use_deterministic_algorithms(device.type == "cpu", warn_only=True)
        settings.fill_uninitialized_memory = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn)
            settings.fill_uninitialized_memory = fill


@contextmanager
def watched(layers: Sequence[nn.Module], check: Check, device: torch.device) -> Iterator[None]:
    """Call `check` at every layer, forward and (on a CPU) backward: a batch of long texts may take many seconds."""

    def backward(gradient: torch.Tensor) -> None:
        check()

    def forward(_: nn.Module, __: object, output: object) -> None:
        check()
        hidden = output[0] if isinstance(output, tuple) else output
        if device.type == "cpu" and isinstance(hidden, torch.Tensor) and hidden.requires_grad:
            hidden.register_hook(backward)  # type: ignore[no-untyped-call]

    handles = [layer.register_forward_hook(forward) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def launched() -> bool:
    """Whether torchrun or `accelerate launch` started several processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
