"""Encoders with random weights as artifacts, their golden scores computed by torch alone."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from tamis.ml.artifact import open_artifact, write_artifact
from tamis.ml.cards import BaseModelCard
from tamis.ml.decisions import calibrated
from tamis.ml.golden import golden_inputs, golden_rows
from tamis.ml.manifest import Calibration, Manifest, TargetManifest
from tamis.ml.scorer import Contents
from tamis.schema import Kind

TESTS = Path(__file__).parents[1]
FORMAT_1 = open_artifact(TESTS / "fixtures" / "format-1").manifest
TINY = runpy.run_path(str(TESTS / "encoder" / "conftest.py"))
TINY["CONFIGS"]["starcoder2"] = ("Starcoder2Config", {"num_key_value_heads": 2})
TINY["CONFIGS"]["gpt2"] = ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 160})
ONE = (TargetManifest(name="intent", kind=Kind.SINGLE_LABEL, labels=("refund", "where", "thanks <b>")),)
TWO = (
    *ONE,
    TargetManifest(
        name="topic/s", kind=Kind.MULTI_LABEL, labels=("billing", "delivery"), thresholds=(0.4, 0.6), none_labels=()
    ),
)
CARD = BaseModelCard(
    id="tiny",
    tier="encoder",
    title="tiny",
    dimensions=32,
    vocabulary=300,
    licence="Apache-2.0",
    size_mb=0.1,
    source="https://huggingface.co/someone/tiny",
)


def calibration_of(target, *, biases=True):
    """Numbers as calibration might have found them."""
    n = len(target.labels)
    bias = tuple(np.linspace(-0.6, 0.6, n).tolist()) if biases else (0.0,)
    scale = (1.7,) if target.kind is Kind.SINGLE_LABEL else tuple(np.linspace(0.8, 1.9, n).tolist())
    return Calibration(scale=scale, bias=bias)


def save_base(kind, folder, n_labels):
    """Write a network with a classifier whose logits are neither tiny nor all alike; return it with its tokenizer."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    config = TINY["config_of"](kind)
    config.num_labels, config.pad_token_id = n_labels, 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = transformers.AutoModelForSequenceClassification.from_config(config).eval()
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1 or "bias" in name:
                torch.nn.init.normal_(parameter, std=0.3)
    network.save_pretrained(folder)
    decoder = kind in TINY["DECODERS"]
    (folder / "tokenizer.json").write_text(TINY["tokenizer_of"](decoder).to_str(), encoding="utf-8")
    return network


@pytest.fixture(scope="session")
def one_thread():
    """The networks are tiny: threads would only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def one_target():
    """A single-label target alone."""
    return ONE


@pytest.fixture(scope="session")
def encoder_artifact(tmp_path_factory, one_thread):
    """A function: the folder of a model of an architecture, with or without model.onnx and a chat template."""
    made = {}

    def make(kind="bert", targets=TWO, *, onnx=False, template=False, biases=True, **facts):
        key = (kind, targets, onnx, template, biases, *facts.items())
        if key not in made:
            made[key] = _written(tmp_path_factory.mktemp(kind), kind, targets, onnx, template, biases, facts)
        return made[key]

    return make


def _written(place, kind, targets, onnx, template, biases, facts):
    files = place / "files"
    files.mkdir()
    targets = tuple(
        target.model_copy(update={"calibration": calibration_of(target, biases=biases)}) for target in targets
    )
    network = save_base(kind, files, sum(len(target.labels) for target in targets))
    said = {"bos_token": "<s>", "eos_token": "</s>", "model_max_length": 128, "mask_token": "<not there>"}
    said |= {"chat_template": TINY["CHATML"]} if template else {}
    (files / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    if onnx:
        from tamis.ml.encoder.onnx_file import export

        export(network, files, [[1, 40, 2]], 0)
    facts = {
        "max_length": 96,
        "windows": 1,
        "pad_id": 0,
        "empty_id": 1,
        "chat_template": template,
        "served": "float32",
        **facts,
    }
    manifest = Manifest.model_validate(
        FORMAT_1.model_dump(exclude={"golden", "files", "targets", "metrics"})
        | {"tier": "encoder", "base_model": CARD, "architecture": facts, "targets": targets, "name": "tiny"}
    )
    contents = Contents({}, None, {path.name: path for path in files.iterdir()})
    manifest = write_artifact(place / "model", manifest, contents)
    inputs = golden_inputs([target.target for target in targets])
    logits = torch_logits(place / "model", network, inputs)
    golden, at = {}, 0
    for target in targets:
        golden[target.name] = calibrated(target.kind, target.calibration, logits[:, at : at + len(target.labels)])
        at += len(target.labels)
    rows = golden_rows(inputs, golden, [target.target for target in targets])
    write_artifact(place / "model", manifest.model_copy(update={"golden": tuple(rows)}), contents, overwrite=True)
    return place / "model"


def torch_logits(folder, network, inputs):
    """What the network says of inputs, each alone, long ones by the mean of their windows."""
    import torch

    from tamis.ml.export.encoder_inputs import encode

    encoded, rows = encode(open_artifact(folder), inputs), []
    for place in range(len(inputs)):
        said = []
        for sequence in range(encoded.first[place], encoded.first[place + 1]):
            ids = encoded.ids[encoded.offsets[sequence] : encoded.offsets[sequence + 1]].astype(np.int64)
            with torch.inference_mode():
                said.append(network(input_ids=torch.from_numpy(ids)[None]).logits[0].numpy())
        rows.append(np.mean(said, axis=0))
    return np.array(rows, dtype=np.float32)
