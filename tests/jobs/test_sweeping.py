"""The sweep removes what nobody needs, and nothing else."""

from __future__ import annotations

import os
import time
from datetime import timedelta

from tamis.jobs.sweeping import OLD, sweep
from tamis.jobs.tools import Tools
from tamis.store.records import ModelRecord

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
