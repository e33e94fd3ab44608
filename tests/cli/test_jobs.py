"""tamis jobs: listed, shown, cancelled, with no server in sight."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tamis.errors import IllegalTransition, InvalidSetting, UnknownJob
from tamis.settings import load_settings
from tamis.store.records import CheckpointRecord, JobRecord
from tamis.workspace.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    with open_workspace(load_settings()) as found:
        yield found


@pytest.fixture
def add(workspace: Workspace) -> Callable[..., JobRecord]:
    """Adds a job, as a server would have left it."""

    def add(number: int = 0, **columns: object) -> JobRecord:
        usual = {
            "id": str(uuid4()),
            "status": "QUEUED",
            "model": "ministral-3b-latest",
            "base": "static-en",
            "name": "shop",
            "fingerprint": uuid4().hex,
            "created_at": 1_700_000_000 + number,
            "modified_at": 1_700_000_000 + number,
        }
        record = JobRecord(**{**usual, **columns})
        workspace.store.jobs.add(record)
        return record

    return add


def test_without_a_server_s_database_there_are_none_and_none_is_made(run, home: Path):
    assert "tamis serve" in run("jobs").stdout
    assert json.loads(run("jobs", "--json").stdout) == {"jobs": [], "total": 0}
    with pytest.raises(UnknownJob, match="none yet"):
        run("jobs", "show", "x")
    assert not (home / "tamis.db").exists()


def test_they_are_listed_the_newest_first(run, add):
    first, second = add(1), add(2, status="RUNNING", metadata={"progress": {"share": 0.25, "seconds_left": 30.0}})
    failed = add(3, status="FAILED", error="It used 9,000 MB.\nUse fewer rows.", error_code="out_of_memory")
    lines = run("jobs").stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [failed.id, second.id, first.id]
    assert "RUNNING 25%, about 30 s left" in lines[2]
    assert lines[1] == "  It used 9,000 MB."
    assert "… and 2 more: --limit 3" in run("jobs", "--limit", "1").stdout
    (only,) = json.loads(run("jobs", "--status", "failed", "--json").stdout)["jobs"]
    assert only["error"] == {"code": "out_of_memory", "message": failed.error}
    with pytest.raises(InvalidSetting, match="FAILED_VALIDATION"):
        run("jobs", "--status", "lost")


def test_one_is_shown_with_its_curve_and_what_happened(run, add, workspace: Workspace):
    job = add(
        targets=({"name": "topic", "labels": ["a", "b"], "weight": 1.0},),
        hyperparameters={"training_steps": 100, "learning_rate": 1e-4, "epochs": None},
        metadata={"rows": 1200, "data_tokens": 34567},
    )
    claimed = workspace.store.jobs.claim("me", 1.7e9, 60.0)
    assert claimed is not None
    rows = [
        CheckpointRecord(job.id, step, 1_700_000_000, {"valid_loss": 3.0 - step, "train_loss": 5.0 - step})
        for step in (1, 2)
    ]
    assert workspace.store.jobs.add_checkpoints(job.id, claimed.attempt, rows)
    workspace.store.jobs.add_event(
        job.id, "remark", {"remark": "Training \x1b[31mstopped\x1b[0m early."}, claimed.attempt
    )
    shown = run("jobs", "show", job.id).stdout
    for part in ("VALIDATING", "topic (2)", "1,200 rows, 34,567 tokens", "training_steps 100", "learning_rate 0.0001"):
        assert part in shown
    assert "held-out loss  █▁  2.000 → 1.000, lowest 1.000" in shown
    assert "steps 1 to 2" in shown
    assert "stopped" in shown
    assert "\x1b" not in shown
    found = json.loads(run("jobs", "show", job.id, "--json").stdout)
    assert [row["step"] for row in found["checkpoints"]] == [2, 1]
    assert [event.get("status") or event["name"] for event in found["events"]] == ["QUEUED", "VALIDATING", "remark"]


def test_why_it_failed_is_told_once(run, add, workspace: Workspace):
    job = add()
    claimed = workspace.store.jobs.claim("me", 1.7e9, 60.0)
    assert claimed is not None
    why = "3 rows are bad:\nrows.jsonl:4: no text."
    workspace.store.jobs.change(
        job.id,
        when={"VALIDATING"},
        attempt=claimed.attempt,
        to="FAILED_VALIDATION",
        event={"error": why, "code": "too_many_bad_rows"},
        error=why,
        error_code="too_many_bad_rows",
    )
    shown = run("jobs", "show", job.id).stdout
    assert shown.count("rows.jsonl:4: no text.") == 1
    assert "✗ 3 rows are bad:" in shown


def test_a_finished_one_says_how_to_use_its_model(run, add):
    job = add(status="SUCCESS", fine_tuned_model="ft:classifier:x", model_id="some-id", finished_at=1_700_000_026)
    shown = run("jobs", "show", job.id).stdout
    assert "26 s after it was made" in shown
    assert "tamis classify some-id" in shown


def test_cancelling(run, add, workspace: Workspace):
    waiting, running = add(), add(status="RUNNING", owner="other/1/1.0", attempt=1)
    assert "is cancelled" in run("jobs", "cancel", waiting.id).stdout
    told = json.loads(run("jobs", "cancel", running.id, "--json").stdout)
    assert told == {"job": running.id, "status": "CANCELLATION_REQUESTED"}
    with pytest.raises(IllegalTransition):
        run("jobs", "cancel", waiting.id)
    with pytest.raises(UnknownJob):
        run("jobs", "cancel", "nope")
