"""The first page: what is running, which models there are, what happened last; where there is nothing, what to do."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from tamis.errors import SimilarJob
from tamis.examples import example_path
from tamis.web.auth import ANY, INFER, TRAIN
from tamis.web.dashboard.curves import Progress
from tamis.web.dashboard.jobs import LIVE
from tamis.web.dashboard.listing import Asked
from tamis.web.dashboard.lists import model_rows
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit
from tamis.workspace.files import FINE_TUNE, NewFile
from tamis.workspace.jobs import NewJob

EXAMPLE = "support.jsonl"
BAD_ROWS = 0.05
"""Share of the example's rows that may be left out: a few are wrong on purpose."""

SHOWN = 6
WAITING = ("QUEUED", "RUNNING", "CANCELLATION_REQUESTED")

pages = Pages()


@pages.get("", ANY)
def home(visit: Visit) -> Response:
    """Show what there is, of what the visitor may see."""
    jobs, workspace = visit.may(TRAIN), visit.workspace
    models, n_models = model_rows(visit, Asked("/ui/models", 1, ""), SHOWN) if visit.may(INFER) else ([], 0)
    running: Any = workspace.jobs.list(0, SHOWN, {"status": LIVE}) if jobs else ([], 0)
    latest: Any = workspace.jobs.list(0, SHOWN, {"status": ("SUCCESS", "FAILED", "FAILED_VALIDATION", "CANCELLED")})
    batches: Any = workspace.batches.list(0, SHOWN, {"status": WAITING}) if visit.may(INFER) else ([], 0)
    return visit.page(
        "home.html",
        models=models,
        n_models=n_models,
        running=[(job, Progress.of(job.metadata)) for job in running[0]],
        n_running=running[1],
        latest=latest[0] if jobs else [],
        batches=batches[0],
        may_train=jobs,
    )


@pages.post("/example", TRAIN)
def example(visit: Visit) -> Response:
    """Upload the packaged example set, start a job on it, and show it; the one that is at it already, if one is."""
    workspace = visit.workspace
    upload = workspace.files.begin(NewFile(name=EXAMPLE, purpose=FINE_TUNE, created_by=visit.caller))
    try:
        upload.write(example_path(EXAMPLE).read_bytes())
    except BaseException:
        upload.abort()
        raise
    record = upload.commit()
    base = workspace.settings.default_base_model
    new = NewJob(
        model=base,
        training_files=[(record.id, 1.0)],
        suffix="example",
        auto_start=True,
        max_bad_share=BAD_ROWS,
        created_by=visit.caller,
    )
    try:
        job_id = workspace.jobs.create(new).id
    except SimilarJob as similar:
        job_id = str(similar.context["job_id"])
    return visit.go(f"/ui/jobs/{job_id}", "The example set is uploaded, and its job is under way.")
