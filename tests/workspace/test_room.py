"""Quota and disk: what does not fit is refused before it comes or while it does, and leaves nothing."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tamis.errors import LimitExceeded, StorageFailed, StorageFull
from tamis.settings import Settings
from tamis.store.records import FileRecord
from tamis.workspace import room
from tamis.workspace.files import NewFile
from tamis.workspace.workspace import Workspace, open_workspace

Upload = Callable[..., FileRecord]
Usage = namedtuple("Usage", "free")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> Callable[[int], None]:
    """Sets how many bytes of the disk are free."""

    def left(free: int) -> None:
        monkeypatch.setattr(room.shutil, "disk_usage", lambda place: Usage(free))

    return left


def objects(workspace: Workspace) -> list[str]:
    """Return everything that is in the storage, drafts too."""
    root = workspace.store.objects.root
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_disk_with_less_room_than_is_to_stay_free_takes_nothing(workspace: Workspace, disk) -> None:
    disk(workspace.settings.min_free_disk_bytes - 1)
    with pytest.raises(StorageFull, match="min_free_disk_bytes"):
        workspace.files.begin(NewFile(name="a.jsonl"))
    disk(workspace.settings.min_free_disk_bytes + 100)
    workspace.files.refuse_size(100)
    with pytest.raises(StorageFull):
        workspace.files.refuse_size(101)


def test_a_disk_that_fills_meanwhile_ends_an_upload(workspace: Workspace, disk) -> None:
    disk(workspace.settings.min_free_disk_bytes + 10)
    coming = workspace.files.begin(NewFile(name="a.jsonl"))
    coming.write(b"x" * 10)
    disk(workspace.settings.min_free_disk_bytes)
    with pytest.raises(StorageFull):
        coming.write(b"x")
    coming.abort()
    assert objects(workspace) == []


def test_nothing_is_asked_where_nothing_is_to_stay_free(settings: Settings, upload: Upload, disk) -> None:
    disk(0)
    with open_workspace(settings.model_copy(update={"min_free_disk_bytes": 0})) as workspace:
        workspace.files.begin(NewFile(name="a.jsonl")).abort()


def test_a_disk_that_cannot_be_asked_refuses_nothing(workspace: Workspace, settings: Settings) -> None:
    workspace.files.room._places = (settings.home / "gone",)
    workspace.files.room.require(10**15)


class TestQuota:
    @pytest.fixture
    def small(self, settings: Settings):
        with open_workspace(settings.model_copy(update={"max_storage_bytes": 100})) as found:
            yield found

    def put(self, workspace: Workspace, n_bytes: int, name: str = "a.jsonl") -> FileRecord:
        coming = workspace.files.begin(NewFile(name=name))
        try:
            coming.write(b"x" * n_bytes)
            return coming.commit()
        finally:
            coming.abort()

    def test_all_files_together_may_have_so_many_bytes(self, small: Workspace) -> None:
        first = self.put(small, 60)
        small.files.refuse_size(40)
        for too_much in (lambda: small.files.refuse_size(41), lambda: self.put(small, 41, "b")):
            with pytest.raises(LimitExceeded, match="max_storage_bytes") as caught:
                too_much()
            assert caught.value.context["setting"] == "max_storage_bytes"
        self.put(small, 40, "c")
        with pytest.raises(LimitExceeded):
            small.files.begin(NewFile(name="d"))
        assert len(objects(small)) == 2
        small.files.delete(first.id)
        self.put(small, 60, "d")

    def test_files_that_come_at_the_same_time_do_not_fit_together(self, small: Workspace) -> None:
        coming = [small.files.begin(NewFile(name=f"{n}")) for n in range(4)]
        for each in coming:
            each.write(b"x" * 40)

        def kept(each) -> bool:
            try:
                each.commit()
            except LimitExceeded:
                return False
            return True

        with ThreadPoolExecutor(4) as threads:
            assert sorted(threads.map(kept, coming)) == [False, False, True, True]
        assert len(objects(small)) == small.files.list(0, 10, {})[1] == 2


def test_a_row_that_cannot_be_written_leaves_no_object(
    workspace: Workspace, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageFull

    monkeypatch.setattr(workspace.store.files, "add", full)
    with pytest.raises(StorageFailed):
        upload()
    assert objects(workspace) == []


def test_jobs_do_not_start_on_a_full_disk(workspace: Workspace, upload: Upload, disk) -> None:
    from tamis.workspace.batches import NewBatch
    from tamis.workspace.jobs import NewJob

    file = upload().id
    asked = NewJob(model="ministral-3b-latest", training_files=[(file, 1.0)])
    job = workspace.jobs.create(asked)
    workspace.store.jobs.change(job.id, when=None, to="VALIDATED")
    disk(0)
    for start in (
        lambda: workspace.jobs.start(job.id),
        lambda: workspace.jobs.create(NewJob(model="english", training_files=[(file, 1.0)], auto_start=True)),
        lambda: workspace.batches.create(NewBatch(endpoint="/v1/classifications", input_files=[file])),
    ):
        with pytest.raises(StorageFull):
            start()
    assert workspace.jobs.get(job.id).job.status == "VALIDATED"
