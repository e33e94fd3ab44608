"""A network for serving on a GPU: its layers in half precision, what follows them in 32-bit numbers.

Scores come from the few numbers that follow the last layer: to compute these in full costs nothing, and most of what
rounding moves is moved there. It does not know files nor labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tamis.ml.encoder.network import parts_of

Asked = Sequence[tuple[torch.Tensor, torch.Tensor]]
"""Ids and mask of some batches."""


def halves_of(device: torch.device) -> tuple[torch.dtype, ...]:
    """Return what a device computes fast in, the exact one first: 16-bit floats have 11 bits, bfloat16 has 8."""
    if device.type != "cuda":
        return ()
    return (torch.float16, torch.bfloat16) if torch.cuda.is_bf16_supported() else (torch.float16,)


def narrow(network: nn.Module, device: torch.device, halves: Sequence[torch.dtype], asked: Asked) -> torch.dtype:
    """Move a network to a device, in the first of `halves` that holds all its numbers; return which, or float32.

    Args:
        network: on the CPU, in 32-bit numbers.
        device: where to.
        halves: to try, in this order.
        asked: what it is given to see whether its numbers fit, on the CPU.
    """
    weights = dict(network.named_parameters())
    before = {name: weight.data for name, weight in weights.items()}
    asked = [(ids.to(device), mask.to(device)) for ids, mask in asked]
    for dtype in (*halves, torch.float32):
        for name, weight in weights.items():
            weight.data = before[name].to(device, dtype)
        network.to(device)  # all that is no weight
        if dtype == torch.float32:
            break
        top = _after_layers(network, *asked[0])
        for name, weight in weights.items():
            if any(weight is each for module in top for each in module.parameters(recurse=False)):
                weight.data = before[name].to(device)
        handles = [module.register_forward_pre_hook(widened) for module in top]
        if _fits(network, asked, dtype):
            break
        for handle in handles:
            handle.remove()
    return dtype


def widened(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Before a module: what it is given, in 32-bit numbers."""
    is_number = [isinstance(each, torch.Tensor) and each.is_floating_point() for each in given]
    return tuple(each.float() if number else each for each, number in zip(given, is_number, strict=True))


def _after_layers(network: nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> list[nn.Module]:
    """The modules with weights that run once all layers have, and not before."""
    earlier: set[nn.Module] = set()
    later: list[nn.Module] = []

    def ended(*_: object) -> None:
        earlier.update(later)
        later.clear()

    handles = [layer.register_forward_hook(ended) for layer in parts_of(network).layers]
    handles += [
        module.register_forward_pre_hook(lambda module, _: later.append(module)) for module in _with_weights(network)
    ]
    _run(network, ids, mask, handles)
    return [module for module in later if module not in earlier]


def _fits(network: nn.Module, asked: Asked, dtype: torch.dtype) -> bool:
    """Whether all weights, and what all parts say of what is asked, are within half of the range."""
    most = torch.finfo(dtype).max / 2
    if not all(bool(weight.isfinite().all()) for weight in network.parameters()):
        return False
    inside: list[bool] = []

    def look(_: nn.Module, __: object, said: object) -> None:
        first = said[0] if isinstance(said, tuple) else said
        if isinstance(first, torch.Tensor):
            inside.append(bool(first.abs().max() <= most))  # NaN is not

    for ids, mask in asked:
        parts = {*_with_weights(network), *parts_of(network).layers}
        _run(network, ids, mask, [module.register_forward_hook(look) for module in parts])
    return all(inside)


def _with_weights(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if next(module.parameters(recurse=False), None) is not None]


def _run(network: nn.Module, ids: torch.Tensor, mask: torch.Tensor, handles: Sequence[Any]) -> None:
    try:
        with torch.inference_mode():
            network(input_ids=ids, attention_mask=mask)
    finally:
        for handle in handles:
            handle.remove()
