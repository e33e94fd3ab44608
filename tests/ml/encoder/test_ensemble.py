"""A static model that answers together with a network: from training to a folder, to other programs, and back."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import tamis
from tamis.demo.space import NEEDED
from tamis.errors import DamagedArtifact, InvalidSetting
from tamis.ml.artifact import open_artifact, write_artifact
from tamis.ml.encoder import trainer
from tamis.ml.encoder.ensemble import Ensemble, added
from tamis.ml.encoder.options import EncoderOptions
from tamis.ml.encoder.placement import STATIC_TENSORS, STATIC_TOKENIZER
from tamis.ml.encoder.trainer import EncoderTrainer
from tamis.ml.pieces import Span
from tamis.ml.restart import RestartPoints
from tamis.ml.schedule import hyperparameters
from tamis.ml.scorer import Contents
from tamis.ml.trained import Attended, Task

BOTH = {"ensemble": True}


def examples(rows_of, n=60, **how):
    return [
        {"text": text, "labels": {"thing": label, "tags": [label[-1]] if row % 4 else ["0", "1"]}}
        for row, (text, label) in enumerate(rows_of(n, **how))
    ]


@pytest.fixture(scope="module")
def together(base_folder, rows_of, tmp_path_factory):
    """The folder of an ensemble with two targets."""
    folder = tmp_path_factory.mktemp("ensemble") / "model"
    base = str(base_folder("bert"))
    tamis.train(examples(rows_of), base=base, out=folder, epochs=1, name="both", encoder_options=BOTH)
    return folder


@pytest.fixture
def copied(together, tmp_path):
    """A function: a copy of the folder in which files or facts of the ensemble are others, sealed again."""

    def copy(files=(), leave_out=(), **facts):
        artifact = open_artifact(together)
        contents = {name: together / name for name in artifact.files if name not in leave_out} | dict(files)
        architecture = dict(artifact.manifest.architecture)
        architecture["ensemble"] = {**architecture["ensemble"], **facts}
        update = {"architecture": architecture, "files": {}}
        folder = tmp_path / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        write_artifact(folder, artifact.manifest.model_copy(update=update), Contents({}, None, contents))
        return folder

    return copy


def test_both_are_added_up_by_target(together, rows_of):
    scorer = tamis.load(together).scorer
    assert isinstance(scorer, Ensemble)
    texts = [text for text, _ in rows_of(12, seed=3)]
    all_, network, static = (each.logits(texts) for each in (scorer, scorer.network, scorer.static))
    for name, share in scorer.partner.shares.items():
        assert share > 0
        np.testing.assert_array_equal(all_[name], added(network[name], static[name], share))
    assert set(all_) == {"thing", "tags"}


def test_it_comes_back_as_it_was(together, tmp_path, rows_of):
    model = tamis.load(together)
    again = model.save(tmp_path / "again")
    texts = [text for text, _ in rows_of(9, seed=5)]
    for name, scores in model.scores(texts).items():
        np.testing.assert_array_equal(again.scores(texts)[name], scores)
    for name in (STATIC_TENSORS, STATIC_TOKENIZER):
        assert (tmp_path / "again" / name).read_bytes() == (together / name).read_bytes()
    assert "answers together with the network" in (together / "README.md").read_text("utf-8")


def test_the_same_run_gives_the_same_bytes(together, base_folder, rows_of, tmp_path):
    base = str(base_folder("bert"))
    tamis.train(examples(rows_of), base=base, out=tmp_path / "m", epochs=1, name="both", encoder_options=BOTH)
    for name in ("model.safetensors", "model.onnx.data", STATIC_TENSORS, STATIC_TOKENIZER):
        assert (tmp_path / "m" / name).read_bytes() == (together / name).read_bytes()


def test_it_is_better_than_a_network_that_learnt_next_to_nothing(base_folder, rows_of):
    base, rows, others = str(base_folder("bert")), examples(rows_of), examples(rows_of, seed=8)
    how = {"base": base, "epochs": 0.1, "learning_rate": 1e-6}
    both, alone = (tamis.train(rows, encoder_options={"ensemble": on}, **how) for on in (True, False))
    found = [model.evaluate(others).targets["thing"].accuracy for model in (both, alone)]
    assert found[0] > 0.9 > 0.6 > found[1]
    assert any("answers together" in remark for remark in both.run.remarks)
    assert any("--base static-en" in remark for remark in both.run.remarks)
    assert not any("answers together" in remark for remark in alone.run.remarks)


def test_unasked_it_takes_many_rows_and_a_gain_above_chance(base_of, dataset_of, rows_of, monkeypatch):
    data = dataset_of([(text, {"t": label}) for text, label in rows_of(60)])

    def is_added(**options):
        chosen = hyperparameters(epochs=0.1, learning_rate=1e-6, encoder=EncoderOptions(**options))
        return EncoderTrainer(base_of("bert"), Task(data, None, chosen), Attended()).train().static is not None

    assert not is_added()
    monkeypatch.setattr(trainer, "ENOUGH_ROWS", 60)
    assert is_added()
    assert not is_added(ensemble=False)
    monkeypatch.setattr("tamis.ml.encoder.ensembling.ERRORS", 1e9)
    assert not is_added()


def test_of_a_handful_of_rows_the_usual_share_is_added(base_folder, rows_of):
    model = tamis.train(examples(rows_of, 6), base=str(base_folder("bert")), epochs=1, encoder_options=BOTH)
    assert set(model.scorer.partner.shares.values()) == {0.5}
    assert model.manifest.network_alone.targets[0].name == "thing"


def test_a_run_that_was_killed_goes_on_to_the_same_model(together, base_folder, rows_of, tmp_path):
    class Killed(Exception):
        pass

    def kill(progress):
        if progress.stage == "using all rows":
            raise Killed

    how = {"base": str(base_folder("bert")), "epochs": 1, "name": "both", "encoder_options": BOTH}
    points = tmp_path / "points"
    with pytest.raises(Killed):
        tamis.train(examples(rows_of), out=tmp_path / "m", listener=kill, restart=RestartPoints(points), **how)
    tamis.train(examples(rows_of), out=tmp_path / "m", restart=RestartPoints(points), **how)
    for name in ("model.safetensors", "model.onnx.data", STATIC_TENSORS):
        assert (tmp_path / "m" / name).read_bytes() == (together / name).read_bytes()
    shares = [open_artifact(place).manifest.architecture["ensemble"]["shares"] for place in (tmp_path / "m", together)]
    assert shares[0] == shares[1]


def test_explanations_are_of_both(together, rows_of):
    scorer = tamis.load(together).scorer
    text = " ".join(text for text, _ in rows_of(3, seed=2))
    omissions, network, static = (each.omissions(text) for each in (scorer, scorer.network, scorer.static))
    spans = [Span(0, 4), Span(3, 9)]
    found = omissions.logits(spans)
    for name, share in scorer.partner.shares.items():
        wanted = network.logits(spans)[name] + share * static.logits(spans)[name]
        np.testing.assert_allclose(found[name], wanted, atol=1e-5)
    assert omissions.most == min(network.most, static.most)
    assert omissions.reads is None
    assert scorer.too_long(["a" * 5_000, "b"]) == [0]


def test_other_programs_get_the_network_alone_and_only_when_asked(together, tmp_path):
    model = tamis.load(together)
    for to in ("hf", "onnx"):
        with pytest.raises(InvalidSetting, match=r"--network-alone.*ensemble=false"):
            model.export(to, tmp_path / to)
        assert not (tmp_path / to).exists()
    folder = model.export("hf", tmp_path / "hf", network_alone=True)
    alone = model.manifest.network_alone
    card = (folder / "thing" / "README.md").read_text("utf-8")
    assert re.search(r"network alone .*thing: accuracy \d+\.\d%, the model \d+\.\d%", card)
    assert f"{alone.metrics['held_out']['thing']['accuracy']}" in card
    assert f"{alone.targets[1].thresholds[0]:.4g}" in (folder / "tags" / "README.md").read_text("utf-8")


def test_what_transformers_says_is_what_was_stored_of_the_network(together, tmp_path):
    import transformers

    model = tamis.load(together)
    folder = model.export("hf", tmp_path / "hf", network_alone=True) / "thing"
    pipeline = transformers.pipeline("text-classification", model=str(folder), top_k=None)
    row = next(row for row in model.manifest.network_alone.golden if isinstance(row.input, str) and row.input)
    said = {each["label"]: each["score"] for each in pipeline([row.input], truncation=True)[0]}
    labels = model.manifest.targets[0].labels
    assert [said[label] for label in labels] == pytest.approx(row.scores["thing"], abs=0.02)
    whole = next(each for each in model.manifest.golden if each.input == row.input)
    assert np.abs(np.array(whole.scores["thing"]) - row.scores["thing"]).max() > 0.005


def test_the_graph_holds_the_network_alone(together, tmp_path):
    import onnxruntime

    model = tamis.load(together)
    folder = model.export("onnx", tmp_path / "onnx", network_alone=True)
    labels = json.loads((folder / "labels.json").read_text("utf-8"))
    assert labels["targets"][1]["thresholds"] == list(model.manifest.network_alone.targets[1].thresholds)
    assert not (folder / STATIC_TENSORS).exists()
    assert onnxruntime.InferenceSession(folder / "model.onnx").get_inputs()[0].name == "input_ids"
    assert "network alone" in (folder / "README.md").read_text("utf-8")


def test_other_models_are_exported_whole_whatever_is_asked(stored, tmp_path):
    folder = tamis.load(stored).export("onnx", tmp_path / "onnx", network_alone=True)
    assert "network alone" not in (folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize("left_out", [STATIC_TENSORS, STATIC_TOKENIZER])
def test_a_part_that_is_missing_is_noticed(copied, left_out):
    with pytest.raises(DamagedArtifact, match="does not fit the files of the static model"):
        tamis.load(copied(leave_out=[left_out]))


@pytest.mark.parametrize("name", [STATIC_TENSORS, STATIC_TOKENIZER])
def test_a_part_that_is_something_else_is_refused(together, copied, name):
    other = STATIC_TOKENIZER if name == STATIC_TENSORS else STATIC_TENSORS
    for content in (b"", b"noise", (together / other).read_bytes()[:2_000]):
        with pytest.raises(DamagedArtifact, match=re.escape(STATIC_TENSORS)):
            tamis.load(copied(files={name: content}))


@pytest.mark.parametrize(
    "facts",
    [
        {"shares": {"thing": 0.5}},
        {"shares": {"thing": -1.0, "tags": 0.5}},
        {"shares": {"thing": 1e9, "tags": 0.5}},
        {"shares": {"thing": "1", "tags": 0.5}},
        {"base_model": {}},
        {"architecture": {}},
        {"more": 1},
    ],
)
def test_facts_that_make_no_sense_are_refused(copied, facts):
    with pytest.raises(DamagedArtifact):
        tamis.load(copied(**facts))


def test_another_share_is_noticed(copied):
    with pytest.raises(tamis.errors.GoldenRowsDrift):
        tamis.load(copied(shares={"thing": 9.0, "tags": 9.0}))


def test_a_network_alone_of_other_targets_is_no_manifest(together):
    manifest = open_artifact(together).manifest
    alone = manifest.network_alone.model_copy(update={"targets": manifest.targets[:1]})
    document = manifest.model_copy(update={"network_alone": alone}).model_dump(mode="json")
    with pytest.raises(ValueError, match="other targets than the model"):
        type(manifest).model_validate_json(json.dumps(document))


def test_an_ensemble_is_the_same_whatever_else_is_asked(together, rows_of):
    model = tamis.load(together)
    texts = [text for text, _ in rows_of(30, seed=9)]
    all_, each = model.scores(texts), [model.scores([text]) for text in texts]
    for name, scores in all_.items():
        np.testing.assert_allclose(np.concatenate([one[name] for one in each]), scores, atol=2e-5)
    assert replace(model.scorer, partner=model.scorer.partner).quick is False


LOADS = """
import ast, importlib.metadata as known, json, sys
import tamis
tamis.load(sys.argv[1]).classify("baba dada")
mine = [module.__file__ for name, module in list(sys.modules.items()) if name.partition(".")[0] == "tamis"]
nodes = [node for file in mine if file for node in ast.walk(ast.parse(open(file, encoding="utf-8").read()))]
named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
named |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
asked = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
roots = {name.partition(".")[0] for name in named} | {name for name in asked if name.isidentifier()}
packages = known.packages_distributions()
print(json.dumps(sorted({packages[root][0].lower() for root in roots & set(packages) & set(sys.modules)} - {"tamis"})))
"""
"""Prints which packages are loaded by name for a model that answers."""


def test_a_space_is_given_all_that_an_encoder_needs_to_answer(together):
    found = subprocess.run([sys.executable, "-c", LOADS, str(together)], capture_output=True, text=True, check=True)
    loaded = set(json.loads(found.stdout))
    assert {"psutil", "onnxruntime", "numpy"} <= loaded
    assert loaded - set(NEEDED["encoder"]) == {"pydantic_core"}  # which pydantic brings
