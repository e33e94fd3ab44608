"""`tamis alias`: set, moved, rolled back, dropped, and what was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tamis.errors import Conflict, InvalidSetting, UnknownAlias, UnknownModel
from tamis.ml.registry import register
from tamis.settings import load_settings
from tamis.workspace.workspace import open_workspace


@pytest.fixture
def two(home: Path, model: Path) -> None:
    """Two versions of a model."""
    for _ in range(2):
        register(home, "shop", model)


def test_an_alias_is_set_moved_and_listed(run, two: None):
    assert run("alias", "list").stdout == "There are no aliases yet: tamis alias set NAME MODEL\n"
    assert run("alias", "set", "prod", "shop@1").stdout == "prod is now shop@1.\n"
    told = json.loads(run("alias", "set", "prod", "shop", "--json").stdout)
    assert (told["alias"], told["model"], told["number"], told["why"]) == ("prod", "shop@2", 2, "set")
    assert told["moved_by"] == "command line"
    head, line = run("alias", "list").stdout.splitlines()
    assert head.split() == ["alias", "model", "since", "by"]
    assert line.split()[:3] == ["prod", "shop@2", "set"]
    assert line.endswith("command line")
    assert json.loads(run("alias", "list", "--json").stdout)["aliases"] == [told]


def test_the_history_tells_of_every_move(run, two: None):
    run("alias", "set", "prod", "shop@1")
    run("alias", "set", "prod", "shop@2")
    assert run("alias", "rollback", "prod").stdout == "prod is now shop@1.\n"
    assert run("alias", "drop", "prod").stdout.endswith("Back: tamis alias rollback prod\n")
    run("models", "delete", "shop@2", "--yes")
    lines = run("alias", "history", "prod").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["4", "3", "2", "1"]
    assert [line.partition("  command")[0].split("  ")[-1] for line in lines] == [
        "shop@1 → nothing",
        "shop@2 (deleted) → shop@1",
        "shop@1 → shop@2 (deleted)",
        "nothing → shop@1",
    ]
    assert run("alias", "history", "prod", "--limit", 1).stdout.endswith("… and 3 earlier ones: --limit N\n")
    found = json.loads(run("alias", "history", "prod", "--json").stdout)
    assert found["total"] == 4
    assert found["moves"][0]["to"] is None
    assert found["moves"][1]["from"]["model"] == "shop@2"
    assert found["moves"][1]["from"]["gone"] is True
    assert found["moves"][1]["to"]["gone"] is False
    assert json.loads(run("alias", "rollback", "prod", "--json").stdout)["model"] == "shop@1"


def test_who_moved_it_has_the_name_of_a_key(run, two: None):
    with open_workspace(load_settings()) as workspace:
        key, _ = workspace.keys.create("ci", ["train"], None)
        workspace.aliases.set("prod", "shop@1", by=key.id)
        workspace.aliases.set("other", "shop@1")
    assert run("alias", "history", "prod").stdout.endswith("  key ci\n")
    assert run("alias", "history", "other").stdout.endswith("over HTTP, without a key\n")


def test_what_cannot_be_done_says_why(run, two: None, model: Path):
    with pytest.raises(UnknownAlias, match="no alias prod"):
        run("alias", "drop", "prod")
    with pytest.raises(UnknownAlias, match="no alias prod"):
        run("alias", "history", "prod")
    with pytest.raises(InvalidSetting, match="name of a model"):
        run("alias", "set", "shop", "shop@1")
    with pytest.raises(UnknownModel, match="did you mean shop"):
        run("alias", "set", "prod", "shob")
    with pytest.raises(InvalidSetting, match="is a folder, and an alias points at models of the home"):
        run("alias", "set", "prod", model)
    run("alias", "set", "prod", "shop")
    with pytest.raises(Conflict, match="nothing to roll back to"):
        run("alias", "rollback", "prod")
