"""An encoder as transformers loads it: a folder for each target, calibration folded into the classifier's weights.

It does not know how an encoder is trained or served.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tamis.errors import GoldenRowsDrift
from tamis.extras import require
from tamis.ml.artifact import CARD, TOKENIZER, Artifact
from tamis.ml.encoder.base_model import TEMPLATE, TOKENIZER_CONFIG
from tamis.ml.encoder.onnx_scorer import DRIFTS
from tamis.ml.encoder.templates import special_tokens
from tamis.ml.export.encoder_inputs import Ints, check_tokens, files_of, mean_logits, number, scores_of
from tamis.ml.export.folding import Head
from tamis.ml.export.hf_card import card_of_all, card_of_one
from tamis.ml.export.onnx_graph import names_of_targets
from tamis.ml.golden import golden_inputs
from tamis.ml.manifest import Manifest, TargetManifest
from tamis.ml.scorer import Floats
from tamis.schema import Input, Kind

SAME = 1e-5
"""How far calibrated logits may be off those of the model's own weights; a share of the largest, if above 1."""

PROBLEMS = {Kind.SINGLE_LABEL: "single_label_classification", Kind.MULTI_LABEL: "multi_label_classification"}


def write(artifact: Artifact, folder: Path) -> None:
    """Write the files of the export to a folder.

    Raises:
        InvalidSetting: calibration cannot be folded into the classifier of this architecture.
        GoldenRowsDrift: transformers would read texts otherwise than the model, or what is written says otherwise than
            the model's own weights.
        MissingExtra: torch or transformers is not installed.
    """
    manifest, places = artifact.manifest, places_of(artifact.manifest, folder)
    network, head = _of_artifact(artifact)
    inputs = [row.input for row in manifest.golden] or golden_inputs([target.target for target in manifest.targets])
    own = _logits(artifact, network, inputs)
    columns = np.cumsum([0, *(len(target.computed.labels) for target in manifest.targets)]).tolist()
    for number_, target in enumerate(manifest.targets):
        rows = slice(columns[number_], columns[number_ + 1])
        head.fold(rows, target)
        _set_labels(network, target)
        place = places[target.name]
        place.mkdir(parents=True, exist_ok=True)
        with _quiet():
            network.save_pretrained(place)
        _readable(place)
        _write_tokenizer(artifact, place)
        logits = _logits(artifact, _loaded(place), inputs)
        _refuse_unlike(manifest, target, logits, own[:, rows])
        card = card_of_one(manifest, target, _off(manifest, target, scores_of(target, logits)))
        (place / CARD).write_text(card, encoding="utf-8", newline="\n")
    if len(places) > 1:
        names = {name: place.name for name, place in places.items()}
        (folder / CARD).write_text(card_of_all(manifest, names), encoding="utf-8", newline="\n")


def scores(artifact: Artifact, folder: Path, inputs: Sequence[Input]) -> dict[str, Floats]:
    """Return what the export says of inputs, (inputs, labels) by target."""
    places = places_of(artifact.manifest, folder)
    return {
        target.name: scores_of(target, _logits(artifact, _loaded(places[target.name]), inputs))
        for target in artifact.manifest.targets
    }


def allowed(manifest: Manifest) -> float:
    """Return how far a score may be from the model's, which may be served in 8-bit integers: the card says how far."""
    return DRIFTS.get(str(manifest.architecture.get("served")), max(SAME, manifest.tolerance))


def _logits(artifact: Artifact, network: Any, inputs: Sequence[Input]) -> Floats:  # noqa: ANN401
    """(inputs, labels) what a network says of inputs."""
    torch_: Any = require("torch", "encoder")

    def run(ids: Ints, mask: Ints) -> Floats:
        with torch_.inference_mode():
            given = {"input_ids": torch_.from_numpy(ids), "attention_mask": torch_.from_numpy(mask)}
            logits: Floats = network(**given).logits.float().numpy()
            return logits

    return mean_logits(artifact, inputs, run)


def _refuse_unlike(manifest: Manifest, target: TargetManifest, logits: Floats, own: Floats) -> None:
    """Refuse logits that are not those of the model's own weights, calibrated: whatever form it is served in."""
    wanted = own * np.array(target.calibration.scale) + np.array(target.calibration.bias)
    off = logits - wanted
    if target.kind is Kind.SINGLE_LABEL:  # a softmax sees no shift of all
        off = off - off.mean(axis=1, keepdims=True)
    most = float(np.abs(off).max())
    if not most <= SAME * max(1.0, float(np.abs(wanted).max())):  # NaN is not either
        raise GoldenRowsDrift(
            f"The export would not give the scores of the weights of the model {manifest.name!r}: target "
            f"{target.name!r}, a logit off by {most:.2g}. Nothing was written.",
            target=target.name,
            off=most,
        )


def places_of(manifest: Manifest, folder: Path) -> dict[str, Path]:
    """Return each target's folder: one below where there are several targets."""
    names = names_of_targets(manifest.targets)
    return {name: folder / plain if len(names) > 1 else folder for name, plain in names.items()}


def _loaded(folder: Path) -> Any:  # noqa: ANN401  a third party's object
    transformers, torch_ = require("transformers", "encoder"), require("torch", "encoder")
    with _quiet():
        network = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch_.float32
        )
    return network.eval()


def _readable(place: Path) -> None:
    """Give weights the mode of the other files: the package writes such that nobody else may read."""
    mode = (place / "config.json").stat().st_mode
    for path in place.glob("*.safetensors"):
        path.chmod(mode)


def _of_artifact(artifact: Artifact) -> tuple[Any, Head]:
    """The network of a model, and the layer whose rows are the labels."""
    require("transformers", "encoder")
    require("torch", "encoder")
    from tamis.ml.encoder.network import last_linear, load_network

    n_labels = sum(len(target.computed.labels) for target in artifact.manifest.targets)
    network = load_network(artifact.folder, n_labels, number(artifact, "pad_id"), name=artifact.manifest.name).eval()
    return network, Head(network, last_linear(network))


def _quiet() -> Any:  # noqa: ANN401
    from tamis.ml.encoder.network import quiet

    return quiet()


def _set_labels(network: Any, target: TargetManifest) -> None:  # noqa: ANN401
    config = network.config
    config.id2label = dict(enumerate(target.computed.labels))  # num_labels follows from it
    config.label2id = {label: place for place, label in enumerate(target.computed.labels)}
    config.problem_type = PROBLEMS[target.kind]
    config.name_or_path = config._name_or_path = ""  # a folder of the machine that it was made on
    network.num_labels = len(target.computed.labels)


def _write_tokenizer(artifact: Artifact, place: Path) -> None:
    """Write the tokenizer so that any version of transformers takes its file as it is."""
    from tokenizers import Tokenizer

    tokenizer, files = Tokenizer.from_buffer(artifact.tokenizer_json), files_of(artifact)
    special = {
        name: token
        for name, token in special_tokens(files.tokenizer_config).items()
        if tokenizer.token_to_id(token) is not None
    }
    pad = tokenizer.id_to_token(number(artifact, "pad_id"))
    told: dict[str, object] = {
        **special,
        **({"pad_token": pad} if pad is not None else {}),
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": number(artifact, "max_length"),
        "clean_up_tokenization_spaces": False,
        "padding_side": "right",
        "truncation_side": "right",
    }
    (place / TOKENIZER).write_bytes(artifact.tokenizer_json)
    if files.template.source:
        (place / TEMPLATE).write_text(files.template.source, encoding="utf-8", newline="\n")
    rendered = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    (place / TOKENIZER_CONFIG).write_text(rendered, encoding="utf-8", newline="\n")
    _check_tokenizer(artifact, place)


def _check_tokenizer(artifact: Artifact, place: Path) -> None:
    transformers: Any = require("transformers", "encoder")
    with _quiet():
        loaded = transformers.AutoTokenizer.from_pretrained(os.fspath(place), local_files_only=True)
    golden = [row.input for row in artifact.manifest.golden]
    check_tokens(artifact, lambda text: list(loaded(text, truncation=True)["input_ids"]), golden)


def _off(manifest: Manifest, target: TargetManifest, found: Floats) -> float:
    """How far the scores of the golden rows are from the model's."""
    places = {label: place for place, label in enumerate(target.labels)}
    most = 0.0
    for row, now in zip(manifest.golden, found, strict=False):  # none of a model without
        stored = row.scores[target.name]
        pairs = stored.items() if isinstance(stored, dict) else zip(target.labels, stored, strict=True)
        most = max([most, *(abs(float(now[places[label]]) - score) for label, score in pairs)])
    return most
