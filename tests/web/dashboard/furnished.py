"""A workspace in which every page has something to show, made as people make it: trained, measured, compared, labelled.

The pages themselves are in `every_page`.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from tamis.data.layout import Layout
from tamis.jobs.looks import CORRECTION, DISAGREEMENT, REASONS, Sight, look_at
from tamis.jobs.worker import owner_name
from tamis.ml.registry import register
from tamis.ml.training import train
from tamis.schema import Message
from tamis.store.records import BatchRecord, CheckpointRecord, JobRecord, OperationRecord, ShareRecord
from tamis.testing import tiny_base
from tamis.workspace.comparisons import NewComparison
from tamis.workspace.files import NewFile
from tamis.workspace.keys import hash_of
from tamis.workspace.operations import NewOperation
from tamis.workspace.preparing import NewPreparation, Preparing
from tamis.workspace.shares import NewShare
from tamis.workspace.thresholds import NewThresholds
from tamis.workspace.workspace import Workspace

N_LABELS, ROWS_A_LABEL = 77, 5
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> \u202egnp.exe {{ 7*7 }} " + "x" * 150
TARGETS = ("intent", "tone", f"topic {HOSTILE}"[:250])
LONG_TEXT = f"word3 word80 {HOSTILE} " * 40
WITHIN_S = 300.0

RUNNING_JOB, DONE_JOB, FAILED_JOB, ENDED_LINK = (str(UUID(int=(7 << 96) + n)) for n in range(1, 5))
LIVE_WAIT, FAILED_WAIT, LIVE_LABELS, LIVE_COMPARISON = (str(UUID(int=(7 << 96) + n)) for n in range(5, 9))


@dataclass(slots=True)
class Furnished:
    """What was made: ids of what pages are about."""

    model: str
    files: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    token: str = ""


def rows(n: int, *, first: int = 0) -> bytes:
    """Return labelled rows of all labels in JSON lines, some of them wrong."""
    names = [HOSTILE, *(f"a rather long name of the label {k}" for k in range(1, N_LABELS))]
    lines = []
    for j in range(first, first + n):
        for k in range(N_LABELS):
            wrong = j % 5 == 4 and k % 9 == 0
            several = [names[k], *([names[(k + 1) % N_LABELS]] if j % 3 == 0 else [])]
            labels = {TARGETS[0]: names[(k + 1) % N_LABELS if wrong else k], TARGETS[1]: several, TARGETS[2]: several}
            lines.append(json.dumps({"text": f"word{k} word{N_LABELS + j % 5} {j}", "labels": labels}))
    return "\n".join(lines).encode()


def table(columns: int, n: int = 60) -> bytes:
    """Return a CSV of so many columns: a text, a label, and whatever else an export brings."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["message", "topic", *(f"a column of an export {k}" for k in range(columns - 2))])
    for row in range(n):
        writer.writerow([f"word{row} where is it", f"label {row % 5}", *(f"{k} {row}" * 4 for k in range(columns - 2))])
    return out.getvalue().encode()


def trained(folder: Path) -> Path:
    """Train the model: 77 labels of each of three targets, from a tiny base model."""
    base = tiny_base(folder / "base", [f"word{k}" for k in range(2 * N_LABELS)])
    (folder / "train.jsonl").write_bytes(rows(ROWS_A_LABEL))
    train(folder / "train.jsonl", base=str(base), out=folder / "shop", epochs=6)
    return folder / "shop"


def furnish(workspace: Workspace, folder: Path, queued: int = 200) -> Furnished:
    """Fill a workspace. Its operations are waited for."""
    for _ in range(2):
        register(workspace.settings.home, "shop", folder)
    workspace.models.take_in()
    found = Furnished(workspace.models.find("shop@1").id)
    for name, content in {
        "training.jsonl": rows(ROWS_A_LABEL),
        "test.jsonl": rows(2, first=19),
        "table.csv": table(200),
        "few.csv": table(3),
    }.items():
        found.files[name] = put(workspace, name, content)
    workspace.thresholds.change("shop@1", NewThresholds(optimise=["recall>=0.9"], target=TARGETS[1]))
    for version in ("shop@2", "shop@1"):
        workspace.aliases.set("production", version)
    workspace.models.archive("shop@2")
    _work(workspace, found)
    _leave_waiting(workspace, found)
    _share(workspace, found)
    _queue(workspace, found, queued)
    _batches(workspace)
    for name, scopes in (("a program", ("infer",)), (HOSTILE[:90], ("infer", "train"))):
        workspace.keys.create(name, scopes)
    return found


def put(workspace: Workspace, name: str, content: bytes) -> str:
    """Store a file; return its id."""
    coming = workspace.files.begin(NewFile(name=name, purpose="fine-tune"))
    coming.write(content)
    return coming.commit().id


def _work(workspace: Workspace, found: Furnished) -> None:
    """What was done in the background."""
    test, training = found.files["test.jsonl"], found.files["training.jsonl"]
    told = {"model": found.model, "file": test, "output": "", "text_column": None, "scores": False}
    told |= {"spreadsheet": True, "private": False}
    compared = NewComparison(file=test, models=["shop@1", "shop@3"], baselines=["majority"], train=training)
    prepared = NewPreparation(files={"training": training}, layout=Layout(), shares={"test": 0.2}, chosen="")
    made = {
        "evaluation": workspace.evaluations.start(found.model, test),
        "export": workspace.exports.start(found.model, "artifact"),
        "comparison": workspace.comparisons.create(compared),
        "prepared": Preparing(workspace).begin(prepared),
        "labelled": workspace.operations.create(
            NewOperation(kind="classify", title="test.jsonl", told=told, model_id=found.model)
        ),
    }
    for name, record in made.items():
        found.made[name] = record.id
        until_done(partial(workspace.operations.get, record.id), name)
    review = Preparing(workspace).result(found.made["prepared"]).review
    until_done(partial(workspace.reviews.get, review), "review")
    found.made["finding"] = next(each["id"] for each in workspace.reviews.get(review).summary if each["count"])


def until_done(look: Callable[[], Any], name: str) -> None:
    """Wait for work in the background to end well."""
    end = time.monotonic() + WITHIN_S
    while (record := look()).status in ("QUEUED", "RUNNING"):
        assert time.monotonic() < end, f"{name} takes too long"
        time.sleep(0.05)
    assert record.status == "SUCCESS", f"{name}: {record.error}"


def _leave_waiting(workspace: Workspace, found: Furnished) -> None:
    """What is at work, and what failed."""
    now, store = int(time.time()), workspace.store
    training = found.files["training.jsonl"]
    job = JobRecord(
        id=RUNNING_JOB,
        status="RUNNING",
        model="static-en",
        base="static-en",
        name="shop",
        title=HOSTILE[:100],
        fingerprint="running",
        created_at=now - 60,
        modified_at=now,
        training_files=((training, 1.0),),
        targets=({"name": TARGETS[0], "labels": [f"label {n}" for n in range(N_LABELS)]},),
        hyperparameters={"epochs": 4, "learning_rate": 0.01},
        metadata={"rows": 500, "progress": {"stage": "learning", "share": 0.4, "seconds_left": 12.0}},
    )
    store.jobs.add(job)
    figures = {"train_loss": 0.5, "valid_loss": 0.6, f"{TARGETS[0]}.accuracy": 0.8}
    points = [CheckpointRecord("", step, now, {**figures, "epoch": step / 100}) for step in range(0, 500, 10)]
    store.jobs.add_checkpoints(RUNNING_JOB, 0, points)
    over = replace(job, finished_at=now)
    store.jobs.add(replace(over, id=FAILED_JOB, status="FAILED", fingerprint="failed", error=HOSTILE))
    made = workspace.models.find("shop@3").id
    store.jobs.add(replace(over, id=DONE_JOB, status="SUCCESS", fingerprint="done", model_id=made))
    work = OperationRecord(
        id=LIVE_WAIT,
        kind="prepare",
        status="RUNNING",
        title=HOSTILE,
        told={"files": {"training": training}, "layout": {}, "shares": {}, "chosen": ""},
        stage="reading the rows",
        progress=0.4,
        owner=owner_name(),
        created_at=now,
        modified_at=now,
    )
    store.operations.add(work)
    refused = {"status": "FAILED", "error": f"The file has no rows that can be used: {HOSTILE}", "finished_at": now}
    store.operations.add(replace(work, id=FAILED_WAIT, **refused))
    store.operations.add(replace(work, id=LIVE_LABELS, kind="classify", model_id=found.model, told={"model": "m"}))
    told = workspace.comparisons.get(found.made["comparison"]).told
    store.operations.add(replace(work, id=LIVE_COMPARISON, kind="compare", told=told))


def _share(workspace: Workspace, found: Furnished) -> None:
    """A link that works, one that does not any more."""
    _, found.token = workspace.shares.create(NewShare(model_id=found.model, title="For the shop", per_minute=600))
    now = int(time.time())
    workspace.store.shares.add(
        ShareRecord(
            id=ENDED_LINK,
            model_id=found.model,
            token_hash=hash_of("over"),
            title=HOSTILE[:100],
            per_minute=9,
            created_at=now - 200,
            expires_at=now - 100,
        )
    )


def _queue(workspace: Workspace, found: Furnished, queued: int) -> None:
    """Rows for every reason, some answered; a round of training; and the queue of a model that is gone."""
    labels = list(workspace.models.find(found.model).targets[1]["labels"])
    name, store = TARGETS[1], workspace.store
    chat = (Message("user", LONG_TEXT), Message("assistant", "word4"))
    looks = [look_at(Sight(given="word1", reason=CORRECTION, urgency=0.5), "gone", None)]
    for place in range(queued):
        said = [{name: labels[:9]}, {name: labels[9:10]}]
        reason = REASONS[place % len(REASONS)]
        source = {"file_name": "training.jsonl", "line": place, "versions": ["shop@3", "shop@1"], "said": said}
        sight = Sight(
            given=chat if place == 0 else f"word{place} word80",
            reason=reason,
            urgency=0.9 if place == 0 else 0.5,
            proposed={name: labels[:9]},
            labels={TARGETS[0]: labels[5:6]},
            source=source if reason == DISAGREEMENT else {"file_name": HOSTILE, "line": 3, "told": HOSTILE},
        )
        look = look_at(sight, "shop", None)
        if place and place % 4 == 0:
            look = replace(look, status="answered", answer={name: labels[:2]}, answered_at=1)
        looks.append(look)
    store.looks.add(looks)
    now = int(time.time())
    gain = {"figure": "micro_f1", "current": 0.8, "candidate": 0.85, "difference": 0.05, "difference_ci": [0.01, 0.09]}
    done: dict[str, Any] = {"status": "SUCCESS", "created_at": now, "modified_at": now, "finished_at": now}
    measured = str(uuid4())
    store.operations.add(
        OperationRecord(
            id=measured,
            kind="gain",
            title="shop",
            model_id=found.model,
            summary={"targets": {TARGETS[2]: {**gain, "rows": 154}}, "remarks": [HOSTILE]},
            **done,
        )
    )
    told = {"name": "shop", "before": found.model}
    summary = {"rows": 540, "changed": 12, "added": 38, "measured_on": 3, "unreadable": 1}
    summary |= {"file": found.files["training.jsonl"], "job": DONE_JOB, "gain": measured}
    store.operations.add(
        OperationRecord(
            id=str(uuid4()),
            kind="relabel",
            title="shop",
            model_id=found.model,
            told=told,
            summary=summary,
            **done,
        )
    )


def _batches(workspace: Workspace) -> None:
    """A batch job that is at work, one whose answers are there."""
    now = int(time.time())
    usual: dict[str, Any] = {"endpoint": "/v1/classifications", "created_at": now, "modified_at": now, "model": HOSTILE}
    answers = put(workspace, "answers.jsonl", b'{"a": 1}\n')
    workspace.store.batches.add(BatchRecord(id=str(uuid4()), status="RUNNING", total=100, completed=40, **usual))
    workspace.store.batches.add(BatchRecord(id=str(uuid4()), status="SUCCESS", output_file=answers, **usual))
