"""The first page leads from nothing to a job; the job's page says how it is."""

from typing import Any

from tamis.web.dashboard.home import BAD_ROWS
from tamis.web.dashboard.jobs import shown_figures
from tamis.workspace.jobs import NewJob
from tamis.workspace.workspace import Workspace


def test_the_example_becomes_a_job_once(visitor: Any, workspace: Workspace) -> None:
    assert "Try the example set" in visitor.get("/ui").text
    first = visitor.send("/ui/example").headers["location"]
    again = visitor.send("/ui/example").headers["location"]
    assert first == again
    (job,), n_jobs = workspace.jobs.list(0, 10, {})
    assert first == f"/ui/jobs/{job.id}"
    assert job.auto_start
    assert workspace.jobs.dry_run(NewJob(model=job.model, training_files=job.training_files, max_bad_share=BAD_ROWS))
    assert job.max_bad_share == BAD_ROWS
    assert n_jobs == 1
    assert workspace.files.list(0, 10, {})[1] == 1
    assert "Queued" in visitor.get(first).text


def test_who_may_only_classify_sees_no_jobs(sign_in: Any, filled: Workspace) -> None:
    page = sign_in("infer").get("/ui").text
    assert "/ui/jobs" not in page
    assert "/ui/files" not in page
    assert "/ui/example" not in page
    assert "Batch jobs at work" in page


def test_a_job_is_cancelled_on_its_page(visitor: Any, workspace: Workspace) -> None:
    place = visitor.send("/ui/example").headers["location"]
    assert visitor.send(f"{place}/cancel").headers["location"] == place
    page = visitor.get(place).text
    assert "Cancelled" in page
    assert "data-live" not in page
    assert "Cancel the job" not in page


def test_a_failed_job_says_why(visitor: Any, filled: Workspace) -> None:
    page = visitor.get("/ui/jobs/00000000-0000-4000-8000-000000000022").text
    assert "The job failed" in page
    assert "&lt;script&gt;alert(1)" in page


def test_of_a_trainings_figures_those_are_shown_that_tell_how_it_goes() -> None:
    there = {"step", "valid_loss", "tokens", "b.micro_f1", "a.accuracy", "a.recall", "epoch"}
    assert shown_figures(there) == ["epoch", "valid_loss", "a.accuracy", "b.micro_f1"]
