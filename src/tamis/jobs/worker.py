"""The worker: claims queued work, starts a child for it, watches it, and takes it up again where a child was killed.

One worker a machine, with a number of slots. It does no work itself, so that nothing in a job can harm it.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import monotonic, time
from typing import Any

import psutil

from tamis.errors import StorageFailed
from tamis.jobs.ending import end_as_cancelled, end_overdue, fail_batch, fail_job, hand_back
from tamis.jobs.executors import BATCH, JOB, Executor, Running, Task
from tamis.jobs.heart import LEASE_S
from tamis.jobs.states import FINAL, HELD, Move, before
from tamis.jobs.sweeping import EVERY_S
from tamis.store.opening import Store
from tamis.store.records import PHASES, TRAIN, VALIDATE, BatchRecord, JobRecord

TICK_S = 0.1
LOOK_S = 0.5
"""Seconds between looks at whether a child is to be cancelled, and at its memory."""

CANCEL_WITHIN_S = 1.0
"""A child that was told to stop and has not is killed after so long."""

HAND_BACK_WITHIN_S = 10.0

SILENT_S = 3.0
"""A child whose lease ran out gets so long to renew it, once the database can be read, before it counts as stuck."""

LEAVE_WITHIN_S = 5.0
"""What is at work elsewhere by now has so long to end."""

COMPLAIN_S = 60.0

OVERDUE_S = 60.0
"""Seconds between looks for batch jobs that have waited for too long."""

MOST_LINGERING = 4
"""Processes of jobs that are over, and still wait for their trackers, beside those at work: more take up slots."""

MOST_VALIDATING = 2
"""Jobs that are validated at a time, beside those that train."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """A task at work."""

    task: Task
    running: Running
    told_at: float | None = None
    too_large_mb: float = 0.0
    validates: bool = False
    is_over: bool = False
    silent_since: float | None = None


@dataclass(frozen=True, slots=True)
class Duties:
    """How a worker works: `slots` jobs and as many batches at a time, `attempts` a job, `memory_mb` at most each."""

    slots: int = 1
    attempts: int = 3
    memory_mb: float = float("inf")
    lease_s: float = LEASE_S


class Worker:
    """Claims, starts, watches, retries."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        duties: Duties,
        forget: Callable[[str], None],
        idle: Callable[[], None] = lambda: None,
        sweep: Callable[[], object] = lambda: None,
    ) -> None:
        """Take what it works with.

        `forget` removes what a job needed, `idle` is called when there is nothing to do, `sweep` once an hour.
        """
        self.owner = owner_name()
        self._store, self._executor, self._duties, self._forget = store, executor, duties, forget
        self._held: dict[str, _Held] = {}
        self._leaving: list[_Held] = []
        self._idle, self._sweep = idle, sweep
        self._next_sweep = 0.0
        self._next_look = self._next_overdue = 0.0
        self._next_complaint = 0.0

    def run(self, over: threading.Event) -> None:
        """Work until it is over, then hand back what is not finished."""
        self.take_over()
        while not over.is_set():
            try:
                busy = self.step()
            except StorageFailed:
                self._complain()
                busy = False
                over.wait(1.0)
            if not busy:
                self._rest()
                over.wait(TICK_S)
        self.hand_back()

    def _complain(self) -> None:
        """Log that the store cannot be used, once a minute."""
        if monotonic() >= self._next_complaint:
            self._next_complaint = monotonic() + COMPLAIN_S
            log.exception("The store cannot be used: trying again every second.")

    def _rest(self) -> None:
        """What there is time for when nothing is to be done."""
        if self._held:
            return
        self._idle()
        if monotonic() >= self._next_sweep:
            self._next_sweep = monotonic() + EVERY_S
            try:
                self._sweep()
            except StorageFailed:
                log.exception("The store could not be swept.")

    def step(self) -> bool:
        """Do one round; return whether anything happened."""
        busy = self._reap()
        if monotonic() >= self._next_look:
            self._next_look = monotonic() + LOOK_S
            for held in list(self._held.values()):
                self._look(held)
        if monotonic() >= self._next_overdue:
            self._next_overdue = monotonic() + OVERDUE_S
            end_overdue(self._store)
        return self._claim() or busy

    def take_over(self) -> None:
        """Let go of what dead workers of this machine held, so that nobody waits for their leases to run out."""
        for status in sorted(HELD):
            for repository in (self._store.jobs, self._store.batches):
                records: list[Any] = repository.list(0, None, status=status)[0]
                for record in records:
                    if record.owner is not None and is_dead(record.owner):
                        repository.change(
                            record.id, when={status}, attempt=record.attempt, quiet=True, lease_until=time() - 1
                        )

    def hand_back(self) -> None:
        """Ask all children to stop, and put back what they had; who does not stop is killed."""
        for held in self._held.values():
            held.running.stop()
        end = monotonic() + HAND_BACK_WITHIN_S
        while self._held and monotonic() < end:
            self._reap(orderly=True)
            threading.Event().wait(TICK_S / 2)
        for held in self._held.values():
            held.running.stop(kill=True)
        while self._held:
            self._reap(orderly=True)
            threading.Event().wait(TICK_S / 2)

    @property
    def at_work(self) -> int:
        """Tasks that it holds."""
        return len(self._held)

    def _claim(self) -> bool:
        claimed = False
        if self._training < self._duties.slots:
            claimed = self._claim_job(PHASES if self._validating < MOST_VALIDATING else (TRAIN,))
        elif self._validating < MOST_VALIDATING:  # who waits for figures does not wait for somebody's training
            claimed = self._claim_job((VALIDATE,))
        if self._count(BATCH) < self._duties.slots:
            batch = self._store.batches.claim(self.owner, time(), self._duties.lease_s, tuple(self._held))
            if batch is not None:
                self._begin(Task("batch", batch.id, batch.attempt, self.owner), batch)
                claimed = True
        return claimed

    def _claim_job(self, phases: Collection[str]) -> bool:
        job = self._store.jobs.claim(self.owner, time(), self._duties.lease_s, phases, tuple(self._held))
        if job is None:
            return False
        self._begin(Task("job", job.id, job.attempt, self.owner), job)
        if job.phase == VALIDATE and job.id in self._held:
            self._held[job.id].validates = True
        return True

    @property
    def _validating(self) -> int:
        return sum(held.validates for held in self._held.values())

    @property
    def _training(self) -> int:
        """Jobs that train: neither a validation nor one that is over and waits for its trackers takes a slot."""
        lingering = sum(held.is_over for held in self._held.values())
        return self._count(JOB) - self._validating - min(lingering, MOST_LINGERING)

    def _count(self, kind: str) -> int:
        return sum(held.task.kind == kind for held in self._held.values())

    def _begin(self, task: Task, record: JobRecord | BatchRecord) -> None:
        if record.deaths >= self._duties.attempts:
            tried = self._duties.attempts  # a worker that was killed before it could give up began no further process
            self._give_up(task, tried, getattr(record, "peak_mb", None))
            return
        log.info("%s %s: attempt %d begins", task.kind, task.id, task.attempt)
        if (former := self._held.get(record.id)) is not None:  # it put its task back, and has not left yet
            former.told_at = monotonic()
            self._leaving.append(former)
        self._held[record.id] = _Held(task, self._executor.start(task))

    def _reap(self, *, orderly: bool = False) -> bool:
        """See to children that have ended; `orderly`: they were killed for the worker's own sake."""
        self._leaving = [held for held in self._leaving if held.running.exit_code() is None]
        for held in self._leaving:
            if held.told_at is not None and monotonic() - held.told_at > LEAVE_WITHIN_S:
                held.running.stop(kill=True)
        ended = [held for held in self._held.values() if held.running.exit_code() is not None]
        for held in ended:
            del self._held[held.task.id]
            code = held.running.exit_code()
            if code == 0:
                continue
            if held.too_large_mb:
                self._fail_for_memory(held)
            else:
                self._take_up_again(held, killed=not orderly and held.told_at is None)
        return bool(ended)

    def _take_up_again(self, held: _Held, *, killed: bool) -> None:
        """Put back a task whose child died, unless it died too often, or was to be cancelled anyway."""
        task, peak = held.task, held.running.memory_mb()
        log.warning("%s %s: its process ended with %s", task.kind, task.id, held.running.exit_code())
        repository: Any = self._store.jobs if task.kind == JOB else self._store.batches
        if end_as_cancelled(repository, task.id, task.attempt) is not None:
            self._over(task)
            return
        record = repository.find(task.id)
        if record is None or record.attempt != task.attempt or record.status not in before(Move.HAND_BACK):
            return
        deaths = record.deaths + killed
        if deaths >= self._duties.attempts:
            self._give_up(task, deaths, peak)
            return
        columns = {"peak_mb": peak} if task.kind == JOB else {}
        hand_back(repository, record, deaths=deaths, **columns)

    def _give_up(self, task: Task, deaths: int, peak_mb: float | None) -> None:
        memory = f" It had used {peak_mb:,.0f} MB of memory." if peak_mb else ""
        self._fail(
            task,
            "killed",
            f"Its process was killed {deaths} times, and it was not tried again.{memory} The machine may be short of "
            "memory: use fewer rows or labels, or a larger machine.",
            peak_mb,
        )

    def _fail_for_memory(self, held: _Held) -> None:
        used, allowed = held.too_large_mb, self._duties.memory_mb
        self._fail(
            held.task,
            "out_of_memory",
            f"It used {used:,.0f} MB of memory, and {allowed:,.0f} MB are allowed (job_memory_mb). Use fewer rows or "
            "labels, or a larger machine.",
            used,
        )

    def _fail(self, task: Task, code: str, message: str, peak_mb: float | None) -> None:
        log.warning("%s %s failed: %s", task.kind, task.id, message)
        if task.kind == BATCH:
            fail_batch(self._store, task.id, task.attempt, message)
            return
        job = self._store.jobs.find(task.id)
        if job is not None and job.attempt == task.attempt:
            fail_job(self._store, job, code, message, peak_mb=peak_mb)
        self._over(task)

    def _over(self, task: Task) -> None:
        if task.kind == JOB:
            self._forget(task.id)

    def _look(self, held: _Held) -> None:
        """Kill a child that uses too much memory, or does not stop when it should; see whether its job is over."""
        memory = held.running.memory_mb()
        if memory > self._duties.memory_mb and not held.too_large_mb:
            held.too_large_mb = memory
            held.running.stop(kill=True)
            return
        repository: Any = self._store.jobs if held.task.kind == JOB else self._store.batches
        record = repository.find(held.task.id)
        held.is_over = held.task.kind == JOB and not held.validates and record is not None and record.status in FINAL
        stop = record is None or record.cancel_requested or record.attempt != held.task.attempt
        if not stop:
            self._see_to_silence(held, record.lease_until)
            return
        if held.told_at is None:
            held.told_at = monotonic()
        elif monotonic() - held.told_at >= CANCEL_WITHIN_S:
            held.running.stop(kill=True)

    def _see_to_silence(self, held: _Held, lease_until: float | None) -> None:
        """Kill a child that no longer renews its lease: it was stopped, or hangs."""
        if held.is_over or lease_until is None or lease_until >= time():
            held.silent_since = None
        elif held.silent_since is None:
            held.silent_since = monotonic()
        elif monotonic() - held.silent_since > SILENT_S:
            log.warning("%s %s: its process is silent, and is killed", held.task.kind, held.task.id)
            held.running.stop(kill=True)


def owner_name() -> str:
    """Return a name for this process that tells later whether it still lives: machine, number, when it began."""
    return f"{socket.gethostname()}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def is_dead(owner: str) -> bool:
    """Return whether an owner was a process of this machine that is no more."""
    host, _, rest = owner.rpartition("/")[0].rpartition("/")
    created = owner.rpartition("/")[2]
    if host != socket.gethostname() or not rest.isdigit():
        return False
    try:
        return f"{psutil.Process(int(rest)).create_time():.2f}" != created
    except psutil.Error:
        return True
