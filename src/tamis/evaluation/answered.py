"""How much a single-label target answers, and how right, from each cut of its evidence on: counts of held-out rows.

They are all that choosing an abstain rule again needs of rows. It does not know where they are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tamis.data.truth import Bools, SingleTruth
from tamis.evaluation.evidence import Evidence
from tamis.evaluation.metrics import Doubles, Floats, ratio

MOST_CUTS = 500
"""Cuts that are kept; further rows stand with those next to them."""

ALIKE = 1e-9
"""Differences of a share that are none."""


class Answered(NamedTuple):
    """What a cut of the evidence gives; None where there are no rows to tell.

    Attributes:
        lost: the share of the rows in scope that gets no answer, with the weights of training.
        coverage: the share of the rows with a known label that gets one, each row once.
        accuracy: the share of these that is right.
        turned_away: the share of the rows out of scope that gets none.
    """

    lost: float
    coverage: float
    accuracy: float | None
    turned_away: float | None


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceCounts:
    """Rows by their evidence: from a cut (n,) on, ascending, to below the next.

    Attributes:
        cut: (n,) float32; no row has less evidence than the first.
        inside: (n,) rows in scope, with the weights of training: what a rule may cost.
        known: (n,) rows with a known label, each once; one that the model does not have is one too, and a miss.
        right: (n,) of these, the rows that get their label where they get an answer.
        outside: (n,) rows that are known to be out of scope.
        weights: of what the evidence is made of; None: it is the highest score.
    """

    cut: NDArray[np.float32]
    inside: Doubles
    known: Doubles
    right: Doubles
    outside: Doubles
    weights: Mapping[Evidence, float] | None = None

    @property
    def rows(self) -> int:
        """Rows that have a label."""
        return round(float(self.known.sum()))

    def at(self, cut: float) -> Answered:
        """Return what any cut gives: of rows that stand together, all or none are answered."""
        return self.points()[int(np.searchsorted(self.cut, np.float32(cut), side="left"))]

    def points(self) -> list[Answered]:
        """Return what each cut gives, and behind them what it is to answer nothing."""
        silent = np.append(0.0, np.cumsum(self.inside)) / self.inside.sum()
        known, right, outside = (
            np.append(each[::-1].cumsum()[::-1], 0.0) for each in (self.known, self.right, self.outside)
        )
        coverage, accuracy = known / known[0], ratio(right, known, np.nan)
        turned_away = 1 - ratio(outside, outside[:1], np.nan)
        columns = (each.tolist() for each in (silent, coverage, accuracy, turned_away))
        return [
            Answered(lost, answered, _share(hit), _share(away))
            for lost, answered, hit, away in zip(*columns, strict=True)
        ]

    def cut_for(self, loss: float) -> float:
        """Return the highest cut that costs at most this share of the rows in scope."""
        highest = max(place for place, point in enumerate(self.points()[:-1]) if point.lost <= loss + ALIKE)
        return float(self.cut[highest])


def count_evidence(
    truth: SingleTruth,
    given: NDArray[np.intp],
    found: Floats,
    *,
    weights: Floats | None = None,
    by: Mapping[Evidence, float] | None = None,
) -> EvidenceCounts | None:
    """Count rows by their evidence; nothing where none is in scope.

    Args:
        truth: their labels.
        given: (n,) the label that each would get.
        found: (n,) the evidence of each.
        weights: (n,) how much each row counts in what a rule may cost; None: all the same.
        by: the weights of what the evidence is made of; None: it is the highest score.
    """
    inside = ((truth.codes >= 0) & (truth.codes < truth.n_labels)).astype(np.float64)
    if weights is not None and weights[inside > 0].any():
        inside *= weights
    known, outside = truth.known, truth.out_of_scope
    used = known | outside
    if not inside.any():
        return None
    evidence = found.astype(np.float32)
    cuts = np.unique(evidence[inside > 0])
    if len(cuts) > MOST_CUTS:
        cuts = np.sort(evidence[inside > 0])
        cuts = np.unique(cuts[np.linspace(0, len(cuts) - 1, MOST_CUTS).astype(np.intp)])
    cuts = np.unique(np.append(cuts, evidence[used].min()))
    place = np.searchsorted(cuts, evidence, side="right") - 1

    def counted(rows: Doubles | Bools) -> Doubles:
        return np.bincount(place[used], rows[used].astype(np.float64), len(cuts)).astype(np.float64)

    return EvidenceCounts(
        cut=cuts,
        inside=counted(inside),
        known=counted(known),
        right=counted(known & (given == truth.codes)),
        outside=counted(outside),
        weights=by,
    )


def _share(value: float) -> float | None:
    return value if isfinite(value) else None
