"""Records as the store gives them, made up: for a page that shows every component."""

from __future__ import annotations

from dataclasses import replace
from time import time
from typing import Any

from tamis.jobs.looks import REASONS, Sight, look_at
from tamis.store.records import FileRecord, JobRecord, LookRecord, ModelRecord, OperationRecord
from tamis.workspace.retraining import DONE, FAILED, MEASURING, TRAINING, Round

AGO = 90
"""Seconds since what is shown came about."""


def model(targets: tuple[dict[str, Any], ...]) -> ModelRecord:
    """Return a model."""
    return ModelRecord(id="none", name="shop", root="", base="", place="", created_at=0, targets=targets)


def file(name: str) -> FileRecord:
    """Return a file."""
    return FileRecord(
        id="none",
        name=name,
        purpose="fine-tune",
        source="upload",
        sample_type="instruct",
        bytes=123_456,
        sha256="",
        key="",
        created_at=int(time()) - AGO,
        num_lines=1234,
    )


def fillings(text: str) -> list[OperationRecord]:
    """Return what fills a queue, at work, done and failed."""
    now = int(time()) - AGO
    work = OperationRecord(
        id="none", kind="queue", status="RUNNING", title=text, created_at=now, modified_at=now, stage="reading"
    )
    done = replace(work, status="SUCCESS", summary={"added": 40, "looked_at": 900, "unusable": 2})
    return [work, done, replace(work, status="FAILED", error=text)]


def rounds(text: str, moved: object) -> list[Round]:
    """Return rounds of retraining: a job at work, measuring, done with what `moved`, failed."""
    work, done, _ = fillings(text)
    now = work.created_at
    told = {"rows": 540, "changed": 12, "added": 38, "measured_on": 3, "unreadable": 1}
    job = JobRecord(
        id="none", status="RUNNING", model="", base="", name="", fingerprint="", created_at=now, modified_at=now
    )
    gain = replace(work, summary={"targets": {"topic": moved}, "remarks": [text]})
    return [
        Round(replace(work, summary=told), TRAINING, 0.4, job=job),
        Round(work, MEASURING),
        Round(replace(done, summary=told), DONE, gain=gain),
        Round(work, FAILED, problem=text),
    ]


def looks(text: str) -> list[LookRecord]:
    """Return a row of a queue for each reason that there is."""
    sights = (Sight(given=text, reason=reason, urgency=0.5, proposed={"topic": [text] * 9}) for reason in REASONS)
    return [look_at(sight, "shop", None) for sight in sights]
