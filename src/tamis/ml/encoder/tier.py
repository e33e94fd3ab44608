"""The encoder tier: what it does with a base model, with an artifact, and before a run."""

from __future__ import annotations

from collections.abc import Mapping

from tamis.errors import InvalidSetting
from tamis.extras import require
from tamis.ml.artifact import Artifact
from tamis.ml.encoder.base_model import EncoderBase
from tamis.ml.encoder.bounds import allowed
from tamis.ml.encoder.estimates import estimate_run
from tamis.ml.encoder.inputs import tokens_read as read_at_most
from tamis.ml.encoder.restoring import restore as restore_scorer
from tamis.ml.estimates import Estimate
from tamis.ml.progress import Check
from tamis.ml.scorer import Scorer
from tamis.ml.trained import Attended, Start, Task, Trained

LIBRARIES = ("torch", "transformers", "accelerate", "peft", "onnx", "onnxscript", "onnxruntime")
"""What training needs: looked for before anything is computed."""


def train(base: EncoderBase, task: Task, attended: Attended) -> Trained:
    """Return what training comes to.

    Raises:
        MissingExtra: a library is not installed.
    """
    for library in LIBRARIES:
        require(library, "encoder")
    from tamis.ml.encoder.finishing import finish
    from tamis.ml.encoder.trainer import EncoderTrainer

    return finish(EncoderTrainer(base, task, attended).train(), base, task, attended)


def grow(start: Start, task: Task, attended: Attended) -> Trained:
    """Refuse: all weights of an encoder serve all labels, and `tamis.ml.growing` says what to do instead.

    Raises:
        InvalidSetting: always.
    """
    raise InvalidSetting("Models of the encoder tier do not grow: train anew on all rows, the old ones too.")


def restore(artifact: Artifact) -> Scorer:
    """Return what an artifact holds.

    Raises:
        DamagedArtifact: its files and its manifest do not fit each other.
        MissingExtra: what computes it is not installed.
    """
    return restore_scorer(artifact)


def tokens_read(architecture: Mapping[str, object]) -> int | None:
    """Return how many tokens of a text are read by a model whose manifest has this, as far as that may be true."""
    max_length, windows = allowed(architecture, "max_length"), allowed(architecture, "windows")
    return None if max_length is None or windows is None else read_at_most(max_length, windows)


def estimate(base: EncoderBase, task: Task, check: Check) -> Estimate:
    """Return what a run will take."""
    return estimate_run(base, task, check)
