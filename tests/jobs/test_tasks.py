"""A task from its beginning to the state it leaves: good ends, bad ends, and ends that are somebody else's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tamis.errors import InUse, InvalidSetting, StorageFull
from tamis.jobs import tasks, training, validation
from tamis.jobs.executors import Task
from tamis.jobs.reporting import Reporter
from tamis.jobs.tasks import run_task
from tamis.jobs.tools import Tools
from tamis.ml.model import Model, load
from tamis.ml.progress import Progress
from tamis.ml.restart import INDEX, RestartPoints
from tamis.store.records import JobRecord


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def nothing(name: str):
    raise AssertionError(name)


def claim(tools: Tools) -> Task:
    job = tools.store.jobs.claim("me", time.time(), 60)
    return Task("job", job.id, job.attempt, "me")


def statuses(tools: Tools, job: JobRecord) -> list[str]:
    return [event.data["status"] for event in tools.store.jobs.events(job.id) if "status" in event.data]


def test_validation_finds_targets_and_figures(tools: Tools, add_job, add_file, rows):
    job = add_job(
        training_files=((add_file("rows.jsonl", rows(60)), 1.0),),
        hyperparameters={"training_steps": 3},
        max_bad_share=0.1,
    )
    run_task(tools, claim(tools), nothing)
    found = tools.store.jobs.find(job.id)
    assert found.status == "VALIDATED"
    assert found.targets == (
        {"name": "topic", "labels": ["delivery", "payment"], "weight": 1.0, "loss_function": "single_class"},
        {"name": "tone", "labels": ["angry", "safe"], "weight": 1.0, "loss_function": "multi_class"},
    )
    assert found.metadata["train_tokens"] == 3 * 65536
    assert found.hyperparameters["epochs"] == pytest.approx(3 * 65536 / found.metadata["data_tokens"])
    assert found.metadata["rows"] == 60
    assert (found.owner, found.lease_until) == (None, None)


def test_a_job_that_starts_by_itself_goes_on(tools: Tools, add_job, add_file, rows):
    job = add_job(training_files=((add_file("rows.jsonl", rows(60)), 1.0),), auto_start=True)
    run_task(tools, claim(tools), nothing)
    assert (tools.store.jobs.find(job.id).status, tools.store.jobs.find(job.id).phase) == ("QUEUED", "train")
    run_task(tools, claim(tools), nothing)
    done = tools.store.jobs.find(job.id)
    assert done.status == "SUCCESS", done.error
    assert statuses(tools, job) == ["QUEUED", "VALIDATING", "VALIDATED", "RUNNING", "SUCCESS"]
    model = tools.store.models.find(done.model_id)
    assert (model.ft, model.job_id, model.version) == (done.fine_tuned_model, job.id, 1)
    assert model.ft.startswith("ft:classifier:ministral-3b-latest:")
    assert model.ft.endswith(job.id[:8])
    assert done.trained_tokens > 0
    assert load(tools.store.objects.root / "models" / model.id).targets[1].none_labels == ("safe",)
    assert len(tools.store.jobs.checkpoints(job.id)) >= 20
    assert not (tools.choices.work / job.id).exists()


def test_weights_and_declared_targets_reach_the_trainer(tools: Tools, add_job, add_file, rows):
    declared = ({"name": "topic", "labels": ["payment", "delivery"], "weight": 2.0, "loss_function": "single_class"},)
    files = ((add_file("a.jsonl", rows(60)), 1.0), (add_file("b.jsonl", rows(40)), 2.5))
    job = add_job(training_files=files, asked_targets=declared, auto_start=True)
    run_task(tools, claim(tools), nothing)
    run_task(tools, claim(tools), nothing)
    done = tools.store.jobs.find(job.id)
    assert done.status == "SUCCESS", done.error
    model = load(tools.store.objects.root / "models" / done.model_id)
    assert [target.name for target in model.targets] == ["topic"]
    assert model.targets[0].labels == ("payment", "delivery")
    assert [file.name for file in model.manifest.data.files] == ["a.jsonl", "b.jsonl"]
    assert "2.5" in model.manifest.data.model_dump_json()
    assert [target["weight"] for target in tools.store.models.look_up(done.model_id).targets] == [2.0]


def test_what_thresholds_are_for_reaches_the_trainer(tools: Tools, add_job, add_file, rows):
    asked = {"optimise": ["recall>=0.9", "safe=precision>=0.8"]}
    job = add_job(training_files=((add_file("rows.jsonl", rows(60)), 1.0),), hyperparameters=asked, auto_start=True)
    run_task(tools, claim(tools), nothing)
    run_task(tools, claim(tools), nothing)
    done = tools.store.jobs.find(job.id)
    assert done.status == "SUCCESS", done.error
    said = load(tools.store.objects.root / "models" / done.model_id).manifest.target("tone").chosen_for
    assert (said.objective, said.labels) == ("recall>=0.9", {"safe": "precision>=0.8"})


def test_a_purpose_of_labels_that_are_not_there_fails_validation(tools: Tools, add_job, add_file, rows):
    asked = {"optimise": ["saef=f1"]}
    job = add_job(training_files=((add_file("rows.jsonl", rows(60)), 1.0),), hyperparameters=asked)
    run_task(tools, claim(tools), nothing)
    failed = tools.store.jobs.find(job.id)
    assert (failed.status, failed.error_code) == ("FAILED_VALIDATION", "undeclared_label")
    assert "did you mean 'safe'" in failed.error


@pytest.mark.parametrize(
    ("content", "code", "told"),
    [
        (b'{"text": "a", "labels": {"t": "x"}}\n{"text": 3}\n', "too_many_bad_rows", "rows.jsonl"),
        (b'{"text": "a", "labels": {"t": "x"}}\n', "nothing_to_learn", "'t'"),
        (b"\x00\x01\x02\x03", "too_many_bad_rows", "rows.jsonl:1"),
    ],
)
def test_bad_files_fail_validation_in_a_sentence(tools: Tools, add_job, add_file, content: bytes, code: str, told: str):
    job = add_job(training_files=((add_file("rows.jsonl", content), 1.0),))
    run_task(tools, claim(tools), nothing)
    failed = tools.store.jobs.find(job.id)
    assert (failed.status, failed.error_code) == ("FAILED_VALIDATION", code)
    assert told in failed.error
    assert str(tools.choices.work) not in failed.error
    assert "--" not in failed.error  # the cure is not a command's
    assert tools.store.jobs.events(job.id)[-1].data["error"] == failed.error


def test_what_is_beyond_a_limit_fails_at_once_with_the_figure(tools: Tools, add_job, add_file, rows):
    small = replace(tools, choices=replace(tools.choices, memory_mb=10))
    few = replace(tools, choices=replace(tools.choices, max_labels=3))
    for limited, told in ((small, "may use 10 MB"), (few, "has 4 labels, and 3 are allowed")):
        job = add_job(training_files=((add_file("rows.jsonl", rows(60)), 1.0),))
        run_task(limited, claim(limited), nothing)
        failed = tools.store.jobs.find(job.id)
        assert (failed.status, failed.error_code) == ("FAILED_VALIDATION", "limit_exceeded")
        assert told in failed.error


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (MemoryError(), "out_of_memory", " MB. Use fewer rows"),
        (OSError(28, "No space left on device"), "storage_full", "disk is full"),
        (StorageFull("models/x: the server's disk is full."), "storage_full", "have the operator make room"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "storage_full", "disk is full"),
        (OSError(5, "Input/output error"), "system_error", "Input/output error"),
        (InvalidSetting("epochs = 0: give more."), "invalid_setting", "epochs = 0"),
        (ZeroDivisionError("secret text of a user"), "error", "ZeroDivisionError"),
    ],
)
def test_what_goes_wrong_in_training_becomes_a_sentence(
    tools: Tools, add_job, monkeypatch: pytest.MonkeyPatch, raised: Exception, code: str, told: str
):
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(tasks, "run_training", fail)
    job = add_job(phase="train")
    run_task(tools, claim(tools), nothing)
    failed = tools.store.jobs.find(job.id)
    assert (failed.status, failed.error_code) == ("FAILED", code)
    assert told in failed.error
    assert "secret" not in failed.error


def test_an_attempt_that_is_no_longer_the_jobs_changes_nothing(tools: Tools, add_job, add_file, rows):
    job = add_job(training_files=((add_file("rows.jsonl", rows(60)), 1.0),))
    late = claim(tools)
    tools.store.jobs.change(job.id, when={"VALIDATING"}, lease_until=1.0, quiet=True)
    newer = claim(tools)
    run_task(tools, late, nothing)
    assert tools.store.jobs.find(job.id).status == "VALIDATING"
    run_task(tools, newer, nothing)
    assert tools.store.jobs.find(job.id).status == "VALIDATED"


def test_an_attempt_that_is_overtaken_while_it_trains_keeps_no_model(
    tools: Tools, add_job, add_file, rows, monkeypatch
):
    job = add_job(training_files=((add_file("rows.jsonl", rows(60)), 1.0),), phase="train")
    task = claim(tools)
    put_folder = tools.store.objects.put_folder

    def overtaken(folder, prefix, **said):
        put_folder(folder, prefix, **said)
        if prefix.startswith("models/"):
            tools.store.jobs.change(job.id, when={"RUNNING"}, lease_until=1.0, quiet=True)
            claim(tools)

    monkeypatch.setattr(tools.store.objects, "put_folder", overtaken)
    run_task(tools, task, nothing)
    assert tools.store.jobs.find(job.id).status == "RUNNING"
    assert tools.store.models.list()[1] == 0
    assert list(tools.store.objects.list("models")) == []


def test_a_job_whose_process_was_killed_goes_on_from_its_restart_point(
    tools: Tools, add_job, add_file, rows, monkeypatch: pytest.MonkeyPatch
):
    file_id = add_file("rows.jsonl", rows(60))
    job = add_job(training_files=((file_id, 1.0),), phase="train", hyperparameters={"epochs": 4.0})
    made: list[RestartPoints] = []

    def points(folder: Path) -> RestartPoints:
        made.append(RestartPoints(folder, every=10 if made else 0))
        return made[-1]

    monkeypatch.setattr(training, "RestartPoints", points)
    monkeypatch.setattr("tamis.ml.restart.sync", lambda _: None)
    train = training.train

    class Killed(BaseException):
        """Nothing is put in order after it."""

    def killed(*given: Any, listener: Callable[[Progress], None], **chosen: Any) -> Model:
        def listen(progress: Progress) -> None:
            listener(progress)
            if (tools.choices.work / job.id / "restart" / INDEX).exists():
                raise Killed

        return train(*given, listener=listen, **chosen)

    monkeypatch.setattr(training, "train", killed)
    with pytest.raises(Killed):
        run_task(tools, claim(tools), nothing)
    monkeypatch.setattr(training, "train", train)
    assert tools.store.jobs.find(job.id).status == "RUNNING"
    tools.store.jobs.change(job.id, when={"RUNNING"}, lease_until=1.0, quiet=True)
    run_task(tools, claim(tools), nothing)
    done = tools.store.jobs.find(job.id)
    assert (done.status, done.attempt, done.deaths) == ("SUCCESS", 2, 1)
    assert [each.resumed for each in made] == [False, True]
    assert tools.store.models.list()[1] == 1
    steps = [row.step for row in tools.store.jobs.checkpoints(job.id)]
    assert steps == sorted(set(steps), reverse=True)
    assert not (tools.choices.work / job.id).exists()


def test_an_attempt_after_another_does_not_repeat_its_remarks(tools: Tools, add_job, add_file, rows):
    job = add_job(training_files=((add_file("rows.jsonl", rows(60)), 1.0),), phase="train")
    claim(tools)
    first = tools.store.jobs.find(job.id)
    with Reporter(tools, first) as reporter:
        reporter(Progress("reading texts", 0.0, remark="All are short."))
        reporter(Progress("reading texts", 0.0, remark="All are short."))
    tools.store.jobs.change(job.id, when={"RUNNING"}, lease_until=1.0, quiet=True)
    claim(tools)
    with Reporter(tools, tools.store.jobs.find(job.id)) as reporter:
        reporter(Progress("reading texts", 0.0, remark="All are short."))
        reporter(Progress("reading texts", 0.0, remark="One is long."))
    told = [event.data["remark"] for event in tools.store.jobs.events(job.id) if event.name == "remark"]
    assert told == ["All are short.", "One is long."]


def test_what_an_attempt_left_that_was_killed_as_it_ended_goes_with_the_next_ones_end(
    tools: Tools, add_job, add_file, rows, monkeypatch: pytest.MonkeyPatch
):
    job = add_job(training_files=((add_file("rows.jsonl", rows(60)), 1.0),), phase="train")
    finish = tools.store.jobs.finish

    class Killed(BaseException):
        """Nothing is put in order after it."""

    def killed(*_: object, **__: object) -> bool:
        raise Killed

    monkeypatch.setattr(tools.store.jobs, "finish", killed)
    with pytest.raises(Killed):
        run_task(tools, claim(tools), nothing)
    monkeypatch.setattr(tools.store.jobs, "finish", finish)
    assert list(tools.store.objects.list("models"))
    assert tools.store.models.list()[1] == 0
    tools.store.jobs.change(job.id, when={"RUNNING"}, lease_until=1.0, quiet=True)
    run_task(tools, claim(tools), nothing)
    done = tools.store.jobs.find(job.id)
    assert (done.status, done.attempt) == ("SUCCESS", 2)
    assert {info.key.split("/")[1] for info in tools.store.objects.list("models")} == {done.model_id}


def test_a_cancelled_job_ends_as_cancelled(tools: Tools, add_job, add_file, rows, monkeypatch: pytest.MonkeyPatch):
    job = add_job(training_files=((add_file("rows.jsonl", rows(60)), 1.0),))
    task = claim(tools)

    def wait(tools: Tools, job: JobRecord, stop) -> None:
        tools.store.jobs.change(job.id, when={"VALIDATING"}, to="CANCELLATION_REQUESTED", cancel_requested=True)
        while not stop():
            time.sleep(0.01)
        validation.load(job, {}, tools.choices, stop)

    monkeypatch.setattr(tasks, "validate", wait)
    monkeypatch.setattr(validation, "load_splits", lambda *_, check, **__: check())
    run_task(tools, task, nothing)
    assert tools.store.jobs.find(job.id).status == "CANCELLED"


@pytest.mark.parametrize(("phase", "work"), [("validate", "measure"), ("train", "train")])
def test_a_job_cancelled_at_the_very_end_of_its_work_is_cancelled_at_once(
    phase: str, work: str, tools: Tools, add_job, add_file, rows, monkeypatch: pytest.MonkeyPatch
):
    """The last write is refused; nobody would tell the job so before its lease ran out."""
    job = add_job(training_files=((add_file("rows.jsonl", rows(60)), 1.0),), phase=phase)
    task = claim(tools)
    module = {"measure": validation, "train": training}[work]
    done = getattr(module, work)

    def ask_at_the_end(*arguments: object, **keywords: object) -> object:
        result = done(*arguments, **keywords)
        held = {"VALIDATING", "RUNNING"}
        assert tools.store.jobs.change(job.id, when=held, to="CANCELLATION_REQUESTED", cancel_requested=True)
        return result

    monkeypatch.setattr(module, work, ask_at_the_end)
    run_task(tools, task, nothing)
    assert tools.store.jobs.find(job.id).status == "CANCELLED"
    assert tools.store.models.list()[1] == 0
    assert not (tools.choices.work / job.id).exists()


def test_a_job_asked_back_by_its_worker_is_queued_again(tools: Tools, add_job, monkeypatch: pytest.MonkeyPatch):
    job = add_job(phase="train")
    task = claim(tools)

    def wait(tools: Tools, job: JobRecord, stop, *_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        while not stop():
            time.sleep(0.01)
        raise tasks.Cancelled

    monkeypatch.setattr(tasks, "run_training", wait)
    run_task(tools, task, nothing)
    back = tools.store.jobs.find(job.id)
    assert (back.status, back.phase, back.owner, back.deaths) == ("QUEUED", "train", None, 0)
    assert statuses(tools, job)[-1] == "RUNNING"


def test_a_test_file_is_read_first_measured_at_the_end_and_looked_at_row_by_row_later(
    tools: Tools, add_job, add_file, rows
):
    tested = add_file("test.jsonl", rows(20))
    job = add_job(
        training_files=((add_file("rows.jsonl", rows(60)), 1.0),), auto_start=True, metadata={"test_file": tested}
    )
    with pytest.raises(InUse):
        tools.store.files.delete(tested)
    run_task(tools, claim(tools), nothing)
    assert tools.store.jobs.find(job.id).metadata["test_rows"] == 20
    run_task(tools, claim(tools), nothing)
    done = tools.store.jobs.find(job.id)
    assert done.status == "SUCCESS", done.error
    assert done.test_file == tested
    assert set(tools.store.models.find(done.model_id).metrics["test"]) == {"topic", "tone"}
    (waiting,) = tools.store.operations.list()[0]
    assert (waiting.kind, waiting.status, waiting.owner) == ("evaluate", "QUEUED", None)
    assert waiting.told == {"model": done.model_id, "file": tested}
    assert waiting.title == "shop on test.jsonl"


def test_a_test_file_that_cannot_be_read_is_told_before_the_training(tools: Tools, add_job, add_file, rows):
    job = add_job(
        training_files=((add_file("rows.jsonl", rows(60)), 1.0),),
        metadata={"test_file": add_file("test.jsonl", b'{"text": "a", "labels": {"other": "x"}}\n')},
    )
    run_task(tools, claim(tools), nothing)
    failed = tools.store.jobs.find(job.id)
    assert failed.status == "FAILED_VALIDATION"
    assert "The test data has the target(s) other" in failed.error
