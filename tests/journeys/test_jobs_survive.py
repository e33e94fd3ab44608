"""Jobs in real processes: they end well, and nothing is lost or done twice however often something is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tamis.jobs.launching import WorkerProcess
from tamis.ml.model import load
from tamis.settings import Settings
from tamis.workspace.files import NewFile
from tamis.workspace.jobs import JobDetail, NewJob
from tamis.workspace.workspace import Workspace, open_workspace

WORDS = {
    "delivery": ["parcel", "courier", "late", "shipped", "tracking", "address", "driver", "depot"],
    "payment": ["card", "invoice", "charged", "refund", "bank", "price", "paid", "cheque"],
    "account": ["password", "login", "email", "profile", "locked", "username", "settings", "delete"],
}
FINAL = ("SUCCESS", "FAILED", "FAILED_VALIDATION", "CANCELLED")


def rows(n: int) -> bytes:
    lines = []
    for number in range(n):
        label = list(WORDS)[number % 3]
        words = WORDS[label]
        text = f"my {words[number % 8]} and the {words[(number * 5 + 3) % 8]} number {number % 97}"
        lines.append(json.dumps({"text": text, "labels": {"topic": label}}))
    return "\n".join(lines).encode()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TAMIS_HOME", str(tmp_path / "home"))
    return Settings()


@pytest.fixture
def workspace(settings: Settings) -> Iterator[Workspace]:
    with open_workspace(settings) as found:
        yield found


@pytest.fixture
def worker(settings: Settings) -> Iterator[WorkerProcess]:
    process = WorkerProcess()
    process.start()
    yield process
    process.stop()


def upload(workspace: Workspace, content: bytes, name: str = "topics.jsonl") -> str:
    coming = workspace.files.begin(NewFile(name=name))
    coming.write(content)
    return coming.commit().id


def wait(workspace: Workspace, job_id: str, *statuses: str, seconds: float = 60) -> JobDetail:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = workspace.jobs.get(job_id)
        if found.job.status in statuses:
            return found
        assert found.job.status not in FINAL, found.job
        time.sleep(0.02)
    raise AssertionError(f"still {workspace.jobs.get(job_id).job}")


def children_of(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def at_work(workspace: Workspace, pid: int, job_id: str) -> psutil.Process | None:
    """The child that works on a job: it is the one that has its files open, or its folder; the spare has none."""
    work = workspace.settings.home / "work" / job_id
    folders = {int(path.name.removeprefix("files-")) for path in work.glob("files-*")} if work.exists() else set()
    return next((child for child in children_of(pid) if child.pid in folders), None)


def statuses(detail: JobDetail) -> list[str]:
    return [event.data["status"] for event in detail.events if "status" in event.data]


def test_a_job_goes_from_files_to_a_model_that_answers(workspace: Workspace, worker: WorkerProcess):
    file_id = upload(workspace, rows(240))
    job = workspace.jobs.create(
        NewJob(model="ministral-3b-latest", training_files=[(file_id, 1.0)], suffix="shop", hyperparameters={})
    )
    valid = wait(workspace, job.id, "VALIDATED")
    assert [target["name"] for target in valid.job.targets] == ["topic"]
    assert valid.job.targets[0]["loss_function"] == "single_class"
    assert valid.job.metadata["train_tokens_per_step"] == 65536
    assert valid.job.hyperparameters["training_steps"] >= 1
    workspace.jobs.start(job.id)
    done = wait(workspace, job.id, "SUCCESS")
    assert statuses(done) == ["QUEUED", "VALIDATING", "VALIDATED", "RUNNING", "SUCCESS"]
    steps = [row.step for row in done.checkpoints]
    assert steps == sorted(set(steps), reverse=True)
    assert len(steps) >= 20
    model = workspace.models.find("shop")
    assert model.id == workspace.models.find(done.job.fine_tuned_model).id == done.job.model_id
    loaded = load(workspace.models.folder(model))
    assert loaded.classify(["my parcel and the courier number 7"])[0]["topic"].label == "delivery"
    assert not (workspace.settings.home / "work" / job.id).exists()


def test_what_cannot_be_learnt_from_fails_validation_with_a_sentence(workspace: Workspace, worker: WorkerProcess):
    file_id = upload(workspace, b'{"text": "a", "labels": {"topic": "x"}}\n{"text": 3}\n')
    job = workspace.jobs.create(NewJob(model="ministral-3b-latest", training_files=[(file_id, 1.0)], auto_start=True))
    failed = wait(workspace, job.id, "FAILED_VALIDATION")
    assert "1 of 2 rows of the train data are bad" in failed.job.error
    assert "topics.jsonl" in failed.job.error
    assert failed.job.error_code == "too_many_bad_rows"
    assert failed.events[-1].data["error"] == failed.job.error


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.7, 1.2])
def test_a_killed_child_costs_an_attempt_and_nothing_else(workspace: Workspace, worker: WorkerProcess, delay: float):
    file_id = upload(workspace, rows(900))
    job = workspace.jobs.create(NewJob(model="ministral-3b-latest", training_files=[(file_id, 1.0)], auto_start=True))
    wait(workspace, job.id, "RUNNING")
    end = time.monotonic() + 20
    while (child := at_work(workspace, worker.pid, job.id)) is None and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(delay)
    if child is not None and child.is_running():
        child.send_signal(signal.SIGKILL)
    done = wait(workspace, job.id, "SUCCESS")
    assert done.job.attempt <= 4
    assert statuses(done).count("SUCCESS") == 1
    assert len(workspace.models.list()) == 1
    stored = [info.key for info in workspace.store.objects.list("models")]
    assert {key.split("/")[1] for key in stored} == {done.job.model_id}


def test_a_killed_worker_takes_its_child_along_and_the_next_one_goes_on(workspace: Workspace, settings: Settings):
    file_id = upload(workspace, rows(900))
    job = workspace.jobs.create(NewJob(model="ministral-3b-latest", training_files=[(file_id, 1.0)], auto_start=True))
    first = WorkerProcess()
    first.start()
    try:
        wait(workspace, job.id, "RUNNING")
        children = children_of(first.pid)
        assert children
        os.kill(first.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive
    finally:
        first.stop()
    assert workspace.jobs.get(job.id).job.status == "RUNNING"  # nobody says otherwise yet
    second = WorkerProcess()
    second.start()
    try:
        done = wait(workspace, job.id, "SUCCESS")
    finally:
        second.stop()
    assert done.job.deaths == 1
    assert len(workspace.models.list()) == 1


def test_a_worker_that_is_asked_to_end_hands_its_job_back(workspace: Workspace):
    file_id = upload(workspace, rows(900))
    job = workspace.jobs.create(NewJob(model="ministral-3b-latest", training_files=[(file_id, 1.0)], auto_start=True))
    first = WorkerProcess()
    first.start()
    try:
        wait(workspace, job.id, "RUNNING")
    finally:
        first.stop()
    handed_back = workspace.jobs.get(job.id).job
    assert (handed_back.status, handed_back.deaths, handed_back.owner) in {("QUEUED", 0, None), ("SUCCESS", 0, None)}
    second = WorkerProcess()
    second.start()
    try:
        wait(workspace, job.id, "SUCCESS")
    finally:
        second.stop()


def test_a_cancelled_job_ends_within_two_seconds_and_leaves_nothing(workspace: Workspace, worker: WorkerProcess):
    file_id = upload(workspace, rows(3000))
    job = workspace.jobs.create(
        NewJob(
            model="ministral-3b-latest",
            training_files=[(file_id, 1.0)],
            auto_start=True,
            hyperparameters={"epochs": 300.0},
        )
    )
    wait(workspace, job.id, "RUNNING")
    time.sleep(0.5)
    asked = time.monotonic()
    assert workspace.jobs.cancel(job.id).job.status in ("CANCELLATION_REQUESTED", "CANCELLED")
    done = wait(workspace, job.id, "CANCELLED")
    assert time.monotonic() - asked < 10  # two seconds where nothing else runs
    assert statuses(done)[-2:] == ["CANCELLATION_REQUESTED", "CANCELLED"]
    assert workspace.models.list() == []
    assert list(workspace.store.objects.list("models")) == []


def test_children_end_when_their_worker_does_even_before_they_have_a_task(settings: Settings):
    child = subprocess.Popen([sys.executable, "-m", "tamis.jobs", "child"], stdin=subprocess.PIPE)
    child.stdin.close()
    assert child.wait(20) == 0
