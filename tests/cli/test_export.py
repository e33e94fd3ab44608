"""`tamis export`: what it writes and says."""

import json
from pathlib import Path

import pytest

from tamis.errors import InvalidSetting, OutputExists


def test_a_folder_for_onnx_runtime(run, model: Path, tmp_path: Path):
    folder = tmp_path / "onnx"
    done = run("export", model, "--to", "onnx", folder)
    assert done.exit_code == 0
    assert f"written  {folder} (" in done.stdout
    assert "model.onnx" in done.stdout
    assert (folder / "README.md").is_file()


def test_json(run, model: Path, tmp_path: Path):
    told = json.loads(run("export", model, tmp_path / "onnx", "--to", "onnx", "--json").stdout)
    assert told["model"] == "small"
    assert told["format"] == "onnx"
    assert set(told["files"]) == {path.name for path in (tmp_path / "onnx").iterdir()}
    assert told["size_mb"] > 1


def test_what_is_there_is_refused_before_anything_is_loaded(run, model: Path, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputExists, match="not empty"):
        run("export", "nowhere", "--to", "onnx", tmp_path)
    with pytest.raises(OutputExists, match=r"mine\.txt"):
        run("export", model, "--to", "onnx", tmp_path, "--force")


def test_a_static_model_is_none_of_transformers(run, model: Path, tmp_path: Path):
    with pytest.raises(InvalidSetting, match="n-grams"):
        run("export", model, "--to", "hf", tmp_path / "hf")


def test_the_format_has_to_be_said(run, model: Path, tmp_path: Path):
    assert run("export", model, tmp_path / "x").exit_code == 2


def test_a_space(run, model: Path, tmp_path: Path):
    texts = tmp_path / "texts.txt"
    texts.write_text("where is my parcel\n")
    folder = tmp_path / "space"
    done = run("export", model, folder, "--to", "space", "--examples", texts)
    assert done.exit_code == 0
    assert "app.py" in done.stdout
    assert f"python {folder / 'app.py'}" in done.stdout
    assert (folder / "examples.jsonl").read_text() == '{"text": "where is my parcel"}\n'
    told = json.loads(run("export", model, folder, "--to", "space", "--force", "--json").stdout)
    assert {"app.py", "model/manifest.json"} <= set(told["files"])
    assert run("export", model, tmp_path / "onnx", "--to", "onnx", "--examples", texts).exit_code == 2
