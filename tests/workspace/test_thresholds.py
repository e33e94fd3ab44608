"""Thresholds of a workspace's models: looked at, changed as a new version, wherever the model is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tamis.errors import InvalidRequest, ModelError, StorageFull, UnknownModel
from tamis.ml import registry
from tamis.ml.model import load
from tamis.ml.training import train
from tamis.store.records import ModelRecord
from tamis.testing import tiny_base
from tamis.workspace.thresholds import NewThresholds
from tamis.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a single-label target and a multi-label one."""
    folder = tmp_path_factory.mktemp("model")
    words = {"delivery": "parcel courier late", "payment": "card invoice refund"}
    rows = [
        {"text": f"{words[label]} {number}", "labels": {"topic": label, "tone": ["angry"] if number % 3 else [label]}}
        for number in range(40)
        for label in [list(words)[number % 2]]
    ]
    train(rows, base=str(tiny_base(folder / "base")), epochs=2, out=folder / "model", name="shop")
    return folder / "model"


@pytest.fixture
def stored(workspace: Workspace, artifact: Path) -> Callable[..., ModelRecord]:
    """Stores the tiny model as a job would."""

    def store(**columns: object) -> ModelRecord:
        number = len(workspace.store.models.list()[0])
        model_id = f"00000000-0000-4000-8000-{number:012d}"
        workspace.store.objects.put_folder(artifact, f"models/{model_id}")
        targets = ({"name": "topic", "weight": 2.0}, {"name": "tone", "weight": 0.5})
        usual = {
            "id": model_id,
            "name": "shop",
            "root": "english",
            "base": "static-en",
            "place": f"objects:models/{model_id}",
            "created_at": number,
            "ft": f"ft:classifier:english:0a1b2c3d:20250101:{number:08d}",
            "title": "The shop's",
            "targets": targets,
        }
        return workspace.store.models.add(ModelRecord(**{**usual, **columns}))

    return store


def test_a_models_thresholds_and_curves_are_told(workspace: Workspace, stored):
    record = stored()
    told = workspace.thresholds.look(record.ft)
    assert list(told.targets) == ["tone"]
    assert told.targets["tone"]["rows"] == 40
    assert len(told.targets["tone"]["curves"]["thresholds"]) == 131
    assert json.dumps(told.targets)
    assert list(workspace.thresholds.look("shop", "tone").targets) == ["tone"]
    assert list(told.abstain) == list(workspace.thresholds.rules("shop")) == ["topic"]
    assert told.abstain["topic"]["curve"][0]["coverage"] == 1.0
    of_topic = workspace.thresholds.look("shop", "topic")
    assert (of_topic.targets, list(of_topic.abstain)) == ({}, ["topic"])
    with pytest.raises(InvalidRequest, match="no target 'nothing'"):
        workspace.thresholds.look("shop", "nothing")
    with pytest.raises(UnknownModel):
        workspace.thresholds.look("nothing")


def test_a_change_is_the_next_version_in_the_object_storage_too(workspace: Workspace, stored):
    parent = stored()
    workspace.aliases.set("live", parent.id)
    told = workspace.thresholds.change(parent.ft, NewThresholds(fixed={"angry": 0.2}), created_by="key")
    made = told.model
    assert made is not None
    assert (made.name, made.version, made.root, made.title) == ("shop", 2, "english", "The shop's")
    assert (made.ft, made.job_id, made.created_by) == (None, None, "key")
    assert workspace.models.find(parent.ft).id == parent.id
    assert made.place == f"objects:models/{made.id}"
    assert {target["name"]: target["weight"] for target in made.targets} == {"topic": 2.0, "tone": 0.5}
    assert made.metrics["held_out"]["topic"]
    assert "samples_jaccard" not in made.metrics["held_out"]["tone"]
    loaded = load(workspace.models.folder(made))
    place = loaded.manifest.target("tone").labels.index("angry")
    assert loaded.manifest.target("tone").thresholds[place] == pytest.approx(0.2)
    assert loaded.manifest.parent.name == "shop@1"
    assert workspace.models.find("live").id == parent.id
    assert workspace.models.find("shop").id == made.id


def test_a_change_of_a_model_of_the_home_stays_there(workspace: Workspace, artifact: Path):
    registry.register(workspace.settings.home, "desk", artifact)
    told = workspace.thresholds.change("desk", NewThresholds(optimise=["macro-f1"]))
    assert told.model is not None
    assert told.model.place == f"folder:{workspace.settings.home}/models/desk/2"
    assert [version.number for version in registry.versions(workspace.settings.home)] == [2, 1]


def test_versions_of_the_home_and_of_jobs_share_their_numbers(workspace: Workspace, stored, artifact: Path):
    stored()
    registry.register(workspace.settings.home, "shop", artifact, after=1)  # by `tamis train --name`, unknown so far
    added = workspace.models.add_version("00000000-0000-4000-8000-000000000000", artifact)
    assert added.version == 3


def test_a_dry_run_makes_nothing(workspace: Workspace, stored):
    stored()
    told = workspace.thresholds.change("shop", NewThresholds(optimise=["recall>=0.9"]), dry_run=True)
    assert told.model is None
    assert told.targets["tone"]["labels"][0]["asked"] == "recall>=0.9"
    assert len(workspace.models.list()) == 1


@pytest.mark.parametrize(
    ("new", "place", "why"),
    [
        (NewThresholds(), "optimise", "Nothing is asked for"),
        (NewThresholds(optimise=["precision=0.9"]), "optimise", "takes a floor"),
        (NewThresholds(optimise=["angri=f1"]), "optimise", "did you mean 'angry'"),
        (NewThresholds(fixed={"angry": 2}), "set", "not from 0 to 1"),
        (NewThresholds(optimise=["f1"], target="topic"), "target", "single-label"),
        (NewThresholds(abstain_loss={"tone": 0.1}), "abstain_loss", "multi-label"),
        (NewThresholds(abstain_loss=2), "abstain_loss", "not from 0 to 0.5"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(workspace: Workspace, stored, new, place, why):
    stored()
    with pytest.raises(InvalidRequest, match=why) as refused:
        workspace.thresholds.change("shop", new)
    assert refused.value.context["loc"] == ["body", place]
    assert "--" not in str(refused.value)


def test_a_full_disk_keeps_no_version(workspace: Workspace, stored, monkeypatch: pytest.MonkeyPatch):
    stored()
    monkeypatch.setattr(workspace.files.room, "_free", 2**62)
    with pytest.raises(StorageFull):
        workspace.thresholds.change("shop", NewThresholds(optimise=["f1"]))
    assert len(workspace.models.list()) == 1


def test_a_version_that_cannot_be_added_leaves_no_files(workspace: Workspace, stored, artifact: Path, monkeypatch):
    stored()
    before = {info.key for info in workspace.store.objects.list("models")}

    def fail(record: ModelRecord) -> ModelRecord:
        raise ModelError("no")

    monkeypatch.setattr(workspace.store.models, "add", fail)
    with pytest.raises(ModelError):
        workspace.models.add_version("shop", artifact)
    assert {info.key for info in workspace.store.objects.list("models")} == before


def test_what_is_no_model_becomes_no_version(workspace: Workspace, stored, tmp_path: Path):
    stored()
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ModelError):
        workspace.models.add_version("shop", tmp_path)
    assert len(workspace.models.list()) == 1


def test_how_sure_it_must_be_is_kept_beside_other_thresholds(workspace: Workspace, stored):
    stored()
    new = NewThresholds(fixed={"angry": 0.2}, target="tone", abstain_loss={"topic": 0.25})
    told = workspace.thresholds.change("shop", new)
    assert told.model is not None
    assert told.abstain["topic"]["before"]["loss"] == 0.03
    manifest = load(workspace.models.folder(told.model)).manifest
    assert manifest.target("topic").abstain.loss == 0.25
    assert manifest.target("tone").chosen_for.fixed == {"angry": 0.2}
    assert told.model.metrics["held_out"]["topic"]["coverage"] == told.abstain["topic"]["coverage"]
