"""Models: found by every name, taken in from the home, put away, deleted; and what answers with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from tamis.endpoints import CLASSIFICATIONS, MODERATIONS
from tamis.errors import DamagedArtifact, InUse, InvalidRequest, InvalidSetting, UnknownAlias, UnknownModel
from tamis.ml import registry
from tamis.ml.artifact import open_artifact, write_artifact
from tamis.ml.scorer import Contents
from tamis.ml.training import train
from tamis.settings import Settings
from tamis.store.records import ModelRecord
from tamis.workspace import classifying
from tamis.workspace.workspace import Workspace, open_workspace


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a single-label target and a multi-label one."""
    folder = tmp_path_factory.mktemp("model")
    words = {"delivery": "parcel courier late", "payment": "card invoice refund"}
    with (folder / "rows.jsonl").open("w") as out:
        for number in range(60):
            label = list(words)[number % 2]
            tags = ["angry"] if number % 3 == 0 else ["safe"]
            row = {"text": f"{words[label]} {number} {' '.join(tags)}", "labels": {"topic": label, "tone": tags}}
            out.write(json.dumps(row) + "\n")
    train(folder / "rows.jsonl", out=folder / "model", name="shop")
    return folder / "model"


@pytest.fixture
def stored(workspace: Workspace, artifact: Path) -> Callable[..., ModelRecord]:
    """Stores the tiny model as a job would."""

    def store(name: str = "shop", **columns: object) -> ModelRecord:
        number = len(workspace.store.models.list()[0])
        model_id = f"00000000-0000-4000-8000-{number:012d}"
        workspace.store.objects.put_folder(artifact, f"models/{model_id}")
        usual = {
            "id": model_id,
            "name": name,
            "root": "english",
            "base": "static-en",
            "place": f"objects:models/{model_id}",
            "created_at": number,
            "ft": f"ft:classifier:english:0a1b2c3d:20250101:{number:08d}",
        }
        return workspace.store.models.add(ModelRecord(**{**usual, **columns}))

    return store


def test_a_model_answers_to_all_its_names(workspace: Workspace, stored):
    first, second = stored(), stored()
    workspace.aliases.set("shop-prod", "shop@1")
    for reference in (first.id, "shop@1", first.ft, f"{first.id}-ft", "shop-prod", first.id.upper()):
        assert workspace.models.find(reference).id == first.id
    assert workspace.models.find("shop").id == second.id
    for reference in ("shop@3", "shop@0", "other", "", "ft:other", "shop@", "@1", "x" * 10_000, "a\x00b"):
        with pytest.raises(UnknownModel):
            workspace.models.find(reference)


def test_a_model_behind_an_alias_stays_and_others_go_with_their_files(workspace: Workspace, stored):
    model = stored()
    workspace.aliases.set("prod", model.id)
    with pytest.raises(InUse, match="prod"):
        workspace.models.delete(model.id)
    workspace.aliases.drop("prod")
    workspace.models.delete(model.id)
    assert list(workspace.store.objects.list("models")) == []
    with pytest.raises(UnknownModel):
        workspace.models.find(model.id)
    with pytest.raises(UnknownAlias, match="no alias prod"):
        workspace.aliases.drop("prod")


def test_what_is_told_of_a_model_may_change_and_its_name_not(workspace: Workspace, stored):
    stored()
    changed = workspace.models.update("shop", "Shop mails", None)
    assert (changed.title, changed.description, changed.name) == ("Shop mails", None, "shop")
    assert workspace.models.update("shop", None, "For the desk").title == "Shop mails"
    with pytest.raises(InvalidRequest, match=r"body\.description"):
        workspace.models.update("shop", None, "x" * 10_001)
    with pytest.raises(InvalidSetting, match="name of a model"):
        workspace.aliases.set("shop", "shop@1")


def test_a_version_has_one_number_whoever_made_it(workspace: Workspace, settings: Settings, stored, artifact: Path):
    stored()
    assert str(workspace.models.register("shop", artifact)) == "shop@2"
    assert workspace.models.find("shop").place == f"folder:{settings.home / 'models' / 'shop' / '2'}"
    assert stored().version == 3
    assert workspace.models.register("shop", artifact).number == 4
    registry.register(settings.home, "other", artifact)
    registry.register(settings.home, "other", artifact)
    shutil.rmtree(settings.home / "models" / "other" / "1")
    assert workspace.models.find("other@2").version == 2


def test_several_processes_take_a_model_in_once(workspace: Workspace, settings: Settings, artifact: Path):
    registry.register(settings.home, "mails", artifact)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: workspace.models.take_in(), range(16)))
    assert [(model.name, model.version) for model in workspace.models.list()] == [("mails", 1)]


def test_a_model_says_where_its_files_are(workspace: Workspace, settings: Settings, stored, artifact: Path):
    model = stored()
    assert workspace.models.place(model) == str(settings.home / "objects" / "models" / model.id)
    version = workspace.models.register("mails", artifact)
    assert workspace.models.place(workspace.models.find("mails")) == str(version.folder)


def test_models_of_the_home_are_taken_in_and_let_go(workspace: Workspace, settings: Settings, artifact: Path):
    version = registry.register(settings.home, "mails", artifact)
    (settings.home / "models" / "broken" / "1").mkdir(parents=True)
    (settings.home / "models" / "broken" / "1" / "manifest.json").write_text("{")
    found = workspace.models.find("mails")
    assert (found.name, found.version, found.place) == ("mails", 1, f"folder:{version.folder}")
    assert [target["name"] for target in found.targets] == ["topic", "tone"]
    assert found.targets[1]["none_labels"] == ["safe"]
    assert workspace.models.folder(found) == version.folder
    assert [model.name for model in workspace.models.list()] == ["mails"]
    workspace.models.delete("mails")
    assert not version.folder.exists()
    again = registry.register(settings.home, "mails", artifact)
    assert workspace.models.find("mails").place == f"folder:{again.folder}"
    shutil.rmtree(again.folder)
    assert workspace.models.list() == []


@pytest.mark.parametrize(
    ("length", "known"), [(128, 128), (2**63, None), (-5, None), (0, None), (True, None), ("9", None), (None, None)]
)
def test_what_a_model_of_the_home_reads_is_noted(
    workspace: Workspace, settings: Settings, artifact: Path, length: object, known: int | None
):
    whole = open_artifact(artifact)
    facts = {"max_length": length, "windows": 1, "pad_id": 0, "empty_id": 0}
    cut = whole.manifest.model_copy(update={"tier": "encoder", "architecture": facts, "files": {}})
    registry.register(settings.home, "mails", artifact)
    write_artifact(settings.home / "models" / "mails" / "2", cut, Contents({}, None, {}))
    assert [model.context for model in workspace.models.list()] == [known, None]


def test_a_served_model_answers_as_the_artifact_does(workspace: Workspace, stored):
    model = stored()
    served = workspace.classifier.served("shop")
    answer = orjson.loads(workspace.classifier.answer(CLASSIFICATIONS, "shop", ["where is my parcel"], served))
    assert answer["model"] == "shop"
    scores = answer["results"][0]["topic"]["scores"]
    assert max(scores, key=scores.get) == "delivery"
    assert sum(scores.values()) == pytest.approx(1, abs=1e-6)
    moderated = orjson.loads(workspace.classifier.answer(MODERATIONS, "shop", ["all is angry"], served))
    assert moderated["results"][0]["categories"]["safe"] is False
    assert workspace.classifier.ready("shop").record.id == model.id
    assert workspace.classifier.figures().models == 1


def test_a_moved_alias_is_seen_without_a_restart(workspace: Workspace, stored, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(classifying, "FRESH_S", -1.0)
    first, second = stored(), stored()
    workspace.aliases.set("prod", first.id)
    assert workspace.classifier.served("prod").record.id == first.id
    workspace.aliases.set("prod", second.id)
    assert workspace.classifier.served("prod").record.id == second.id
    workspace.models.archive(second.id)
    with pytest.raises(UnknownModel, match="archived"):
        workspace.classifier.served("prod")
    workspace.models.unarchive(second.id)
    assert workspace.classifier.served("prod").record.id == second.id
    assert workspace.classifier.ready("prod") is None  # its name has to be looked at again


def test_a_damaged_model_is_refused_and_a_mended_one_served(workspace: Workspace, stored, settings: Settings):
    model = stored()
    manifest = settings.home / "objects" / "models" / model.id / "manifest.json"
    good = manifest.read_bytes()
    manifest.write_bytes(good.replace(b"delivery", b"delirium"))
    with pytest.raises(DamagedArtifact):
        workspace.classifier.served("shop")
    manifest.write_bytes(good)
    assert workspace.classifier.served("shop").record.id == model.id


def test_deleting_follows_no_link_out_of_the_home(
    workspace: Workspace, settings: Settings, artifact: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(artifact, elsewhere / "1")
    (settings.home / registry.FOLDER).mkdir(parents=True, exist_ok=True)
    (settings.home / registry.FOLDER / "linked").symlink_to(elsewhere)
    workspace.models.delete("linked")
    assert (elsewhere / "1" / "manifest.json").exists()


@pytest.mark.parametrize("end", ["delete", "archive"])
def test_a_model_that_is_gone_is_let_go_of_at_once(
    workspace: Workspace, stored: Callable[..., ModelRecord], end: str
) -> None:
    stored("other")
    stored()
    for name in ("shop", "other"):
        workspace.classifier.served(name)
    getattr(workspace.models, end)("shop")
    assert workspace.classifier.figures().models == 1
    with pytest.raises(UnknownModel):
        workspace.classifier.served("shop")
    assert workspace.classifier.served("other") is workspace.classifier.ready("other")


@pytest.mark.parametrize("end", ["delete", "archive"])
def test_other_processes_let_go_at_their_next_look(
    workspace: Workspace,
    settings: Settings,
    stored: Callable[..., ModelRecord],
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    monkeypatch.setattr(classifying, "FRESH_S", -1.0)
    stored("other")
    stored()
    with open_workspace(settings) as elsewhere:  # as another process of `--workers N` has it
        for name in ("shop", "other"):
            elsewhere.classifier.served(name)
        getattr(workspace.models, end)("shop")
        assert elsewhere.classifier.figures().models == 2
        elsewhere.classifier.served("other")
        assert elsewhere.classifier.figures().models == 1


def test_a_name_that_moves_on_while_its_model_is_deleted_answers(
    workspace: Workspace, stored: Callable[..., ModelRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = stored(), stored()
    workspace.aliases.set("prod", first.id)
    load = classifying.load

    def moved(folder: Path):
        monkeypatch.setattr(classifying, "load", load)
        workspace.aliases.set("prod", second.id)
        workspace.models.delete(first.id)
        return load(folder)

    monkeypatch.setattr(classifying, "load", moved)
    assert workspace.classifier.served("prod").record.id == second.id


def test_a_name_that_moves_while_it_is_looked_up_is_not_remembered_as_it_was(
    workspace: Workspace, stored: Callable[..., ModelRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found before all names were forgotten may not be written down after that: it would stay for good."""
    first, second = stored(), stored()
    workspace.aliases.set("prod", first.id)
    workspace.classifier.served(first.id)
    answering = workspace.models.answering

    def found_too_early(reference: str) -> ModelRecord:
        found = answering(reference)
        if reference == "prod":
            monkeypatch.setattr(workspace.models, "answering", answering)
            workspace.aliases.set("prod", second.id)
            workspace.classifier.served(first.id)  # another request, which sees that something changed
        return found

    monkeypatch.setattr(workspace.models, "answering", found_too_early)
    assert workspace.classifier.served("prod").record.id == first.id
    assert workspace.classifier.served("prod").record.id == second.id


def test_a_name_may_move_several_times_while_it_is_looked_for(
    workspace: Workspace, stored: Callable[..., ModelRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    former, *others = [stored() for _ in range(4)]
    workspace.aliases.set("prod", former.id)
    load = classifying.load

    def moved(folder: Path):
        if others:
            workspace.aliases.set("prod", others[0].id)
            workspace.models.delete(workspace.store.aliases.history("prod", 0, 1)[0][0].from_id)
            others.pop(0)
        return load(folder)

    monkeypatch.setattr(classifying, "load", moved)
    assert workspace.classifier.served("prod").record.id == workspace.store.aliases.find("prod")
