"""What may be asked of files on their way to a training, and that buckets are asked for their beginning only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tamis.data.layout import Layout
from tamis.errors import Conflict, InvalidRequest, InvalidSetting, LimitExceeded, UnknownFile, UnknownOperation
from tamis.settings import Settings
from tamis.workspace import preparing as module
from tamis.workspace.files import NewFile
from tamis.workspace.operations import NewOperation
from tamis.workspace.preparing import Choice, NewPreparation, Preparing
from tamis.workspace.workspace import Workspace, open_workspace

CSV = b"text,label\nwhere is my parcel,delivery\nI want my money,refund\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("TAMIS_HOME", str(tmp_path / "home"))
    with open_workspace(Settings()) as workspace:
        monkeypatch.setattr(workspace.operations._background, "submit", lambda *_: None)
        yield workspace


def put(workspace: Workspace, content: bytes = CSV, name: str = "rows.csv") -> str:
    coming = workspace.files.begin(NewFile(name=name))
    coming.write(content)
    return coming.commit().id


def test_what_is_told_to_the_work(here: Workspace) -> None:
    files = {"training": put(here), "test": put(here, name="test.csv")}
    new = NewPreparation(
        files=files, layout=Layout(text="text"), shares={"validation": 0.2, "test": 0.3}, created_by="k"
    )
    record = Preparing(here).begin(new)
    assert (record.kind, record.title, record.created_by) == ("prepare", "rows.csv", "k")
    assert record.told["files"] == files
    assert record.told["shares"] == {"validation": 0.2}
    assert Layout.model_validate(record.told["layout"]) == new.layout


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"files": {"training": "nope"}}, UnknownFile),
        ({"files": {}}, InvalidRequest),
        ({"shares": {"validation": 0.6}}, InvalidRequest),
        ({"shares": {"validation": -0.1}}, InvalidRequest),
        ({"shares": {"validation": float("nan")}}, InvalidRequest),
        ({"shares": {"training": 0.1}}, InvalidRequest),
        ({"shares": {"validation": 0.4, "test": 0.4}}, InvalidRequest),
        ({"layout": Layout(encoding="klingon")}, InvalidSetting),
        ({"layout": Layout(separators={"label": ""})}, InvalidSetting),
    ],
)
def test_what_cannot_be_made_ready_is_refused(here: Workspace, given: dict[str, Any], error: type[Exception]) -> None:
    usual: dict[str, Any] = {"files": {"training": put(here)}, "layout": Layout()}
    with pytest.raises(error):
        Preparing(here).begin(NewPreparation(**{**usual, **given}))
    assert here.operations.list(0, 9, {})[1] == 0


def test_without_room_nothing_begins(here: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    training = put(here)
    monkeypatch.setattr(here.files.room, "most_bytes", 2 * len(CSV) - 1)
    with pytest.raises(LimitExceeded):
        Preparing(here).begin(NewPreparation(files={"training": training}, layout=Layout()))


def test_only_preparations_that_are_finished_have_a_result(here: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    preparing = Preparing(here)
    record = preparing.begin(NewPreparation(files={"training": put(here)}, layout=Layout()))
    with pytest.raises(Conflict):
        preparing.result(record.id)
    other = here.operations.create(NewOperation(kind="export", title="x"))
    for id in (other.id, "nope"):
        with pytest.raises(UnknownOperation):
            preparing.get(id)


def test_looking_leaves_nothing_behind(here: Workspace) -> None:
    preparing = Preparing(here)
    found = preparing.look(put(here), Choice())
    assert [column.role for column in found.columns] == ["text", "label"]
    assert preparing.look_as(put(here, name="b.csv"), found.layout).rows == found.rows
    work = here.settings.home / "work"
    assert not work.exists() or not list(work.iterdir())
    with pytest.raises(UnknownFile):
        preparing.look("nope", Choice())


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
def test_of_a_bucket_only_the_beginning_is_fetched(here: Workspace, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    rows = CSV + b"a text of some length,delivery\n" * 1000
    whole = b'[{"text": "a", "label": "b"}, {"text": "c", "label": "d"}]'
    file_id = put(here, rows if name == "rows.csv" else whole, name)
    monkeypatch.setattr(here.store.objects, "local_path", lambda key: None)
    monkeypatch.setattr(module, "HEAD", 500 if name == "rows.csv" else 1)
    monkeypatch.setattr(module, "PIECE", 100)
    preparing = Preparing(here)
    read, fetched = here.store.objects.read, list[tuple[int, int | None]]()

    def spied(key: str, start: int = 0, chunk: int = 100, end: int | None = None) -> Iterator[bytes]:
        fetched.append((start, end))
        return read(key, start, chunk, end)

    monkeypatch.setattr(here.store.objects, "read", spied)
    found = preparing.look(file_id, Choice())
    assert not found.problem
    assert not found.bad
    assert found.looked_at == 2 if name == "rows.json" else 10 < found.looked_at < 25 + 16 * 3
    if name == "rows.csv":  # the beginning, and places behind it
        assert fetched[0] == (0, 500)
        assert len(fetched) == 1 + module.PIECES
        assert all(end is not None and end - start == 100 for start, end in fetched[1:])


def test_of_a_bucket_rows_far_from_the_beginning_are_seen(here: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = b"text,label\n" + b"".join(b"a text of some length,topic %d\n" % (n // 200) for n in range(2_000))
    file_id = put(here, rows, "rows.csv")
    monkeypatch.setattr(here.store.objects, "local_path", lambda key: None)
    monkeypatch.setattr(module, "HEAD", 5_000)
    monkeypatch.setattr(module, "PIECE", 500)
    found = Preparing(here).look(file_id, Choice())
    assert {"topic 0", "topic 5", "topic 9"} <= set(found.targets[0].labels)
