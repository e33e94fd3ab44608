"""A static model as ONNX: files that say what they are, and an example in its README that runs without Tamis."""

import json
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import numpy as np
import onnx
import pytest

from tamis.errors import ModelError
from tamis.ml.artifact import open_artifact
from tamis.ml.export import onnx_graph
from tamis.ml.export.exporting import export
from tamis.ml.export.onnx_graph import OPSET, names_of_targets
from tamis.ml.manifest import FORMAT, TargetManifest
from tamis.ml.model import load
from tamis.schema import Kind

MODEL = Path(__file__).parents[1] / "fixtures" / f"format-{FORMAT}"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export(MODEL, "onnx", tmp_path_factory.mktemp("export") / "onnx")


def test_the_graph_is_made_of_plain_operators(exported):
    proto = onnx.load(exported / "model.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert [(opset.domain, opset.version) for opset in proto.opset_import] == [("", OPSET)]
    outputs = {output.name for output in proto.graph.output}
    assert outputs == {"intent_scores", "intent_logits", "topics_scores", "topics_logits"}


def test_labels_and_decisions_go_along(exported):
    manifest = open_artifact(MODEL).manifest
    intent, topics = json.loads((exported / "labels.json").read_text(encoding="utf-8"))["targets"]
    assert intent["labels"] == list(manifest.target("intent").labels)
    assert intent["abstain_below"] == manifest.target("intent").abstain.threshold
    assert intent["thresholds"] is None
    assert topics["thresholds"] == list(manifest.target("topics").thresholds)


def test_the_example_of_the_readme_runs_without_tamis(exported):
    readme = (exported / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(example.splitlines()) <= 16
    code = "import sys\nsys.modules['tamis'] = None\n" + example
    done = subprocess.run([sys.executable, "-c", code], cwd=exported, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    scores = load(MODEL).scores(["Your text", "Another one"])
    labels = open_artifact(MODEL).manifest.target("intent").labels
    best = int(scores["intent"][0].argmax())
    assert f"Your text: intent = {labels[best]} ({scores['intent'][0][best]:.3f})" in done.stdout


def printed(stdout, text, target):
    (line,) = re.findall(rf"^{text}: {target} = (.*)$", stdout, re.MULTILINE)
    return {} if line == "none" else {label: float(score) for label, score in re.findall(r"(\S+) \((.*?)\)", line)}


def test_the_example_gives_all_labels_that_reach_their_threshold(exported, tmp_path):
    """With every label's threshold put between the scores of two texts, each text has just those that it reaches."""
    folder = copytree(exported, tmp_path / "onnx")
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    scores = load(MODEL).scores(["Your text", "Another one"])["topics"]
    labels["targets"][1]["thresholds"] = cuts = scores.mean(axis=0).tolist()
    (folder / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text("utf-8"), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=folder, capture_output=True, text=True, check=True)
    names = labels["targets"][1]["labels"]
    assert len(names) > 1
    for text, row in zip(["Your text", "Another one"], scores, strict=True):
        reached = {name for name, score, cut in zip(names, row, cuts, strict=True) if score >= cut}
        assert printed(done.stdout, text, "topics").keys() == reached


def test_the_same_model_gives_the_same_graph(exported, tmp_path):
    again = export(MODEL, "onnx", tmp_path / "again")
    assert (again / "model.onnx").read_bytes() == (exported / "model.onnx").read_bytes()


def test_what_no_file_of_onnx_holds_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(onnx_graph, "MOST_BYTES", 1000)
    with pytest.raises(ModelError, match="a file of ONNX holds 2 GB"):
        export(MODEL, "onnx", tmp_path / "onnx")
    assert not list(tmp_path.iterdir())


def test_targets_have_names_that_a_program_can_have():
    names = ["intent", "Intent", "a b", "a_b", "ü", "<b>", "a b_3", "x" * 200]
    targets = [TargetManifest(name=name, kind=Kind.SINGLE_LABEL, labels=("a", "b")) for name in names]
    made = names_of_targets(targets)
    assert list(made) == names
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,64}", name) for name in made.values())
    assert len({name.lower() for name in made.values()}) == len(names)
    assert made["intent"] == "intent"


def test_targets_named_as_weights_are(tmp_path):
    from tamis.ml.training import train

    rows = [
        {"text": f"{word} {n}", "labels": {"pooled": word, "embedding": [word]}} for n in range(30) for word in "ab"
    ]
    model = train(rows, epochs=1, out=tmp_path / "model", base=str(_tiny(tmp_path)))
    assert model.export("onnx", tmp_path / "onnx").is_dir()
    assert np.isfinite(model.scores(["a"])["pooled"]).all()


def _tiny(folder):
    from tamis.testing import tiny_base

    return tiny_base(folder / "base")
