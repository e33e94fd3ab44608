"""Finds where the training rows of each label lie for a fit, and how near rows are that it did not learn from.

It puts fitted parts and rows together; centres and distances are those of `nearness`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.truth import SingleTruth
from tamis.evaluation.evidence import Familiar
from tamis.ml.static.encoded import Encoded, Rows
from tamis.ml.static.fitting import Lexical, Semantic
from tamis.ml.static.model import Semantics
from tamis.ml.static.nearness import Nearness, fit_centres, rows_to_place, scales_of
from tamis.ml.static.sparse import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What two fitted parts make of inputs, before any label."""

    lexical: Lexical
    semantic: Semantic
    semantics: Semantics

    def of(self, rows: Encoded) -> tuple[Floats, Floats]:
        """Return (rows, fields x d) the centred base embeddings, and (rows, h) the hidden layer."""
        base = self.lexical.centring.apply(rows.pooled, rows.runs.n_fields)
        return base, self.semantic.activation(rows, self.semantics)


def locate(data: Dataset, rows: Rows, sight: Sight, targets: Sequence[str]) -> Nearness | None:
    """Return the centres of these targets' labels; None where there are none."""
    truths = {name: truth for name in targets if isinstance(truth := data.truth[name], SingleTruth)}
    chosen = {name: rows_to_place(truth.codes, truth.n_labels) for name, truth in truths.items()}
    looked_at = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *chosen.values()]))
    if not len(looked_at):
        return None
    base, hidden = map(np.concatenate, zip(*map(sight.of, rows.select(looked_at).portions()), strict=True))
    found = Nearness(*scales_of(base, hidden), {})
    places = found.places(base, hidden)
    centres = {}
    for name, own in chosen.items():
        truth = truths[name]
        fitted = fit_centres(places[looked_at.searchsorted(own)], truth.codes[own], truth.n_labels)
        if fitted is not None and len(fitted.points):
            centres[name] = fitted
    return Nearness(found.base_scale, found.hidden_scale, centres) if centres else None


def nearness_of(nearness: Nearness | None, rows: Rows, sight: Sight, logits: Mapping[str, Floats]) -> Floats:
    """Return (rows, targets) how near rows are, by (rows, labels) logits of each target; NaN: it has no centres."""
    found, start = np.full((len(rows), len(logits)), np.nan, dtype=np.float32), 0
    if nearness is None:
        return found
    known = np.array([name in nearness.targets for name in logits])
    for some in rows.portions():
        part = slice(start, start + len(some))
        near = nearness.of(*sight.of(some), {name: own[part] for name, own in logits.items()})
        found[part, known] = near[:, known]
        start += len(some)
    return found


def familiar_rows(familiar: Floats, place: int, *, located: bool) -> Familiar:
    """Return what is known of held-out rows for a target.

    Args:
        familiar: (rows, 1 + targets) the share of tokens seen, and `nearness_of`.
        place: of the target.
        located: whether the model has centres of it.
    """
    near = familiar[:, 1 + place]
    return Familiar(familiar[:, 0], near if located and not np.isnan(near).any() else None)
