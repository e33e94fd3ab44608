"""What goes on and what happened lately, whatever it is: trainings, batch jobs, and the dashboard's own operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tamis.web.auth import INFER, TRAIN
from tamis.web.dashboard.visits import Visit
from tamis.workspace.background import LIVE
from tamis.workspace.jobs import LIVE_JOBS

if TYPE_CHECKING:
    from tamis.store.records import BatchRecord, JobRecord, OperationRecord

LIVE_BATCHES = ("QUEUED", "RUNNING", "CANCELLATION_REQUESTED")
SHOWN = 6

KINDS = {
    "evaluate": "Measuring a model",
    "compare": "Comparison",
    "classify": "Labelling a file",
    "export": "Packing a model",
    "prepare": "Making data ready",
    "queue": "Looking for rows to review",
    "relabel": "Reviewed rows",
    "gain": "Measuring what reviews gained",
    "promote": "Measuring before an alias moves",
}
"""What operations are called, by kind."""

_PLACES: dict[str, Callable[[OperationRecord], str]] = {
    "evaluate": lambda one: f"/ui/models/{one.model_id}/quality",
    "compare": lambda one: f"/ui/compare/{one.id}",
    "classify": lambda one: f"/ui/models/{one.model_id}/label/{one.id}",
    "export": lambda one: f"/ui/models/{one.model_id}/details",
    "prepare": lambda one: f"/ui/new/data/{one.id}",
    "promote": lambda one: f"/ui/models/{one.model_id}/versions?promotion={one.id}",
    **dict.fromkeys(
        ("queue", "relabel", "gain"), lambda one: f"/ui/queue/{quote(str(one.told.get('name', '')), safe='')}"
    ),
}


@dataclass(frozen=True, slots=True)
class Item:
    """Something that goes on, or went on.

    Attributes:
        kind: what it is, in words.
        title: what its maker would call it.
        place: its page; empty where it has none.
        state: as badges know it.
        moment: when it began, or when it ended.
        share: how much of it is done; None where that is not known.
        told: what is done now.
        seconds_left: how much longer it will take, where that is known.
    """

    kind: str
    title: str
    place: str
    state: str
    moment: int
    share: float | None = None
    told: str = ""
    seconds_left: float | None = None


def going_on(visit: Visit) -> tuple[list[Item], int]:
    """Return what is at work, of what the visitor may see, the newest first; and how much there is in all."""
    workspace, items, total = visit.workspace, list[Item](), 0
    if visit.may(TRAIN):
        jobs, n_jobs = workspace.jobs.list(0, SHOWN, {"status": LIVE_JOBS})
        operations, n_operations = workspace.operations.list(0, SHOWN, {"status": LIVE})
        items += [*map(of_job, jobs), *(of_operation(one) for one in operations if one.status in LIVE)]
        total += n_jobs + n_operations
    if visit.may(INFER):
        batches, n_batches = workspace.batches.list(0, SHOWN, {"status": LIVE_BATCHES})
        items += map(of_batch, batches)
        total += n_batches
    return _newest(items), max(total, len(items))


def lately(visit: Visit) -> list[Item]:
    """Return what has ended last, of what the visitor may see."""
    if not visit.may(TRAIN):
        return []
    workspace = visit.workspace
    jobs, _ = workspace.jobs.list(0, 4 * SHOWN, {})
    operations, _ = workspace.operations.list(0, 2 * SHOWN, {})
    ended = [*map(of_job, jobs), *map(of_operation, operations)]
    return _newest(one for one in ended if one.state not in LIVE_JOBS)


def of_job(job: JobRecord) -> Item:
    """Return a training as an item."""
    said = job.metadata.get("progress")
    progress: dict[str, Any] = said if isinstance(said, dict) and job.status == "RUNNING" else {}
    return Item(
        kind="Training",
        title=job.title or job.name,
        place=f"/ui/jobs/{job.id}",
        state=job.status,
        moment=job.finished_at or job.created_at,
        share=_number(progress.get("share")),
        told=str(progress.get("stage") or ""),
        seconds_left=_number(progress.get("seconds_left")),
    )


def of_operation(one: OperationRecord) -> Item:
    """Return an operation as an item."""
    place = _PLACES.get(one.kind)
    running = one.status == "RUNNING"
    return Item(
        kind=KINDS.get(one.kind, one.kind),
        title=one.title,
        place=place(one) if place else "",
        state=one.status,
        moment=one.finished_at or one.created_at,
        share=one.progress if running else None,
        told=one.stage if running else "",
    )


def of_batch(batch: BatchRecord) -> Item:
    """Return a batch job as an item."""
    return Item(
        kind="Batch job",
        title=batch.model or batch.endpoint,
        place=f"/ui/batches?search={batch.id}",
        state=batch.status,
        moment=batch.completed_at or batch.created_at,
        share=batch.completed / batch.total if batch.total else None,
        told=f"{batch.completed:,} of {batch.total:,} requests" if batch.total else "",
    )


def _newest(items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda one: -one.moment)[:SHOWN]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
