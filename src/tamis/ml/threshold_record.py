"""What a model keeps of its held-out rows, so that thresholds can be chosen again without them: counts, no texts.

One safetensors file in the artifact, optional. By multi-label target, with its place among the targets before the name:

    0.rows              (1,)  rows that were counted
    0.place             (n,)  label * BINS + bin, ascending; only bins that have rows
    0.hits, .expected, .given         (n,)  of that bin, as thresholds are chosen by
    0.measured.place, .hits, .given   the same as figures are made of: each row once, calibrated by other rows
    0.unseen            (m,)  rows that carry each label that the model does not have

It does not know how thresholds are chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tamis.data.truth import MultiTruth
from tamis.evaluation.metrics import Floats
from tamis.evaluation.thresholds import BINS, ScoreCounts, count_scores
from tamis.ml.tensors import Tensor, parse_tensors, tensor_bytes
from tamis.ml.untrusted import Bytes, damaged
from tamis.schema import Target

RECORD = "thresholds.safetensors"

MOST_ROWS = 1e12
"""More than so many rows are none that anybody counted."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldCounts:
    """Counts of one target's held-out rows.

    Attributes:
        rows: how many were looked at.
        fit: by the calibration that serves, with the weights of training: what thresholds are chosen by.
        measured: by scores whose calibration was fitted on other rows, each row once: what figures are made of.
        unseen: (m,) rows that carry each label that the model does not have.
    """

    rows: int
    fit: ScoreCounts
    measured: ScoreCounts
    unseen: NDArray[np.int64]


def count_held(
    truth: MultiTruth, scores: Floats, measured: Floats | None = None, weights: Floats | None = None
) -> HeldCounts:
    """Count held-out rows of a target.

    Args:
        truth: their labels.
        scores: (n, n_labels) calibrated.
        measured: the same with a calibration fitted on other rows each time; None: these are.
        weights: (n,) how much each row counts where thresholds are chosen; None: all the same.
    """
    carried = truth.indicator(with_unseen=True)
    known, labels = truth.known, carried[:, : truth.n_labels]
    fit = count_scores(scores, labels, known, weights)
    return HeldCounts(
        rows=int(known.sum()),
        fit=fit,
        measured=fit
        if measured is None and weights is None
        else count_scores(scores if measured is None else measured, labels, known),
        unseen=carried[known, truth.n_labels :].sum(axis=0).astype(np.int64),
    )


def render_record(held: Mapping[str, HeldCounts], targets: Sequence[Target]) -> bytes:
    """Return the file's bytes; nothing where nothing was counted."""
    tensors: dict[str, Tensor] = {}
    for number, target in enumerate(targets):
        if (counts := held.get(target.name)) is None:
            continue
        tensors |= {
            f"{number}.rows": np.array([counts.rows], dtype=np.int64),
            f"{number}.unseen": counts.unseen,
            f"{number}.place": counts.fit.place.astype(np.uint32),
            f"{number}.hits": counts.fit.hits,
            f"{number}.expected": counts.fit.expected,
            f"{number}.given": counts.fit.given,
            f"{number}.measured.place": counts.measured.place.astype(np.uint32),
            f"{number}.measured.hits": counts.measured.hits.astype(np.uint32),
            f"{number}.measured.given": counts.measured.given.astype(np.uint32),
        }
    return tensor_bytes(tensors) if tensors else b""


def held_counts(record: bytes, folder: Path, targets: Sequence[Target]) -> dict[str, HeldCounts]:
    """Return the counts in the bytes of a record, none where there is none; `folder` is for messages.

    Raises:
        DamagedArtifact: they are no counts, or not of these targets.
    """
    return parse_record(np.frombuffer(record, dtype=np.uint8), folder / RECORD, targets) if record else {}


def parse_record(raw: Bytes, path: Path, targets: Sequence[Target]) -> dict[str, HeldCounts]:
    """Return the counts by target; `raw` (size,) uint8 are the file's bytes, `path` is for messages.

    Raises:
        DamagedArtifact: they are no counts, or not of these targets.
    """
    tensors = parse_tensors(raw, path)
    reader = _Reader(tensors, path)
    return {
        target.name: reader.read(number, len(target.labels))
        for number, target in enumerate(targets)
        if f"{number}.rows" in tensors and target.is_multi
    }


class _Reader:
    """Reads counts, and refuses what cannot be some."""

    def __init__(self, tensors: Mapping[str, Tensor], path: Path) -> None:
        self._tensors, self._path = tensors, path

    def read(self, number: int, n_labels: int) -> HeldCounts:
        rows = self._numbers(f"{number}.rows")
        if len(rows) != 1:
            raise damaged(self._path, "it does not say how many rows were counted")
        return HeldCounts(
            rows=int(rows[0]),
            fit=self._counts(f"{number}.", n_labels, expected=True),
            measured=self._counts(f"{number}.measured.", n_labels, expected=False),
            unseen=self._numbers(f"{number}.unseen").astype(np.int64),
        )

    def _counts(self, start: str, n_labels: int, *, expected: bool) -> ScoreCounts:
        place = self._numbers(f"{start}place").astype(np.int64)
        hits, given = self._numbers(f"{start}hits"), self._numbers(f"{start}given")
        said = self._numbers(f"{start}expected") if expected else np.zeros(len(place))
        if not len(place) == len(hits) == len(given) == len(said):
            raise damaged(self._path, f"the counts {start}* are not equally many")
        if len(place) and (int(place[-1]) >= n_labels * BINS or (np.diff(place) <= 0).any()):
            raise damaged(self._path, f"{start}place does not fit the {n_labels} labels")
        if (hits > given * (1 + 1e-9)).any():
            raise damaged(self._path, f"{start}hits are more than there are rows")
        return ScoreCounts(n_labels, place, hits, said, given)

    def _numbers(self, name: str) -> NDArray[np.float64]:
        tensor = self._tensors.get(name)
        if tensor is None or tensor.ndim != 1 or tensor.dtype.kind not in "uif":
            raise damaged(self._path, f"there is no list of numbers {name}")
        numbers = tensor.astype(np.float64)
        if not ((numbers >= 0) & (numbers <= MOST_ROWS)).all():  # NaN is not either
            raise damaged(self._path, f"{name} holds what is no count")
        return numbers
