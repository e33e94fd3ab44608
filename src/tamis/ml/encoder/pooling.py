"""Pooling by one more layer: for base models that were trained to be averaged over the tokens of a text.

Classifiers of BERT and its kin read the first token, of which the training of such a base model knew nothing: what it
knows of a text is the mean of what its last layer says of all tokens. A layer is put on top whose first token says just
that: queries and keys are zero, so that it hears all tokens alike, values are handed on as they are, and louder than
what the token said before. The network stays one of its architecture, with a layer more, for every other program.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import nn

LOUD = 10.0
"""The mean, by the size of the token's own words; tokens' vectors are about as large as each other, means smaller."""

HANDED_ON = 0.5
"""Of what the layer says, in what stands before the labels (a dense layer and tanh, in BERT of another training): its
numbers are about one, where tanh still tells them apart."""

SPREAD = 0.02
"""Standard deviation of weights that say nothing yet, as transformers has it."""


def add_mean_layer(model: nn.Module) -> None:
    """Put the layer on top of a network of `base_model.POOLED`."""
    wise = cast("Any", model)
    layers = cast("nn.ModuleList", wise.base_model.encoder.layer)
    layer: Any = copy.deepcopy(layers[-1])
    with torch.no_grad():
        for each in (layer.attention.self.query, layer.attention.self.key, layer.output.dense):
            _is(each, 0.0)
        for each, size in ((layer.attention.self.value, 1.0), (layer.attention.output.dense, LOUD)):
            _is(each, size)
        layer.intermediate.dense.weight.normal_(0.0, SPREAD)
        layer.intermediate.dense.bias.zero_()
        for norm in (layer.attention.output.LayerNorm, layer.output.LayerNorm):
            norm.weight.fill_(1.0)
            norm.bias.zero_()
    for module in layer.modules():
        if hasattr(module, "layer_idx"):
            module.layer_idx = len(layers)
    dense = _before_labels(model)
    if dense is not None:
        with torch.no_grad():
            _is(dense, HANDED_ON)
    layers.append(layer)
    wise.config.num_hidden_layers = len(layers)


def _before_labels(model: nn.Module) -> nn.Linear | None:
    """BERT's pooler, RoBERTa's dense layer; None where tanh does not follow."""
    wise = cast("Any", model)
    pooler = getattr(wise.base_model, "pooler", None)
    if pooler is not None:
        return cast("nn.Linear", pooler.dense)
    return None if wise.config.model_type == "electra" else cast("nn.Linear", wise.classifier.dense)


def _is(linear: nn.Linear, size: float) -> None:
    """So many times what it is given."""
    linear.weight.zero_()
    linear.weight.fill_diagonal_(size)
    linear.bias.zero_()
