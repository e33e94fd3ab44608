"""What a server tells of itself: every setting once, where it was chosen, and nothing secret."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from tamis.settings import Settings, load_settings
from tamis.store.records import ModelRecord
from tamis.workspace.about import ABILITIES, GROUPS, About, without_secrets
from tamis.workspace.workspace import Workspace

SECRET = "hunter2"


def about(workspace: Workspace, **chosen: object) -> About:
    return About(workspace.store, workspace.settings.model_copy(update=chosen))


def test_each_setting_stands_in_one_group() -> None:
    names = [name for group in GROUPS.values() for name in group]
    assert sorted(names) == sorted(Settings.model_fields)


def test_nothing_secret_is_told(workspace: Workspace) -> None:
    told = about(
        workspace,
        database_url=f"postgresql://me:{SECRET}@db.test:5432/tamis?password={SECRET}",
        storage_url=f"s3://bucket/models?secret={SECRET}",
        llm_base_url=f"https://{SECRET}@llm.test/v1?key={SECRET}#{SECRET}",
        mlflow_tracking_uri=f"https://u:{SECRET}@mlflow.test",
        llm_api_key=SecretStr(SECRET),
        secret_key=SecretStr(SECRET),
    )
    everything = f"{told.settings()} {told.facts()} {told.space()} {told.abilities()}"
    assert SECRET not in everything
    by_name = {setting.name: setting for group in told.settings().values() for setting in group}
    assert by_name["database_url"].value == "postgresql://db.test:5432/tamis"
    assert by_name["llm_base_url"].value == "https://llm.test/v1"
    assert (by_name["llm_api_key"].value, by_name["llm_api_key"].secret) == (True, True)
    assert without_secrets("nonsense with a password") == "…"
    assert without_secrets("http://[half") == "…"


def test_it_tells_where_a_value_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    home = workspace.settings.home
    (home / "tamis.toml").write_text('max_labels = 50\nlog_level = "debug"\n[llm_models]\nmini = "vendor/mini"\n')
    monkeypatch.setenv("TAMIS_LOG_LEVEL", "error")
    read = About(workspace.store, load_settings()).settings()
    by_name = {setting.name: setting for group in read.values() for setting in group}
    assert (by_name["log_level"].value, by_name["log_level"].origin) == ("error", "variable TAMIS_LOG_LEVEL")
    assert (by_name["max_labels"].value, by_name["max_labels"].default) == (50, 20_000)
    assert by_name["max_labels"].origin == "tamis.toml"
    assert by_name["llm_models"].value == "mini → vendor/mini"
    assert (by_name["max_inputs"].origin, by_name["cors_origins"].value) == ("", None)
    started = About(workspace.store, load_settings().model_copy(update={"max_inputs": 3})).settings()
    assert (
        next(each for each in started["Limits of requests"] if each.name == "max_inputs").origin == "how it was started"
    )
    (home / "tamis.toml").write_text("not toml")
    assert read.keys() == About(workspace.store, workspace.settings).settings().keys()


def test_room_is_counted(workspace: Workspace, upload: object) -> None:
    upload(b"12345")  # type: ignore[operator]
    workspace.store.models.add(
        ModelRecord(id="m", name="a", root="r", base="b", place="objects:m", created_at=1, bytes=70)
    )
    space = about(workspace, max_storage_bytes=100).space()
    assert {kind.title: (kind.count, kind.bytes) for kind in space.kept} == {
        "Files": (1, None),
        "Models": (1, 70),
        "Jobs": (0, None),
        "Batch jobs": (0, None),
    }
    assert (space.counted, space.quota) == (5, 100)
    assert space.disk_free is not None
    assert space.disk_free <= (space.disk_size or 0)
    assert about(workspace).space().quota is None


def test_what_is_missing_says_how_to_get_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tamis.workspace.about.ABILITIES", (*ABILITIES, ("no-such-package-of-ours", "extra", "nothing"))
    )
    *_, last = about(workspace).abilities()
    assert (last.version, last.extra) == (None, "extra")
