"""The worker: what it claims, and what becomes of a job whose child ends in one way or another."""

from __future__ import annotations

import os
import socket
import threading
from time import time

import pytest

from tamis.jobs import worker as module
from tamis.jobs.worker import Duties, Worker, is_dead, owner_name
from tamis.store.opening import Store


@pytest.fixture
def forgotten() -> list[str]:
    return []


class Clock:
    """Tells the time of day, so many seconds wrong."""

    ahead = 0.0

    def __call__(self) -> float:
        return time() + self.ahead


def make(store: Store, executor, forgotten: list[str], **duties: object) -> Worker:
    return Worker(store, executor, Duties(**duties), forgotten.append)  # type: ignore[arg-type]


def test_it_starts_as_many_jobs_as_it_has_slots_and_batches_beside_them(
    store: Store, executor, forgotten: list[str], add_job, add_batch
):
    jobs = [add_job() for _ in range(3)]
    batch = add_batch()
    worker = make(store, executor, forgotten, slots=2)
    for _ in range(4):
        worker.step()
    started = [(run.task.kind, run.task.id) for run in executor.runs]
    assert sorted(started) == sorted([("batch", batch.id), ("job", jobs[0].id), ("job", jobs[1].id)])
    assert store.jobs.find(jobs[0].id).status == "VALIDATING"
    assert store.jobs.find(jobs[2].id).status == "QUEUED"
    executor.runs[0].code = 0
    worker.step()
    assert executor.runs[-1].task.id == jobs[2].id


def test_batches_that_waited_for_longer_than_they_may_end_without_a_worker_for_them(
    store: Store, executor, forgotten: list[str], add_batch, monkeypatch: pytest.MonkeyPatch
):
    now = int(time())
    at_work, late = add_batch(created_at=now - 3700, timeout_hours=2), add_batch(created_at=now - 3700, timeout_hours=1)
    worker = make(store, executor, forgotten, slots=1)
    worker.step()
    worker.step()
    found = store.batches.find(late.id)
    assert (found.status, found.completed_at is not None) == ("TIMEOUT_EXCEEDED", True)
    assert found.errors == ({"message": "No worker took it up within its 1 hours.", "count": 1},)
    assert store.batches.find(at_work.id).status == "RUNNING"
    monkeypatch.setattr(store.database, "now", lambda: now + 7200)  # what is at work sees to its time itself
    worker._next_overdue = 0.0
    worker.step()
    assert store.batches.find(at_work.id).status == "RUNNING"


def test_validation_does_not_wait_for_training(store: Store, executor, forgotten: list[str], add_job):
    training, waiting = add_job(phase="train"), add_job(phase="train")
    validating = [add_job() for _ in range(3)]
    worker = make(store, executor, forgotten, slots=1)
    for _ in range(5):
        worker.step()
    started = {run.task.id for run in executor.runs}
    assert started == {training.id, validating[0].id, validating[1].id}
    assert store.jobs.find(waiting.id).status == "QUEUED"
    executor.runs[1].code = 0
    store.jobs.change(executor.runs[1].task.id, when={"VALIDATING"}, to="VALIDATED")
    worker.step()
    assert executor.runs[-1].task.id == validating[2].id


def test_a_job_that_is_over_holds_up_no_other_while_its_process_waits_for_trackers(
    store: Store, executor, forgotten: list[str], add_job, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    jobs = [add_job(phase="train") for _ in range(module.MOST_LINGERING + 2)]
    worker = make(store, executor, forgotten, slots=1)
    for number, job in enumerate(jobs[:-1], 1):
        for _ in range(3):
            worker.step()
        assert [run.task.id for run in executor.runs] == [started.id for started in jobs[:number]]
        store.jobs.change(job.id, when={"RUNNING"}, to="SUCCESS")
    for _ in range(3):
        worker.step()
    assert len(executor.runs) == len(jobs) - 1  # not any number of them
    assert [run.stops for run in executor.runs] == [[]] * len(executor.runs)
    executor.runs[0].code = 0
    for _ in range(3):
        worker.step()
    assert executor.runs[-1].task.id == jobs[-1].id


def test_a_killed_child_is_taken_up_again_and_given_up_after_three_deaths_with_its_memory(
    store: Store, executor, forgotten: list[str], add_job
):
    job = add_job(phase="train")
    worker = make(store, executor, forgotten, attempts=3)
    for death in range(3):
        worker.step()
        assert store.jobs.find(job.id).status == "RUNNING"
        assert executor.runs[-1].task.attempt == death + 1
        executor.runs[-1].memory = 1234.0
        executor.runs[-1].memory_mb()
        executor.runs[-1].code = -9
    worker.step()
    ended = store.jobs.find(job.id)
    assert (ended.status, ended.error_code, ended.peak_mb) == ("FAILED", "killed", 1234.0)
    assert "killed 3 times" in ended.error
    assert "1,234 MB" in ended.error
    assert len(executor.runs) == 3
    assert forgotten == [job.id]


def test_workers_killed_before_they_could_give_a_job_up_are_not_counted_as_its_processes(
    store: Store, executor, forgotten: list[str], add_job
):
    job = add_job(phase="train")
    store.jobs.change(job.id, when={job.status}, to=job.status, deaths=4)
    make(store, executor, forgotten, attempts=3).step()
    ended = store.jobs.find(job.id)
    assert ended.status == "FAILED"
    assert "killed 3 times" in ended.error
    assert executor.runs == []


def test_a_child_that_ended_in_order_is_left_alone(store: Store, executor, forgotten: list[str], add_job):
    job = add_job()
    worker = make(store, executor, forgotten)
    worker.step()
    store.jobs.change(job.id, when={"VALIDATING"}, to="VALIDATED", owner=None, lease_until=None)
    executor.runs[0].code = 0
    worker.step()
    assert store.jobs.find(job.id).status == "VALIDATED"
    assert worker.at_work == 0


def test_a_child_beyond_the_memory_limit_fails_at_once_with_the_figure(
    store: Store, executor, forgotten: list[str], add_job, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    job = add_job(phase="train")
    worker = make(store, executor, forgotten, memory_mb=500.0)
    worker.step()
    executor.runs[0].memory = 612.4
    worker.step()
    worker.step()
    ended = store.jobs.find(job.id)
    assert (ended.status, ended.error_code) == ("FAILED", "out_of_memory")
    assert "612 MB" in ended.error
    assert "500 MB" in ended.error
    assert executor.runs[0].stops == [True]


def test_a_child_that_does_not_stop_when_cancelled_is_killed_and_the_job_is_cancelled(
    store: Store, executor, forgotten: list[str], add_job, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    monkeypatch.setattr(module, "CANCEL_WITHIN_S", 0.0)
    job = add_job(phase="train")
    worker = make(store, executor, forgotten)
    worker.step()
    store.jobs.change(job.id, when={"RUNNING"}, to="CANCELLATION_REQUESTED", cancel_requested=True)
    worker.step()
    assert executor.runs[0].stops == []  # the child's own heart is given time
    worker.step()
    assert executor.runs[0].stops == [True]
    worker.step()
    assert store.jobs.find(job.id).status == "CANCELLED"
    assert [event.data["status"] for event in store.jobs.events(job.id)][-1] == "CANCELLED"


def test_what_is_not_finished_is_handed_back_without_counting_as_a_death(
    store: Store, executor, forgotten: list[str], add_job
):
    job = add_job(phase="train")
    worker = make(store, executor, forgotten)
    worker.step()
    executor.runs[0].when_stopped = -15  # it did not even hand back itself
    over = threading.Event()
    over.set()
    worker.run(over)
    back = store.jobs.find(job.id)
    assert (back.status, back.phase, back.deaths, back.owner) == ("QUEUED", "train", 0, None)


def test_what_dead_workers_of_this_machine_held_is_taken_over_at_once(
    store: Store, executor, forgotten: list[str], add_job
):
    mine, other = add_job(phase="train"), add_job(phase="train")
    dead = f"{socket.gethostname()}/{2**22 + 1}/1.00"
    assert store.jobs.claim(dead, time(), 1000).id == mine.id
    assert store.jobs.claim("elsewhere/1/1.00", time(), 1000).id == other.id
    worker = make(store, executor, forgotten, slots=5)
    worker.take_over()
    worker.step()
    worker.step()
    assert [(run.task.id, run.task.attempt) for run in executor.runs] == [(mine.id, 2)]
    assert store.jobs.find(mine.id).deaths == 1


class TestClocksAndSilence:
    """Leases are about the clock on the wall; a worker that holds a task knows better whether somebody is at work."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """A clock that the test turns, of the worker and of nobody else."""
        turned = Clock()
        monkeypatch.setattr(module, "time", turned)
        monkeypatch.setattr(module, "LOOK_S", 0.0)
        monkeypatch.setattr(module, "SILENT_S", 0.0)
        return turned

    @pytest.mark.parametrize("add", ["add_job", "add_batch"])
    def test_a_child_that_was_stopped_is_killed_and_its_task_taken_up_again(
        self, store: Store, executor, forgotten: list[str], request: pytest.FixtureRequest, clock: Clock, add: str
    ) -> None:
        task = request.getfixturevalue(add)(**({"phase": "train"} if add == "add_job" else {}))
        worker = make(store, executor, forgotten, slots=2)
        worker.step()
        clock.ahead = 20  # and no beat
        worker.step()
        assert [run.stops for run in executor.runs] == [[]]  # it may renew its lease, where the database was away
        worker.step()
        assert executor.runs[0].stops == [True]
        for _ in range(2):
            worker.step()
        assert [run.task.attempt for run in executor.runs] == [1, 2]
        repository = store.jobs if add == "add_job" else store.batches
        assert (repository.find(task.id).status, repository.find(task.id).deaths) == ("RUNNING", 1)

    def test_a_clock_that_is_set_forward_costs_no_attempt(
        self, store: Store, executor, forgotten: list[str], add_job, clock: Clock
    ) -> None:
        job = add_job(phase="train")
        worker = make(store, executor, forgotten, slots=2)
        worker.step()
        clock.ahead = 3600
        worker.step()
        assert store.jobs.beat(job.id, worker.owner, 1, clock(), 15.0) == "ok"
        for _ in range(3):
            worker.step()
        assert [(run.task.attempt, run.stops) for run in executor.runs] == [(1, [])]

    def test_a_clock_that_is_set_back_neither_loses_a_job_nor_runs_it_twice(
        self, store: Store, executor, forgotten: list[str], add_job, clock: Clock
    ) -> None:
        job = add_job(phase="train")
        worker = make(store, executor, forgotten, slots=2)
        worker.step()
        clock.ahead = -3600
        for _ in range(3):
            worker.step()
        assert [(run.task.attempt, run.stops) for run in executor.runs] == [(1, [])]
        executor.runs[0].code = -9  # its lease has an hour to go
        for _ in range(2):
            worker.step()
        assert [run.task.attempt for run in executor.runs] == [1, 2]
        found = store.jobs.find(job.id)
        assert found.lease_until < clock() + 60
        assert (found.status, found.deaths) == ("RUNNING", 1)

    def test_after_a_restart_a_lease_of_before_the_clock_was_set_back_keeps_nobody_waiting(
        self, store: Store, executor, forgotten: list[str], add_job, clock: Clock
    ) -> None:
        job = add_job(phase="train")
        store.jobs.claim(f"{socket.gethostname()}/{2**22 + 1}/1.00", time(), 15.0)
        clock.ahead = -3600
        worker = make(store, executor, forgotten)
        worker.take_over()
        worker.step()
        assert [(run.task.id, run.task.attempt) for run in executor.runs] == [(job.id, 2)]

    def test_a_child_that_another_worker_took_the_job_from_is_killed(
        self, store: Store, executor, forgotten: list[str], add_job, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "CANCEL_WITHIN_S", 0.0)
        job = add_job(phase="train")
        worker = make(store, executor, forgotten)
        worker.step()
        assert store.jobs.claim("elsewhere/1/1.00", time() + 60, 1000).attempt == 2
        for _ in range(3):
            worker.step()
        assert executor.runs[0].stops == [True]
        assert worker.at_work == 0
        assert (store.jobs.find(job.id).attempt, store.jobs.find(job.id).deaths) == (2, 1)


def test_a_child_that_put_its_task_back_and_does_not_leave_is_not_forgotten(
    store: Store, executor, forgotten: list[str], add_job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = add_job(auto_start=True)
    worker = make(store, executor, forgotten)
    worker.step()
    store.jobs.change(job.id, when={"VALIDATING"}, to="QUEUED", phase="train")
    worker.step()
    assert [run.task.id for run in executor.runs] == [job.id] * 2
    monkeypatch.setattr(module, "LEAVE_WITHIN_S", 0.0)
    worker.step()
    assert [run.stops for run in executor.runs] == [[True], []]
    worker.step()
    assert store.jobs.find(job.id).status == "RUNNING"


def test_owners_tell_whether_they_live():
    assert not is_dead(owner_name())
    assert is_dead(f"{socket.gethostname()}/{os.getpid()}/1.00")  # the number was given again
    assert not is_dead("elsewhere/1/1.00")
    assert not is_dead("no owner's name")
