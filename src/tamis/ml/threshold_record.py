"""What a model keeps of its held-out rows, so that thresholds can be chosen again without them: counts, no texts.

One safetensors file in the artifact, optional. By multi-label target, with its place among the targets before the name:

    0.rows              (1,)  rows that were counted
    0.place             (n,)  label * BINS + bin, ascending; only bins that have rows
    0.hits, .expected, .given         (n,)  of that bin, as thresholds are chosen by
    0.measured.place, .hits, .given   the same as figures are made of: each row once, calibrated by other rows
    0.unseen            (m,)  rows that carry each label that the model does not have

By single-label target:

    1.cut               (n,)  evidence, ascending: rows from it on, to below the next, are counted together
    1.inside            (n,)  rows in scope, with the weights of training
    1.known, .right, .outside         (n,)  rows with a label, those answered right, rows out of scope
    1.weights           (parts,)  of what the evidence is made of, in the order of `PARTS`; all 0: the highest score

It does not know how thresholds are chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from tamis.data.truth import MultiTruth
from tamis.evaluation.answered import EvidenceCounts
from tamis.evaluation.evidence import Evidence
from tamis.evaluation.metrics import Floats
from tamis.evaluation.thresholds import BINS, ScoreCounts, count_scores
from tamis.ml.tensors import Tensor, parse_tensors, tensor_bytes
from tamis.ml.untrusted import Bytes, damaged
from tamis.schema import Target

RECORD = "thresholds.safetensors"

MOST_ROWS = 1e12
"""More than so many rows are none that anybody counted."""

MOST_EVIDENCE = 1e6
"""Evidence and its weights are no further from 0, as in a manifest."""

PARTS: tuple[Evidence, ...] = get_args(Evidence)


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


Held = HeldCounts | EvidenceCounts
"""What is kept of a target's held-out rows: by its labels' scores where these have thresholds, else by evidence."""


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


def render_record(held: Mapping[str, Held], targets: Sequence[Target]) -> bytes:
    """Return the file's bytes; nothing where nothing was counted."""
    tensors: dict[str, Tensor] = {}
    for number, target in enumerate(targets):
        if (counts := held.get(target.name)) is not None:
            named = _of_labels(counts) if isinstance(counts, HeldCounts) else _of_evidence(counts)
            tensors |= {f"{number}.{name}": tensor for name, tensor in named.items()}
    return tensor_bytes(tensors) if tensors else b""


def _of_labels(counts: HeldCounts) -> dict[str, Tensor]:
    return {
        "rows": np.array([counts.rows], dtype=np.int64),
        "unseen": counts.unseen,
        "place": counts.fit.place.astype(np.uint32),
        "hits": counts.fit.hits,
        "expected": counts.fit.expected,
        "given": counts.fit.given,
        "measured.place": counts.measured.place.astype(np.uint32),
        "measured.hits": counts.measured.hits.astype(np.uint32),
        "measured.given": counts.measured.given.astype(np.uint32),
    }


def _of_evidence(counts: EvidenceCounts) -> dict[str, Tensor]:
    weights = counts.weights or {}
    return {
        "cut": counts.cut,
        "inside": counts.inside,
        "known": counts.known.astype(np.uint32),
        "right": counts.right.astype(np.uint32),
        "outside": counts.outside.astype(np.uint32),
        "weights": np.array([weights.get(part, 0.0) for part in PARTS], dtype=np.float64),
    }


def held_counts(record: bytes, folder: Path, targets: Sequence[Target]) -> dict[str, Held]:
    """Return the counts in the bytes of a record, none where there is none; `folder` is for messages.

    Raises:
        DamagedArtifact: they are no counts, or not of these targets.
    """
    return parse_record(np.frombuffer(record, dtype=np.uint8), folder / RECORD, targets) if record else {}


def parse_record(raw: Bytes, path: Path, targets: Sequence[Target]) -> dict[str, Held]:
    """Return the counts by target; `raw` (size,) uint8 are the file's bytes, `path` is for messages.

    Raises:
        DamagedArtifact: they are no counts, or not of these targets.
    """
    tensors, found = parse_tensors(raw, path), dict[str, Held]()
    reader = _Reader(tensors, path)
    for number, target in enumerate(targets):
        if target.is_multi and f"{number}.rows" in tensors:
            found[target.name] = reader.labels(number, len(target.labels))
        elif not target.is_multi and f"{number}.cut" in tensors:
            found[target.name] = reader.evidence(number)
    return found


class _Reader:
    """Reads counts, and refuses what cannot be some."""

    def __init__(self, tensors: Mapping[str, Tensor], path: Path) -> None:
        self._tensors, self._path = tensors, path

    def labels(self, number: int, n_labels: int) -> HeldCounts:
        rows = self._numbers(f"{number}.rows")
        if len(rows) != 1:
            raise damaged(self._path, "it does not say how many rows were counted")
        return HeldCounts(
            rows=int(rows[0]),
            fit=self._counts(f"{number}.", n_labels, expected=True),
            measured=self._counts(f"{number}.measured.", n_labels, expected=False),
            unseen=self._numbers(f"{number}.unseen").astype(np.int64),
        )

    def evidence(self, number: int) -> EvidenceCounts:
        cut, weights = (self._numbers(f"{number}.{name}", signed=True) for name in ("cut", "weights"))
        counts = [self._numbers(f"{number}.{name}") for name in ("inside", "known", "right", "outside")]
        if any(len(each) != len(cut) for each in counts) or len(weights) != len(PARTS):
            raise damaged(self._path, f"the counts {number}.* are not equally many")
        if (np.diff(cut) <= 0).any():
            raise damaged(self._path, f"{number}.cut is not ascending")
        inside, known, right, outside = counts
        if (right > known).any():
            raise damaged(self._path, f"{number}.right are more than there are rows")
        if not inside.sum() or not known.sum():
            raise damaged(self._path, f"{number}.* counts no row")
        by = {part: weight for part, weight in zip(PARTS, weights.tolist(), strict=True) if weight}
        return EvidenceCounts(cut.astype(np.float32), inside, known, right, outside, by or None)

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

    def _numbers(self, name: str, *, signed: bool = False) -> NDArray[np.float64]:
        tensor = self._tensors.get(name)
        if tensor is None or tensor.ndim != 1 or tensor.dtype.kind not in "uif":
            raise damaged(self._path, f"there is no list of numbers {name}")
        numbers = tensor.astype(np.float64)
        least, most = (-MOST_EVIDENCE, MOST_EVIDENCE) if signed else (0.0, MOST_ROWS)
        if not ((numbers >= least) & (numbers <= most)).all():  # NaN is not either
            raise damaged(self._path, f"{name} holds what is no {'evidence' if signed else 'count'}")
        return numbers
