"""The network of an encoder: transformers' own classifier of an architecture, and which of its weights are trained.

Weights come from safetensors, code only from the installed transformers. A target is a slice of the classifier's
columns. It does not know data, nor how training goes.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tamis.errors import DamagedArtifact, InvalidSetting, UnknownBaseModel, first_line
from tamis.extras import require
from tamis.ml.encoder.base_model import CONFIG, config_of, refuse_adapter, shapes_of
from tamis.ml.encoder.bounds import IGNORED
from tamis.ml.untrusted import damaged

Floats = NDArray[np.float32]

HEAD_NAMES = ("classifier", "score", "classification_head", "head", "pre_classifier", "pooler", "sequence_summary")
MOST_NEW = 2
"""So many times the numbers in the files a network may have: a head that is new, or a pooler that was left out."""

FLOAT_BYTES = 4
BUFFERS = 1 << 26
"""Bytes of masks and the like that any network may have beside its weights; more only where the weights have more."""

PADDED_ALIKE = 1e-3
"""How far a logit of one text may be off beside a longer one: what is more is no matter of rounding."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from printing what is of no concern to who trains: that the head is new, and the like."""
    logger = logging.getLogger("transformers")
    level, hub = logger.level, require("transformers.utils.logging", "encoder")
    bar = hub.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    hub.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        if bar:
            hub.enable_progress_bar()


def load_network(
    folder: Path, n_labels: int, pad_id: int, *, dtype: torch.dtype = torch.float32, name: str = ""
) -> nn.Module:
    """Return the base model in a folder with a new head of so many columns, made from torch's present random numbers.

    Raises:
        UnknownBaseModel: transformers has no classifier of this architecture, or the folder holds an adapter.
        DamagedArtifact: the weights do not fit the configuration, or cannot be read.
    """
    transformers = require("transformers", "encoder")
    name = name or folder.name
    refuse_adapter(folder, name)
    told = {key: value for key, value in config_of(folder).items() if key not in IGNORED}
    kind = told.pop("model_type", None)
    if kind not in transformers.CONFIG_MAPPING:
        raise UnknownBaseModel(_needs_code(name), name=name)
    try:
        with quiet():
            config = transformers.CONFIG_MAPPING[kind].from_dict(told)  # of what was looked at, and of nothing else
            config._attn_implementation = None  # what a stranger names here may be a program on the hub
            _set_labels(config, n_labels, pad_id)
            auto = transformers.AutoModelForSequenceClassification
            if type(config) not in auto._model_mapping:
                raise UnknownBaseModel(_no_classifier(name, config), name=name)
            refuse_unlike(folder, auto.from_config, config)
            model, found = auto.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=dtype,
                ignore_mismatched_sizes=True,  # of a head with other labels; what else does not fit is refused below
                output_loading_info=True,
            )
    except (UnknownBaseModel, DamagedArtifact):
        raise
    except Exception as error:  # whatever transformers raises of a folder that it cannot make sense of
        if "trust_remote_code" in str(error) or "does not recognize this architecture" in str(error):
            raise UnknownBaseModel(_needs_code(name), name=name) from error
        raise _unreadable(folder, error) from error
    _refuse_gaps(folder, cast("nn.Module", model), found)
    return cast("nn.Module", model)


def refuse_unlike(folder: Path, made: Callable[[Any], nn.Module], config: Any) -> None:  # noqa: ANN401
    """Refuse a configuration of other shapes than the weights have, or of many more: before any memory is taken.

    Args:
        folder: of the files.
        made: makes a network of a configuration.
        config: transformers' own.

    Raises:
        DamagedArtifact: it is one.
    """
    with torch.device("meta"):  # shapes without numbers
        planned = made(config)
    shapes, prefix = shapes_of(folder), f"{getattr(planned, 'base_model_prefix', '')}."
    asked = 0
    for name, weight in planned.named_parameters():
        found = shapes.get(name, shapes.get(name.removeprefix(prefix)))
        is_new = bool(set(name.split(".")) & set(HEAD_NAMES))
        asked += 0 if is_new and weight.shape[0] == config.num_labels else weight.numel()
        if found is not None and found != tuple(weight.shape) and not is_new:
            told = f"{_times(weight.shape)} by this configuration, and {_times(found)} in the weights"
            raise damaged(folder / CONFIG, f"{name} is {told}")
    there = sum(map(math.prod, shapes.values()))
    if asked > MOST_NEW * there:
        raise damaged(folder / CONFIG, f"it asks for {asked:,} weights, and the files have {there:,}")
    beside = sum(buffer.numel() * buffer.element_size() for buffer in planned.buffers())
    if beside > max(BUFFERS, there * FLOAT_BYTES):
        told = f"it asks for {beside:,} bytes beside the weights (masks of so many positions, for example)"
        raise damaged(folder / CONFIG, f"{told}, and {max(BUFFERS, there * FLOAT_BYTES):,} is the most for this model")


def _times(shape: Iterable[int]) -> str:
    return " x ".join(f"{length:,}" for length in shape)


def _refuse_gaps(folder: Path, model: nn.Module, found: Mapping[str, Iterable[Any]]) -> None:
    """Refuse a file without weights of the layers, or with others than the configuration says: a new head is new."""
    unlike = [each[0] if isinstance(each, tuple | list) else each for each in found.get("mismatched_keys", ())]
    backbone = f"{getattr(model, 'base_model_prefix', '')}."
    absent = [
        str(name)
        for name in (*unlike, *found.get("missing_keys", ()))
        if str(name).startswith(backbone) and not set(str(name).split(".")) & set(HEAD_NAMES)
    ]
    if absent:
        raise damaged(
            folder, f"its weights do not fit its configuration ({len(absent):,} of them, {min(absent)} first)"
        )


def _set_labels(config: Any, n_labels: int, pad_id: int) -> None:  # noqa: ANN401  a third party's object
    config.num_labels = n_labels
    config.problem_type = None
    config.pad_token_id = pad_id
    inner = config.get_text_config()
    inner.pad_token_id = pad_id
    if getattr(config, "use_cache", None):
        config.use_cache = False


def _no_classifier(name: str, config: Any) -> str:  # noqa: ANN401
    return (
        f"The base model {name!r} is of the architecture {config.model_type!r}, for which transformers has no text "
        "classifier. Choose another one, such as distilbert/distilbert-base-uncased or answerdotai/ModernBERT-base."
    )


def _needs_code(name: str) -> str:
    return (
        f"The base model {name!r} is of an architecture that the installed transformers does not know. It may bring "
        "code of its own, which is never run here, or need a newer transformers: pip install -U transformers."
    )


def _unreadable(folder: Path, error: Exception) -> DamagedArtifact:
    return damaged(folder, f"transformers cannot read it ({first_line(error)})")


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A network taken apart: what lies below the layers, the layers from below, and the names of the head's weights."""

    below: tuple[str, ...]
    layers: tuple[nn.Module, ...]
    head: tuple[str, ...]


def parts_of(model: nn.Module) -> Parts:
    """Find the layers (the longest list of modules in the backbone), and what is below and above them."""
    backbone: nn.Module = getattr(model, "base_model", model)
    lists = [module for module in backbone.modules() if isinstance(module, nn.ModuleList)]
    layers = max(lists, key=len, default=nn.ModuleList())
    inside = {id(parameter) for parameter in layers.parameters()}
    of_backbone = {id(parameter) for parameter in backbone.parameters()}
    order = [(name, parameter) for name, parameter in model.named_parameters()]
    first = next((place for place, (_, parameter) in enumerate(order) if id(parameter) in inside), 0)
    below = tuple(name for name, parameter in order[:first] if id(parameter) in of_backbone)
    head = tuple(
        name
        for name, parameter in order
        if id(parameter) not in of_backbone or any(part in HEAD_NAMES for part in name.split("."))
    )
    return Parts(below, tuple(layers), tuple(name for name in head if name not in below))


def freeze(model: nn.Module, parts: Parts, n_layers: int) -> None:
    """Let the lowest layers, and what is below them, stay as they are; 0 lets nothing."""
    if not n_layers:
        return
    low = {id(parameter) for layer in parts.layers[:n_layers] for parameter in layer.parameters()}
    below = set(parts.below)
    for name, parameter in model.named_parameters():
        if name in below or id(parameter) in low:
            parameter.requires_grad_(False)


def last_linear(model: nn.Module) -> nn.Linear:
    """Return the layer whose rows are the labels."""
    n_labels = int(cast("Any", model).config.num_labels)
    found = [module for module in model.modules() if isinstance(module, nn.Linear) and module.out_features == n_labels]
    return found[-1]


def check_padding(model: nn.Module, pad_id: int, ids: Sequence[int]) -> None:
    """Make sure that a text's logits are the same alone and beside a longer text.

    Raises:
        UnknownBaseModel: they are not: the architecture pads in another way, and its scores would depend on the batch;
            or it cannot be run on texts alone.
    """
    short = list(ids)[: max(1, len(ids) // 2)]
    both = torch.full((2, len(ids)), pad_id)
    both[0, : len(short)], both[1] = torch.tensor(short), torch.tensor(list(ids))
    mask = torch.ones_like(both)
    mask[0, len(short) :] = 0
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    kind = str(cast("Any", model).config.model_type)
    try:
        with torch.no_grad():
            alone = model(input_ids=both[:1, : len(short)].to(device), attention_mask=mask[:1, : len(short)].to(device))
            beside = model(input_ids=both.to(device), attention_mask=mask.to(device))
    except Exception as error:  # whatever an architecture raises that wants more than ids and a mask
        raise UnknownBaseModel(
            f"The classifier of {kind!r} cannot be run on texts ({first_line(error)}). Choose a base model of another "
            "architecture.",
            name=kind,
        ) from error
    model.train(training)
    off = float((alone.logits[0] - beside.logits[0]).abs().max())
    if not off <= PADDED_ALIKE * max(1.0, float(alone.logits.abs().max())):
        raise UnknownBaseModel(
            f"The classifier of {kind!r} gives other scores to a text beside a longer "
            "one: it cannot be used here. Choose a base model of another architecture.",
            name=kind,
        )


def checkpoint_layers(model: nn.Module) -> None:
    """Compute activations again in the backward pass instead of keeping them."""
    wise = cast("Any", model)
    if not getattr(wise, "supports_gradient_checkpointing", False):
        raise InvalidSetting(
            f"transformers has no gradient checkpointing for {wise.config.model_type!r}: leave it out.",
            setting="gradient_checkpointing",
        )
    newer = getattr(wise, "activation_checkpointing_enable", None)
    if newer is not None:
        newer()
    else:
        wise.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
