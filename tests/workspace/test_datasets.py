"""Datasets as jobs want them; what a process that died leaves behind."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tamis.errors import UnknownDataset
from tamis.jobs import reading_rows
from tamis.store.records import DatasetRecord, FileRecord
from tamis.workspace import datasets
from tamis.workspace.datasets import MULTI, SINGLE, NewDataset
from tamis.workspace.workspace import Workspace


@pytest.fixture(autouse=True)
def room(workspace: Workspace) -> None:
    """Files of some size, other than in the tests beside this one."""
    workspace.files._max_bytes = 100_000


def upload(workspace: Workspace, new: NewDataset, rows: list[Any], part: str = "data") -> FileRecord:
    incoming = workspace.datasets.begin(new, part, f"{part}.jsonl")
    incoming.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
    return incoming.commit()


def rows(several: bool = False) -> list[Any]:
    return [{"text": f"tëxt {n}", "label": ["a", "b"][: n % 3] if several else "ab"[n % 2]} for n in range(45)]


@pytest.mark.parametrize("kind", [SINGLE, MULTI])
def test_the_rows_that_jobs_read(workspace: Workspace, kind: str) -> None:
    new = NewDataset(name="mine", type=kind)
    said = rows(kind == MULTI)
    made = workspace.datasets.create(new, {"data": upload(workspace, new, said)})
    assert (made.status, made.error) == ("validated", None)
    content = b"".join(workspace.files.read(made.parts[0]["rows_file"])).decode()
    wanted = [{"text": row["text"], "labels": {"label": row["label"]}} for row in said]
    assert [json.loads(line) for line in content.splitlines()] == wanted


@pytest.mark.parametrize("kind", [SINGLE, MULTI])
def test_many_rows_are_read_in_a_process_of_their_own_with_the_same_outcome(
    workspace: Workspace, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = NewDataset(name="mine", type=kind, skip_malformed=True)
    said = [*rows(kind == MULTI), {"text": "x"}]
    here = workspace.datasets.create(new, {"data": upload(workspace, new, said)})
    monkeypatch.setattr(datasets, "FEW", 0)
    monkeypatch.setattr(datasets, "write_rows", None)
    aside = workspace.datasets.create(new, {"data": upload(workspace, new, said)})
    assert (aside.status, aside.warnings, aside.metrics) == ("validated", here.warnings, here.metrics)
    for name in ("rows", "samples", "file", "name"):
        assert aside.parts[0][name] == here.parts[0][name]
    contents = [b"".join(workspace.files.read(made.parts[0]["rows_file"])) for made in (here, aside)]
    assert contents[0] == contents[1] != b""


def test_rows_that_take_too_much_fail_the_dataset_and_nothing_else(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = NewDataset(name="mine", type=SINGLE)
    monkeypatch.setattr(datasets, "FEW", 0)
    monkeypatch.setattr(reading_rows, "BOUNDS", replace(reading_rows.BOUNDS, memory_mb=1.0))
    made = workspace.datasets.create(new, {"data": upload(workspace, new, rows())})
    assert (made.status, made.parts) == ("failed", ())
    assert "more time or memory" in str(made.error)
    assert list(workspace.store.objects.list()) == []
    assert not list(workspace.settings.home.glob("dataset-*"))


def test_bad_rows_are_told_by_that_process_as_by_this_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = NewDataset(name="mine", type=SINGLE)
    monkeypatch.setattr(datasets, "FEW", 0)
    for content, says in ((b"PAR1 and more", "of the format parquet"), (b"a,b\n1,2\n", "has no columns")):
        coming = workspace.datasets.begin(new, "data", "data")
        coming.write(content)
        made = workspace.datasets.create(new, {"data": coming.commit()})
        assert made.status == "failed"
        assert says in str(made.error)
        assert str(workspace.settings.home) not in str(made.error)


def test_bad_data_leaves_the_reason_alone(workspace: Workspace) -> None:
    new = NewDataset(name="mine", type=SINGLE)
    made = workspace.datasets.create(new, {"data": upload(workspace, new, [*rows(), {"text": "x"}])})
    assert (made.status, made.parts, made.bytes) == ("failed", (), 0)
    assert "data.jsonl:46" in str(made.error)
    assert workspace.files.list(0, 10, {})[1] == 0
    assert list(workspace.store.objects.list()) == []


def test_rows_that_were_skipped_are_told(workspace: Workspace) -> None:
    new = NewDataset(name="mine", type=SINGLE, skip_malformed=True, keep_fields=("id",))
    made = workspace.datasets.create(new, {"data": upload(workspace, new, [*rows(), {"text": "x"}])})
    assert made.status == "validated"
    assert made.parts[0]["rows"] == 45
    assert "1 malformed row of" in made.warnings[0]
    assert "keep_fields" in made.warnings[-1]


def test_evaluation_data_without_a_row(workspace: Workspace) -> None:
    new = NewDataset(name="mine", type=SINGLE, skip_malformed=True)
    parts = {
        "data": upload(workspace, new, rows()),
        "eval_data": upload(workspace, new, [{"text": " ", "label": "a"}], "eval_data"),
    }
    made = workspace.datasets.create(new, parts)
    assert made.status == "failed"
    assert "no valid example" in str(made.error)


def test_what_nobody_expected_leaves_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("unexpected")

    monkeypatch.setattr(datasets, "judge", fail)
    new = NewDataset(name="mine", type=SINGLE)
    with pytest.raises(RuntimeError, match="unexpected"):
        workspace.datasets.create(new, {"data": upload(workspace, new, rows())})
    assert workspace.datasets.list(0, 10, {}) == []
    assert workspace.files.list(0, 10, {})[1] == 0


def test_deleted_while_it_is_looked_at_it_leaves_no_files(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(*given: Any) -> Any:
        (record,) = workspace.datasets.list(0, None, {})
        workspace.datasets.delete(record.id)
        return judged(*given)

    judged = datasets.judge
    monkeypatch.setattr(datasets, "judge", judge)
    new = NewDataset(name="mine", type=SINGLE, keep_original=True)
    with pytest.raises(UnknownDataset):
        workspace.datasets.create(new, {"data": upload(workspace, new, rows())})
    assert workspace.files.list(0, 10, {})[1] == 0


def test_a_process_that_died_while_it_looked(workspace: Workspace) -> None:
    record = DatasetRecord(id="d", name="n", type=SINGLE, status="processing", created_at=1, modified_at=1)
    workspace.store.datasets.add(record)
    found = workspace.datasets.get("d")
    assert (found.status, "create it again" in str(found.error)) == ("failed", True)
    workspace.datasets.delete("d")
    with pytest.raises(UnknownDataset):
        workspace.datasets.get("d")


def test_no_folder_is_left(workspace: Workspace) -> None:
    new = NewDataset(name="mine", type=SINGLE)
    workspace.datasets.create(new, {"data": upload(workspace, new, rows())})
    home: Path = workspace.settings.home
    assert list(home.glob("dataset-*")) == []
