"""Jobs: the list, and one job as it goes on; it is started and cancelled here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import Response

from tamis.errors import UnknownModel
from tamis.web.auth import INFER, TRAIN
from tamis.web.dashboard import job_stream
from tamis.web.dashboard.curves import Progress, curves_of, shown_figures, title_of
from tamis.web.dashboard.failures import failure_of, in_words
from tamis.web.dashboard.listing import ON_A_PAGE, Asked, Listing
from tamis.web.dashboard.lists import ModelRow
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit
from tamis.workspace.jobs import LIVE_JOBS

if TYPE_CHECKING:
    from tamis.store.records import EventRecord, JobRecord
    from tamis.workspace.jobs import JobDetail

STATES = (*LIVE_JOBS, "SUCCESS", "FAILED", "FAILED_VALIDATION", "CANCELLED")
MOST_EVENTS, MOST_CHECKPOINTS = 100, 60
STEPS = ("Queued", "Reading the data", "Training", "Ready")

pages = Pages()


@pages.get("/jobs", TRAIN)
def jobs(visit: Visit) -> Response:
    """Show the jobs."""
    asked = Asked.of(visit, STATES)
    filters = {"search": asked.search or None, "status": asked.state or None}
    found = visit.workspace.jobs.list(asked.page - 1, ON_A_PAGE, filters)  # type: ignore[arg-type]
    return visit.page("jobs.html", listing=Listing(asked, *found), states=STATES)


@pages.get("/jobs/{job_id}", TRAIN)
def job(visit: Visit) -> Response:
    """Show one job; while it is not finished, its page follows it."""
    detail = visit.workspace.jobs.get(visit.request.path_params["job_id"])
    curves = curves_of(detail.checkpoints)
    return visit.page(
        "job.html",
        charts=True,
        job=detail.job,
        is_live=detail.job.status in LIVE_JOBS,
        seen=job_stream.seen_of(detail),
        steps=steps_of(detail.job),
        progress=Progress.of(detail.job.metadata),
        curves=curves,
        is_taken_from_best=detail.is_taken_from_best,
        is_left_aside=detail.is_validation_left_aside,
        failure=failure_of(detail.job),
        told=in_words(detail.job.error or ""),
        took=took(detail.events),
        events=list(detail.events)[: -MOST_EVENTS - 1 : -1],
        checkpoints=list(detail.checkpoints)[:MOST_CHECKPOINTS],
        figures=[(name, title_of(name)) for name in _shown(detail)],
        model=_model(visit, detail.job),
    )


@pages.get("/jobs/{job_id}/stream", TRAIN)
def stream(visit: Visit) -> Response:
    """Follow a job: for the script of its page. Who is no script gets the page."""
    if not job_stream.is_asked_for(visit):
        return job(visit)
    return job_stream.streamed(visit, visit.request.path_params["job_id"])


@pages.post("/jobs/{job_id}/start", TRAIN)
def start(visit: Visit) -> Response:
    """Start a job whose files are good."""
    detail = visit.workspace.jobs.start(visit.request.path_params["job_id"])
    return visit.go(f"/ui/jobs/{detail.job.id}", "The job is queued for training.")


@pages.post("/jobs/{job_id}/cancel", TRAIN)
def cancel(visit: Visit) -> Response:
    """Cancel a job."""
    detail = visit.workspace.jobs.cancel(visit.request.path_params["job_id"])
    return visit.go(f"/ui/jobs/{detail.job.id}", "The job is being cancelled.")


def steps_of(job: JobRecord) -> list[tuple[str, str]]:
    """Return the steps of a job's way, each with where it is: "done", "now", "ended" (the way stops there), "ahead"."""
    reads = job.phase == "validate"
    at = {"QUEUED": 0 if reads else 2, "VALIDATING": 1, "VALIDATED": 2, "RUNNING": 2, "FAILED_VALIDATION": 1}.get(
        job.status, len(STEPS) if job.status == "SUCCESS" else 1 if reads else 2
    )
    here = "now" if job.status in LIVE_JOBS else "ended"
    return [(title, "done" if place < at else here if place == at else "ahead") for place, title in enumerate(STEPS)]


def took(events: Sequence[EventRecord]) -> int | None:
    """Return the seconds from the first training to the end; None where it has none yet."""
    said = [(event.data.get("status"), event.created_at) for event in events]
    began = next((moment for status, moment in said if status == "RUNNING"), None)
    ended = next((moment for status, moment in reversed(said) if status in ("SUCCESS", "FAILED", "CANCELLED")), None)
    return None if began is None or ended is None else max(0, ended - began)


def _shown(detail: JobDetail) -> list[str]:
    return shown_figures({name for row in detail.checkpoints for name in row.metrics})


def _model(visit: Visit, job: JobRecord) -> ModelRow | None:
    """The model that came of the job, for those who may see it, unless it was deleted."""
    if not job.model_id or not visit.may(INFER):
        return None
    try:
        return ModelRow(visit.workspace.models.find(job.model_id))
    except UnknownModel:
        return None
