"""What a child does with its task: run it under a beating heart, and end it in the right state, whatever happens."""

from __future__ import annotations

import logging
import re
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from time import time
from types import FrameType

from tamis.errors import Cancelled, TamisError
from tamis.jobs.batch import Find, TimeIsUp, run_batch
from tamis.jobs.ending import end_as_cancelled, fail_batch, fail_job, hand_back
from tamis.jobs.executors import JOB, Task
from tamis.jobs.heart import LEASE_S, Heart, Stop
from tamis.jobs.states import Phase, Status
from tamis.jobs.tools import Tools
from tamis.jobs.tracking import Tracking
from tamis.jobs.training import forget, run_training
from tamis.jobs.validation import validate
from tamis.store.leases import Beat
from tamis.store.records import BatchRecord, JobRecord

log = logging.getLogger(__name__)

_PLACES = re.compile(r"(?:/[^/\s]+)*/files-\d+/\d+/")
"""Where `files_here` puts files."""


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
        end = partial(_end_job, tools, job)
        if job.phase == Phase.VALIDATE:
            _guarded(heart, partial(validate, tools, job, heart.must_stop), end)
            return
        tracking = Tracking(tools, job)
        _guarded(heart, partial(run_training, tools, job, heart.must_stop, tracking), end)
        tracking.end()


def _run_batch(tools: Tools, batch: BatchRecord, task: Task, find: Find) -> None:
    def beat() -> Beat:
        return tools.store.batches.beat(batch.id, task.owner, task.attempt, time(), LEASE_S)

    with Heart(beat) as heart:
        _hand_back_on_signal(heart)
        _guarded(heart, partial(run_batch, tools, batch, find, heart.must_stop), partial(_end_batch, tools, batch))


def _hand_back_on_signal(heart: Heart) -> None:
    """The worker asks with SIGTERM to have the task back."""

    def asked(number: int, frame: FrameType | None) -> None:
        heart.stop = heart.stop or Stop.HAND_BACK

    signal.signal(signal.SIGTERM, asked)


End = Callable[[Stop | None, str, str], None]
"""Writes down how a task ended: why it had to stop, or else the code and the message of what went wrong."""


def _guarded(heart: Heart, work: Callable[[], None], end: End) -> None:
    """Do the work; what goes wrong becomes a sentence, and never a job that nobody ends."""
    try:
        work()
    except Cancelled:
        end(heart.stop or Stop.LOST, "cancelled", "")
    except TamisError as error:
        log.info("The task failed: %s", error)
        end(None, error.code, own_names(error.message))
    except TimeIsUp as late:
        end(None, TimeIsUp.code, str(late))
    except MemoryError:
        log.exception("The task ran out of memory.")
        end(None, "out_of_memory", _out_of_memory())
    except OSError as error:
        log.exception("The task failed.")
        where = f" ({error.filename})" if error.filename else ""
        end(None, "system_error", f"The system refused something: {error.strerror or error}{where}.")
    except Exception as error:
        log.exception("The task failed in a way that it should not.")
        end(None, "error", f"This is a defect in Tamis ({type(error).__name__}): the server's log has the details.")
    else:  # who was asked to cancel while the last word was written has not been told so yet
        end(Stop.CANCEL, "cancelled", "")


def _out_of_memory() -> str:
    """What is said where the machine refused memory, with the most that this process had."""
    unit = 1e6 if sys.platform == "darwin" else 1e3  # the one counts bytes, the others kilobytes
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return f"The memory did not suffice: it had used {used:,.0f} MB. Use fewer rows or labels, or a larger machine."


def own_names(message: str) -> str:
    """Return a message with files under the names that their owner gave them, not where they are on this machine."""
    return _PLACES.sub("", message)


def _end_job(tools: Tools, job: JobRecord, stop: Stop | None, code: str, message: str) -> None:
    jobs = tools.store.jobs
    if stop is Stop.LOST or (stop is Stop.HAND_BACK and hand_back(jobs, job) is not None):
        return
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
