"""How a job or a batch job leaves its process: handed back, failed, cancelled; the child and the worker say so alike.

Each is one compare-and-swap, fenced by the attempt: who comes too late changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from tamis.jobs.states import FINAL, HELD, Move, Phase, Status, advance, before
from tamis.store.opening import Store
from tamis.store.records import BatchRecord, JobRecord

TRIES = 5
"""Times a change is tried whose row changes between the look and the change."""

R = TypeVar("R", JobRecord, BatchRecord)
Kept = TypeVar("Kept", covariant=True)


class Repository(Protocol[Kept]):
    """The jobs, or the batch jobs, of a store."""

    @property
    def change(self) -> Callable[..., Kept | None]:
        """Change a record that is in one of some states, and return it; else None."""


def hand_back(repository: Repository[R], record: R, **columns: Any) -> R | None:  # noqa: ANN401  (columns of either)
    """Queue it again in the same phase, for another attempt."""
    return repository.change(
        record.id,
        when=before(Move.HAND_BACK),
        attempt=record.attempt,
        to=Status.QUEUED.value,
        quiet=True,
        owner=None,
        lease_until=None,
        **columns,
    )


def end_as_cancelled(repository: Repository[R], task_id: str, attempt: int) -> R | None:
    """End what was to be cancelled."""
    return repository.change(
        task_id, when={Status.CANCELLATION_REQUESTED.value}, attempt=attempt, to=Status.CANCELLED.value
    )


def fail_job(store: Store, job: JobRecord, code: str, message: str, **columns: Any) -> JobRecord | None:  # noqa: ANN401
    """End a job that is at work: its validation failed, or its training, and the job says why."""
    validating = job.phase == Phase.VALIDATE
    return store.jobs.change(
        job.id,
        when={Status.VALIDATING.value, Status.RUNNING.value},
        attempt=job.attempt,
        to=(Status.FAILED_VALIDATION if validating else Status.FAILED).value,
        event={"error": message, "code": code},
        error=message,
        error_code=code,
        **columns,
    )


def fail_batch(
    store: Store, batch_id: str, attempt: int, message: str, to: Status = Status.FAILED
) -> BatchRecord | None:
    """End a batch job that is at work."""
    return store.batches.change(
        batch_id,
        when={Status.RUNNING.value},
        attempt=attempt,
        to=to.value,
        errors=({"message": message, "count": 1},),
    )


def end_overdue(store: Store) -> int:
    """End batch jobs that no worker took up in the time that they were given, and return how many."""
    ended = 0
    for batch in store.batches.overdue():
        message = f"No worker took it up within its {batch.timeout_hours} hours."
        done = store.batches.change(
            batch.id,
            when={Status.QUEUED.value},
            to=Status.TIMEOUT_EXCEEDED.value,
            errors=({"message": message, "count": 1},),
        )
        ended += done is not None
    return ended


def ask_to_cancel(repository: Repository[R], find: Callable[[], R]) -> R:
    """Cancel at once where no worker holds it, else ask its worker to; return it as it is then.

    Raises:
        IllegalTransition: it is finished.
    """
    for _ in range(TRIES):
        record = find()
        if record.status in FINAL:
            advance(Status(record.status), Move.CANCEL)
        to = Status.CANCELLATION_REQUESTED if record.status in HELD else Status.CANCELLED
        done = repository.change(
            record.id, when={record.status}, to=to.value, quiet=record.status == to, cancel_requested=True
        )
        if done is not None:
            return done
    return find()
