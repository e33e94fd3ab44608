"""LoRA (Hu et al. 2021): low-rank additions to the weights of the layers are trained, and added up in the end.

What comes out is plain weights: an artifact, an export and a server know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn

from tamis.extras import require
from tamis.ml.encoder.half import widened
from tamis.ml.encoder.network import Parts, quiet

DROPOUT = 0.05
ALPHA = 2
"""An addition counts so many times, whatever its rank."""


def with_lora(model: nn.Module, parts: Parts, rank: int) -> tuple[nn.Module, Parts]:
    """Return the model with additions to all linear maps of its layers, and a head that is trained whole.

    All that is trained is in 32-bit numbers, whatever the model is in: updates are too small for fewer digits.
    """
    peft = require("peft", "encoder")
    heads = sorted({name.split(".", 1)[0] for name in parts.head if not _is_inside(model, name)})
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=ALPHA * rank,
        lora_dropout=DROPOUT,
        target_modules=_linear_names(model, parts),
        modules_to_save=heads,
    )
    with quiet():
        made = peft.get_peft_model(model, config)
    trained = {name: weight for name, weight in made.named_parameters() if weight.requires_grad}
    for weight in trained.values():
        weight.data = weight.data.float()
    for module in made.modules():
        if type(module).__name__ == "ModulesToSaveWrapper":  # peft's, which goes when the additions are added up
            module.register_forward_pre_hook(widened)
    head = tuple(name for name in trained if "modules_to_save" in name)
    return cast("nn.Module", made), Parts((), parts.layers, head)


def merged(model: nn.Module) -> nn.Module:
    """Return the plain model in 32-bit numbers, in which what was added is part of the weights."""
    return cast("nn.Module", cast("Any", model.float()).merge_and_unload())


@contextmanager
def in_full(model: nn.Module) -> Iterator[None]:
    """Compute in 32-bit numbers while inside, whatever the weights are in: those of a module are widened as it runs."""
    handles, halves = [], (torch.float16, torch.bfloat16)
    for module in model.modules():
        own = [(weight, weight.dtype) for weight in module.parameters(recurse=False) if weight.dtype in halves]
        if own:
            handles.append(module.register_forward_pre_hook(lambda *_, own=own: _set_dtypes(own, torch.float32)))
            handles.append(module.register_forward_hook(lambda *_, own=own: _set_dtypes(own)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _set_dtypes(own: list[tuple[nn.Parameter, torch.dtype]], dtype: torch.dtype | None = None) -> None:
    for weight, before in own:
        weight.data = weight.data.to(dtype or before)


def _linear_names(model: nn.Module, parts: Parts) -> list[str]:
    inside = {id(module) for layer in parts.layers for module in layer.modules()}
    return [
        name
        for name, module in model.named_modules()
        if id(module) in inside and (isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D")
    ]


def _is_inside(model: nn.Module, name: str) -> bool:
    """Whether a weight is one of the backbone, which is trained by additions alone."""
    prefix = str(getattr(model, "base_model_prefix", ""))
    return bool(prefix) and name.startswith(f"{prefix}.")
