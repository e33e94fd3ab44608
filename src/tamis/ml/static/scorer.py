"""Scores with a static model by the way that is quickest for what is asked: one text, some, many, a very long one.

It does not know calibration or answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tamis.ml.scorer import Contents, Floats
from tamis.ml.static.long import is_long, logits_of_long
from tamis.ml.static.model import StaticModel, tensors_of
from tamis.ml.static.omitting import StaticOmissions
from tamis.ml.static.run_memory import RunReader
from tamis.ml.static.several import Several
from tamis.ml.static.single import OneByOne
from tamis.schema import Input

FEW_INPUTS = 12
"""Inputs up to which one after the other is quicker than all together."""


class StaticScorer:
    """Logits of a static model."""

    quick, tolerance = True, 1e-5

    def __init__(self, model: StaticModel) -> None:
        """Take the model."""
        self._reader = reader = RunReader(model)
        self.model, self._one, self._several = model, OneByOne(reader), Several(reader)

    def logits(self, inputs: Sequence[Input]) -> Mapping[str, Floats]:
        """(inputs, labels) for each target, before calibration; the inputs are known to be right."""
        if 0 < len(inputs) <= FEW_INPUTS and all(map(self._one.suits, inputs)):
            each = [self._one.logits(given) for given in inputs]
            return {name: np.concatenate([found[name] for found in each]) for name in each[0]}
        if self._several.suits(inputs):
            return self._several.logits(inputs)
        long = {row for row, given in enumerate(inputs) if is_long(given)}
        rest = ["" if row in long else given for row, given in enumerate(inputs)] if long else inputs
        logits = self.model.logits(rest)
        for row in long:
            for name, found in logits_of_long(self.model, inputs[row]).items():
                logits[name][row] = found[0]
        return logits

    def too_long(self, inputs: Sequence[Input]) -> list[int]:
        """None: texts of any length are read whole."""
        return []

    def omissions(self, given: Input) -> StaticOmissions:
        """What tells how the logits of one input change where words of it are left out."""
        return StaticOmissions(self.logits, self._reader, given)

    def contents(self) -> Contents:
        """The model's arrays and its tokenizer."""
        return Contents(tensors_of(self.model), self.model.semantics.tokenizer.source)
