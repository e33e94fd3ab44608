"""What rows served for when a model was made: whoever measures it on them has to know.

Rows are told by their content hash, in the model's own targets. It does not know what is said about it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tamis.data.dataset import Dataset
from tamis.data.recoding import recoded
from tamis.ml.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Served:
    """Whether a model learnt from some rows, and whether thresholds of its were chosen by them."""

    learnt_from: bool = False
    chosen_by: bool = False


def served(data: Dataset, manifest: Manifest) -> Served:
    """Return what all these rows together served for.

    The targets may be in another order, have other labels, or another label for rows out of scope than the model's.
    """
    targets = [entry.target for entry in manifest.targets]
    if not {(target.name, target.kind) for target in targets} <= {(each.name, each.kind) for each in data.targets}:
        return Served()
    rows = recoded(data, targets).content_hash()
    chosen = (entry.chosen_for.sha256 for entry in manifest.targets if entry.chosen_for is not None)
    return Served(manifest.data.sha256 == rows, rows in chosen)
