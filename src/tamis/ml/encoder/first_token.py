"""The last layer for the first token alone, where the head reads no other: in training a sixth of a small network less.

Keys and values are those of all tokens; queries, and what follows them, are computed for one. The logits are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from tamis.ml.encoder.network import parts_of

ALIKE = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "electra"})
"""Architectures whose layers are made of the same parts, and whose heads read the first token."""

NEAR = 1e-4
"""How far a logit may be off the whole layer's, by the size of the largest."""

TRIED = ((2, 3), (1, 9), (2, 2))
"""Texts and tokens on which that is looked at."""


def reads_first_token(model: nn.Module, pad_id: int) -> bool:
    """Return whether a network's logits are the same with its last layer computed for the first token alone."""
    config = cast("Any", model).config
    layers = parts_of(model).layers
    if config.model_type not in ALIKE or getattr(config, "is_decoder", False) or not layers:
        return False
    device = next(model.parameters()).device
    random, training = torch.Generator().manual_seed(0), model.training
    model.eval()
    try:
        for shape in TRIED:
            ids = torch.randint(0, int(config.vocab_size), shape, generator=random)
            mask = torch.ones_like(ids)
            mask[1:, shape[1] // 2 + 1 :] = 0
            ids = torch.where(mask.bool(), ids, pad_id)
            given = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
            with torch.no_grad():
                wanted = model(**given).logits.float()
                with first_token_alone(model):
                    found = model(**given).logits.float()
            if not (found - wanted).abs().max() <= NEAR * wanted.abs().max().clamp(min=1.0):  # NaN is not either
                return False
    except (AttributeError, IndexError, TypeError, ValueError, RuntimeError):  # parts of other names, shapes or wants
        return False
    finally:
        model.train(training)
    return True


@contextmanager
def first_token_alone(model: nn.Module) -> Iterator[None]:
    """Compute the last layer for the first token alone, while inside."""
    layer = cast("Any", parts_of(model).layers[-1])

    def forward(hidden: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: object, **__: object) -> Any:  # noqa: ANN401
        return _forward(layer, hidden, attention_mask)

    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward


def _forward(layer: Any, hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:  # noqa: ANN401
    """(texts, 1, width) of (texts, tokens, width); the mask is (texts, 1, 1 or tokens, tokens)."""
    attention, first = layer.attention.self, hidden[:, :1]
    dropout = attention.dropout.p  # also where it is not applied: a layer without it is noticed before training
    query, key, value = (
        linear(given).unflatten(2, (-1, attention.attention_head_size)).transpose(1, 2)
        for linear, given in ((attention.query, first), (attention.key, hidden), (attention.value, hidden))
    )
    heard = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=None if mask is None else mask[:, :, :1],
        dropout_p=dropout if attention.training else 0.0,
        scale=attention.scaling,
    )
    said = layer.attention.output(heard.transpose(1, 2).flatten(2), first)
    return cast("torch.Tensor", layer.feed_forward_chunk(said))
