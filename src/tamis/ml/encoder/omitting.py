"""What an encoder says of one input without each of its words: the shortened inputs are scored, a batch at a time.

How many there are is bounded by tokens. Two shortened inputs that are the same tokens to the model, as where a word is
left out that it does not read, are scored once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tamis.ml.encoder.inputs import Encoded
from tamis.ml.pieces import Span, leave_out
from tamis.schema import Input

if TYPE_CHECKING:
    from tamis.ml.encoder.onnx_scorer import Reader

Floats = NDArray[np.float32]

TOKENS = 16_384
"""Tokens that are computed for one input at most, but for the fewest words."""

MOST_WORDS, LEAST_WORDS = 128, 16


class EncoderOmissions:
    """One input of an encoder."""

    def __init__(
        self, reader: Reader, of_tokens: Callable[[Encoded], Floats], given: Input, *, filler: str = ""
    ) -> None:
        """Take how inputs become tokens, what scores these, and the input; `filler` stands for what is left out."""
        self._reader, self._of_tokens, self._given, self._filler = reader, of_tokens, given, filler
        n_tokens = int(reader.encoding.encode([given]).tokens_of_inputs[0])
        self.most = max(LEAST_WORDS, min(MOST_WORDS, TOKENS // max(n_tokens, 1)))
        self.reads = reader.encoding.reach(given) if type(given) is str else None

    def logits(self, spans: Sequence[Span]) -> Mapping[str, Floats]:
        """(spans, labels) for each target: of the input without each of them."""
        encoded = self._reader.encoding.encode([leave_out(self._given, [span], self._filler) for span in spans])
        numbers: dict[tuple[bytes, ...], int] = {}
        same = [numbers.setdefault(_tokens(encoded, row), len(numbers)) for row in range(len(encoded))]
        first = np.unique(np.array(same, dtype=np.int64), return_index=True)[1]
        found = self._of_tokens(encoded.select(first))
        return self._reader.by_target(found[same])


def _tokens(encoded: Encoded, row: int) -> tuple[bytes, ...]:
    """All sequences of an input."""
    places = range(encoded.first[row], encoded.first[row + 1])
    return tuple(encoded.ids[encoded.offsets[at] : encoded.offsets[at + 1]].tobytes() for at in places)
