"""The form of a training: what is asked for becomes a job, what is wrong is said beside its field, nothing is lost."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from tamis.errors import LimitExceeded, NothingToLearn, Overloaded, TooManyBadRows
from tamis.settings import Settings
from tamis.workspace.files import NewFile
from tamis.workspace.jobs import Jobs, Measured, NewJob
from tamis.workspace.workspace import Workspace
from web.dashboard.browsing import Watched

PLACE = "/ui/new/train"
TARGETS = (
    {"name": "topic", "labels": ["delivery", "<b>pay</b>"], "weight": 1.0, "loss_function": "single_class"},
    {"name": "flags", "labels": ["angry"] * 77, "weight": 1.0, "loss_function": "multi_class"},
)
FOUND = {"rows": 1234, "rejected_rows": 3, "expected_duration_seconds": 75, "expected_memory_mb": 415}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[NewJob]:
    """What was measured, without reading anything."""
    asked: list[NewJob] = []

    def dry_run(self: Jobs, new: NewJob, check: object) -> Measured:
        asked.append(new)
        return Measured(TARGETS, FOUND, {})

    monkeypatch.setattr(Jobs, "dry_run", dry_run)
    return asked


@pytest.fixture
def file_id(upload: Any) -> str:
    return str(upload()["id"])


def made(workspace: Workspace, answer: Any) -> Any:
    """The job that an answer leads to."""
    assert answer.status_code == 303, answer.text
    return workspace.jobs.get(answer.headers["location"].removeprefix("/ui/jobs/")).job


def test_a_name_and_a_click_are_enough(visitor: Any, workspace: Workspace, file_id: str) -> None:
    page = visitor.get(f"{PLACE}?training={file_id}").text
    assert "rows.jsonl" in page
    assert re.search(r'value="static-en" checked', page)
    assert f'<input type="hidden" name="training" value="{file_id}">' in page
    job = made(workspace, visitor.send(PLACE, training=file_id, title="Post & Co", base="static-en"))
    assert (job.title, job.model, job.auto_start, job.status) == ("Post & Co", "static-en", True, "QUEUED")
    assert (job.training_files, job.validation_files, job.test_file) == (((file_id, 1.0),), (), None)


def test_everything_that_is_said_reaches_the_job(visitor: Any, workspace: Workspace, upload: Any) -> None:
    files = [upload(b'{"text": "%d", "labels": {"t": "x"}}\n' % n, f"{n}.jsonl")["id"] for n in range(3)]
    fields = {
        "training": files[0],
        "validation": files[1],
        "test": files[2],
        "base": "minilm-l6",
        "length": "epochs",
        "epochs": "2,5",
        "training_steps": "7",
        "learning_rate": "0.00005",
        "weight_decay": "0.2",
        "warmup_fraction": "0.1",
        "seq_len": "1 000",
        "seed": "3",
        "max_bad_share": "5 %",
        "purpose": "precision",
        "floor": "95",
        "purposes": "angry=recall>=0.9\n\ncalm = f1",
        "abstain_loss": "4",
        "oos_label": "other",
    }
    job = made(workspace, visitor.send(PLACE, **fields))
    said = job.hyperparameters
    assert (said["epochs"], said["training_steps"], said["seq_len"], said["seed"]) == (2.5, None, 1000, 3)
    assert (said["learning_rate"], said["weight_decay"], said["warmup_fraction"]) == (5e-5, 0.2, 0.1)
    assert list(said["optimise"]) == ["precision>=0.95", "angry=recall>=0.9", "calm = f1"]
    assert (said["abstain_loss"], said["oos_label"], job.max_bad_share) == (0.04, "other", 0.05)
    assert (job.base, job.validation_files, job.test_file) == ("minilm-l6", (files[1],), files[2])


@pytest.mark.parametrize(
    ("fields", "place", "why"),
    [
        ({"seed": "many"}, "seed", "Give a number."),
        ({"seed": "1.5"}, "seed", "Give a whole number."),
        ({"learning_rate": "nan"}, "learning_rate", "Give a number."),
        ({"learning_rate": "7"}, "learning_rate", "It should be less than or equal to 1."),
        ({"warmup_fraction": "-1"}, "warmup_fraction", "greater than or equal to 0"),
        ({"length": "epochs"}, "epochs", "Say how long"),
        ({"length": "steps", "training_steps": "0"}, "training_steps", "greater than or equal to 1"),
        ({"purpose": "recall"}, "floor", "Say how many percent"),
        ({"purpose": "recall", "floor": "400"}, "floor", "less than 100"),
        ({"purpose": "cost", "cost_fp": "-1"}, "purpose", "each cost is a number above 0"),
        ({"purposes": "toxic=best"}, "purpose", "toxic"),
        ({"max_bad_share": "101"}, "max_bad_share", "Give 0 to 100 percent."),
        ({"abstain_loss": "80"}, "abstain_loss", "Give 0 to 50 percent."),
        ({"title": "x" * 101}, "title", "100 characters"),
        ({"base": "nonsense"}, "base", "cannot be fine-tuned here"),
        ({"wandb_project": "p"}, "wandb_key", "key of your account"),
        ({"wandb_key": "k" * 40}, "wandb_project", "which project"),
        ({"wandb_project": "p", "wandb_key": "short"}, "wandb_project", "at least 40 characters"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    visitor: Any, workspace: Workspace, file_id: str, fields: dict[str, str], place: str, why: str
) -> None:
    given = {"training": file_id, "base": "static-en", "title": "kept", "oos_label": 'ot"her', **fields}
    answer = visitor.send(PLACE, **given)
    assert answer.status_code == 422
    told = re.search(rf'id="wrong-{place}">(.*?)</p>', answer.text)
    assert told, answer.text
    assert why in unescape(told[1])
    assert "ot&#34;her" in answer.text
    assert "k" * 40 not in answer.text
    assert workspace.jobs.list(0, 10, {})[1] == 0


def test_a_trackers_key_is_sealed_and_never_shown(visitor: Any, workspace: Workspace, file_id: str) -> None:
    fields = {"wandb_project": "shop", "wandb_run": "first", "wandb_key": "k" * 40}
    job = made(workspace, visitor.send(PLACE, training=file_id, base="static-en", **fields))
    assert [(run["project"], run["name"]) for run in job.integrations] == [("shop", "first")]
    assert workspace.store.secrets.get(job.id, "wandb") == "k" * 40
    for page in (f"/ui/jobs/{job.id}", f"{PLACE}?from={job.id}"):
        assert "kkkk" not in visitor.get(page).text


def test_trackers_are_offered_where_they_can_be_used(
    make_client: Any, visitor: Any, workspace: Workspace, file_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamis.workspace.estimates.is_installed", lambda library: False)
    page = visitor.get(f"{PLACE}?training={file_id}").text
    assert "pip install &#39;.[wandb]&#39;" in page or "pip install '.[wandb]'" in page
    assert 'name="wandb_key"' not in page
    workspace.settings = Settings(home=workspace.settings.home, mlflow_tracking_uri="http://secret:pw@mlflow")
    page = visitor.get(f"{PLACE}?training={file_id}").text
    assert "MLflow" in page
    assert "secret:pw" not in page


def test_the_same_job_is_shown_not_made_again(visitor: Any, workspace: Workspace, file_id: str) -> None:
    first = made(workspace, visitor.send(PLACE, training=file_id, base="static-en"))
    again = visitor.send(PLACE, training=file_id, base="static-en")
    assert again.headers["location"] == f"/ui/jobs/{first.id}"
    assert "under way already" in visitor.get(f"/ui/jobs/{first.id}").text


def test_what_was_filled_in_is_kept_when_the_server_is_busy(
    visitor: Any, workspace: Workspace, file_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Jobs, "create", lambda *_: (_ for _ in ()).throw(Overloaded("1000 jobs are not finished yet.")))
    answer = visitor.send(PLACE, training=file_id, base="minilm-l6", title="Mine")
    assert answer.status_code == 429
    assert "1000 jobs are not finished yet." in answer.text
    assert 'value="Mine"' in answer.text
    assert re.search(r'value="minilm-l6" checked', answer.text)


def test_the_time_is_told_for_the_chosen_base_model_and_remembered(
    visitor: Any, file_id: str, measured: list[NewJob]
) -> None:
    page = visitor.send(f"{PLACE}/estimate", training=file_id, base="static-en", title="Mine").text
    assert "About 1 min 15 s" in page
    assert "1,234 rows to learn from; 3 bad rows are left out" in page
    assert "&lt;b&gt;pay&lt;/b&gt;" in page
    assert 'value="Mine"' in page
    assert page.count("About 1 min 15 s") == 1
    assert "About 1 min 15 s" in visitor.get(f"{PLACE}?training={file_id}").text
    assert [new.model for new in measured] == ["static-en"]


@pytest.mark.parametrize(
    ("error", "told", "later"),
    [
        (NothingToLearn("The target t has one label."), "The target t has one label.", False),
        (TooManyBadRows("Or train without them: invalid_sample_skip_percentage = 0.34."), "let up to 34 % of", False),
        (LimitExceeded("Its files take more time."), "Its files take more time.", False),
        (Overloaded("Another dry run is reading."), "Another dry run is reading.", True),
    ],
)
def test_why_the_time_is_not_known_is_told(
    visitor: Any, file_id: str, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str, later: bool
) -> None:
    monkeypatch.setattr(Jobs, "dry_run", lambda *_: (_ for _ in ()).throw(error))
    answer = visitor.send(f"{PLACE}/estimate", training=file_id, base="static-en")
    assert answer.status_code == 200
    assert told in answer.text
    assert (" data-later" in answer.text) is later


def test_what_is_wrong_is_told_when_the_time_is_asked_for(visitor: Any, file_id: str, measured: list[NewJob]) -> None:
    answer = visitor.send(f"{PLACE}/estimate", training=file_id, base="static-en", seed="x")
    assert answer.status_code == 200
    assert 'id="wrong-seed"' in answer.text
    assert measured == []


def test_where_nothing_is_to_be_chosen_nothing_is_asked(visitor: Any, file_id: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(Jobs, "dry_run", lambda *_: Measured(TARGETS[:1], FOUND, {}))
    page = visitor.send(f"{PLACE}/estimate", training=file_id, base="static-en").text
    assert '<div id="t-purposes" hidden>' in page
    assert '<div class="knobs" id="t-abstain">' in page


def test_a_job_is_asked_for_again_with_what_it_was_asked_for(
    visitor: Any, workspace: Workspace, upload: Any, file_id: str
) -> None:
    test = upload(b'{"text": "t", "labels": {"t": "x"}}\n', "test.jsonl")["id"]
    fields = {"length": "steps", "training_steps": "9", "purpose": "cost", "cost_fp": "1", "cost_fn": "5"}
    fields |= {"purposes": "a=f1", "abstain_loss": "4", "max_bad_share": "2.5", "wandb_project": "p", "title": "T"}
    first = made(
        workspace,
        visitor.send(PLACE, training=file_id, test=test, base="static-en", wandb_key="k" * 40, **fields),
    )
    page = visitor.get(f"{PLACE}?from={first.id}").text
    shown = {
        **{name: unescape(value) for name, value in re.findall(r'<input[^>]* name="(\w+)" value="([^"]*)"', page)},
        **{
            name: unescape(value)
            for name, value in re.findall(r'<input type="radio" name="(\w+)"[^>]* value="([^"]*)" checked', page)
        },
    }
    assert {name: shown.get(name) for name in fields if name != "purposes"} == {
        name: value for name, value in fields.items() if name != "purposes"
    }
    assert ">a=f1</textarea>" in page
    assert (shown["training"], shown["test"]) == (file_id, test)
    workspace.jobs.cancel(first.id)
    fields["wandb_project"] = ""
    again = made(workspace, visitor.send(PLACE, training=file_id, test=test, base="static-en", **fields))
    assert again.hyperparameters == first.hyperparameters
    assert again.test_file == first.test_file


def test_without_files_there_is_a_choice_or_the_way_to_bring_some(visitor: Any, upload: Any) -> None:
    assert "No data yet" in visitor.get(PLACE).text
    file_id = upload(name="<i>rows.jsonl")["id"]
    page = visitor.get(PLACE).text
    assert f'<option value="{file_id}">&lt;i&gt;rows.jsonl' in page
    chosen = visitor.get(f"{PLACE}?choose=1&training={file_id}").text
    assert f'<option value="{file_id}" selected>' in chosen
    assert visitor.get(f"{PLACE}?training={file_id}&validation=&test=").status_code == 200


@pytest.mark.parametrize("query", ["training=nope", "training=../../etc/passwd", "from=nope", "training=%00"])
def test_what_is_not_there_is_said(visitor: Any, query: str) -> None:
    assert visitor.get(f"{PLACE}?{query}").status_code == 404


def test_of_very_many_files_only_some_are_looked_at(visitor: Any, file_id: str) -> None:
    query = "&".join([f"training={file_id}", *(f"validation=nope-{n}" for n in range(100))])
    assert visitor.get(f"{PLACE}?{query}").status_code == 404


def test_a_base_model_that_is_not_here_says_how_to_get_it_and_cannot_be_chosen(
    visitor: Any, file_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamis.ml.offered.is_installed", lambda library: library == "wordllama")
    page = visitor.get(f"{PLACE}?training={file_id}").text
    assert "pip install &#39;tamis[encoder]&#39;" in page
    assert re.search(r'value="minilm-l6" disabled', page)


def test_cards_say_how_fast_models_answer_where_that_was_measured(visitor: Any, file_id: str) -> None:
    page = visitor.get(f"/ui/new/train?training={file_id}").text
    assert "About 62,000 short texts a second on two cores" in page
    assert "About 590 short texts a second on two cores" in page
    assert "benchmarks/results/speed.md" in page


def test_characters_that_nobody_sees_are_left_out(visitor: Any, workspace: Workspace, file_id: str) -> None:
    title = " Sh\u202eop\x00\ud800\n".encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    job = made(workspace, visitor.send(PLACE, training=file_id, base="static-en", title=title))
    assert job.title.startswith("Shop")
    assert "\x00" not in job.title


@pytest.fixture
def browsed(workspace: Workspace) -> str:
    """A file, where no client of tests is at work."""
    coming = workspace.files.begin(NewFile(name="rows.jsonl"))
    coming.write(b'{"text": "a", "labels": {"t": "x"}}\n')
    return coming.commit().id


def test_the_form_looks_up_times_hides_what_means_nothing_and_keeps_what_was_said(
    workspace: Workspace, address: str, watched: Watched, browsed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Any]] = []

    def dry_run(self: Jobs, new: NewJob, check: object) -> Measured:
        asked.append((new.model, new.hyperparameters.get("epochs")))
        seconds = {"static-en": 5, "minilm-l6": 500}[new.model]
        return Measured(TARGETS[:1], {**FOUND, "expected_duration_seconds": seconds}, {})

    monkeypatch.setattr(Jobs, "dry_run", dry_run)
    page = watched.page
    page.goto(f"{address}/ui/new/train?training={browsed}")
    page.wait_for_selector("#takes-2[data-told]")
    assert "About 5 s" in page.inner_text("#takes-1")
    assert "About 8 min 20 s" in page.inner_text("#takes-2")
    assert "<b>pay</b>" in page.inner_text("#t-found")
    assert asked == [("static-en", None), ("minilm-l6", None)]
    page.click("summary:has-text('When a label is given')")
    assert page.locator("#t-purposes").is_hidden()
    page.click("summary:has-text('How to train')")
    assert page.locator("[name=epochs]").is_hidden()
    page.check("#base-2")
    page.check("[name=length][value=epochs]")
    page.fill("[name=epochs]", "many")
    page.fill("[name=title]", "Mine")
    page.click("text=Start training")
    page.wait_for_selector("#wrong-epochs")
    assert page.evaluate("document.activeElement.name") == "epochs"
    assert (page.input_value("[name=title]"), page.is_checked("#base-2")) == ("Mine", True)
    watched.said.clear()  # the browser says that the form was refused
    page.fill("[name=epochs]", "3")
    page.click("text=Start training")
    page.wait_for_url("**/ui/jobs/*")
    (job,), _ = workspace.jobs.list(0, 10, {})
    assert (job.title, job.model, job.hyperparameters["epochs"]) == ("Mine", "minilm-l6", 3.0)
