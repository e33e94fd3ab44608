"""Which form of a fine-tuned network is served: in 8-bit integers where answers stay the same, else in 32-bit numbers.

Each form is written, and asked about rows that the fit did not see. It does not know how a form is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tamis.data.truth import Truth
from tamis.evaluation.thresholds import decide
from tamis.ml.decisions import calibrated, fit_decisions
from tamis.ml.encoder.inputs import Encoded
from tamis.ml.encoder.placement import DATA
from tamis.ml.encoder.quantise import quantise
from tamis.schema import Target

Floats = NDArray[np.float32]

MOST_CHANGED = 1 / 200
"""Share of rows that may get another answer."""

MOST_TIME = 1.25
"""How much longer a smaller form may take."""

FORMS = {"int8": True, "int8-tables": False}
"""The smaller forms, the smallest first: whether their matrices are in integers, too."""

FLOAT = "float32"

TITLES = {
    "int8": "8-bit integers (weights scaled by column, numbers by token)",
    "int8-tables": "32-bit numbers, its table of tokens in 8-bit integers (scaled by row)",
    FLOAT: "32-bit numbers",
}


class Served(Protocol):
    """A form, opened."""

    def of_tokens(self, encoded: Encoded) -> Floats:
        """Return (inputs, all labels)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a form did: rows that got another answer of those asked about, its time and size as shares of float32's."""

    form: str
    changed: int
    asked: int
    time: float
    size: float

    @property
    def passes(self) -> bool:
        """Whether it may be served."""
        return self.changed <= MOST_CHANGED * self.asked and self.time <= MOST_TIME

    def told(self) -> str:
        """For the report."""
        return (
            f"in {TITLES[self.form]}, {self.changed:,} of {self.asked:,} answers changed, at {self.time:.0%} of the "
            f"time and {self.size:.0%} of the size"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """The form that is served.

    Attributes:
        form: its name.
        folder: where its files are.
        logits: (rows, all labels) what it says of the rows that were asked about.
        reference: (rows, all labels) what 32-bit numbers say of them.
        trials: how the smaller forms did.
    """

    form: str
    folder: Path
    logits: Floats
    reference: Floats
    trials: tuple[Trial, ...]

    def told(self) -> str:
        """For the report and the card."""
        tried = "; ".join(trial.told() for trial in self.trials)
        return f"Served by ONNX Runtime in {TITLES[self.form]}." + (f" Measured: {tried}." if tried else "")


def choose_variant(
    folder: Path, opened: Callable[[Path], Served], encoded: Encoded, targets: tuple[Target, ...],
    truth: Mapping[str, Truth],
) -> Variant:  # fmt: skip
    """Return the smallest form whose answers are those of 32-bit numbers.

    Args:
        folder: has `float32/model.onnx`; the other forms are written beside it.
        opened: opens a form.
        encoded: rows to ask about, best those that the fit did not see.
        targets: what is asked.
        truth: the rows' labels, from which the thresholds of answers are fitted.
    """
    wanted, seconds = _timed(opened(folder / FLOAT), encoded)
    answers = _Answers(targets, truth, wanted)
    given, trials = answers(wanted), list[Trial]()
    for form, products in FORMS.items():
        place = folder / form
        place.mkdir()
        quantise(folder / FLOAT, place, products=products)
        found, taken = _timed(opened(place), encoded)
        changed = int((answers(found) != given).any(axis=1).sum())
        trials.append(
            Trial(form, changed, len(encoded), taken / max(seconds, 1e-9), _size(place) / _size(folder / FLOAT))
        )
        if trials[-1].passes:
            return Variant(form, place, found, wanted, tuple(trials))
    return Variant(FLOAT, folder / FLOAT, wanted, wanted, tuple(trials))


class _Answers:
    """Logits as the labels that are given: (rows, all labels) whether each is."""

    def __init__(self, targets: tuple[Target, ...], truth: Mapping[str, Truth], logits: Floats) -> None:
        ends = np.cumsum([len(target.labels) for target in targets])
        self._columns = [
            slice(end - len(target.labels), end) for target, end in zip(targets, ends.tolist(), strict=True)
        ]
        self._targets = targets
        self._rules = [
            fit_decisions(truth[target.name], logits[:, columns])
            for target, columns in zip(targets, self._columns, strict=True)
        ]

    def __call__(self, logits: Floats) -> NDArray[np.bool_]:
        given = np.zeros(logits.shape, dtype=np.bool_)
        for target, columns, rule in zip(self._targets, self._columns, self._rules, strict=True):
            scores = calibrated(target.kind, rule.calibration, logits[:, columns])
            cuts = None if rule.thresholds is None else np.array(rule.thresholds, dtype=np.float32)
            given[:, columns] = decide(scores, cuts)
        return given


def _timed(served: Served, encoded: Encoded) -> tuple[Floats, float]:
    served.of_tokens(encoded.select(np.arange(min(len(encoded), 4))))  # opened, and warm
    begin = process_time()
    logits = served.of_tokens(encoded)
    return logits, process_time() - begin


def _size(folder: Path) -> int:
    return (folder / DATA).stat().st_size
