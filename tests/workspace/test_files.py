"""Files: whole or not at all, the same once, signed links, what a name may be."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tamis.errors import Forbidden, InUse, InvalidRequest, LimitExceeded, UnknownFile
from tamis.jobs import sweeping
from tamis.workspace import files as module
from tamis.workspace.files import NewFile, plain_name
from tamis.workspace.jobs import NewJob
from tamis.workspace.workspace import Workspace


def test_an_upload_is_not_there_before_it_is_whole(workspace: Workspace):
    coming = workspace.files.begin(NewFile(name="rows.jsonl"))
    coming.write(b"one\n")
    assert workspace.files.list(0, 10, {}) == ([], 0)
    coming.write(b"two")
    record = coming.commit()
    assert (record.bytes, record.num_lines, record.purpose, record.sample_type) == (7, 2, "fine-tune", "instruct")
    assert record.mimetype == "application/jsonl"
    assert b"".join(workspace.files.read(record.id)) == b"one\ntwo"


def test_the_same_file_from_eight_at_once_is_one_file(workspace: Workspace):
    coming = [workspace.files.begin(NewFile(name="rows.jsonl")) for _ in range(8)]
    for each in coming:
        each.write(b"same\n")
    with ThreadPoolExecutor(8) as threads:
        records = list(threads.map(lambda each: each.commit(), coming))
    assert len({record.id for record in records}) == 1
    assert workspace.files.list(0, 10, {})[1] == len(list(workspace.store.objects.list("files"))) == 1


def test_what_has_expired_is_uploaded_anew(upload, workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    first = upload(b"same\n", expiry_hours=1)
    later = time.time() + 3601
    monkeypatch.setattr(module, "time", lambda: later)
    assert upload(b"same\n").id != first.id


def test_line_breaks_in_packed_bytes_are_no_lines(upload):
    assert upload(b"\x1f\x8b\n\n", name="rows.jsonl.gz").num_lines is None


def test_what_is_aborted_or_too_large_or_empty_leaves_nothing(workspace: Workspace):
    large = workspace.files.begin(NewFile(name="rows.jsonl"))
    with pytest.raises(LimitExceeded, match="max_upload_bytes"):
        large.write(b"x" * 1001)
    large.abort()
    with pytest.raises(InvalidRequest, match="is empty"):
        workspace.files.begin(NewFile(name="rows.jsonl")).commit()
    assert workspace.files.list(0, 10, {}) == ([], 0)
    assert list(workspace.store.objects.list("files")) == []


def test_the_same_name_and_content_is_the_same_file_unless_it_is_for_something_else(upload, workspace: Workspace):
    first = upload(b"same\n")
    assert upload(b"same\n").id == first.id
    others = {upload(b"same\n", name="other.jsonl").id, upload(b"same\n", purpose="batch").id, upload(b"else\n").id}
    assert len(others | {first.id}) == 4
    assert len(list(workspace.store.objects.list("files"))) == 4


def test_a_signed_link_opens_its_file_until_it_expires(upload, workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    record, other = upload(b"mine\n"), upload(b"other\n")
    query = workspace.files.sign(record.id, 1)
    found, content = workspace.files.open_signed(record.id, **query)
    assert (found.id, b"".join(content)) == (record.id, b"mine\n")
    for file_id, changed in (
        (other.id, {}),
        (record.id, {"expires": str(int(query["expires"]) + 1)}),
        (record.id, {"signature": "0" * 64}),
        (record.id, {"signature": "ü"}),
        (record.id, {"expires": "soon"}),
    ):
        with pytest.raises(Forbidden, match="signature is wrong"):
            workspace.files.open_signed(file_id, **{**query, **changed})
    later = time.time() + 3700
    monkeypatch.setattr(module, "time", lambda: later)
    with pytest.raises(Forbidden, match="expired"):
        workspace.files.open_signed(record.id, **query)
    with pytest.raises(InvalidRequest, match="expiry is 0"):
        workspace.files.sign(record.id, 0)


def test_a_file_that_a_job_needs_cannot_be_deleted(upload, workspace: Workspace):
    record = upload()
    job = workspace.jobs.create(NewJob(model="english", training_files=[(record.id, 1.0)]))
    with pytest.raises(InUse, match=job.id):
        workspace.files.delete(record.id)
    workspace.jobs.cancel(job.id)
    workspace.files.delete(record.id)
    with pytest.raises(UnknownFile):
        workspace.files.get(record.id)
    assert list(workspace.store.objects.list("files")) == []


def test_files_expire(upload, workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    record, kept = upload(b"short\n", expiry_hours=1), upload(b"long\n")
    assert workspace.files.get(record.id).expires_at == record.created_at + 3600
    later = time.time() + 3700
    monkeypatch.setattr(module, "time", lambda: later)
    with pytest.raises(UnknownFile):
        workspace.files.get(record.id)
    monkeypatch.setattr(sweeping, "time", lambda: later)
    assert sweeping.expired_files(workspace.store) == 1
    assert [info.key for info in workspace.store.objects.list("files")] == [kept.key]


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("rows.jsonl", "rows.jsonl"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\rows.csv", "rows.csv"),
        ("..", None),
        ("", None),
        ("\x00\n", None),
        ("a" * 300 + ".jsonl", "a" * 249 + ".jsonl"),
        ("zażółć 🧀.jsonl", "zażółć 🧀.jsonl"),
    ],
)
def test_names_have_no_folders_and_nothing_that_steers_terminals(given: str, plain: str | None):
    if plain is None:
        with pytest.raises(InvalidRequest, match="no name"):
            plain_name(given)
    else:
        assert plain_name(given) == plain


@pytest.mark.parametrize(
    "said", [{"purpose": "a b"}, {"visibility": "world"}, {"expiry_hours": 0}, {"expiry_hours": 10**9}]
)
def test_what_cannot_be_meant_is_refused(workspace: Workspace, said: dict):
    with pytest.raises(InvalidRequest, match=r"expiry|purpose|visibility"):
        workspace.files.begin(NewFile(name="rows.jsonl", **said))
