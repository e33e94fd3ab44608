"""Encoders as ONNX: calibration and activation in the graph, an example that runs with onnxruntime and tokenizers."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from tamis.errors import GoldenRowsDrift, InvalidSetting
from tamis.ml.artifact import open_artifact
from tamis.ml.export import onnx_encoder
from tamis.ml.export.exporting import export
from tamis.ml.export.onnx_card import encoder_card
from tamis.ml.model import load
from tamis.ml.publishing import publish
from writable_hub import WritableHub, use

pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def model(encoder_artifact):
    return encoder_artifact("bert", onnx=True)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export(model, "onnx", tmp_path_factory.mktemp("export") / "onnx")


def test_the_files(exported):
    names = {"README.md", "labels.json", "model.onnx", "model.onnx.data", "tokenizer.json"}
    assert {path.name for path in exported.iterdir()} == names
    told = json.loads((exported / "labels.json").read_text(encoding="utf-8"))
    assert [target["scores"] for target in told["targets"]] == ["intent_scores", "topic_s_scores"]
    assert told["targets"][1]["thresholds"] == [0.4, 0.6]
    assert (told["max_length"], told["pad_id"]) == (96, 0)


def test_a_batch_of_texts_read_with_the_tokenizer_alone(model, exported):
    import onnxruntime
    from tokenizers import Tokenizer

    rows = [row for row in open_artifact(model).manifest.golden if isinstance(row.input, str)]
    made = Tokenizer.from_file(str(exported / "tokenizer.json")).encode_batch([row.input for row in rows])
    session = onnxruntime.InferenceSession(str(exported / "model.onnx"))
    given = {"input_ids": [text.ids for text in made], "attention_mask": [text.attention_mask for text in made]}
    for name, output in (("intent", "intent_scores"), ("topic/s", "topic_s_scores")):
        (found,) = session.run([output], {key: np.array(value) for key, value in given.items()})
        np.testing.assert_allclose(found, [row.scores[name] for row in rows], atol=1e-5)


def test_the_example_of_the_readme_runs_without_tamis_torch_or_transformers(exported):
    readme = (exported / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(example.splitlines()) <= 20
    code = "import sys\nfor name in ('tamis', 'torch', 'transformers'): sys.modules[name] = None\n" + example
    done = subprocess.run([sys.executable, "-c", code], cwd=exported, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Your text: intent = .* \(0\.\d{3}\)$", done.stdout, re.MULTILINE)
    assert "Another one: topic/s = " in done.stdout


def test_windows_are_for_tamis_alone_and_the_readme_says_so(model):
    manifest = open_artifact(model).manifest
    facts = {**manifest.architecture, "windows": 4, "served": "int8"}
    readme = encoder_card(manifest.model_copy(update={"architecture": facts}))
    assert "Tamis itself reads such a text in up to 4 windows" in readme
    assert "It computes in 8-bit integers" in readme


@pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # of the client's own upload
def test_an_encoder_goes_to_the_hub_and_back(model, tmp_path, monkeypatch):
    hub = WritableHub()
    use(hub, tmp_path, monkeypatch)
    try:
        publish(model, "me/tiny")
        there = hub.repositories["me/tiny"].files
        assert "pip install 'tamis[onnx,hub]'" in there["README.md"].decode()
        found = load("me/tiny")  # its files are links in the cache, those of the graph and its weights too
        assert found.classify("where is it")["intent"].label == load(model).classify("where is it")["intent"].label
    finally:
        hub.close()


def test_a_model_without_a_graph(encoder_artifact, tmp_path):
    with pytest.raises(InvalidSetting, match=r"has no model\.onnx.*--to hf"):
        export(encoder_artifact("bert"), "onnx", tmp_path / "onnx")


def test_a_graph_that_says_something_else_is_refused(model, monkeypatch, tmp_path):
    monkeypatch.setattr(onnx_encoder, "add_scores", _without_calibration(onnx_encoder.add_scores))
    with pytest.raises(GoldenRowsDrift):
        export(model, "onnx", tmp_path / "onnx")
    assert not list(tmp_path.iterdir())


def _without_calibration(add_scores):
    from tamis.ml.manifest import Calibration

    def add(graph, logits, targets):
        add_scores(graph, logits, [target.model_copy(update={"calibration": Calibration()}) for target in targets])

    return add
