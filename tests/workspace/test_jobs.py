"""Jobs as they are asked for: what is refused and where, similar ones, start and cancel without a worker."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tamis.errors import (
    IllegalTransition,
    InvalidRequest,
    LimitExceeded,
    Overloaded,
    SimilarJob,
    TamisError,
    UnknownFile,
    UnknownJob,
)
from tamis.settings import Settings
from tamis.workspace.jobs import Integration, Jobs, NewJob
from tamis.workspace.workspace import Workspace, open_workspace

KEY = "k" * 40


def ask(file_id: str, **said: Any) -> NewJob:
    return NewJob(**{"model": "ministral-3b-latest", "training_files": [(file_id, 1.0)], **said})


def test_a_job_begins_in_the_queue_with_what_was_asked(upload, workspace: Workspace):
    record = upload(name="My rows (1).jsonl")
    job = workspace.jobs.create(
        ask(record.id, suffix="shop", hyperparameters={"training_steps": 250, "learning_rate": 0.00007})
    )
    found = workspace.jobs.get(job.id)
    assert (found.job.status, found.job.phase, found.job.base, found.job.name) == (
        "QUEUED",
        "validate",
        "static-en",
        "shop",
    )
    assert found.job.hyperparameters["training_steps"] == 250
    assert [event.data for event in found.events] == [{"status": "QUEUED"}]
    assert found.checkpoints == []
    nameless = workspace.jobs.create(ask(record.id))
    assert nameless.name == "My-rows-1"


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"training_files": []}, "training_files"),
        ({"training_files": [("x", 0.0)]}, "training_files"),
        ({"training_files": [("x", float("nan"))]}, "training_files"),
        ({"model": "gpt-4"}, "model"),
        ({"model": "../../etc"}, "model"),
        ({"job_type": "completion"}, "job_type"),
        ({"repositories": True}, "repositories"),
        ({"suffix": "x" * 19}, "suffix"),
        ({"suffix": "a b"}, "suffix"),
        ({"max_bad_share": 0.6}, "invalid_sample_skip_percentage"),
        ({"hyperparameters": {"learning_rate": 2.0}}, "hyperparameters"),
        ({"hyperparameters": {"training_steps": 1, "epochs": 1}}, "hyperparameters"),
        ({"integrations": [Integration("wandb", "p", "short")]}, "integrations"),
        ({"integrations": [Integration("other", "p", KEY)]}, "integrations"),
        ({"targets": [{"name": "t", "labels": ["a", "a"]}]}, "classifier_targets"),
        ({"targets": [{"name": "t", "labels": ["a"], "loss_function": "huh"}]}, "classifier_targets"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(upload, workspace: Workspace, said: dict, place: str):
    with pytest.raises(InvalidRequest) as refused:
        workspace.jobs.create(ask(upload().id, **said))
    assert refused.value.context["loc"][:2] == ["body", place]
    assert workspace.jobs.list(0, 10, {}) == ([], 0)


def test_a_file_that_is_not_there_is_named(upload, workspace: Workspace):
    for said in ({"training_files": [("nowhere", 1.0)]}, {"validation_files": ["nowhere"]}):
        with pytest.raises(UnknownFile, match="nowhere"):
            workspace.jobs.create(ask(upload().id, **said))


def test_a_similar_job_is_refused_until_the_first_one_is_over(upload, workspace: Workspace):
    record = upload()
    first = workspace.jobs.create(ask(record.id, hyperparameters={"training_steps": 3}))
    with pytest.raises(SimilarJob, match=first.id):
        workspace.jobs.create(ask(record.id, hyperparameters={"training_steps": 3}))
    workspace.jobs.create(ask(record.id, hyperparameters={"training_steps": 4}))
    workspace.jobs.cancel(first.id)
    workspace.jobs.create(ask(record.id, hyperparameters={"training_steps": 3}))


def test_too_many_that_are_not_finished_have_to_wait(upload, workspace: Workspace):
    record = upload()
    for steps in (1, 2, 3):
        workspace.jobs.create(ask(record.id, hyperparameters={"training_steps": steps}))
    with pytest.raises(Overloaded, match="max_live_jobs"):
        workspace.jobs.create(ask(record.id, hyperparameters={"training_steps": 4}))


def test_start_and_cancel_follow_the_table(upload, workspace: Workspace):
    job = workspace.jobs.create(ask(upload().id))
    with pytest.raises(IllegalTransition, match="The job is QUEUED: only a VALIDATED job can be started"):
        workspace.jobs.start(job.id)
    workspace.store.jobs.claim("someone", 0, 1e12)
    workspace.store.jobs.change(job.id, when={"VALIDATING"}, to="VALIDATED")
    started = workspace.jobs.start(job.id)
    assert (started.job.status, started.job.phase) == ("QUEUED", "train")
    assert [event.data["status"] for event in started.events] == ["QUEUED", "VALIDATING", "VALIDATED"]
    with pytest.raises(IllegalTransition):
        workspace.jobs.start(job.id)
    workspace.store.jobs.claim("someone", 0, 1e12)
    asked = workspace.jobs.cancel(job.id)
    assert (asked.job.status, asked.job.cancel_requested) == ("CANCELLATION_REQUESTED", True)
    assert workspace.jobs.cancel(job.id).job.status == "CANCELLATION_REQUESTED"
    workspace.store.jobs.change(job.id, when={"CANCELLATION_REQUESTED"}, to="CANCELLED")
    with pytest.raises(IllegalTransition, match="it is over"):
        workspace.jobs.cancel(job.id)
    with pytest.raises(UnknownJob):
        workspace.jobs.get("nowhere")


def test_a_trackers_key_is_sealed_and_goes_with_the_job(upload, workspace: Workspace, settings: Settings):
    canary = "canary-" + "0123456789abcdef" * 3
    job = workspace.jobs.create(ask(upload().id, integrations=[Integration("wandb", "project", canary, "name")]))
    assert workspace.store.secrets.get(job.id, "wandb") == canary
    found = workspace.jobs.get(job.id).job
    assert found.integrations == (
        {"type": "wandb", "project": "project", "name": "name", "run_name": None, "url": None},
    )
    assert canary not in repr(found)
    assert canary not in repr(ask("x", integrations=[Integration("wandb", "project", canary)]))
    content = b"".join(path.read_bytes() for path in settings.home.rglob("*") if path.is_file())
    assert canary.encode() not in content
    workspace.jobs.cancel(job.id)
    assert workspace.store.secrets.get(job.id, "wandb") is None


def test_a_refused_job_leaves_no_secret(upload, workspace: Workspace):
    said = {"integrations": [Integration("wandb", "p", KEY)]}
    record = upload()
    first = workspace.jobs.create(ask(record.id, **said))
    with pytest.raises(SimilarJob):
        workspace.jobs.create(ask(record.id, **said))
    with workspace.store.database.reading() as connection:
        owners = [row[0] for row in connection.exec_driver_sql("select owner_id from secrets")]
    assert owners == [first.id]


def test_an_operators_alias_is_a_base_model(upload, settings: Settings):
    with open_workspace(settings.model_copy(update={"base_aliases": {"quick": "static-en"}})) as workspace:
        assert workspace.jobs.create(ask(upload().id, model="quick")).base == "static-en"


def test_a_dry_run_says_what_a_job_would_take_and_makes_none(upload, workspace: Workspace, settings: Settings):
    rows = "".join(f'{{"text": "{word} {n}", "labels": {{"t": "{word}"}}}}\n' for word in "ab" for n in range(10))
    measured = workspace.jobs.dry_run(ask(upload(rows.encode()).id, hyperparameters={"training_steps": 2}))
    assert measured.metadata["train_tokens"] == 2 * 65536
    assert measured.hyperparameters["epochs"] == pytest.approx(2 * 65536 / measured.metadata["data_tokens"], rel=0.01)
    assert measured.targets[0]["labels"] == ["a", "b"]
    assert "20 rows" in measured.details
    assert workspace.jobs.list(0, 10, {}) == ([], 0)
    assert not list((settings.home / "work").glob("*"))
    with pytest.raises(TamisError, match="bad"):
        workspace.jobs.dry_run(ask(upload(b'{"text": 3}\n', name="bad.jsonl").id))


@pytest.mark.parametrize("limits", [{"seconds": 0.0}, {"megabytes": -1}])
def test_a_dry_run_may_not_take_the_servers_memory_or_time(
    upload, workspace: Workspace, settings: Settings, monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any]
):
    """A file of a few KB, packed, can unpack to any size."""
    monkeypatch.setattr(workspace.files, "_max_bytes", 10**6)
    monkeypatch.setattr("tamis.workspace.jobs.DRY_RUN_MB", limits.get("megabytes", 1024))
    ended = workspace.settings.model_copy(update={"request_timeout_s": limits.get("seconds", 60.0)})
    jobs = Jobs(workspace.store, workspace.files, ended)
    rows = b"".join(b'{"text": "t%d", "labels": {"t": "%d"}}\n' % (n, n % 2) for n in range(30_000))
    asked = ask(upload(gzip.compress(rows), name="rows.jsonl.gz").id)
    for _ in range(2):  # and the next one has its turn
        with pytest.raises(LimitExceeded, match="create the job"):
            jobs.dry_run(asked)
    assert not list((settings.home / "work").glob("*"))


@pytest.mark.parametrize("most", [1, 2])
def test_so_many_dry_runs_at_a_time(upload, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, most: int):
    jobs = Jobs(workspace.store, workspace.files, workspace.settings.model_copy(update={"max_dry_runs": most}))
    asked, go = ask(upload().id), threading.Event()
    begun = threading.Semaphore(0)
    monkeypatch.setattr("tamis.workspace.jobs.measure_aside", lambda *_: begun.release() or go.wait(10))
    with ThreadPoolExecutor(most) as threads:
        running = [threads.submit(jobs.dry_run, asked) for _ in range(most)]
        for _ in running:
            assert begun.acquire(timeout=10)
        with pytest.raises(Overloaded, match="max_dry_runs") as caught:
            jobs.dry_run(asked)
        assert caught.value.context["retry_after"] > 0
        go.set()
        assert [done.result(10) for done in running] == [True] * most
    assert jobs.dry_run(asked) is True


def test_a_test_file_is_part_of_what_is_asked(upload, workspace: Workspace):
    rows, test = upload(), upload(b'{"text": "b", "labels": {"t": "y"}}\n', name="test.jsonl")
    job = workspace.jobs.create(ask(rows.id, test_file=test.id))
    assert workspace.jobs.get(job.id).job.test_file == test.id
    other = workspace.jobs.create(ask(rows.id))
    assert (other.test_file, other.fingerprint == job.fingerprint) == (None, False)
    with pytest.raises(UnknownFile):
        workspace.jobs.create(ask(rows.id, test_file="nope"))
