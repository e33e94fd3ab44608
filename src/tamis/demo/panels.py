"""What the page shows of each target: its bars, its answer, and the controls that move its thresholds.

Pure: scores in, verdicts out. It does not know Gradio or HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, log
from typing import NamedTuple

import numpy as np

from tamis.evaluation.evidence import Familiar
from tamis.evaluation.thresholds import abstains, decide
from tamis.ml.decisions import Floats, evidence_by
from tamis.ml.manifest import Manifest, TargetManifest
from tamis.ml.scorer import familiar_of

MOST_CONTROLS = 24
"""Labels up to which each has a threshold of its own to move; beyond, one control moves all of them."""

DIGITS = 3
"""To which controls are set: what stands where it was put at first means the model's own, exact number."""

FURTHEST = 5.0
"""How far all thresholds together can be moved, in log-odds."""


class Control(NamedTuple):
    """A slider: what it moves, from where to where, and where it stands at first."""

    label: str
    info: str
    low: float
    high: float
    at_first: float
    step: float


class Bar(NamedTuple):
    """A label with its score, from which score it is given (multi-label targets), and whether it is."""

    label: str
    score: float
    cut: float | None
    given: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the model says for one target: bars from the highest score down, and whether it abstains below `cut`."""

    bars: tuple[Bar, ...]
    abstained: bool = False
    cut: float | None = None

    @property
    def given(self) -> tuple[Bar, ...]:
        """The labels that are given."""
        return tuple(bar for bar in self.bars if bar.given)


@dataclass(frozen=True)
class Panel:
    """One target of the model on the page."""

    entry: TargetManifest

    @property
    def name(self) -> str:
        """The target's name."""
        return self.entry.name

    @property
    def is_multi(self) -> bool:
        """Whether any number of its labels may be given."""
        return self.entry.target.is_multi

    @cached_property
    def controls(self) -> tuple[Control, ...]:
        """The sliders of the target; none for a single-label target that always answers."""
        entry = self.entry
        if entry.thresholds is not None:
            if len(entry.labels) > MOST_CONTROLS:
                info = "Moves the threshold of every label: to the right fewer labels are given, to the left more."
                return (Control("All thresholds", info, -FURTHEST, FURTHEST, 0.0, 0.1),)
            pairs = zip(entry.labels, entry.thresholds, strict=True)
            return tuple(Control(label, "", 0.0, 1.0, round(cut, DIGITS), 0.001) for label, cut in pairs)
        if entry.abstain is not None and entry.abstain.evidence is None:
            info = "Where its highest score is lower, the model gives no answer."
            return (Control("Answers from", info, 0.0, 1.0, round(entry.abstain.threshold, DIGITS), 0.001),)
        return ()

    def verdict(self, scores: Floats, values: Sequence[float] = (), familiar: Familiar | None = None) -> Verdict:
        """Return what (n_labels,) scores come to.

        Args:
            scores: of one input.
            values: where the controls stand; without any, where they stand at first.
            familiar: how familiar it is to the model; None: not known.
        """
        if self.entry.thresholds is not None:
            cuts = self._cuts(values)
            return Verdict(self._bars(scores, cuts, decide(scores, cuts)))
        rule = self.entry.abstain
        if rule is not None and rule.evidence is not None:
            silent = bool(abstains(evidence_by(rule.evidence, scores[None], familiar), rule.threshold)[0])
            given = (np.arange(len(scores)) == scores.argmax()) & (not silent)
            return Verdict(self._bars(scores, None, given), silent)
        cut = self._confidence(values)
        abstained = cut is not None and bool(abstains(scores.max(keepdims=True), cut)[0])
        given = np.arange(len(scores)) == scores.argmax()
        return Verdict(self._bars(scores, None, given & (not abstained)), abstained, cut)

    def _bars(self, scores: Floats, cuts: Floats | None, given: np.ndarray) -> tuple[Bar, ...]:
        return tuple(
            Bar(
                self.entry.labels[place],
                float(scores[place]),
                None if cuts is None else float(cuts[place]),
                bool(given[place]),
            )
            for place in np.argsort(-scores, kind="stable").tolist()
        )

    def _cuts(self, values: Sequence[float]) -> Floats:
        own = np.array(self.entry.thresholds, dtype=np.float32)
        if not values:
            return own
        if len(self.entry.labels) > MOST_CONTROLS:
            by = _within(values[0], self.controls[0])
            return own if by == 0 else np.array([_moved(float(cut), by) for cut in own], dtype=np.float32)
        moved = [
            exact if (value := _within(given, control)) == control.at_first else value
            for exact, given, control in zip(own.tolist(), values, self.controls, strict=True)
        ]
        return np.array(moved, dtype=np.float32)

    def _confidence(self, values: Sequence[float]) -> float | None:
        abstain = self.entry.abstain
        if abstain is None or not values:
            return abstain.threshold if abstain else None
        value = _within(values[0], self.controls[0])
        return abstain.threshold if value == self.controls[0].at_first else value


def panels_of(manifest: Manifest) -> tuple[Panel, ...]:
    """Return a panel a target."""
    return tuple(Panel(entry) for entry in manifest.targets)


def verdicts(
    panels: Sequence[Panel], scores: Mapping[str, Floats], values: Sequence[float] = ()
) -> list[tuple[Panel, Verdict]]:
    """Return what each target's scores of one input come to.

    Args:
        panels: all targets.
        scores: (1, n_labels) by target.
        values: where the controls of all panels stand, one after another; none: where they stand at first.
    """
    found, start = [], 0
    for place, panel in enumerate(panels):
        end = start + len(panel.controls)
        found.append((panel, panel.verdict(scores[panel.name][0], values[start:end], familiar_of(scores, place))))
        start = end
    return found


def _within(value: float, control: Control) -> float:
    """Whatever a page sends as a number that the control can stand at."""
    number = value if isinstance(value, int | float) and value == value else control.at_first
    return round(min(max(float(number), control.low), control.high), DIGITS)


def _moved(cut: float, by: float) -> float:
    """A threshold moved in log-odds; 0 and 1 stay."""
    if not 0 < cut < 1:
        return cut
    odds = log(cut / (1 - cut)) + by
    return 1 / (1 + exp(-odds))
