"""Exports appear whole or not at all, where nothing is lost, and only if their scores are the model's."""

import shutil
from pathlib import Path

import pytest

from tamis.demo.space import refuse_space
from tamis.errors import DamagedArtifact, GoldenRowsDrift, InvalidSetting, MissingExtra, ModelError, OutputExists
from tamis.ml.artifact import open_artifact, refuse_output
from tamis.ml.export import onnx_static
from tamis.ml.export.exporting import export
from tamis.ml.manifest import FORMAT
from tamis.ml.model import load

MODEL = Path(__file__).parents[1] / "fixtures" / f"format-{FORMAT}"


def test_an_export_that_says_something_else_is_refused(monkeypatch, tmp_path):
    real = onnx_static.scores
    monkeypatch.setattr(onnx_static, "scores", lambda *given: {k: v + 2e-5 for k, v in real(*given).items()})
    with pytest.raises(GoldenRowsDrift, match=r"would not give the scores.*golden row 0, off by 2e-05"):
        export(MODEL, "onnx", tmp_path / "onnx")
    assert not list(tmp_path.iterdir())


def test_a_static_model_is_none_of_transformers(tmp_path):
    with pytest.raises(InvalidSetting, match=r"weights of n-grams.*--to onnx.*--base minilm-l6"):
        export(MODEL, "hf", tmp_path / "hf")


def test_unknown_formats(tmp_path):
    with pytest.raises(InvalidSetting, match="no export to 'pickle': there are hf, onnx"):
        export(MODEL, "pickle", tmp_path / "x")


def test_what_is_there_is_not_lost(tmp_path):
    folder = tmp_path / "onnx"
    folder.mkdir()
    export(MODEL, "onnx", folder)
    with pytest.raises(OutputExists, match="--force"):
        export(MODEL, "onnx", folder)
    before = (folder / "model.onnx").stat().st_ino
    export(MODEL, "onnx", folder, overwrite=True)
    assert (folder / "model.onnx").stat().st_ino != before
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputExists, match=r"notes\.txt"):
        export(MODEL, "onnx", folder, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"
    with pytest.raises(OutputExists, match="is a file"):
        export(MODEL, "onnx", folder / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["onnx"]


def test_a_model_s_folder_holds_nothing_else(tmp_path):
    model = shutil.copytree(MODEL, tmp_path / "model")
    for folder in (model / "onnx", model / "far" / "below"):
        with pytest.raises(OutputExists, match="is within the folder of a model"):
            export(model, "onnx", folder)
        with pytest.raises(OutputExists, match="is within the folder of a model"):
            refuse_output(folder)
        with pytest.raises(OutputExists, match="is within the folder of a model"):
            refuse_space(folder)
    assert open_artifact(model).manifest.targets
    assert {path.name for path in model.iterdir()} == {path.name for path in MODEL.iterdir()}


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="could not be written"):
        export(MODEL, "onnx", tmp_path / "file" / "onnx")


def test_a_damaged_model_is_not_exported(tmp_path):
    shutil.copytree(MODEL, tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    with pytest.raises(DamagedArtifact):
        export(tmp_path / "model", "onnx", tmp_path / "onnx")


def test_without_the_library(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tamis\[export\]'"):
        load(MODEL).export("onnx", tmp_path / "onnx")
    assert not list(tmp_path.iterdir())
