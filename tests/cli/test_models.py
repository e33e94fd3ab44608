"""`tamis models`: what stands in the home."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tamis.errors import InUse
from tamis.ml import artifact
from tamis.ml.registry import Version, register
from tamis.settings import load_settings
from tamis.workspace.workspace import open_workspace


def test_an_empty_home_says_how_to_fill_it(run, home: Path):
    assert "tamis train FILE --name NAME" in run("models").stdout
    assert json.loads(run("models", "--json").stdout) == {"home": str(home), "models": []}


def test_each_version_is_listed_with_its_targets_and_figures(run, home: Path, model: Path):
    register(home, "shop", model)
    register(home, "shop", model)
    lines = run("models").stdout.splitlines()
    assert [line.split()[0] for line in lines if "@" in line] == ["shop@2", "shop@1"]
    shown = next(line.split() for line in lines if "topic" in line)
    assert shown == ["topic", "2", "labels", "accuracy", "100.0%", "on", "held-out", "rows"]
    found = json.loads(run("models", "--json").stdout)["models"]
    assert [entry["model"] for entry in found] == ["shop@2", "shop@1"]
    assert found[0]["folder"] == str(home / "models" / "shop" / "2")
    assert found[0]["targets"]["all"].keys() == {"kind", "labels", "micro_f1", "measured_on"}
    assert found[0]["size_mb"] > 1


@pytest.mark.parametrize(
    "metrics",
    [
        {"held_out": {"topic": {"accuracy": 1e300}, "all": {"micro_f1": -3}}},
        {"held_out": {"topic": {"accuracy": True}, "all": {"micro_f1": "\x1b[31m"}}},
        {"held_out": {"topic": {"accuracy": 10**400}, "all": [1]}, "test": 7},
        {"test": {"topic": {"accuracy": {"a": []}}, "all": {"micro_f1": None}}, "held_out": []},
        {},
    ],
)
def test_figures_that_are_none_are_not_shown(run, home: Path, model: Path, metrics, monkeypatch):
    register(home, "odd", model)
    opened = artifact.open_artifact

    def with_metrics(*args, **kwargs):
        found = opened(*args, **kwargs)
        return replace(found, manifest=found.manifest.model_copy(update={"metrics": metrics}))

    monkeypatch.setattr(artifact, "open_artifact", with_metrics)
    shown = run("models").stdout
    assert shown.count("not measured") == 2
    assert "\x1b" not in shown
    assert json.loads(run("models", "--json").stdout)["models"][0]["targets"]["topic"] == {
        "kind": "single_label",
        "labels": 2,
    }


def test_what_is_sane_is_shown_beside_what_is_not(run, home: Path, model: Path, monkeypatch):
    register(home, "odd", model)
    opened = artifact.open_artifact

    def with_metrics(*args, **kwargs):
        found = opened(*args, **kwargs)
        metrics = {"test": {"topic": {"accuracy": 7}}, "held_out": {"topic": {"accuracy": 0.5}}}
        return replace(found, manifest=found.manifest.model_copy(update={"metrics": metrics}))

    monkeypatch.setattr(artifact, "open_artifact", with_metrics)
    assert "accuracy 50.0% on held-out rows" in run("models").stdout


def test_names_are_whole_in_eighty_columns(run, home: Path, model: Path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    register(home, "a-name-of-some-length-2026", model)
    shown = run("models").stdout
    assert "a-name-of-some-length-2026@1" in shown
    assert "…" not in shown


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


@pytest.fixture
def served(home: Path, model: Path) -> Version:
    """A version in a home that a server has been started in."""
    version = register(home, "shop", model)
    open_workspace(load_settings()).close()
    return version


def test_with_a_database_the_aliases_and_ids_are_told(run, home: Path, model: Path, served: Version):
    assert run("alias", "set", "prod", "shop").stdout == "prod is now shop@1.\n"
    assert run("models").stdout.startswith("shop@1 = prod  20")
    (found,) = json.loads(run("models", "--json").stdout)["models"]
    assert (found["model"], found["folder"], found["aliases"]) == ("shop@1", str(served.folder), ["prod"])
    assert found["job"] is None
    assert found["targets"]["topic"]["accuracy"] == 1.0
    register(home, "shop", model)
    told = json.loads(run("alias", "set", "prod", "shop", "--json").stdout)
    assert (told["alias"], told["model"]) == ("prod", "shop@2")
    assert "archived" not in run("models").stdout
    with open_workspace(load_settings()) as workspace:
        workspace.models.archive("shop@1")
    assert "archived" in run("models").stdout


def test_deleting_asks_first_and_spares_what_an_alias_points_at(run, home: Path, served: Version):
    refused = run("models", "delete", "shop", stdin="n\n")
    assert refused.exit_code == 1
    assert served.folder.exists()
    run("alias", "set", "prod", "shop")
    with pytest.raises(InUse, match="prod"):
        run("models", "delete", "shop", "--yes")
    run("alias", "drop", "prod")
    assert run("models", "delete", "shop", stdin="y\n").stdout.endswith("shop@1 is deleted.\n")
    assert not served.folder.exists()
    assert json.loads(run("models", "--json").stdout)["models"] == []


def test_without_a_database_a_model_can_be_deleted_too(run, home: Path, model: Path):
    version = register(home, "shop", model)
    assert json.loads(run("models", "delete", "shop@1", "--yes", "--json").stdout)["model"] == "shop@1"
    assert not version.folder.exists()
    register(home, "shop", model)
    found = json.loads(run("models", "--json").stdout)["models"]
    assert found[0]["model"].startswith("shop@")


def test_a_damaged_one_is_told_of_beside_those_of_a_database(run, home: Path, model: Path, served: Version):
    damaged = register(home, "bad", model)
    (damaged.folder / "manifest.json").write_text("{")
    shown = run("models").stdout
    assert "shop@1" in shown
    assert "✗ bad@1" in shown
