"""What computes a model's logits, whichever tier it is of: the seam between a model and its weights.

It does not know calibration, thresholds or answers: those are the predictor's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tamis.evaluation.evidence import Familiar
from tamis.ml.omissions import Omissions
from tamis.schema import Input

Floats = NDArray[np.float32]

FAMILIAR = ""
"""Beside the targets, whose names are never empty: (inputs, 1) the share of an input's tokens that training saw.

Where the model keeps centres of its training rows, (inputs, 1 + targets): and by target, how much nearer to those of
the label with the highest logit it is than usual. A tier that does not know leaves it out.
"""


def familiar_of(found: Mapping[str, Floats], place: int) -> Familiar | None:
    """Return what is known of inputs beside the scores of a target, the first one being at place 0."""
    known = found.get(FAMILIAR)
    if known is None:
        return None
    return Familiar(known[:, 0], known[:, 1 + place] if known.shape[1] > 1 else None)


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What an artifact holds of a scorer.

    Attributes:
        tensors: arrays by name, for `model.safetensors`.
        tokenizer_json: the tokenizer, if it has one.
        files: further files by their plain names: their content, or a file to copy.
    """

    tensors: Mapping[str, NDArray[Any]]
    tokenizer_json: bytes | None = None
    files: Mapping[str, bytes | Path] = field(default_factory=dict)


class Scorer(Protocol):
    """A model's weights, ready to score."""

    @property
    def quick(self) -> bool:
        """Whether a short text takes less than handing it to a thread does."""

    @property
    def tolerance(self) -> float:
        """How far off its scores may be on another machine."""

    def logits(self, inputs: Sequence[Input]) -> Mapping[str, Floats]:
        """Return (inputs, labels) for each target, before calibration, and `FAMILIAR`.

        An input's numbers do not depend on the other inputs.
        """

    def too_long(self, inputs: Sequence[Input]) -> list[int]:
        """Return the places of inputs of which only a part is read."""

    def omissions(self, given: Input) -> Omissions:
        """Return what tells how the logits of one input change where words of it are left out."""

    def contents(self) -> Contents:
        """Return what an artifact has to hold, so that its tier's `restore` gives this again."""
