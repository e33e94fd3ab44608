"""Golden rows: inputs stored with their scores, so that a model that no longer computes as it did is noticed.

The inputs are made up, from the names of the model's labels and a few fixed texts: an artifact holds no row of the
data it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tamis.errors import GoldenRowsDrift
from tamis.ml.manifest import FULL_GOLDEN_LABELS, GoldenRow, Manifest
from tamis.schema import Input, Message, Target

Floats = NDArray[np.float32]

HIGHEST = 20
"""Scores a golden row keeps of a target with more than `FULL_GOLDEN_LABELS` labels."""

LABELS_NAMED = 12
DIGITS = 7

_FIXED: tuple[Input, ...] = (
    "",
    "The meeting was moved to Thursday at 10:30, please tell everyone who wanted to come.",
    "👋🏽 1,299.00 € — ¿por qué?!  naïve\tcafé",
    "你好，世界。Привет, мир! مرحبا بالعالم",
    "All of this was said before, and it will be said again. " * 35,
    (
        Message("system", "Answer briefly."),
        Message("user", "Is anybody there?"),
        Message("assistant", "Yes, how can I help?"),
        Message("user", "I would like to know more about this, thank you."),
    ),
)


def golden_inputs(targets: Sequence[Target]) -> tuple[Input, ...]:
    """Return the inputs for a model with these targets: the same targets give the same inputs."""
    return *_FIXED, *(" ".join(_some(target.labels))[:2000] for target in targets[:4])


def _some(labels: Sequence[str]) -> list[str]:
    step = max(1, len(labels) // LABELS_NAMED)
    return [label.replace("_", " ") for label in labels[::step][:LABELS_NAMED]]


def golden_rows(inputs: Sequence[Input], scores: Mapping[str, Floats], targets: Sequence[Target]) -> list[GoldenRow]:
    """Return the rows to store; `scores` (inputs, labels) by target."""
    return [
        GoldenRow(input=given, scores={target.name: _stored(target, scores[target.name][row]) for target in targets})
        for row, given in enumerate(inputs)
    ]


def _stored(target: Target, scores: Floats) -> tuple[float, ...] | dict[str, float]:
    rounded = [round(score, DIGITS) for score in scores.tolist()]
    if len(rounded) <= FULL_GOLDEN_LABELS:
        return tuple(rounded)
    highest = np.argsort(-scores, kind="stable")[:HIGHEST].tolist()
    return {target.labels[place]: rounded[place] for place in highest}


def check_golden(manifest: Manifest, scores: Mapping[str, Floats], tolerance: float = 0.0) -> None:
    """Refuse scores of the golden inputs that are not the stored ones.

    Raises:
        GoldenRowsDrift: one is off by more than the manifest's tolerance and the one given, or not a number.
    """
    allowed = max(manifest.tolerance, tolerance)
    for entry in manifest.targets:
        places = {label: place for place, label in enumerate(entry.labels)}
        for number, row in enumerate(manifest.golden):
            stored, now = row.scores[entry.name], scores[entry.name][number]
            kept = list(map(places.__getitem__, stored)) if isinstance(stored, dict) else slice(None)
            wanted = np.array(list(stored.values()) if isinstance(stored, dict) else stored)
            off = float(np.abs(now[kept] - wanted).max(initial=0.0))
            if not off <= allowed:  # NaN is not either
                raise GoldenRowsDrift(
                    f"The model {manifest.name!r} does not give the scores that were stored with it: target "
                    f"{entry.name!r}, golden row {number}, off by {off:.2g} where {allowed:.2g} is allowed. "
                    "Its files and this version of Tamis do not fit: use the version that the model card names, or "
                    "train it again.",
                    target=entry.name,
                    row=number,
                    off=off,
                )
