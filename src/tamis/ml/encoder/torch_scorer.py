"""An encoder served by torch: in half precision on a GPU, in float32 on a CPU where there is no model.onnx.

It does not know calibration or answers.
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
from tamis.ml.encoder.inputs import Encoded
from tamis.ml.encoder.network import load_network
from tamis.ml.encoder.omitting import EncoderOmissions
from tamis.ml.encoder.onnx_scorer import TOLERANCE, Computing, Reader
from tamis.ml.encoder.placement import files_in
from tamis.ml.scorer import Contents
from tamis.schema import Input

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

BUDGET_ON_GPU = 32_768
"""Tokens of a batch there."""

HALF_TOLERANCE = 0.02
"""How far scores in half precision may be off those of the files: numbers have 8 to 11 bits there."""


class TorchScorer:
    """A network with its tokenizer."""

    quick = False

    def __init__(self, folder: Path, reader: Reader, *, device: str = "cpu", keep: object = None) -> None:
        """Remember where the weights are, which are read when they are first needed.

        `keep` is kept for as long as the files are.
        """
        self.folder, self.reader = folder, reader
        self._device, self._keep = torch.device(device), keep
        self._network: nn.Module | None = None
        self._lock = threading.Lock()
        self.tolerance = TOLERANCE if self._device.type == "cpu" else HALF_TOLERANCE
        self._budget = BUDGET if self._device.type == "cpu" else BUDGET_ON_GPU

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
                half = torch.float32
                if self._device.type == "cuda":
                    half = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
                network = load_network(self.folder, self.reader.n_labels, self.reader.pad_id, dtype=half)
                self._network = network.to(self._device).eval()
            return self._network
