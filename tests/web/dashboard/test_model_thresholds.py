"""Thresholds in the dashboard: shown, moved, chosen for a purpose, kept as a new version."""

import re
from html import unescape
from typing import Any

import pytest

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
    assert "both@2 has these thresholds" in visitor.get(answer.headers["location"]).text


def test_a_target_is_numbered_in_plain_digits(visitor: Any, place: str) -> None:
    answer = visitor.send(place, on=place, target="\N{SUPERSCRIPT TWO}")
    assert answer.status_code == 400
    assert "No threshold was moved" in answer.text


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
        ({}, "No threshold was moved"),
        ({"t-0": "1.5"}, "is no number from 0 to 1"),
        ({"t-0": "nan"}, "is no number from 0 to 1"),
        ({"t-0": "<b>"}, "is no number from 0 to 1"),
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


def test_a_model_of_single_labels_says_that_it_has_none(visitor: Any, models: Workspace) -> None:
    page = visitor.get(f"/ui/models/{models.models.find('intents').id}/thresholds").text
    assert "This model has no thresholds" in page


def test_where_there_is_none_the_way_to_be_surer_is_told(visitor: Any, models: Workspace) -> None:
    model = models.models.find("intents")
    place = f"/ui/models/{model.id}/thresholds"
    assert "chosen when it is trained" in visitor.get(place).text
    assert "/ui/new/train?from=" not in visitor.get(place).text
    job = {"id": "the-job", "status": "SUCCESS", "model": "m", "base": "m", "name": "intents", "fingerprint": "f"}
    models.store.jobs.add(JobRecord(**job, created_at=1, modified_at=1))
    models.store.models.change(model.id, job_id="the-job")
    assert 'href="/ui/new/train?from=the-job"' in visitor.get(place).text


def test_of_very_many_labels_the_frequent_ones_are_shown_in_their_order() -> None:
    labels = [{"support": None if place % 2 else place} for place in range(1000)]
    assert shown_of(labels) == list(range(400, 1000, 2))
    assert shown_of(labels[:3]) == [0, 1, 2]
