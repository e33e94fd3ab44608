"""Models by name: versions that never change, whole or not at all, found again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tamis.errors import DamagedArtifact, InvalidSetting, ModelError, UnknownModel
from tamis.ml.registry import Version, register, require_name, resolve, versions

FIXTURE = Path(__file__).parent / "fixtures" / "format-1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE, tmp_path / "artifact"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_versions_of_a_name_are_numbered_and_copied(home: Path, folder: Path):
    (folder / ".gitattributes").write_text("of git")
    first, second = register(home, "shop", folder), register(home, "shop", folder)
    assert (str(first), str(second)) == ("shop@1", "shop@2")
    (folder / ".gitattributes").unlink()
    assert bytes_of(second.folder) == bytes_of(folder)
    shutil.rmtree(folder)
    assert resolve(home, "shop") == home / "models" / "shop" / "2"
    assert resolve(home, "shop@1") == home / "models" / "shop" / "1"


def test_a_number_is_not_given_again_to_what_another_process_took(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    register(home, "shop", folder)
    seen = iter([[], [1]])
    monkeypatch.setattr("tamis.ml.registry._numbers", lambda place: next(seen))
    assert register(home, "shop", folder).number == 2


def test_they_are_listed_by_name_the_newest_first(home: Path, folder: Path):
    assert versions(home) == []
    for name in ("b", "a", "b"):
        register(home, name, folder)
    (home / "models" / ".hidden").mkdir()
    (home / "models" / "b" / "notes").mkdir()
    (home / "models" / "file").write_text("x")
    assert [str(version) for version in versions(home)] == ["a@1", "b@2", "b@1"]
    assert versions(home)[0] == Version("a", 1, home / "models" / "a" / "1")


def test_a_folder_goes_before_a_name_but_only_where_it_holds_a_model(
    home: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    register(home, "artifact", folder)
    register(home, "data", folder)
    (tmp_path / "data").mkdir()
    assert resolve(home, "artifact") == Path("artifact")
    assert resolve(home, "data") == home / "models" / "data" / "1"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("shop@7", "There is no shop@7: the home has shop@1"),
        ("shpo", "did you mean shop?"),
        ("zzzzzz", "has shop"),
        ("no/such/folder", "there is no such folder. Give the folder that `tamis train` wrote"),
        ("..", "it has no manifest.json"),
        ("shop@0", "there is no such folder"),
        ("", "it has no manifest.json"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(asked: str, told: str, home: Path, folder: Path):
    register(home, "shop", folder)
    with pytest.raises(UnknownModel, match=told):
        resolve(home, asked)


def test_an_empty_home_is_told(home: Path):
    with pytest.raises(UnknownModel, match="has no models yet"):
        resolve(home, "shop")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a@1", ".hidden", "-x", "a" * 65, "naïve", "a\n"])
def test_names_that_could_lead_elsewhere_are_refused(name: str, home: Path, folder: Path):
    with pytest.raises(InvalidSetting, match="cannot be a model's name"):
        register(home, name, folder)
    assert not home.exists()
    with pytest.raises(InvalidSetting):
        require_name(name)


def test_a_damaged_artifact_is_not_registered(home: Path, folder: Path):
    (folder / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(DamagedArtifact):
        register(home, "shop", folder)
    assert list((home / "models" / "shop").iterdir()) == []
    assert versions(home) == []


def test_a_home_that_cannot_be_written_is_told_and_the_model_is_where_it_was(home: Path, folder: Path):
    home.write_text("a file")
    with pytest.raises(ModelError, match="could not be registered") as caught:
        register(home, "shop", folder)
    assert str(folder) in str(caught.value)
    assert bytes_of(folder) == bytes_of(FIXTURE)
