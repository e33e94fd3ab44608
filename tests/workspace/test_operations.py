"""Operations: done in the background, by a process of their own, with one result that goes when they go."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tamis.errors import Conflict, DataError, InvalidRequest, LimitExceeded, Overloaded, StorageFailed, UnknownOperation
from tamis.jobs import operating
from tamis.jobs.aside import understood
from tamis.jobs.choosing import choices_of
from tamis.jobs.operating import Acting, Done
from tamis.jobs.tools import Tools
from tamis.jobs.worker import owner_name
from tamis.settings import Settings
from tamis.store.records import ModelRecord, OperationRecord
from tamis.workspace import operations as module
from tamis.workspace.background import CANCELLED, FAILED, LIVE, QUEUED, RUNNING, SILENT_S, STOPPED, SUCCESS
from tamis.workspace.operations import NewOperation
from tamis.workspace.workspace import Workspace, open_workspace

COUNT = NewOperation(kind="count", title="count the letters", told={"text": "abc"}, model_id="m", created_by="k")


def count(acting: Acting) -> Done:
    """Count letters."""
    acting.tell(0.5, "counting")
    (acting.work / "count.txt").write_text(str(len(acting.told["text"])), encoding="utf-8")
    return Done(acting.work / "count.txt", "count.txt", "text/plain", {"letters": len(acting.told["text"])})


def endless(acting: Acting) -> Done:
    """Write on."""
    acting.tell(0.5, "writing")
    raise AssertionError("It goes on, though the disk is full.")


def wide(acting: Acting) -> Done:
    """Leave a result that is larger than it is told."""
    (acting.work / "wide").touch()
    os.truncate(acting.work / "wide", 10**9)
    return Done(acting.work / "wide")


def fail(acting: Acting) -> Done:
    """Find something wrong with the data."""
    raise DataError("Row 3 has no text: give it one.")


@pytest.fixture(autouse=True)
def acts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(operating.ACTS, "count", f"{__name__}:count")
    monkeypatch.setitem(operating.ACTS, "fail", f"{__name__}:fail")


@pytest.fixture
def here(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose operations are done in this process, where the acts of this file are known."""

    def answered(kind: str, told: dict[str, str], home: Path, bounds: object, check: Callable[[], None]) -> object:
        check()
        answer = operating.answer(Tools(workspace.store, choices_of(workspace.settings)), told)
        return understood(answer, 0, kind)

    monkeypatch.setattr(operating, "act_of", lambda kind: {"count": count, "classify": count, "fail": fail}[kind])
    monkeypatch.setattr(module, "run_aside", answered)
    return workspace


def ended(workspace: Workspace, id: str) -> OperationRecord:
    for _ in range(3000):
        if (record := workspace.operations.get(id)).status not in LIVE:
            return record
        time.sleep(0.01)
    raise AssertionError(workspace.operations.get(id))


def test_done_with_its_result(here: Workspace):
    made = here.operations.create(COUNT)
    assert (made.status, made.title, made.created_by) == (QUEUED, "count the letters", "k")
    done = ended(here, made.id)
    assert (done.status, done.summary, done.progress, done.error) == (SUCCESS, {"letters": 3}, 1.0, None)
    assert (done.result_name, done.media_type, done.bytes) == ("count.txt", "text/plain", 1)
    assert b"".join(here.operations.read(made.id)) == b"3"
    assert here.operations.latest("count", "m") == done
    assert here.store.files.stored_bytes() == 1
    assert not (choices_of(here.settings).work / made.id).exists()


def test_what_goes_wrong_is_said(here: Workspace):
    failed = ended(here, here.operations.create(NewOperation(kind="fail", title="f", model_id="m")).id)
    assert (failed.status, failed.error) == (FAILED, "Row 3 has no text: give it one.")
    assert here.operations.latest("fail", "m") is None
    with pytest.raises(Conflict, match="FAILED: Row 3 has no text"):
        here.operations.read(failed.id)


def test_done_in_a_process_of_its_own(workspace: Workspace):
    """The process does not know the acts of this file, and says so."""
    failed = ended(workspace, workspace.operations.create(COUNT).id)
    assert failed.status == FAILED
    assert "no operations of the kind 'count'" in str(failed.error)


def test_one_of_another_kind_or_model_is_not_there(here: Workspace):
    found = here.operations.create(COUNT)
    assert here.operations.get(found.id, "count", "m").id == here.operations.get(found.id).id
    for kind, model_id in (("export", "m"), ("count", "other"), ("export", None), (None, "other")):
        with pytest.raises(UnknownOperation, match=found.id):
            here.operations.get(found.id, kind, model_id)


def test_results_go_with_their_operation_and_with_their_model(here: Workspace):
    first, second = (ended(here, here.operations.create(COUNT).id) for _ in range(2))
    here.operations.delete(first.id)
    assert not here.store.objects.exists(str(first.result_key))
    with pytest.raises(UnknownOperation, match="There is no operation"):
        here.operations.get(first.id)
    record = ModelRecord(id="m", name="m", root="b", base="b", place="folder:/nowhere", created_at=1)
    here.store.models.add(record)
    here.models.archive("m")
    assert here.operations.get(second.id)
    here.models.delete("m")
    with pytest.raises(UnknownOperation):
        here.operations.get(second.id)
    assert not here.store.objects.exists(str(second.result_key))


def test_cancelled_while_it_waits_or_works(here: Workspace, monkeypatch: pytest.MonkeyPatch):
    began = []

    def slow(kind: str, told: object, home: Path, bounds: object, check: Callable[[], None]) -> object:
        began.append(1)
        while True:
            check()
            time.sleep(0.01)

    monkeypatch.setattr(module, "run_aside", slow)
    monkeypatch.setattr("tamis.workspace.background.LOOK_S", 0.0)
    works, also, waits = (here.operations.create(COUNT) for _ in range(3))
    while len(began) < module.AT_ONCE:
        time.sleep(0.01)
    assert here.operations.get(works.id).status == RUNNING
    for each in (waits, works, also):
        assert here.operations.cancel(each.id).status == CANCELLED
    assert here.operations.cancel(works.id).status == CANCELLED


def test_files_that_anybody_labels_hold_nobody_else_up(here: Workspace, monkeypatch: pytest.MonkeyPatch):
    done = module.run_aside

    def slow(kind: str, told: dict[str, str], home: Path, bounds: object, check: Callable[[], None]) -> object:
        while here.store.operations.find(told["id"]).kind == "classify":
            check()
            time.sleep(0.01)
        return done(kind, told, home, bounds, check)

    monkeypatch.setattr(module, "run_aside", slow)
    monkeypatch.setattr(module, "MOST_LIVE", 3)
    monkeypatch.setattr("tamis.workspace.background.LOOK_S", 0.0)
    labelling = [here.operations.create(replace(COUNT, kind="classify")) for _ in range(3)]
    with pytest.raises(Overloaded):
        here.operations.create(replace(COUNT, kind="classify"))
    assert ended(here, here.operations.create(COUNT).id).status == SUCCESS
    assert here.operations.get(labelling[0].id).status in LIVE
    for each in labelling:
        here.operations.cancel(each.id)


def test_ended_with_the_server(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "act_of", lambda kind: count)

    def slow(kind: str, told: object, home: Path, bounds: object, check: Callable[[], None]) -> object:
        while True:
            check()
            time.sleep(0.01)

    monkeypatch.setattr(module, "run_aside", slow)
    with open_workspace(settings) as first:
        made = first.operations.create(COUNT)
        while first.operations.get(made.id).status != RUNNING:
            time.sleep(0.01)
    with open_workspace(settings) as again:
        assert again.operations.get(made.id).error == STOPPED[1]


def test_one_whose_process_is_dead_has_failed(workspace: Workspace):
    now = int(time.time())
    record = OperationRecord(id="here", kind="count", status=RUNNING, title="", created_at=now, modified_at=now)
    for host in (socket.gethostname(), "elsewhere"):
        owner = f"{host}/999999999/1.00"
        workspace.store.operations.add(replace(record, id=host, owner=owner))
    assert workspace.operations.get(socket.gethostname()).error == STOPPED[1]
    assert {found.status for found in workspace.operations.list(0, 9, {})[0]} == {FAILED, RUNNING}
    silent = replace(record, id="silent", owner="elsewhere/1/1.00", modified_at=now - int(SILENT_S) - 9)
    workspace.store.operations.add(silent)
    assert workspace.operations.get("silent").error == STOPPED[1]


def test_an_error_that_nobody_expected_is_an_end_as_well(
    here: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(*arguments: object) -> object:
        raise KeyError("a defect of ours")

    monkeypatch.setattr(module, "run_aside", broken)
    failed = ended(here, here.operations.create(COUNT).id)
    assert (failed.status, failed.error_code) == (FAILED, "error")
    assert "a defect in Tamis (KeyError)" in str(failed.error)
    assert [record.exc_info is not None for record in caplog.records if failed.id in record.getMessage()] == [True]


def test_an_end_that_could_not_be_written_down_is_so_later(here: Workspace, monkeypatch: pytest.MonkeyPatch):
    """The database was away when it ended."""
    change, failed = here.store.operations.change, []

    def away(id: str, when: str | None = None, **columns: object) -> object:
        if columns.get("status") == FAILED and not failed:
            failed.append(id)
            raise StorageFailed("The database is away.")
        return change(id, when=when, **columns)

    monkeypatch.setattr(here.store.operations, "change", away)
    made = here.operations.create(replace(COUNT, kind="fail"))
    while not failed:
        time.sleep(0.01)
    assert ended(here, made.id).error == "Row 3 has no text: give it one."


def test_those_of_a_dead_server_take_no_place(here: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_LIVE", 1)
    now, owner = int(time.time()), f"{socket.gethostname()}/999999999/1.00"
    dead = OperationRecord(
        id="dead", kind="count", status=QUEUED, title="", created_at=now, modified_at=now, owner=owner
    )
    here.store.operations.add(dead)
    assert ended(here, here.operations.create(COUNT).id).status == SUCCESS


def test_too_many_too_large_or_of_no_kind(here: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_LIVE", 0)
    with pytest.raises(Overloaded, match="wait, or cancel some"):
        here.operations.create(COUNT)
    monkeypatch.undo()
    with pytest.raises(InvalidRequest, match="no operations of the kind 'sing'"):
        here.operations.create(NewOperation(kind="sing", title=""))


def test_a_result_beyond_the_quota_is_not_kept(here: Workspace, monkeypatch: pytest.MonkeyPatch):
    def refuse(n_bytes: int = 0) -> None:
        if n_bytes:
            raise LimitExceeded("The quota is used up.")

    monkeypatch.setattr(here.files.room, "require_for_file", refuse)
    failed = ended(here, here.operations.create(COUNT).id)
    assert (failed.status, failed.error) == (FAILED, "The quota is used up.")
    assert not here.store.objects.exists(f"operations/{failed.id}/result")


@pytest.mark.parametrize("act", [endless, wide])
def test_no_operation_fills_the_disk(here: Workspace, monkeypatch: pytest.MonkeyPatch, act: operating.Act):
    """Neither while it works nor with what it leaves."""
    free = 1.5e9 if act is wide else 9e8
    monkeypatch.setattr(here.files.room, "require_for_file", lambda n_bytes=0: None)
    monkeypatch.setattr("tamis.jobs.tools.shutil.disk_usage", lambda place: SimpleNamespace(free=int(free)))
    monkeypatch.setattr(operating, "act_of", lambda kind: act)
    failed = ended(here, here.operations.create(COUNT).id)
    assert (failed.status, failed.error_code) == (FAILED, "storage_full")
    assert not here.store.objects.exists(f"operations/{failed.id}/result")


def test_what_a_job_left_is_begun_by_whoever_sees_it_first(here: Workspace):
    left = OperationRecord(
        id="left", kind="count", status=QUEUED, title="t", told={"text": "ab"}, created_at=1, modified_at=1
    )
    here.store.operations.add(left)
    seen, _ = here.operations.list(0, 10, {})
    assert [record.owner is None for record in seen] == [False]
    done = ended(here, "left")
    assert (done.summary, done.owner) == ({"letters": 2}, owner_name())


def test_whoever_does_it_owns_it(here: Workspace):
    """Two servers may see at once what a job left: only one begins it, whoever wrote its name last."""
    other = f"{socket.gethostname()}/999999999/1.00"
    left = OperationRecord(
        id="left", kind="count", status=QUEUED, title="t", told={"text": "ab"}, created_at=1, modified_at=1, owner=other
    )
    here.store.operations.add(left)
    here.operations._background._do(here.operations._do, "left")
    assert here.operations.get("left").status == SUCCESS
    assert here.operations.get("left").owner == owner_name()
