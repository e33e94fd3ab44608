"""`tamis push`, and MODEL as a repository, by the program itself against a stand-in for the hub."""

import json
from pathlib import Path

import pytest

from tamis.cli.given_model import load_model
from tamis.errors import InvalidSetting, UnknownModel
from tamis.settings import load_settings
from tamis.workspace.workspace import open_workspace
from writable_hub import WRITER, WritableHub, use

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # of the client's own upload

PROGRAM = "import sys; from tamis.cli import main; sys.argv = ['tamis', *{}]; main()"


@pytest.fixture
def hub():
    hub = WritableHub()
    yield hub
    hub.close()


def test_one_pushes_and_another_uses_it(hub, model: Path, tmp_path: Path):
    def program(who: str, token: str, *arguments: str):
        return hub.run(PROGRAM.format(list(arguments)), tmp_path / who, token)

    done = program("maker", WRITER, "push", str(model), "me/small", "--private")
    assert done.returncode == 0, done.stderr
    assert f"pushed  {hub.url}/me/small (private, commit " in done.stdout
    assert "tamis classify me/small 'a text'" in done.stdout
    asked = program("friend", WRITER, "classify", "me/small", "where is my parcel", "--json")
    assert asked.returncode == 0, asked.stderr
    (row,) = json.loads(asked.stdout)["predictions"]
    assert row["predicted"]["topic"] == "delivery"
    refused = program("stranger", "", "push", str(model), "me/small", "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["error"]["code"] == "hub_failed"
    assert WRITER not in done.stdout + done.stderr + asked.stderr


def test_the_names_json_has(hub, model: Path, tmp_path: Path, run, monkeypatch):
    use(hub, tmp_path, monkeypatch)
    told = json.loads(run("push", model, "me/small", "--json").stdout)
    repository = hub.repositories["me/small"]
    assert told == {
        "repository": "me/small",
        "url": f"{hub.url}/me/small",
        "commit": repository.sha,
        "private": False,
    }


def test_a_wrong_name_is_refused_before_anything_is_loaded(run):
    with pytest.raises(InvalidSetting, match="owner/name"):
        run("push", "nowhere", "small")


def test_a_home_with_a_database_looks_on_the_hub_last(hub, model: Path, tmp_path: Path, run, monkeypatch):
    use(hub, tmp_path, monkeypatch)
    run("push", model, "me/small")
    with open_workspace(load_settings()):
        pass
    assert load_settings().has_database
    assert load_model("me/small").manifest.name == "small"
    with pytest.raises(UnknownModel, match="There is no model me/other"):
        load_model("me/other")


def test_a_space(hub, model: Path, tmp_path: Path, run, monkeypatch):
    use(hub, tmp_path, monkeypatch)
    done = run("push", model, "me/try", "--space")
    assert f"pushed  {hub.url}/spaces/me/try (public, commit " in done.stdout
    assert f"try it  open {hub.url}/spaces/me/try" in done.stdout
    assert "app.py" in hub.repositories["spaces/me/try"].files
    assert run("push", model, "me/try", "--space", "--license", "mit").exit_code == 2
