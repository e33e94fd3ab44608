"""Layers that stay as they are, computed once: their output is remembered, and recalled in every pass over the data.

They are computed without dropout, so that what is recalled is what they would say. Only for architectures whose layers
take and give one tensor, and whose lowest layers depend on nothing that is trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tamis.ml.encoder.batches import by_length
from tamis.ml.encoder.inputs import Encoded
from tamis.ml.encoder.machine import Machine
from tamis.ml.encoder.network import parts_of
from tamis.ml.progress import Check, nothing

Ints = NDArray[np.int64]

KNOWN = frozenset({"bert", "distilbert", "roberta", "xlm-roberta", "camembert", "electra"})
"""Architectures for which that holds."""

MOST_BYTES = 1 << 30
"""Of what is remembered: with more, the layers are computed again in every pass."""


class Remembered:
    """The output of the lowest layers for all tokens of some inputs: (tokens, width) float32."""

    def __init__(self, encoded: Encoded, hidden: torch.Tensor) -> None:
        """Hold it beside the inputs it belongs to."""
        self.encoded, self.hidden = encoded, hidden

    def padded(self, sequences: Ints, mask: torch.Tensor) -> torch.Tensor:
        """Return (sequences, longest, width) of some sequences, zeros where there is padding."""
        places = torch.from_numpy(self.encoded.places(sequences))
        made = torch.zeros((*mask.shape, self.hidden.shape[1]), dtype=self.hidden.dtype)
        made[mask.bool()] = self.hidden[places]
        return made

    def select(self, rows: Ints) -> Remembered:
        """The same for some inputs."""
        sequences, _ = self.encoded.sequences_of(rows)
        places = torch.from_numpy(self.encoded.places(sequences))
        return Remembered(self.encoded.select(rows), self.hidden[places])


class _Enough(Exception):
    pass


class _Layer(nn.Module):
    """In the place of a frozen layer: gives what it is handed, or what is to be recalled; all else is the layer's."""

    def __init__(self, layer: nn.Module, present: list[torch.Tensor | None] | None) -> None:
        super().__init__()
        object.__setattr__(self, "layer", layer)  # not as a part: its weights are none of this one's
        object.__setattr__(self, "present", present)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(object.__getattribute__(self, "layer"), name)

    def forward(self, hidden: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        recalled = self.present[0] if self.present else None
        return hidden if recalled is None else recalled


class FrozenLayers:
    """The lowest layers of a network, where they can be recalled."""

    def __init__(self, model: nn.Module, n_layers: int) -> None:
        """Remember which; the model is not changed yet."""
        self._model, self._n = model, n_layers
        self._present: list[torch.Tensor | None] = [None]
        self._width = int(cast("Any", model).config.hidden_size) if n_layers else 0

    def pays(self, n_tokens: int) -> bool:
        """Whether there is something to remember, and room for it."""
        known = cast("Any", self._model).config.model_type in KNOWN
        return bool(self._n) and known and 4 * n_tokens * self._width <= MOST_BYTES

    def remember(self, encoded: Encoded, pad_id: int, machine: Machine, check: Check = nothing) -> Remembered:
        """Compute the layers for all inputs."""
        hidden = torch.zeros((int(encoded.offsets[-1]), self._width))
        caught: list[torch.Tensor] = []

        def catch(_: nn.Module, __: object, output: object) -> None:
            caught.append(cast("torch.Tensor", output[0] if isinstance(output, tuple) else output))
            raise _Enough

        handle = parts_of(self._model).layers[self._n - 1].register_forward_hook(catch)
        try:
            for sequences in by_length(encoded.lengths, machine.tokens_at_once, spare=machine.spare):
                check()
                ids, mask = (torch.from_numpy(each) for each in encoded.padded(sequences, pad_id))
                with torch.no_grad(), suppress(_Enough):
                    self._model(input_ids=ids.to(machine.device), attention_mask=mask.to(machine.device))
                hidden[torch.from_numpy(encoded.places(sequences))] = caught.pop().float().cpu()[mask.bool()]
        finally:
            handle.remove()
        return Remembered(encoded, hidden)

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Put what is recalled in the place of the layers, while inside."""
        layers = _list_of(self._model)
        originals = list(layers[: self._n])
        for place, layer in enumerate(originals):
            layers[place] = _Layer(layer, self._present if place == self._n - 1 else None)
        try:
            yield
        finally:
            for place, layer in enumerate(originals):
                layers[place] = layer
            self._present[0] = None

    def recall(self, hidden: torch.Tensor | None) -> None:
        """Set what the next pass is to go on from."""
        self._present[0] = hidden


def _list_of(model: nn.Module) -> nn.ModuleList:
    backbone: nn.Module = getattr(model, "base_model", model)
    return max((each for each in backbone.modules() if isinstance(each, nn.ModuleList)), key=len)
