"""What a child does with its task: run it under a beating heart, and end it in the right state, whatever happens."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import time
from types import FrameType

from tamis.errors import Cancelled, StorageFull, TamisError
from tamis.jobs.batch import Find, TimeIsUp, run_batch
from tamis.jobs.ending import end_as_cancelled, fail_batch, fail_job, hand_back
from tamis.jobs.executors import JOB, Task
from tamis.jobs.heart import LEASE_S, Heart, Stop
from tamis.jobs.sentences import sentence_of
from tamis.jobs.states import Phase, Status
from tamis.jobs.tools import Tools
from tamis.jobs.tracking import Tracking
from tamis.jobs.training import forget, run_training
from tamis.jobs.validation import validate
from tamis.store.leases import Beat
from tamis.store.records import BatchRecord, JobRecord

log = logging.getLogger(__name__)


def run_task(tools: Tools, task: Task, find: Find) -> None:
    """Do a task from its beginning, or its restart point, to its end.

    The job's state is right when this returns: it ended, or another attempt is to go on, or has gone on already.
    """
    if task.kind == JOB:
        job = tools.store.jobs.find(task.id)
        if job is not None and job.attempt == task.attempt:
            _run_job(tools, job, task)
        return
    batch = tools.store.batches.find(task.id)
    if batch is not None and batch.attempt == task.attempt:
        _run_batch(tools, batch, task, find)


def _run_job(tools: Tools, job: JobRecord, task: Task) -> None:
    def beat() -> Beat:
        return tools.store.jobs.beat(job.id, task.owner, task.attempt, time(), LEASE_S)

    with Heart(beat) as heart:
        _hand_back_on_signal(heart)
        end, home = partial(_end_job, tools, job), tools.choices.home
        if job.phase == Phase.VALIDATE:
            _guarded(heart, partial(validate, tools, job, heart.must_stop), end, home)
            return
        tracking = Tracking(tools, job)
        _guarded(heart, partial(run_training, tools, job, heart.must_stop, tracking), end, home)
        tracking.end()


def _run_batch(tools: Tools, batch: BatchRecord, task: Task, find: Find) -> None:
    def beat() -> Beat:
        return tools.store.batches.beat(batch.id, task.owner, task.attempt, time(), LEASE_S)

    with Heart(beat) as heart:
        _hand_back_on_signal(heart)
        work, end = partial(run_batch, tools, batch, find, heart.must_stop), partial(_end_batch, tools, batch)
        _guarded(heart, work, end, tools.choices.home)


def _hand_back_on_signal(heart: Heart) -> None:
    """The worker asks with SIGTERM to have the task back."""

    def asked(number: int, frame: FrameType | None) -> None:
        heart.stop = heart.stop or Stop.HAND_BACK

    signal.signal(signal.SIGTERM, asked)


End = Callable[[Stop | None, str, str], None]
"""Writes down how a task ended: why it had to stop, or else the code and the message of what went wrong."""


def _guarded(heart: Heart, work: Callable[[], None], end: End, home: Path) -> None:
    """Do the work; what goes wrong becomes a sentence, and never a job that nobody ends."""
    try:
        work()
    except Cancelled:
        end(heart.stop or Stop.LOST, "cancelled", "")
    except TimeIsUp as late:
        end(None, TimeIsUp.code, str(late))
    except Exception as error:
        log.info("The task failed: %s", error, exc_info=not isinstance(error, TamisError))
        end(None, *sentence_of(error, home))
    else:  # who was asked to cancel while the last word was written has not been told so yet
        end(Stop.CANCEL, "cancelled", "")


def _end_job(tools: Tools, job: JobRecord, stop: Stop | None, code: str, message: str) -> None:
    jobs = tools.store.jobs
    if stop is Stop.LOST or (stop is Stop.HAND_BACK and hand_back(jobs, job) is not None):
        return
    if code == StorageFull.code:
        forget(tools, job.id)  # what it has written makes room for its end to be written down
    failed = stop is None and fail_job(tools.store, job, code, message) is not None
    if failed or end_as_cancelled(jobs, job.id, job.attempt) is not None:
        forget(tools, job.id)


def _end_batch(tools: Tools, batch: BatchRecord, stop: Stop | None, code: str, message: str) -> None:
    batches = tools.store.batches
    if stop is Stop.LOST or (stop is Stop.HAND_BACK and hand_back(batches, batch) is not None):
        return
    to = Status.TIMEOUT_EXCEEDED if code == TimeIsUp.code else Status.FAILED
    if stop is not None or fail_batch(tools.store, batch.id, batch.attempt, message, to) is None:
        end_as_cancelled(batches, batch.id, batch.attempt)
