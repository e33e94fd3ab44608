"""An encoder as ONNX: the graph that is served, with calibration and activation behind it, and its tokenizer.

The tokenizer's file has the cut and the padding in it, so that it needs no options.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tamis.errors import InvalidSetting
from tamis.ml.artifact import TOKENIZER, Artifact
from tamis.ml.encoder.placement import DATA, MODEL
from tamis.ml.export.encoder_inputs import Ints, check_tokens, mean_logits, number, scores_of
from tamis.ml.export.onnx_card import encoder_card
from tamis.ml.export.onnx_graph import Graph, OnnxModel, add_scores, label_file, names_of_targets
from tamis.ml.manifest import Manifest
from tamis.ml.scorer import Floats
from tamis.schema import Input

SAME = 1e-5
LOGITS = "logits"
"""What the served graph calls its output: all targets' labels side by side."""


def write(artifact: Artifact, folder: Path) -> None:
    """Write the files of the export to a folder.

    Raises:
        InvalidSetting: the model has no graph.
        GoldenRowsDrift: the tokenizer's file reads texts otherwise than the model.
        MissingExtra: onnx is not installed.
    """
    manifest = artifact.manifest
    if MODEL not in artifact.files:
        raise InvalidSetting(
            f"The model {manifest.name!r} has no {MODEL}: its architecture could not be written as ONNX when it was "
            "trained. Export it with --to hf.",
            setting="to",
        )
    graph = Graph("tamis/")
    add_scores(graph, LOGITS, manifest.targets)
    graph.continue_file(artifact.folder / MODEL, folder)
    if DATA in artifact.files:
        shutil.copyfile(artifact.folder / DATA, folder / DATA)
    _write_tokenizer(artifact, folder / TOKENIZER)
    more = {"max_length": number(artifact, "max_length"), "pad_id": number(artifact, "pad_id")}
    (folder / "labels.json").write_text(label_file(manifest, **more), encoding="utf-8", newline="\n")
    (folder / "README.md").write_text(encoder_card(manifest), encoding="utf-8", newline="\n")


def scores(artifact: Artifact, folder: Path, inputs: Sequence[Input]) -> dict[str, Floats]:
    """Return what the export says of inputs, (inputs, labels) by target."""
    model, names = OnnxModel(folder), names_of_targets(artifact.manifest.targets)

    def logits_of(name: str) -> Floats:
        def run(ids: Ints, mask: Ints) -> Floats:
            return model.run([f"{name}_logits"], {"input_ids": ids, "attention_mask": mask})[0]

        return mean_logits(artifact, inputs, run)

    return {target.name: scores_of(target, logits_of(names[target.name])) for target in artifact.manifest.targets}


def allowed(manifest: Manifest) -> float:
    """Return how far a score may be from the model's."""
    return max(SAME, manifest.tolerance)


def _write_tokenizer(artifact: Artifact, path: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_buffer(artifact.tokenizer_json)
    pad_id = number(artifact, "pad_id")
    tokenizer.enable_truncation(number(artifact, "max_length"))
    tokenizer.enable_padding(pad_id=pad_id, pad_token=tokenizer.id_to_token(pad_id) or "[PAD]")
    tokenizer.save(str(path), pretty=False)
    written = Tokenizer.from_file(str(path))
    golden = [row.input for row in artifact.manifest.golden]
    check_tokens(artifact, lambda text: written.encode(text).ids, golden)
