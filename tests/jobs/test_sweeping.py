"""The sweep removes what nobody needs, and nothing else."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta

from cryptography.fernet import Fernet

from tamis.jobs.sweeping import OLD, sweep
from tamis.jobs.tools import Tools
from tamis.store.records import ModelRecord, OperationRecord, ReviewRecord, ShareRecord
from tamis.store.sealing import sealed_at

MODEL = "00000000-0000-4000-8000-000000000001"


def put(tools: Tools, key: str) -> None:
    with tools.store.objects.writer(key) as writer:
        writer.write(b"x")
        writer.commit()


def keys(tools: Tools) -> set[str]:
    return {info.key for info in tools.store.objects.list()}


def test_objects_without_an_owner_go_once_they_are_old(tools: Tools, add_job, add_file):
    kept = f"files/{add_file('rows.jsonl', b'x')}"
    tools.store.models.add(
        ModelRecord(id=MODEL, name="m", root="b", base="b", place=f"objects:models/{MODEL}", created_at=0)
    )
    job = add_job()
    owned = {f"models/{MODEL}/manifest.json", f"jobs/{job.id}/restart/restart.json"}
    orphans = {
        "files/nobody",
        "models/nobody/manifest.json",
        "jobs/nobody/restart/restart.json",
        "batches/nobody/r.jsonl",
    }
    for key in owned | orphans:
        put(tools, key)
    assert sweep(tools, OLD) == 0
    assert keys(tools) == owned | orphans | {kept}
    assert sweep(tools, timedelta(seconds=-1)) == 4
    assert keys(tools) == owned | {kept}


def test_working_folders_go_with_their_jobs(tools: Tools, add_job):
    live, over = add_job(), add_job()
    tools.store.jobs.change(over.id, when={"QUEUED"}, to="CANCELLED")
    for name in (live.id, over.id, "nobody"):
        (tools.choices.work / name / "restart").mkdir(parents=True)
    (tools.choices.work / "a dry run's").mkdir()
    os.utime(tools.choices.work / "nobody", (0, 0))
    assert sweep(tools) == 2
    assert {folder.name for folder in tools.choices.work.iterdir()} == {live.id, "a dry run's"}


def test_expired_files_go_unless_a_job_needs_them(tools: Tools, add_job, add_file):
    used, unused = add_file("a.jsonl", b"a"), add_file("b.jsonl", b"b")
    with tools.store.database.writing() as connection:
        connection.exec_driver_sql(f"update files set expires_at = {int(time.time()) - 1}")
    add_job(training_files=((used, 1.0),))
    assert sweep(tools) == 1
    assert tools.store.files.find(unused) is None
    assert keys(tools) == {f"files/{used}"}


def test_old_reviews_go_but_what_a_file_was_made_from_stays(tools: Tools, add_file):
    tools = replace(tools, choices=replace(tools.choices, review_days=30))
    there, now = add_file("rows.v2.jsonl", b"x"), int(time.time())
    for name, age, output in (("old", 31, None), ("young", 29, None), ("applied", 31, there), ("lost", 31, "gone")):
        put(tools, f"reviews/{name}/report.json")
        made = now - age * 86400
        tools.store.reviews.add(
            ReviewRecord(
                id=name,
                status="SUCCESS",
                training_file="f",
                created_at=made,
                modified_at=made,
                result_key=f"reviews/{name}/report.json",
                output_file=output,
                version={"number": 2},
                bytes=1,
            )
        )
    assert tools.store.files.stored_bytes() == 1 + 4
    assert sweep(tools) == 3
    assert {record.id for record in tools.store.reviews.list()[0]} == {"young", "applied"}
    assert keys(tools) == {"reviews/young/report.json", f"files/{there}"}
    assert tools.store.reviews.version_of(there) == {"number": 2}
    assert tools.store.files.stored_bytes() == 1 + 1
    assert sweep(tools) == 0


def test_reviews_are_kept_for_ever_where_the_operator_says_so(tools: Tools):
    tools.store.reviews.add(ReviewRecord(id="r", status="SUCCESS", training_file="f", created_at=0, modified_at=0))
    assert sweep(tools) == 0


def test_sealed_secrets_whose_job_never_came_go_after_an_hour(tools: Tools, add_job, monkeypatch):
    job = add_job()
    hour_ago = int(time.time()) - 3700
    with monkeypatch.context() as patch:
        fernet = Fernet(Fernet.generate_key())
        patch.setattr(tools.store.sealer, "seal", lambda plain: fernet.encrypt_at_time(plain, hour_ago))
        for owner in (job.id, "killed"):
            tools.store.secrets.put(owner, "wandb", "canary")
    tools.store.secrets.put("about to be there", "wandb", "canary")
    assert sweep(tools) == 1
    with tools.store.database.reading() as connection:
        left = {row[0] for row in connection.exec_driver_sql("select owner_id from secrets")}
    assert left == {job.id, "about to be there"}


def test_when_something_was_sealed_is_told_without_the_key():
    assert sealed_at(Fernet(Fernet.generate_key()).encrypt_at_time(b"x", 1_700_000_000)) == 1_700_000_000
    assert sealed_at(b"no token!") == 0


def test_old_operations_go_with_their_results(tools: Tools):
    tools = replace(tools, choices=replace(tools.choices, operation_days=30))
    for name, age in (("old", 31), ("young", 29)):
        put(tools, f"operations/{name}/result")
        made = int(time.time()) - age * 86400
        tools.store.operations.add(
            OperationRecord(
                id=name,
                kind="evaluate",
                status="SUCCESS",
                title=name,
                created_at=made,
                modified_at=made,
                result_key=f"operations/{name}/result",
            )
        )
    assert sweep(tools) == 1
    assert keys(tools) == {"operations/young/result"}
    put(tools, "operations/gone/result")
    assert sweep(tools, old=timedelta(days=-1)) == 1
    assert keys(tools) == {"operations/young/result"}


def test_links_that_ended_long_ago_are_forgotten(tools: Tools):
    now = int(time.time())
    for name, age in (("old", 31), ("young", 29)):
        ended = {"created_at": 1, "expires_at": now - age * 86400}
        tools.store.shares.add(ShareRecord(id=name, model_id="m", token_hash=name, title=name, per_minute=9, **ended))
    assert sweep(tools) == 0
    assert sweep(replace(tools, choices=replace(tools.choices, operation_days=30))) == 1
    assert [share.id for share in tools.store.shares.list()] == ["young"]
