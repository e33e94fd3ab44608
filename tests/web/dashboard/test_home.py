"""The first page leads from nothing to a job; the job's page says how it is."""

from typing import Any

import pytest

from tamis.jobs.operating import ACTS
from tamis.store.records import OperationRecord
from tamis.web.dashboard import activity
from tamis.web.dashboard.activity import of_operation
from tamis.web.dashboard.home import BAD_ROWS
from tamis.web.dashboard.jobs import shown_figures
from tamis.workspace.jobs import NewJob
from tamis.workspace.workspace import Workspace
from web.dashboard.evaluations import fill_evaluation

ID = "00000000-0000-4000-8000-{:012d}"


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
    assert "Batch job ·" in page


def test_what_goes_on_and_what_went_on_is_shown_whatever_it_is(
    visitor: Any, filled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "SHOWN", 50)
    page = visitor.get("/ui").text
    running, _, ended = page.partition("Last activity")
    assert f'href="/ui/compare/{ID.format(15)}"' in running
    assert f'href="/ui/jobs/{ID.format(2)}"' in running
    assert f'href="/ui/batches?search={ID.format(4)}"' in running
    assert f'href="/ui/compare/{ID.format(5)}"' in ended
    assert f'href="/ui/jobs/{ID.format(12)}"' in ended
    assert ID.format(2) not in ended
    assert 'data-live="3"' in page


def test_every_kind_of_operation_has_a_name_and_a_page() -> None:
    for kind in ACTS:
        item = of_operation(
            OperationRecord(
                id="o", kind=kind, status="RUNNING", title="t", created_at=1, modified_at=1, model_id="m", told={}
            )
        )
        assert item.kind != kind, kind
        assert item.place.startswith("/ui/"), kind


def test_what_is_next_follows_from_what_there_is(visitor: Any, sign_in: Any, models: Workspace) -> None:
    page = visitor.get("/ui").text
    assert page.index("It has not been asked anything yet") < page.index("did not learn from")
    models.store.models.note_use([model.id for model in models.models.list()])
    page = visitor.get("/ui").text
    assert "It has not been asked" not in page
    assert "Without a key this server serves its own machine only" in page
    page = sign_in("infer").get("/ui").text
    assert "in your program" in page
    assert "did not learn from" not in page
    assert "Without a key" not in page


def test_a_model_that_was_measured_is_not_to_be_measured(visitor: Any, models: Workspace) -> None:
    newest = models.models.page(0, 1, {})[0][0]
    assert f"Measure {newest.name}@1" in visitor.get("/ui").text
    fill_evaluation(models, ID.format(6), newest.id, "rows.csv")
    assert f"Measure {newest.name}@1" not in visitor.get("/ui").text


def test_rows_that_wait_lead_to_their_queue_and_of_several_models_to_all(visitor: Any, models: Workspace) -> None:
    models.models.take_in()
    models.looks.add_correction("intents", "where is it", {"topic": ["delivery"]})
    page = visitor.get("/ui").text
    assert 'href="/ui/queue/intents"' in page
    assert "1 row is worth your look" in page
    models.looks.add_correction("both", "where is it", {"topic": ["delivery"]})
    page = visitor.get("/ui").text
    assert "2 rows are worth your look" in page
    assert "/ui/queue/" not in page


def test_a_job_is_cancelled_on_its_page(visitor: Any, workspace: Workspace) -> None:
    place = visitor.send("/ui/example").headers["location"]
    assert visitor.send(f"{place}/cancel").headers["location"] == place
    page = visitor.get(place).text
    assert "Cancelled" in page
    assert "data-live" not in page
    assert "Cancel the job" not in page


def test_a_failed_job_says_why(visitor: Any, filled: Workspace) -> None:
    page = visitor.get("/ui/jobs/00000000-0000-4000-8000-000000000022").text
    assert "Failed" in page
    assert "&lt;script&gt;alert(1)" in page


def test_of_a_trainings_figures_those_are_shown_that_tell_how_it_goes() -> None:
    there = {"step", "valid_loss", "tokens", "b.micro_f1", "a.accuracy", "a.recall", "epoch"}
    assert shown_figures(there) == ["epoch", "valid_loss", "a.accuracy", "b.micro_f1"]
