"""What a tier's trainer is given, and what it gives back: the seam between a run and how its weights are found.

It does not know how any tier trains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tamis.data.dataset import Dataset
from tamis.data.truth import Truth
from tamis.evaluation.evidence import Familiar
from tamis.ml.manifest import TargetManifest
from tamis.ml.progress import Check, Listener, nobody, nothing
from tamis.ml.restart import RestartPoints, Stage
from tamis.ml.schedule import Hyperparameters
from tamis.ml.scorer import Floats, Scorer


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Rows that the fit did not see: `rows` says what they are, `logits` (n, labels) and `truth` by target.

    `weights` (n,) by target: how much each row counts beside the others, as in training; None: all the same.
    `familiar` by target: how familiar each row is to the fit; None, or left out: not known. `shift`: whether the
    network has a place for what calibration adds to a label's logit. `alone` by target: logits of a part of the model,
    a network that can go where the whole cannot; None where it is the whole.
    """

    rows: str
    n: int
    logits: Mapping[str, Floats]
    truth: Mapping[str, Truth]
    weights: Mapping[str, Floats | None] = field(default_factory=dict)
    familiar: Mapping[str, Familiar | None] = field(default_factory=dict)
    shift: bool = True
    alone: Mapping[str, Floats] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Attended:
    """Who attends a run: is told, may stop it, keeps its restart points."""

    listener: Listener = nobody
    check: Check = nothing
    points: RestartPoints = field(default_factory=lambda: RestartPoints(None))

    def stage(self, name: str) -> Stage:
        """Return a part of the run."""
        return Stage(name, self.points, self.check)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What to learn: rows, what to judge on (None: rows are held out), how, and how much each target counts.

    `located` are targets whose abstain rule gains from knowing where the training rows of each label lie.
    """

    train: Dataset
    validation: Dataset | None
    chosen: Hyperparameters
    target_weights: Mapping[str, float] = field(default_factory=dict)
    located: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A model that a run grows: what scores, how its scores become answers, and how many rows it learnt from."""

    scorer: Scorer
    targets: tuple[TargetManifest, ...]
    n_rows: int

    def target(self, name: str) -> TargetManifest | None:
        """The target of that name, if it has one."""
        return next((target for target in self.targets if target.name == name), None)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model before calibration, and what is needed for it.

    Attributes:
        scorer: computes logits, exactly as the stored model will.
        architecture: what its tier needs beside the tensors to restore it, as JSON has it.
        held_out: logits of rows that the fit did not see, by the variant that is served; None for too few rows.
        checkpoints: see `tamis.ml.progress`.
        remarks: for the report.
        facts: for the manifest.
        alone: computes the logits of the part that `held_out.alone` is about; None where there is none.
    """

    scorer: Scorer
    architecture: Mapping[str, object]
    held_out: HeldOut | None
    checkpoints: tuple[dict[str, float], ...]
    remarks: tuple[str, ...]
    facts: Mapping[str, object] = field(default_factory=dict)
    alone: Scorer | None = None
