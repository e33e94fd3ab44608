"""Jobs: the list, and one job with what happened to it; it is started and cancelled here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Response

from tamis.web.auth import TRAIN
from tamis.web.dashboard.listing import ON_A_PAGE, Asked, Listing
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit

LIVE = ("QUEUED", "VALIDATING", "VALIDATED", "RUNNING", "CANCELLATION_REQUESTED")
STATES = (*LIVE, "SUCCESS", "FAILED", "FAILED_VALIDATION", "CANCELLED")
LOSSES, JUDGED_BY = ("epoch", "train_loss", "valid_loss"), (".accuracy", ".micro_f1")
MOST_EVENTS, MOST_CHECKPOINTS = 100, 12

pages = Pages()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is: `share` of 1, and what it is at."""

    stage: str = ""
    share: float | None = None
    seconds_left: float | None = None

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Progress:
        """Read it from a job's metadata, where it stands once training has begun."""
        said = metadata.get("progress")
        if not isinstance(said, dict):
            return cls()
        return cls(str(said.get("stage") or ""), said.get("share"), said.get("seconds_left"))


def shown_figures(there: Collection[str]) -> list[str]:
    """Return those figures of checkpoints that tell how a training goes, in the order of the table's columns."""
    return [name for name in LOSSES if name in there] + sorted(name for name in there if name.endswith(JUDGED_BY))


@pages.get("/jobs", TRAIN)
def jobs(visit: Visit) -> Response:
    """Show the jobs."""
    asked = Asked.of(visit, STATES)
    filters = {"search": asked.search or None, "status": asked.state or None}
    found = visit.workspace.jobs.list(asked.page - 1, ON_A_PAGE, filters)  # type: ignore[arg-type]
    return visit.page("jobs.html", listing=Listing(asked, *found), states=STATES)


@pages.get("/jobs/{job_id}", TRAIN)
def job(visit: Visit) -> Response:
    """Show one job; the page asks for itself again while the job is not finished."""
    detail = visit.workspace.jobs.get(visit.request.path_params["job_id"])
    return visit.page(
        "job.html",
        job=detail.job,
        is_live=detail.job.status in LIVE,
        progress=Progress.of(detail.job.metadata),
        events=list(detail.events)[: -MOST_EVENTS - 1 : -1],
        checkpoints=list(detail.checkpoints)[:MOST_CHECKPOINTS],
        figures=shown_figures({name for each in detail.checkpoints for name in each.metrics}),
    )


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
