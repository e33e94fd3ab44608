"""LoRA (Hu et al. 2021): low-rank additions to the weights of the layers are trained, and added up in the end.

What comes out is plain weights: an artifact, an export and a server know nothing of it.
"""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from tamis.extras import require
from tamis.ml.encoder.network import Parts, quiet

DROPOUT = 0.05
ALPHA = 2
"""An addition counts so many times, whatever its rank."""


def with_lora(model: nn.Module, parts: Parts, rank: int) -> tuple[nn.Module, Parts]:
    """Return the model with additions to all linear maps of its layers, and a head that is trained whole."""
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
    trained = [name for name, weight in made.named_parameters() if weight.requires_grad]
    head = tuple(name for name in trained if "modules_to_save" in name)
    return cast("nn.Module", made), Parts((), parts.layers, head)


def merged(model: nn.Module) -> nn.Module:
    """Return the plain model: what was added is part of the weights."""
    return cast("nn.Module", cast("Any", model).merge_and_unload())


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
