"""`tamis jobs`: the server's fine-tuning jobs, with or without a running server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tamis.cli.app import app
from tamis.cli.console import AsJson, out, print_json
from tamis.cli.given_model import opened

if TYPE_CHECKING:
    from tamis.store.records import JobRecord
    from tamis.workspace.jobs import JobDetail, Jobs

jobs = typer.Typer(
    help="List the server's fine-tuning jobs; with a command: show or cancel one.", invoke_without_command=True
)
app.add_typer(jobs, name="jobs")

MOST = 20

Status = Annotated[
    list[str] | None, typer.Option(metavar="STATUS", help="Only jobs in this state, like RUNNING; repeatable.")
]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="At most so many jobs, the newest first.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]


@jobs.callback()
def list_jobs(context: typer.Context, status: Status = None, limit: Limit = MOST, as_json: AsJson = False) -> None:
    """List the fine-tuning jobs, the newest first: state, how far it is, the model it made or why it failed."""
    if context.invoked_subcommand is not None:
        return
    from tamis.cli.jobs_view import show_list

    wanted = _statuses(status)
    with _jobs() as known:
        found, total = known.list(0, limit, {"status": wanted}) if known else ([], 0)
    if as_json:
        print_json({"jobs": [summary(job) for job in found], "total": total})
    else:
        show_list(found, total, out)


@jobs.command()
def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job: its state, what it learns from, its curve, what happened, and in plain words why it failed."""
    from tamis.cli.jobs_view import show_job

    with _jobs(job_id) as known:
        detail = known.get(job_id)
    if as_json:
        print_json(_as_json(detail))
    else:
        show_job(detail, out)


@jobs.command()
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Cancel a job: at once where it waits, within seconds where it runs. What it made is not kept."""
    with _jobs(job_id) as known:
        job = known.cancel(job_id).job
    if as_json:
        print_json({"job": job.id, "status": job.status})
        return
    said = "is cancelled" if job.status == "CANCELLED" else "will stop within seconds, if the server runs"
    out.print(f"The job {job.id} {said}.", markup=False, soft_wrap=True)


@contextmanager
def _jobs(wanted: str = "") -> Iterator[Any]:
    """Yield the jobs; none where no server ever made a database, unless one is `wanted`: then that is refused."""
    from tamis.errors import UnknownJob
    from tamis.settings import load_settings

    settings = load_settings()
    if settings.has_database:
        with opened(settings) as workspace:
            known: Jobs = workspace.jobs
            yield known
    elif wanted:
        raise UnknownJob(f"There is no job {wanted[:80]}: {settings.home} has none yet.", job=wanted)
    else:
        yield None


def _statuses(given: list[str] | None) -> list[str] | None:
    """Return the states as they are written.

    Raises:
        InvalidSetting: there is no such state.
    """
    from tamis.errors import InvalidSetting
    from tamis.jobs.states import Status as States

    wanted = [each.upper().replace("-", "_") for each in given or ()]
    there = [state.value for state in States if state is not States.TIMEOUT_EXCEEDED]  # that one is of batch jobs
    unknown = [each for each in wanted if each not in there]
    if unknown:
        raise InvalidSetting(f"--status {unknown[0][:40]}: there are {', '.join(there)}.", setting="status")
    return wanted or None


def summary(job: JobRecord) -> dict[str, object]:
    """Return what the list says of a job, as JSON."""
    return {
        "id": job.id,
        "status": job.status,
        "name": job.name,
        "base_model": job.model,
        "created_at": job.created_at,
        "modified_at": job.modified_at,
        "finished_at": job.finished_at,
        "progress": job.metadata.get("progress"),
        "fine_tuned_model": job.fine_tuned_model,
        "error": {"code": job.error_code, "message": job.error} if job.error else None,
    }


def _as_json(detail: JobDetail) -> dict[str, object]:
    job = detail.job
    return summary(job) | {
        "training_files": [{"file_id": file_id, "weight": weight} for file_id, weight in job.training_files],
        "validation_files": list(job.validation_files),
        "hyperparameters": job.hyperparameters,
        "targets": list(job.targets),
        "deaths": job.deaths,
        "peak_mb": job.peak_mb,
        "trained_tokens": job.trained_tokens,
        "events": [{"name": event.name, "created_at": event.created_at, **event.data} for event in detail.events],
        "checkpoints": [{"step": row.step, "created_at": row.created_at, **row.metrics} for row in detail.checkpoints],
    }
