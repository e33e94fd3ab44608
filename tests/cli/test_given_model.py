"""MODEL: a folder goes before names; with a database every name is what it is for the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tamis.cli.given_model import load_model
from tamis.errors import UnknownModel
from tamis.ml.registry import register
from tamis.settings import load_settings
from tamis.store.records import ModelRecord
from tamis.workspace.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    with open_workspace(load_settings()) as found:
        yield found


@pytest.fixture
def stored(workspace: Workspace, model: Path) -> Callable[..., ModelRecord]:
    """Stores the small model as a job would."""

    def store(name: str = "shop", **columns: object) -> ModelRecord:
        model_id = str(uuid4())
        workspace.store.objects.put_folder(model, f"models/{model_id}")
        usual = {"id": model_id, "name": name, "root": "english", "base": "static-en", "created_at": 1_700_000_000}
        place = {"place": f"objects:models/{model_id}", "ft": f"ft:classifier:english:{model_id[:8]}"}
        return workspace.store.models.add(ModelRecord(**{**usual, **place, **columns}))

    return store


def folder_of(given: str) -> Path:
    folder = load_model(given).folder
    assert folder is not None
    return folder


def test_a_folder_goes_before_a_name(home: Path, model: Path, here: Path, stored):
    stored("small")
    (here / "small").symlink_to(model)
    assert folder_of("small") == Path("small")


def test_every_name_of_the_server_is_a_name_here(run, workspace: Workspace, home: Path, stored):
    first, second = stored(), stored()
    workspace.aliases.set("shop-prod", first.id)
    objects = home / "objects" / "models"
    for name in (first.id, f"{first.id}-ft", first.ft, "shop@1", "shop-prod"):
        assert folder_of(name) == objects / first.id
    assert folder_of("shop") == objects / second.id
    assert run("classify", "shop-prod", "where is my parcel").exit_code == 0


def test_an_archived_model_answers_at_no_door(workspace: Workspace, stored):
    workspace.models.archive(stored().id)
    with pytest.raises(UnknownModel, match="archived"):
        load_model("shop")


@pytest.mark.parametrize("with_database", [False, True])
def test_a_name_that_is_none_is_told_with_one_that_is(home: Path, model: Path, with_database: bool):
    register(home, "shop", model)
    if with_database:
        open_workspace(load_settings()).close()
    with pytest.raises(UnknownModel, match="did you mean shop"):
        load_model("shob")
    with pytest.raises(UnknownModel, match="no such folder"):
        load_model("./shop/x")
    with pytest.raises(UnknownModel):
        load_model("x" * 5000)


def test_versions_have_one_number_whoever_made_them(run, workspace: Workspace, home: Path, rows: Path, here, stored):
    stored()  # a job's: shop@1
    assert run("train", rows, "--name", "shop", "--epochs", "1", "--out", "a").exit_code == 0
    assert folder_of("shop@2") == folder_of("shop") == home / "models" / "shop" / "2"
    assert stored().version == 3
    assert [model.version for model in workspace.models.list()].count(2) == 1
