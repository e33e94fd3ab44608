"""Which form of a fine-tuned network is served: in 8-bit integers where answers stay the same, else in 32-bit numbers.

Each form is written, and asked about rows that were held out: how far it is off the 32-bit numbers is added to what was
said of a row by a network that had not seen it. What time a form takes decides nothing: the same data and seed give the
same model on any machine. It does not know how a form is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tamis.data.truth import Truth
from tamis.evaluation.thresholds import decide
from tamis.ml.decisions import calibrated, fit_decisions
from tamis.ml.encoder.placement import DATA
from tamis.ml.encoder.quantise import quantise
from tamis.schema import Target

Floats = NDArray[np.float32]

MOST_CHANGED = 1 / 200
"""Share of rows that may get another answer."""

FORMS = {"int8": True, "int8-tables": False}
"""The smaller forms, the smallest first: whether their matrices are in integers, too."""

FLOAT = "float32"

TITLES = {
    "int8": "8-bit integers (weights scaled by column, numbers by token)",
    "int8-tables": "32-bit numbers, its table of tokens in 8-bit integers (scaled by row)",
    FLOAT: "32-bit numbers",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """How a form did: rows that got another answer of those asked about, its size as a share of float32's."""

    form: str
    changed: int
    asked: int
    size: float

    @property
    def passes(self) -> bool:
        """Whether it may be served."""
        return self.changed <= MOST_CHANGED * self.asked

    def told(self) -> str:
        """For the report."""
        changed = f"{self.changed:,} of {self.asked:,} answers changed"
        return f"in {TITLES[self.form]}, {changed}, at {self.size:.0%} of the size"


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The form that is served, how the smaller ones did that were tried, and how far it is off, (rows, all labels)."""

    form: str
    trials: tuple[Trial, ...] = ()
    moved: Floats | None = None

    def told(self) -> str:
        """For the report and the card."""
        tried = "; ".join(trial.told() for trial in self.trials)
        return f"Served on a CPU by ONNX Runtime in {TITLES[self.form]}." + (f" Measured: {tried}." if tried else "")


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked of some rows.

    Attributes:
        targets: whose labels are the columns, side by side.
        truth: the rows' labels, from which the thresholds of answers are fitted.
        said: (rows, all labels) by whom had not seen them, on which answers are based; None: what 32-bit numbers say.
    """

    targets: tuple[Target, ...]
    truth: Mapping[str, Truth]
    said: Floats | None = None


def choose_form(folder: Path, logits_of: Callable[[Path], Floats], question: Question) -> Choice:
    """Return the smallest form whose answers are those of 32-bit numbers.

    Args:
        folder: has `float32/model.onnx`; the other forms are written beside it.
        logits_of: asks the form in a folder about the rows, (rows, all labels).
        question: what is asked of them.
    """
    plain = logits_of(folder / FLOAT)
    said = plain if question.said is None else question.said
    answers = _Answers(question.targets, question.truth, said)
    given, trials = answers(said), list[Trial]()
    for form in FORMS:
        place = write_form(folder, form)
        moved = logits_of(place) - plain
        changed = int((answers(said + moved) != given).any(axis=1).sum())
        trials.append(Trial(form, changed, len(said), _size(place) / _size(folder / FLOAT)))
        if trials[-1].passes:
            return Choice(form, tuple(trials), moved)
    return Choice(FLOAT, tuple(trials))


def write_form(folder: Path, form: str) -> Path:
    """Write a smaller form of `float32/model.onnx` beside it, and return its folder."""
    place = folder / form
    place.mkdir()
    quantise(folder / FLOAT, place, products=FORMS[form])
    return place


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


def _size(folder: Path) -> int:
    return (folder / DATA).stat().st_size
