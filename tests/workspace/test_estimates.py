"""What is known before a job: the base models to choose from, and how long it would take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamis.errors import Overloaded, UnknownFile
from tamis.settings import Settings
from tamis.workspace.jobs import Jobs, Measured, NewJob
from tamis.workspace.workspace import Workspace, open_workspace

FOUND = Measured((), {"rows": 2, "expected_duration_seconds": 3}, {})


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The base models that files were read for."""
    made: list[str] = []

    def dry_run(self: Jobs, new: NewJob, check: object) -> Measured:
        made.append(new.model)
        return FOUND

    monkeypatch.setattr(Jobs, "dry_run", dry_run)
    return made


def asked(file_id: str, model: str = "static-en", **said: object) -> NewJob:
    return NewJob(model=model, training_files=[(file_id, 1.0)], **said)  # type: ignore[arg-type]


def test_files_are_read_once_for_the_same_work(upload, workspace: Workspace, read: list[str]):
    file_id, estimates = upload().id, workspace.estimates
    assert estimates.known(asked(file_id)) is None
    assert estimates.measure(asked(file_id)) is FOUND
    assert estimates.measure(asked(file_id, title="another name")) is FOUND
    assert estimates.known(asked(file_id)) is FOUND
    assert read == ["static-en"]
    estimates.measure(asked(file_id, "minilm-l6"))
    estimates.measure(asked(file_id, hyperparameters={"epochs": 2}))
    assert read == ["static-en", "minilm-l6", "static-en"]


def test_what_goes_wrong_is_not_remembered(upload, workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    new = asked(upload().id)
    with pytest.raises(UnknownFile):
        workspace.estimates.known(asked("nope"))
    with monkeypatch.context() as patch:
        patch.setattr(Jobs, "dry_run", lambda *_: (_ for _ in ()).throw(Overloaded("busy")))
        with pytest.raises(Overloaded):
            workspace.estimates.measure(new)
    assert workspace.estimates.known(new) is None


def test_only_so_much_is_remembered(upload, workspace: Workspace, read: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tamis.workspace.estimates.MOST_REMEMBERED", 2)
    many = [asked(upload().id, hyperparameters={"seed": seed}) for seed in range(3)]
    for new in many:
        workspace.estimates.measure(new)
    assert [workspace.estimates.known(new) is FOUND for new in many] == [False, True, True]


def test_the_operators_choices_are_offered_and_the_default_comes_first(tmp_path: Path):
    settings = Settings(
        home=tmp_path, default_base_model="minilm-l6", base_aliases={"ours": "owner/base", "quick": "static-en"}
    )
    with open_workspace(settings) as workspace:
        offers = workspace.estimates.bases()
        assert [(offer.name, offer.base) for offer in offers] == [
            ("minilm-l6", "minilm-l6"),
            ("static-en", "static-en"),
            ("ours", "owner/base"),
        ]
        for offer in offers:
            assert workspace.jobs._base(offer.name) == offer.base


def test_a_folder_is_offered_by_its_alias(tmp_path: Path):
    with open_workspace(
        Settings(home=tmp_path, default_base_model="/srv/base", base_aliases={"ours": "/srv/base"})
    ) as workspace:
        assert workspace.estimates.bases()[0].name == "ours"


def test_nothing_is_tracked_where_that_is_switched_off(tmp_path: Path):
    with open_workspace(Settings(home=tmp_path, wandb_mode="disabled")) as workspace:
        assert not workspace.estimates.tracks()
