"""An encoder served by torch: on a GPU, or on a CPU where there is no model.onnx.

On a GPU it is in half precision where its numbers fit into that, with what follows the last layer in 32-bit numbers. It
does not know calibration or answers.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tamis.ml.encoder.groups import BUDGET
from tamis.ml.encoder.half import halves_of, narrow
from tamis.ml.encoder.inputs import Encoded
from tamis.ml.encoder.network import load_network
from tamis.ml.encoder.omitting import EncoderOmissions
from tamis.ml.encoder.onnx_scorer import DRIFTS, TOLERANCE, Computing, Reader
from tamis.ml.encoder.placement import files_in
from tamis.ml.golden import golden_inputs
from tamis.ml.scorer import Contents
from tamis.schema import Input

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

BUDGET_ON_GPU = 32_768
"""Tokens of a batch there."""

HALF_TOLERANCES = {torch.float16: 0.005, torch.bfloat16: 0.02}
"""How far scores in half precision may be off those of 32-bit numbers: it has 11 and 8 bits."""


class TorchScorer:
    """A network with its tokenizer."""

    quick = False

    def __init__(
        self, folder: Path, reader: Reader, *, device: str = "cpu", form: str = "", keep: object = None
    ) -> None:
        """Remember where the weights are, which are read when they are first needed.

        Args:
            folder: where they are.
            reader: how inputs become tokens.
            device: of torch.
            form: that the model is served in elsewhere, see `variants`: its golden scores are of that.
            keep: is kept for as long as the files are needed.
        """
        self.folder, self.reader = folder, reader
        self._device, self._form, self._keep = torch.device(device), form, keep
        self._halves = halves_of(self._device)
        self._network: nn.Module | None = None
        self._dtype = torch.float32
        self._lock = threading.Lock()
        self._budget = BUDGET if self._device.type == "cpu" else BUDGET_ON_GPU

    @property
    def tolerance(self) -> float:
        """How far off scores may be: by the precision that it is in, and the form that is served elsewhere."""
        if self._halves:
            self._opened()
        return HALF_TOLERANCES.get(self._dtype, TOLERANCE) + DRIFTS.get(self._form, 0.0)

    def logits(self, inputs: Sequence[Input]) -> Mapping[str, Floats]:
        """Return (inputs, labels) for each target, before calibration."""
        return self.reader.logits(inputs, Computing(self._run, self._budget))

    def of_tokens(self, encoded: Encoded) -> Floats:
        """Return (inputs, all labels) of inputs that are tokens already."""
        return self.reader.of_tokens(encoded, Computing(self._run, self._budget))

    def too_long(self, inputs: Sequence[Input]) -> list[int]:
        """Return the places of inputs of which only a part is read."""
        return self.reader.too_long(inputs)

    def omissions(self, given: Input) -> EncoderOmissions:
        """What tells how the logits of one input change where words of it are left out."""
        return EncoderOmissions(self.reader, self.of_tokens, given)

    def contents(self) -> Contents:
        """Return all files."""
        return Contents({}, None, files_in(self.folder))

    def _run(self, ids: Ints, mask: Ints) -> Floats:
        network, device = self._opened(), self._device
        with torch.inference_mode():
            given = torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)
            logits = network(input_ids=given[0], attention_mask=given[1]).logits
        return cast("Floats", logits.float().cpu().numpy())

    def _opened(self) -> nn.Module:
        with self._lock:
            if self._network is None:
                network = load_network(self.folder, self.reader.n_labels, self.reader.pad_id).eval()
                self._dtype = narrow(network, self._device, self._halves, self._probe() if self._halves else [])
                self._network = network
            return self._network

    def _probe(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Each sequence of the golden inputs by itself."""
        encoded = self.reader.encoding.encode(golden_inputs(self.reader.targets))
        padded = [encoded.padded(np.array([place]), self.reader.pad_id) for place in range(len(encoded.lengths))]
        return [(torch.from_numpy(ids), torch.from_numpy(mask)) for ids, mask in padded]
