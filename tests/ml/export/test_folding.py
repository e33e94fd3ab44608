"""Which networks have a place for what calibration adds to a logit, and how the others are calibrated."""

import pytest

import tamis
from tamis.ml.artifact import open_artifact
from tamis.ml.encoder.network import last_linear, load_network
from tamis.ml.export.exporting import export
from tamis.ml.export.folding import Head

pytest.importorskip("transformers")


@pytest.mark.parametrize(("kind", "takes"), [("bert", True), ("gpt2", True), ("starcoder2", True), ("llama", False)])
def test_a_bias_of_the_layer_or_of_the_norm_before_it(encoder_artifact, kind, takes):
    network = load_network(encoder_artifact(kind), 5, 0).eval()
    assert Head(network, last_linear(network)).takes_shifts == takes


def test_a_decoder_with_several_labels_a_text_becomes_a_folder_of_transformers(encoder_artifact, tmp_path):
    words = ["red", "green", "blue"]
    rows = [
        {"text": " ".join(words[: 1 + row % 3]) + f" {row}", "labels": {"colours": words[: 1 + row % 3]}}
        for row in range(48)
    ]
    base = encoder_artifact("llama").parent / "files"
    tamis.train(rows[:24], rows[24:], base=str(base), epochs=2, out=tmp_path / "model")
    (target,) = open_artifact(tmp_path / "model").manifest.targets
    assert target.calibration.bias == (0.0,)
    assert set(target.calibration.scale) != {1.0}, "it was calibrated"
    assert (export(tmp_path / "model", "hf", tmp_path / "hf") / "model.safetensors").is_file()
