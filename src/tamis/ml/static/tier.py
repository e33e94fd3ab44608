"""The static tier: what it does with a base model, with an artifact, and before a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from tamis.ml.artifact import Artifact
from tamis.ml.estimates import Estimate
from tamis.ml.progress import Check
from tamis.ml.static.base_model import StaticBase
from tamis.ml.static.estimates import estimate_run
from tamis.ml.static.growing import StaticGrower
from tamis.ml.static.model import Semantics
from tamis.ml.static.scorer import StaticScorer
from tamis.ml.static.stored import restore as restore_model
from tamis.ml.static.tokens import RunTokenizer
from tamis.ml.static.training import StaticTrainer
from tamis.ml.trained import Attended, Start, Task, Trained


def train(base: StaticBase, task: Task, attended: Attended) -> Trained:
    """Return what training comes to."""
    semantics = Semantics(base.matrix, RunTokenizer(base.tokenizer_json, base.unknown_id))
    trainer = StaticTrainer(semantics, task.chosen, base.card.tuned, attended, task.target_weights, task.located)
    return trainer.train(task.train, task.validation)


def grow(start: Start, task: Task, attended: Attended) -> Trained:
    """Return what adding labels and targets to a model comes to."""
    scorer = cast("StaticScorer", start.scorer)
    return StaticGrower(start, scorer.model, task, attended).grow()


def restore(artifact: Artifact) -> StaticScorer:
    """Return what an artifact holds.

    Raises:
        DamagedArtifact: its tensors, its tokenizer and its manifest do not fit each other.
    """
    return StaticScorer(restore_model(artifact))


def tokens_read(architecture: Mapping[str, object]) -> int | None:
    """Return None: texts of any length are read whole."""
    return None


def estimate(base: StaticBase, task: Task, check: Check) -> Estimate:
    """Return what a run will take."""
    return estimate_run(task.train, base, task.chosen, task.validation, check=check)
