"""A head beside a network's own while it is trained: it reads the mean of all tokens, and is thrown away in the end.

An architecture's own head often reads one token. That the others, too, must tell the label makes the layers better. It
does not know how the network is trained.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from tamis.ml.encoder.frozen import KNOWN
from tamis.ml.encoder.network import Parts

NAME = "second head"
DROPOUT = 0.1
SPREAD = 0.02
"""Of the weights that it begins with."""


def can_have(model: nn.Module) -> bool:
    """Whether a network's layers give one vector a token, in the order of the tokens."""
    return cast("Any", model).config.model_type in KNOWN


class SecondHead(nn.Module):
    """A linear layer over the mean of what the last layer says of a sequence's tokens."""

    def __init__(self, parts: Parts, width: int, n_labels: int) -> None:
        """Listen to the last layer."""
        super().__init__()
        self.linear = nn.Linear(width, n_labels)
        nn.init.normal_(self.linear.weight, std=SPREAD)
        nn.init.zeros_(self.linear.bias)
        self._heard: torch.Tensor | None = None
        self._ear = parts.layers[-1].register_forward_hook(self._hear)

    def _hear(self, _: nn.Module, __: object, output: object) -> None:
        if torch.is_grad_enabled():
            self._heard = cast("torch.Tensor", output[0] if isinstance(output, tuple) else output)

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """Its weights, by names that no network has."""
        return dict(self.named_parameters(prefix=NAME))

    def leave(self) -> None:
        """Listen no longer."""
        self._ear.remove()

    def forward(self, mask: torch.Tensor) -> torch.Tensor:
        """Return (sequences, labels) logits of what the network was last given, by its (sequences, tokens) mask."""
        heard, self._heard = cast("torch.Tensor", self._heard), None
        real = mask[..., None].to(heard)
        mean = (heard * real).sum(1) / real.sum(1)
        logits: torch.Tensor = self.linear(functional.dropout(mean, DROPOUT, self.training))
        return logits
