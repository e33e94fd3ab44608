"""An export, whatever it is for: written beside its place, checked against the golden rows, then put in place.

What the formats are is for their modules. An export whose scores are not the model's is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from tamis.errors import GoldenRowsDrift, InvalidSetting, ModelError, OutputExists
from tamis.ml.artifact import Artifact, open_artifact, refuse_inside
from tamis.ml.encoder.placement import ENSEMBLE, OF_STATIC
from tamis.ml.export.onnx_card import ALONE
from tamis.ml.folder_swap import written_beside
from tamis.ml.golden import golden_inputs
from tamis.ml.manifest import Manifest
from tamis.ml.scorer import Floats
from tamis.schema import Input

FORMATS: Mapping[str, Mapping[str, str]] = {
    "hf": {"encoder": "tamis.ml.export.hf"},
    "onnx": {"static": "tamis.ml.export.onnx_static", "encoder": "tamis.ml.export.onnx_encoder"},
}
"""By format and tier, the module that writes it."""


class Exporter(Protocol):
    """A format's module."""

    def write(self, artifact: Artifact, folder: Path) -> None:
        """Write the files of the export to a folder."""

    def scores(self, artifact: Artifact, folder: Path, inputs: Sequence[Input]) -> Mapping[str, Floats]:
        """Return what the export says of inputs, computed from its files as their users would."""

    def allowed(self, manifest: Manifest) -> float:
        """Return how far a score may be from the model's."""


def export(source: Path, to: str, folder: Path, *, overwrite: bool = False, network_alone: bool = False) -> Path:
    """Write a model's folder as another program wants it, whole or not at all; return the folder.

    Args:
        source: a model's folder.
        to: a name in `FORMATS`.
        folder: where to.
        overwrite: replace an earlier export there.
        network_alone: of an ensemble, the network by itself, with a calibration of its own. It is all that other
            programs can hold of one; its scores are not the model's, but those that were stored of it in training.

    Raises:
        InvalidSetting: there is no such format, a model of this tier cannot become one, or it is an ensemble and
            `network_alone` is not given; the message says why.
        OutputExists: something is there that would be lost.
        GoldenRowsDrift: the export would not give the model's scores.
        MissingExtra: a library that it takes is not installed.
        ModelError: the model is damaged, or the place may not be written.
    """
    artifact = open_artifact(source, of_hub=True)
    exporter = _exporter(to, artifact.manifest.tier)
    artifact = _alone(artifact, to, wanted=network_alone)
    folder = Path(folder).resolve()
    refuse_folder(folder, overwrite=overwrite)
    try:
        with written_beside(folder) as partial:
            exporter.write(artifact, partial)
            _check(artifact, exporter, partial)
            _refuse_loss(folder, partial)
    except OSError as error:
        raise ModelError(
            f"The export could not be written to {folder}: {error.strerror or error}. Make room, or choose another "
            "place; what was there before is unchanged.",
            folder=str(folder),
        ) from error
    return folder


def _alone(artifact: Artifact, to: str, *, wanted: bool) -> Artifact:
    """Return the model, or the network by itself of one that is an ensemble."""
    manifest = artifact.manifest
    alone = manifest.network_alone
    if alone is None:
        return artifact
    if not wanted:
        raise InvalidSetting(
            f"The model {manifest.name!r} is an ensemble: a static model answers together with its network, and an "
            f"export to {to} can hold the network alone. That has a calibration of its own{compared(manifest)}: add "
            "--network-alone to export it, or train with --encoder-option ensemble=false.",
            setting="network_alone",
        )
    architecture = {name: fact for name, fact in manifest.architecture.items() if name != ENSEMBLE}
    kept = {name: entry for name, entry in manifest.files.items() if name not in OF_STATIC}
    told = f"This is the network alone of a model in which a static model answers together with it{compared(manifest)}."
    update: dict[str, object] = {
        "targets": alone.targets,
        "golden": alone.golden,
        "metrics": alone.metrics,
        "files": kept,
    }
    update |= {"architecture": architecture, "training": {**manifest.training, ALONE: told}, "network_alone": None}
    view = manifest.model_copy(update=update)
    return Artifact(artifact.folder, view, {name: artifact.files[name] for name in kept})


def compared(manifest: Manifest) -> str:
    """How often each is right on held-out rows, where that was measured."""
    alone = manifest.network_alone
    parts = []
    for target in manifest.targets:
        figure, word = ("micro_f1", "micro-F1") if target.target.is_multi else ("accuracy", "accuracy")
        mine, its = (_held_out(each.metrics, target.name, figure) for each in (manifest, alone) if each is not None)
        if mine is not None and its is not None:
            parts.append(f"{target.name}: {word} {its:.1%}, the model {mine:.1%}")
    return f" ({'; '.join(parts)} on held-out rows)" if parts else ""


def _held_out(metrics: Mapping[str, object], target: str, figure: str) -> float | None:
    held = metrics.get("held_out")
    of_target = held.get(target) if isinstance(held, dict) else None
    value = of_target.get(figure) if isinstance(of_target, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _exporter(to: str, tier: str) -> Exporter:
    if to not in FORMATS:
        raise InvalidSetting(f"There is no export to {to!r}: there are {', '.join(FORMATS)}.", setting="to")
    if tier not in FORMATS[to]:
        raise InvalidSetting(
            "A static model cannot become one of transformers: most of it are weights of n-grams, and no architecture "
            "there has such. Export it with --to onnx, or train on an encoder: tamis train FILE --base minilm-l6",
            setting="to",
        )
    return cast("Exporter", import_module(FORMATS[to][tier]))


def refuse_folder(folder: Path, *, overwrite: bool) -> None:
    """Do nothing where an export may be written: call it before the work.

    Raises:
        OutputExists: something is there, and `overwrite` is not given, or it is a file; or it is within a model.
    """
    refuse_inside(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputExists(f"{folder} is a file: choose another place for the export.", folder=str(folder))
    if any(folder.iterdir()) and not overwrite:
        raise OutputExists(
            f"{folder} is not empty: choose another place, or replace an earlier export there with --force.",
            folder=str(folder),
        )


def _refuse_loss(folder: Path, new: Path) -> None:
    """Refuse to replace what is no file of an export like the new one."""
    mine = {path.relative_to(new).as_posix() for path in new.rglob("*")}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")} if folder.exists() else set()
    if foreign := sorted(found - mine):
        raise OutputExists(
            f"{folder} holds what is not of an export ({', '.join(foreign[:3])}): move that away, or choose another "
            "place.",
            folder=str(folder),
        )


def _check(artifact: Artifact, exporter: Exporter, folder: Path) -> None:
    """Refuse an export that says something else than the model of the golden rows."""
    manifest = artifact.manifest
    inputs = [row.input for row in manifest.golden] or golden_inputs([target.target for target in manifest.targets])
    found = exporter.scores(artifact, folder, inputs)
    for target in manifest.targets:
        places = {label: place for place, label in enumerate(target.labels)}
        for number, row in enumerate(manifest.golden):
            stored, now = row.scores[target.name], found[target.name][number]
            kept = [places[label] for label in stored] if isinstance(stored, dict) else slice(None)
            wanted = np.array(list(stored.values()) if isinstance(stored, dict) else stored)
            off = float(np.abs(now[kept] - wanted).max(initial=0.0))
            if not off <= exporter.allowed(manifest):  # NaN is not either
                raise GoldenRowsDrift(
                    f"The export would not give the scores of the model {manifest.name!r}: target {target.name!r}, "
                    f"golden row {number}, off by {off:.2g}. Nothing was written.",
                    target=target.name,
                    row=number,
                    off=off,
                )
