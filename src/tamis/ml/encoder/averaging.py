"""The mean of a network's weights over the last updates: better than any of them, and almost free.

It does not know the network, nor how it is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from tamis.ml.restart import State
from tamis.ml.tensors import Tensor

BEGINNING = 10
"""The mean starts short: at update n it goes over n tenths of the updates, until that is as many as are wanted."""

NAME = "average."


class Average:
    """An exponential mean over so many updates; over one, the weights themselves."""

    def __init__(self, weights: Mapping[str, nn.Parameter], updates: float) -> None:
        """Start from the present weights."""
        self._weights, self._updates, self._seen = weights, updates, 0
        self._means = {name: weight.detach().clone() for name, weight in weights.items()} if updates > 1 else {}

    @torch.no_grad()
    def add(self) -> None:
        """Take the weights after an update in."""
        self._seen += 1
        share = max(1 / max(self._updates, 1.0), BEGINNING / (self._seen + BEGINNING))
        for name, mean in self._means.items():
            mean.lerp_(self._weights[name].detach(), share)

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Put the mean in the place of the weights, while inside."""
        present = {name: self._weights[name].detach().clone() for name in self._means}
        self.settle()
        try:
            yield
        finally:
            self._set(present)

    def settle(self) -> None:
        """Put the mean in the place of the weights, for good."""
        self._set(self._means)

    @torch.no_grad()
    def _set(self, values: Mapping[str, torch.Tensor]) -> None:
        for name, value in values.items():
            self._weights[name].copy_(value)

    def arrays(self) -> dict[str, Tensor]:
        """For a restart point; not copies on a CPU."""
        return {NAME + name: mean.float().cpu().numpy() for name, mean in self._means.items()}

    @torch.no_grad()
    def restore(self, state: State, update: int) -> None:
        """Go on from a restart point after so many updates."""
        self._seen = update
        for name, mean in self._means.items():
            mean.copy_(torch.from_numpy(np.array(state.arrays[NAME + name])).to(mean))
