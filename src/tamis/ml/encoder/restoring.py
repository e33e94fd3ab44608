"""An encoder from an artifact: served by ONNX Runtime, or by torch where there is a GPU or no model.onnx."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from tamis.ml.artifact import Artifact
from tamis.ml.encoder.base_model import EncoderBase
from tamis.ml.encoder.bounds import refuse_architecture
from tamis.ml.encoder.ensemble import restored
from tamis.ml.encoder.inputs import encoding_of
from tamis.ml.encoder.onnx_scorer import OnnxScorer, Reader
from tamis.ml.encoder.placement import MODEL
from tamis.ml.scorer import Scorer

DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What is there where there may be a GPU: looking costs nothing, asking torch takes seconds."""


def restore(artifact: Artifact) -> Scorer:
    """Return what an artifact holds.

    Raises:
        DamagedArtifact: its files and its manifest do not fit each other.
        MissingExtra: what computes it is not installed.
    """
    return restored(artifact, _network(artifact))


def _network(artifact: Artifact) -> Scorer:
    reader = _reader(artifact)
    has_graph = MODEL in artifact.files
    form = str(artifact.manifest.architecture.get("served"))
    device = _gpu()
    if has_graph and device is None:
        return OnnxScorer(artifact.folder, reader, form=form)
    from tamis.extras import require

    require("torch", "encoder")
    require("transformers", "encoder")
    from tamis.ml.encoder.torch_scorer import TorchScorer

    return TorchScorer(artifact.folder, reader, device=device or "cpu", form=form)


def _reader(artifact: Artifact) -> Reader:
    """How the artifact's inputs become tokens, from its manifest and its tokenizer."""
    facts = artifact.manifest.architecture
    refuse_architecture(facts, artifact.folder / "manifest.json")
    base = EncoderBase(artifact.manifest.base_model, Path(artifact.folder))
    encoding = encoding_of(base.tokenizer_json, facts, base.template)
    targets = tuple(entry.computed for entry in artifact.manifest.targets)
    return Reader(encoding, int(str(facts["pad_id"])), targets)


def _gpu() -> str | None:
    """The device of a GPU that torch can use, if there is one."""
    if find_spec("torch") is None or find_spec("transformers") is None:
        return None
    if not any(Path(driver).exists() for driver in DRIVERS):
        return None
    import torch

    return "cuda" if torch.cuda.is_available() else None
