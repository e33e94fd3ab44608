"""What a model says of inputs as one list of labels: for APIs that know no targets.

A model of one target keeps its labels' names; of several, a label is named `target/label`. It does not know how such
APIs write it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tamis.evaluation.thresholds import decide
from tamis.schema import Kind, Target

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What is said of several inputs.

    Attributes:
        names: of all labels.
        scores: (inputs, labels).
        given: for each input the places of the labels that it gets, the surest first. The label with the highest score
            of a single-label target is always among them, also where the model would rather say nothing; those of a
            multi-label target are the ones that reach their thresholds.
        one: whether each input gets exactly one label.
    """

    names: tuple[str, ...]
    scores: Floats
    given: list[list[int]]
    one: bool

    def rounded(self, digits: int) -> list[list[float]]:
        """Return the scores as plain numbers of so many decimal places."""
        rows: list[list[float]] = np.round(self.scores.astype(np.float64), digits).tolist()
        return rows


def verdicts_of(
    targets: Sequence[Target], scores: Mapping[str, Floats], thresholds: Mapping[str, Floats | None]
) -> Verdicts:
    """Return what (inputs, labels) scores by target come to.

    Args:
        targets: of the model.
        scores: by target.
        thresholds: by target, from which score each label is given; None for a single-label target.
    """
    several = len(targets) > 1
    names = tuple(f"{target.name}/{label}" if several else label for target in targets for label in target.labels)
    together = np.concatenate([scores[target.name] for target in targets], axis=1)
    chosen = np.concatenate([decide(scores[target.name], thresholds[target.name]) for target in targets], axis=1)
    order = np.argsort(-together, axis=1, kind="stable")
    given = [[int(place) for place in row if told[place]] for row, told in zip(order, chosen, strict=True)]
    return Verdicts(names, together, given, one=not several and targets[0].kind is Kind.SINGLE_LABEL)
