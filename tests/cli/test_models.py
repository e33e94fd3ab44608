"""`tamis models`: what stands in the home."""

from __future__ import annotations

import json
from pathlib import Path

from tamis.ml.registry import register


def test_an_empty_home_says_how_to_fill_it(run, home: Path):
    assert "tamis train FILE --name NAME" in run("models").stdout
    assert json.loads(run("models", "--json").stdout) == {"home": str(home), "models": []}


def test_each_version_is_listed_with_its_targets_and_figures(run, home: Path, model: Path):
    register(home, "shop", model)
    register(home, "shop", model)
    lines = run("models").stdout.splitlines()
    assert [line.split()[0] for line in lines if "@" in line] == ["shop@2", "shop@1"]
    assert "topic" in lines[1]
    assert "accuracy 100.0% on held-out rows" in lines[1]
    found = json.loads(run("models", "--json").stdout)["models"]
    assert [entry["model"] for entry in found] == ["shop@2", "shop@1"]
    assert found[0]["folder"] == str(home / "models" / "shop" / "2")
    assert found[0]["targets"]["all"].keys() == {"kind", "labels", "micro_f1", "measured_on"}
    assert found[0]["size_mb"] > 1


def test_a_damaged_one_does_not_hide_the_others(run, home: Path, model: Path):
    damaged = register(home, "bad", model)
    register(home, "good", model)
    (damaged.folder / "manifest.json").write_text("{")
    result = run("models")
    assert result.exit_code == 0
    assert "good@1" in result.stdout
    assert f"✗ bad@1: {damaged.folder / 'manifest.json'} is damaged" in result.stdout
    found = json.loads(run("models", "--json").stdout)["models"]
    assert found[0]["error"]["code"] == "damaged_artifact"


def test_a_name_is_a_model_everywhere(run, home: Path, model: Path, rows: Path):
    register(home, "shop", model)
    for name in ("shop", "shop@1"):
        assert run("classify", name, "where is my parcel").exit_code == 0
        assert run("evaluate", name, rows).exit_code == 0
