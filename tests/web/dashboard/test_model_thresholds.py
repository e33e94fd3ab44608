"""Thresholds in the dashboard: shown, moved, chosen for a purpose, kept as a new version."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tamis.ml.artifact import open_artifact, write_artifact
from tamis.ml.registry import register
from tamis.ml.scorer import Contents
from tamis.ml.threshold_record import RECORD
from tamis.store.records import JobRecord
from tamis.web.dashboard.model_thresholds import shown_of
from tamis.workspace.thresholds import NewThresholds
from tamis.workspace.workspace import Workspace


@pytest.fixture
def place(models: Workspace) -> str:
    return f"/ui/models/{models.models.find('both').id}/thresholds"


def shown(html: str) -> dict[str, str]:
    return {
        name: value for name, value in re.findall(r'name="(t-\d+)" min="0" max="1" step="0.001" value="([^"]*)"', html)
    }


def test_a_moved_threshold_is_a_new_version(visitor: Any, models: Workspace, place: str) -> None:
    before = models.thresholds.look("both@1", "b").targets["b"]["labels"]
    page = visitor.get(f"{place}?target=1").text
    assert shown(page) == {f"t-{at}": f"{label['threshold']:.3f}" for at, label in enumerate(before)}
    answer = visitor.send(place, on=place, target="1", **{**shown(page), "t-1": "0.123"})
    after = models.thresholds.look("both@2", "b").targets["b"]["labels"]
    assert [label["threshold"] for label in after] == [before[0]["threshold"], 0.123, before[2]["threshold"]]
    assert models.thresholds.look("both@2", "a").targets["a"] == models.thresholds.look("both@1", "a").targets["a"]
    assert answer.headers["location"] == f"/ui/models/{models.models.find('both@2').id}/thresholds?target=1"
    assert "both@2 is the model with what you chose" in visitor.get(answer.headers["location"]).text


def test_a_target_is_numbered_in_plain_digits(visitor: Any, place: str) -> None:
    answer = visitor.send(place, on=place, target="\N{SUPERSCRIPT TWO}")
    assert answer.status_code == 400
    assert "Nothing was moved" in answer.text


def test_a_purpose_is_looked_at_first_and_kept_with_what_was_moved(visitor: Any, models: Workspace, place: str) -> None:
    asked = f"{place}?target=1&optimise=recall%3E%3D0.9"
    page = visitor.get(asked).text
    assert models.models.page(0, 10, {"name": "both"})[1] == 1
    wanted = models.thresholds.change("both", NewThresholds(optimise=["recall>=0.9"], target="b"), dry_run=True)
    labels = wanted.targets["b"]["labels"]
    assert shown(page) == {f"t-{at}": f"{label['threshold']:.3f}" for at, label in enumerate(labels)}
    visitor.send(place, on=asked, target="1", optimise="recall>=0.9", **{**shown(page), "t-0": "0.9"})
    entry = models.manifests.read(models.models.find("both@2")).target("b")
    assert entry.chosen_for is not None
    assert entry.chosen_for.objective == "recall>=0.9"
    assert entry.chosen_for.fixed == {entry.labels[0]: 0.9}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Nothing was moved"),
        ({"t-0": "1.5"}, "is no number from 0 to 1"),
        ({"t-0": "nan"}, "is no number from 0 to 1"),
        ({"t-0": "<b>"}, "is no number from 0 to 1"),
        ({"a-0": "51"}, "is no share from 0 to 50 %"),
        ({"a-0": "nan"}, "is no share from 0 to 50 %"),
        ({"a-0": "<b>"}, "is no share from 0 to 50 %"),
        ({"a-0": "3.001"}, "Nothing was moved"),
        ({"optimise": "fame"}, "write f1, micro-f1"),
        ({"optimise": "x" * 5000}, "xxx"),
    ],
)
def test_what_cannot_be_kept_is_said_on_the_page(
    visitor: Any, models: Workspace, place: str, sent: dict[str, str], said: str
) -> None:
    answer = visitor.send(place, on=place, target="0", **sent)
    assert answer.status_code == 400
    assert said in unescape(answer.text)
    assert "body." not in answer.text
    assert models.models.page(0, 10, {"name": "both"})[1] == 1


def test_what_is_no_target_is_refused(visitor: Any, models: Workspace, place: str) -> None:
    assert visitor.send(place, on=place, target="9", optimise="f1").status_code == 422
    assert visitor.get(f"{place}?target=9").status_code == 200
    assert visitor.get(f"{place}?optimise=fame").status_code == 200


def unanswered(html: str) -> dict[str, str]:
    """What may go unanswered, by the fields of a page."""
    return dict(re.findall(r'name="(a-\d+)" min="0" max="50" step="any" value="([^"]*)"', html))


def test_how_sure_it_must_be_to_answer_is_moved_and_kept(visitor: Any, models: Workspace) -> None:
    place = f"/ui/models/{models.models.find('intents').id}/thresholds"
    page = visitor.get(place).text
    assert unanswered(page) == {"a-0": "3"}
    assert "counted on" not in page
    answer = visitor.send(place, on=place, target="0", **{"a-0": "25"})
    after = models.thresholds.rules("intents@2")["topic"]
    assert after["loss"] == 0.25
    assert answer.headers["location"] == f"/ui/models/{models.models.find('intents@2').id}/thresholds?target=0"
    shown = visitor.get(answer.headers["location"]).text
    assert unanswered(shown) == {"a-0": "25"}
    assert f'data-figure-of="coverage">{100 * after["coverage"]:.1f}' in shown.replace("&nbsp;", " ")


def test_it_is_kept_with_thresholds_of_other_targets(visitor: Any, models: Workspace, place: str) -> None:
    page = visitor.get(f"{place}?target=1").text
    sent = {**shown(page), **unanswered(page), "t-1": "0.123", "a-0": "12.5"}
    visitor.send(place, on=place, target="1", **sent)
    manifest = models.manifests.read(models.models.find("both@2"))
    assert manifest.target("topic").abstain is not None
    assert manifest.target("topic").abstain.loss == 0.125
    assert manifest.target("b").thresholds is not None
    assert manifest.target("b").thresholds[1] == pytest.approx(0.123)
    assert models.models.page(0, 10, {"name": "both"})[1] == 2


def test_a_model_that_keeps_nothing_of_its_rows_says_what_to_do(
    visitor: Any, models: Workspace, model_folders: dict[str, Path], tmp_path: Path
) -> None:
    artifact = open_artifact(model_folders["intents"])
    files = {name: artifact.folder / name for name in artifact.manifest.files if name != RECORD}
    write_artifact(tmp_path / "old", artifact.manifest, Contents({}, None, files))
    register(models.settings.home, "old", tmp_path / "old")
    model = models.models.find("old")
    place = f"/ui/models/{model.id}/thresholds"
    page = visitor.get(place).text
    assert unanswered(page) == {}
    assert "keeps nothing of the rows" in page
    assert "tamis thresholds old@1 --abstain-loss 0.05 --data FILE" in page
    assert "Save as new version" not in page
    assert "/ui/new/train?from=" not in page
    job = {"id": "the-job", "status": "SUCCESS", "model": "m", "base": "m", "name": "old", "fingerprint": "f"}
    models.store.jobs.add(JobRecord(**job, created_at=1, modified_at=1))
    models.store.models.change(model.id, job_id="the-job")
    assert 'href="/ui/new/train?from=the-job"' in visitor.get(place).text
    answer = visitor.send(place, on=place, target="0", **{"a-0": "10"})
    assert answer.status_code == 400
    assert "keeps no evidence of held-out rows" in unescape(answer.text)


def test_of_very_many_labels_the_frequent_ones_are_shown_in_their_order() -> None:
    labels = [{"support": None if place % 2 else place} for place in range(1000)]
    assert shown_of(labels) == list(range(400, 1000, 2))
    assert shown_of(labels[:3]) == [0, 1, 2]
