"""An encoder served by ONNX Runtime on a CPU: texts in, logits by target out, without torch or transformers.

Batches are cut by tokens, so memory does not grow with the number of inputs beyond their logits. It does not know
calibration or answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tamis.errors import DamagedArtifact
from tamis.ml.encoder.groups import BUDGET, alike
from tamis.ml.encoder.inputs import Encoded, Encoding
from tamis.ml.encoder.omitting import EncoderOmissions
from tamis.ml.encoder.placement import files_in
from tamis.ml.encoder.session import Session
from tamis.ml.scorer import Contents
from tamis.schema import Input, Target

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

AT_ONCE = 2_048
"""Inputs that are turned into tokens at a time."""

TOLERANCE, TOLERANCES = 1e-4, {"int8": 5e-3}
"""How far scores may be off on another machine, which sums in another order; by form, where it rounds more often."""

DRIFTS = {"int8": 0.1, "int8-tables": 0.01}
"""By form, how far its scores may be off those of the weights in 32-bit numbers that it was made of."""

Compute = Callable[[Ints, Ints], Floats]
"""(sequences, tokens) ids and mask to (sequences, all labels) logits."""


@dataclass(frozen=True, slots=True, eq=False)
class Computing:
    """How batches are computed: of up to `budget` tokens, up to `threads` of them at the same time."""

    run: Compute
    budget: int = BUDGET
    threads: int = 1

    def each(self, batches: Sequence[Ints], compute: Callable[[Ints], None]) -> None:
        """Call `compute` for each batch."""
        if self.threads < 2 or len(batches) < 2:
            for places in batches:
                compute(places)
            return
        with ThreadPoolExecutor(min(self.threads, len(batches))) as threads:
            list(threads.map(compute, batches))


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """How inputs become tokens and columns become targets.

    Attributes:
        encoding: turns inputs into tokens.
        pad_id: what short sequences are filled up with.
        targets: whose labels are the columns, side by side.
    """

    encoding: Encoding
    pad_id: int
    targets: tuple[Target, ...]

    @property
    def n_labels(self) -> int:
        """Columns."""
        return sum(len(target.labels) for target in self.targets)

    def logits(self, inputs: Sequence[Input], computing: Computing) -> dict[str, Floats]:
        """Return (inputs, labels) for each target."""
        made = np.zeros((len(inputs), self.n_labels), dtype=np.float32)
        for start in range(0, len(inputs), AT_ONCE):
            encoded = self.encoding.encode(inputs[start : start + AT_ONCE])
            made[start : start + AT_ONCE] = self.of_tokens(encoded, computing)
        return self.by_target(made)

    def too_long(self, inputs: Sequence[Input]) -> list[int]:
        """Return the places of inputs of which only a part is read."""
        starts = range(0, len(inputs), AT_ONCE)
        return [at + place for at in starts for place in self.encoding.encode(inputs[at : at + AT_ONCE]).cut]

    def of_tokens(self, encoded: Encoded, computing: Computing) -> Floats:
        """Return (inputs, all labels): the mean over an input's windows.

        Raises:
            DamagedArtifact: there are other columns than labels.
        """
        sequences = np.zeros((len(encoded.lengths), self.n_labels), dtype=np.float32)

        def compute(places: Ints) -> None:
            logits = computing.run(*encoded.padded(places, self.pad_id))
            if logits.shape != (len(places), self.n_labels):
                raise DamagedArtifact(
                    f"The model gives {logits.shape[-1]:,} numbers a text, and its targets have {self.n_labels:,} "
                    "labels: its files are from different models. Get the whole folder again from where it was made."
                )
            sequences[places] = logits

        computing.each(alike(encoded.lengths, computing.budget), compute)
        if len(sequences) == len(encoded):
            return sequences
        summed = np.add.reduceat(sequences, encoded.first[:-1], axis=0)
        mean: Floats = (summed / np.diff(encoded.first)[:, None]).astype(np.float32)
        return mean

    def by_target(self, logits: Floats) -> dict[str, Floats]:
        """Return the columns of each target."""
        ends = np.cumsum([len(target.labels) for target in self.targets])
        parts = np.split(logits, ends[:-1], axis=1)
        return {target.name: part for target, part in zip(self.targets, parts, strict=True)}


class OnnxScorer:
    """A model.onnx with its tokenizer."""

    quick = False

    def __init__(self, folder: Path, reader: Reader, *, form: str = "", threads: int = 0, keep: object = None) -> None:
        """Look at the files in a folder.

        Args:
            folder: where they are.
            reader: how inputs become tokens.
            form: what its numbers are, see `variants`.
            threads: compute one batch; 0: as many as there are cores.
            keep: is kept for as long as the files are needed.

        Raises:
            DamagedArtifact: the graph is not one that may be run.
        """
        self.folder, self.reader = folder, reader
        self.tolerance = TOLERANCES.get(form, TOLERANCE)
        self._session, self._keep = Session(folder, threads), keep

    def logits(self, inputs: Sequence[Input]) -> Mapping[str, Floats]:
        """Return (inputs, labels) for each target, before calibration; an input's do not depend on the others."""
        return self.reader.logits(inputs, self._computing())

    def of_tokens(self, encoded: Encoded) -> Floats:
        """Return (inputs, all labels) of inputs that are tokens already."""
        return self.reader.of_tokens(encoded, self._computing())

    def too_long(self, inputs: Sequence[Input]) -> list[int]:
        """Return the places of inputs of which only a part is read."""
        return self.reader.too_long(inputs)

    def omissions(self, given: Input) -> EncoderOmissions:
        """What tells how the logits of one input change where words of it are left out."""
        return EncoderOmissions(self.reader, self.of_tokens, given)

    def contents(self) -> Contents:
        """Return all files."""
        return Contents({}, None, files_in(self.folder))

    def _computing(self) -> Computing:
        return Computing(self._session.run, threads=self._session.threads)
