"""What a model says of one input with words of it left out: what explanations are made of.

The seam only: each tier has its own quick way. It does not know labels, calibration or answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tamis.ml.pieces import Span
from tamis.schema import Input

Floats = NDArray[np.float32]

Score = Callable[[Sequence[Input]], Mapping[str, Floats]]
"""Returns (inputs, labels) for each target."""


class Omissions(Protocol):
    """What a model says of one input with stretches of it left out."""

    @property
    def most(self) -> int:
        """How many stretches may be left out, one after the other, at a bounded cost."""

    @property
    def reads(self) -> int | None:
        """How many characters of a text the model reads, from its beginning; None: all, or the input is a chat."""

    def logits(self, spans: Sequence[Span]) -> Mapping[str, Floats]:
        """Return (spans, labels) for each target: of the input without each of them, all else kept."""
