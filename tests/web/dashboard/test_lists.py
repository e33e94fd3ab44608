"""Lists find, page and count in few queries, however much there is."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, insert

from tamis.store.records import BatchRecord, JobRecord, ModelRecord
from tamis.store.rows import row_of
from tamis.store.tables import jobs, models
from tamis.workspace.workspace import Workspace

MOST_QUERIES = 20


@pytest.fixture
def crowded(workspace: Workspace) -> Workspace:
    """1,000 models and 10,000 jobs."""
    times = {"created_at": 1, "modified_at": 1}
    job = JobRecord(id="", status="SUCCESS", model="m", base="b", name="job", fingerprint="", finished_at=2, **times)
    model = ModelRecord(id="", name="shop", root="r", base="b", place="", created_at=1)
    with workspace.store.jobs._database.writing() as connection:
        many = [replace(job, id=f"job-{n}", name=f"job-{n}", fingerprint=str(n), created_at=n) for n in range(10_000)]
        connection.execute(insert(jobs), [{**row_of(each), "wandb_project": None, "wandb_name": None} for each in many])
        versions = [
            replace(model, id=f"model-{n}", version=n + 1, place=f"objects:{n}", targets=({"name": "t", "labels": []},))
            for n in range(1000)
        ]
        connection.execute(insert(models), [row_of(each) for each in versions])
    return workspace


@pytest.fixture
def queries(workspace: Workspace) -> list[str]:
    """What the database is asked."""
    engine, asked = workspace.store.jobs._database.engine, []
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    return asked


def test_queries_do_not_grow_with_rows(visitor: Any, crowded: Workspace, queries: list[str]) -> None:
    for path in ("/ui", "/ui/jobs", "/ui/models", "/ui/models?page=40", "/ui/jobs?search=job-99&page=4"):
        queries.clear()
        assert visitor.get(path).status_code == 200
        selects = [query for query in queries if query.startswith("SELECT")]
        assert 0 < len(selects) <= MOST_QUERIES, (path, selects)


def test_pages_lead_to_one_another(visitor: Any, crowded: Workspace) -> None:
    first = visitor.get("/ui/jobs").text
    assert "1–25 of 10,000" in first
    assert "job-9999" in first
    assert 'href="/ui/jobs?page=2"' in first
    last = visitor.get("/ui/jobs?page=400").text
    assert "9,976–10,000 of 10,000" in last
    assert 'href="/ui/jobs?page=399"' in last
    assert "Older" not in last
    beyond = visitor.get("/ui/jobs?page=401")
    assert beyond.status_code == 200
    assert 'href="/ui/jobs?page=400"' in beyond.text


def test_what_is_no_page_is_the_first_or_an_empty_one(visitor: Any, filled: Workspace) -> None:
    for asked in ("0", "-1", "x", "9" * 30, "²", ""):
        assert visitor.get(f"/ui/files?page={asked}").status_code == 200, asked


def test_search_finds_parts_of_names_and_starts_of_ids(visitor: Any, crowded: Workspace) -> None:
    assert "1–11 of" not in visitor.get("/ui/jobs?search=job-123").text  # one page needs no pager
    found = visitor.get("/ui/jobs?search=JOB-123").text
    assert found.count('data-label="Job"') == 11
    assert visitor.get("/ui/models?search=model-999").text.count('data-label="Model"') == 1
    assert "Nothing found" in visitor.get("/ui/jobs?search=%25").text
    assert "Nothing found" in visitor.get("/ui/jobs?state=FAILED").text
    assert "of 10,000" in visitor.get("/ui/jobs?state=nonsense").text


def test_archived_models_are_apart(visitor: Any, filled: Workspace) -> None:
    filled.models.archive("shop@1")
    assert visitor.get("/ui/models").text.count('data-label="Model"') == 2
    assert visitor.get("/ui/models?state=archived").text.count('data-label="Model"') == 1


def test_aliases_and_figures_stand_beside_their_model(visitor: Any, models: Workspace) -> None:
    models.aliases.set("production", "intents")
    page = visitor.get("/ui/models").text
    assert "production" in page
    assert "accuracy" in page


def test_a_file_is_deleted_unless_a_job_needs_it(visitor: Any, client: Any, upload: Any, workspace: Workspace) -> None:
    file_id = upload()["id"]
    answer = visitor.send(f"/ui/files/{file_id}/delete", on="/ui/files")
    assert answer.headers["location"] == "/ui/files"
    assert "rows.jsonl is deleted." in visitor.get("/ui/files").text
    assert "is deleted" not in visitor.get("/ui/files").text
    needed = upload()["id"]
    times = {"created_at": 1, "modified_at": 1}
    job = JobRecord(id="job", status="RUNNING", model="m", base="b", name="shop", fingerprint="", **times)
    workspace.store.jobs.add(replace(job, training_files=((needed, 1.0),)))
    refused = visitor.send(f"/ui/files/{needed}/delete", on="/ui/files")
    assert refused.status_code == 409
    assert "job" in refused.text
    assert workspace.files.get(needed).id == needed


def test_a_file_is_brought_and_taken_along(visitor: Any, workspace: Workspace) -> None:
    content = b"text,label\r\n=cmd(),a\r\n"
    answer = visitor.client.post(
        "/ui/files/upload", data={"form_token": visitor.token()}, files={"file": ('a"b\u202e.csv', content)}
    )
    assert answer.headers["location"] == "/ui/files", answer.text
    (record,), _ = workspace.files.list(0, 5, {})
    found = visitor.get(f"/ui/files/{record.id}/download")
    assert found.content == content
    assert found.headers["content-disposition"].startswith('attachment; filename="a_b.csv"')
    assert found.headers["content-type"] == "application/octet-stream"
    refused = visitor.client.post("/ui/files/upload", data={"form_token": "x"}, files={"file": ("b.csv", content)})
    assert refused.status_code == 403
    assert workspace.files.list(0, 5, {})[1] == 1


def test_answers_of_a_batch_job_are_taken_along_and_one_is_cancelled(
    visitor: Any, workspace: Workspace, upload: Any
) -> None:
    usual: dict[str, Any] = {"endpoint": "/v1/x", "created_at": 1, "modified_at": 1}
    output = upload(b'{"a": 1}\n')["id"]
    workspace.store.batches.add(BatchRecord(id="done", status="SUCCESS", output_file=output, **usual))
    workspace.store.batches.add(BatchRecord(id="waits", status="QUEUED", **usual))
    page = visitor.get("/ui/batches").text
    assert 'data-live="5"' in page
    assert 'href="/ui/batches/done/answers"' in page
    assert visitor.get("/ui/batches/done/answers").content == b'{"a": 1}\n'
    assert visitor.send("/ui/batches/waits/cancel").headers["location"] == "/ui/batches"
    assert workspace.batches.get("waits").status == "CANCELLED"
    assert visitor.send("/ui/batches/done/cancel").status_code == 409


def test_models_are_chosen_to_be_compared_by_who_may(visitor: Any, sign_in: Any, models: Workspace) -> None:
    page = visitor.get("/ui/models").text
    assert page.count('type="checkbox" name="model"') == 3
    assert 'action="/ui/compare/new"' in page
    assert "/ui/compare/new" not in sign_in("infer").get("/ui/models").text


def test_figures_name_the_rows_that_they_were_measured_on(visitor: Any, workspace: Workspace) -> None:
    for version, source in ((1, "test"), (2, "held_out")):
        record = ModelRecord(
            id=f"model-{version}",
            name="shop",
            version=version,
            root="r",
            base="b",
            place=f"objects:{version}",
            created_at=version,
            targets=({"name": "t", "labels": ["a", "b"]},),
            metrics={source: {"t": {"accuracy": 0.9}}},
        )
        with workspace.store.jobs._database.writing() as connection:
            connection.execute(insert(models), [row_of(record)])
    for path in ("/ui", "/ui/models", "/ui/compare/new"):
        page = visitor.get(path).text
        assert "accuracy on test rows" in page or "accuracy 90.0 % on test rows" in page, path
        assert "on held-out rows" in page, path
