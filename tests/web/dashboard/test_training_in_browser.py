"""In a real browser: times are looked up for each base model, and a job's curves grow as it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tamis.settings import Settings
from tamis.store.records import CheckpointRecord, JobRecord
from tamis.web.app import create_app
from tamis.web.dashboard import job_stream
from tamis.workspace.files import NewFile
from tamis.workspace.jobs import Jobs, Measured, NewJob
from tamis.workspace.workspace import Workspace
from web.dashboard.browsing import Watched, chromium, needs_chromium, serving

ID = "00000000-0000-4000-8000-000000000001"
NAME = "<b>topic</b> &amp; " + "long " * 20
FOUND = {"rows": 60, "rejected_rows": 0, "expected_memory_mb": 415}
TARGETS = (
    {"name": NAME, "labels": ["a"] * 77, "weight": 1.0, "loss_function": "single_class"},
    {"name": "flags", "labels": ["b", "c"], "weight": 1.0, "loss_function": "multi_class"},
)

pytestmark = needs_chromium


@pytest.fixture
def address(workspace: Workspace, make_settings: Callable[..., Settings]) -> Iterator[str]:
    with serving(create_app(workspace, make_settings())) as found:
        yield found


@pytest.fixture
def watched() -> Iterator[Watched]:
    with chromium() as browser:
        opened = Watched(browser)
        yield opened
        assert opened.said == []
        opened.context.close()


@pytest.fixture
def file_id(workspace: Workspace) -> str:
    coming = workspace.files.begin(NewFile(name="rows.jsonl"))
    coming.write(b'{"text": "a", "labels": {"t": "x"}}\n')
    return coming.commit().id


def goes_on(workspace: Workspace, step: int) -> None:
    """Write down what a trainer says."""
    figures = {"epoch": step / 2, "train_loss": 1 / step, "valid_loss": 2 / step, f"{NAME}.accuracy": 0.5}
    workspace.store.jobs.add_checkpoints(ID, 0, [CheckpointRecord(ID, step, 1, {**figures, "flags.micro_f1": 0.7})])
    told = {"stage": f"step {step}", "share": step / 10, "seconds_left": 9}
    workspace.store.jobs.change(ID, when=("RUNNING",), quiet=True, metadata={"progress": told})


def until(page: Any, told: str) -> None:
    """Wait until this is so: the pages' policy lets no test wait inside."""
    for _ in range(400):
        if page.evaluate(told):
            return
        page.wait_for_timeout(25)
    raise AssertionError(told)


def test_the_form_looks_up_times_hides_what_means_nothing_and_keeps_what_was_said(
    workspace: Workspace, address: str, watched: Watched, file_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Any]] = []

    def dry_run(self: Jobs, new: NewJob, check: object) -> Measured:
        asked.append((new.model, new.hyperparameters.get("epochs")))
        seconds = {"static-en": 5, "minilm-l6": 500}[new.model]
        return Measured(TARGETS[:1], {**FOUND, "expected_duration_seconds": seconds}, {})

    monkeypatch.setattr(Jobs, "dry_run", dry_run)
    page = watched.page
    page.goto(f"{address}/ui/new/train?training={file_id}")
    page.wait_for_selector("#takes-2[data-told]")
    assert "About 5 s" in page.inner_text("#takes-1")
    assert "About 8 min 20 s" in page.inner_text("#takes-2")
    assert "<b>topic</b>" in page.inner_text("#t-found")
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


def test_curves_grow_without_the_page_being_asked_for(
    workspace: Workspace, address: str, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_stream, "LOOK_S", 0.05)
    usual = {"model": "static-en", "base": "static-en", "name": "shop", "fingerprint": "f", "phase": "train"}
    workspace.store.jobs.add(JobRecord(id=ID, status="RUNNING", created_at=1, modified_at=1, **usual))
    page = watched.page
    page.goto(f"{address}/ui/jobs/{ID}")
    assert page.locator("#job-charts").is_hidden()
    for step in (1, 2, 3):
        goes_on(workspace, step)
        until(page, f"document.getElementById('job-told').textContent.startsWith('Step {step}')")
    until(page, "document.getElementById('curve-loss').data?.[0].x.length === 3")
    assert page.evaluate("document.getElementById('curve-loss').data.map((each) => each.name)") == [
        "training",
        "validation",
    ]
    assert "<b>topic</b>" in page.inner_text("#curve-quality")
    assert page.locator("#curve-quality b").count() == 0
    assert "validation loss 0.6667" in page.inner_text("#job-best")
    page.check("[name=log]")
    assert page.evaluate("document.getElementById('curve-loss').layout.yaxis.type") == "log"
    workspace.store.jobs.change(ID, when=("RUNNING",), to="FAILED", error="<i>", error_code="killed", finished_at=2)
    page.wait_for_selector("#live-job:not([data-live]) .note.error")
    assert "<i>" in page.inner_text(".note.error")
    assert page.is_checked("[name=log]")
    assert page.evaluate("document.getElementById('curve-loss').data[0].x.length") == 3


def test_without_a_stream_the_page_asks_for_itself(
    workspace: Workspace, address: str, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_stream, "MOST", 0)
    usual = {"model": "static-en", "base": "static-en", "name": "shop", "fingerprint": "f", "phase": "train"}
    workspace.store.jobs.add(JobRecord(id=ID, status="RUNNING", created_at=1, modified_at=1, **usual))
    page = watched.page
    page.goto(f"{address}/ui/jobs/{ID}")
    goes_on(workspace, 1)
    until(page, "document.getElementById('curve-loss').data?.[0].x.length === 1")
    until(page, "document.getElementById('job-told').textContent.startsWith('Step 1')")
    workspace.store.jobs.change(ID, when=("RUNNING",), to="SUCCESS", finished_at=2)
    page.wait_for_selector("#live-job:not([data-live])")
    assert all("429" in said for said in watched.said)
    watched.said.clear()
