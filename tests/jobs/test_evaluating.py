"""A model measured on a file: the figures of `Model.evaluate`, with the rows behind them, in bounded JSON."""

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import pytest

from tamis.errors import DataError, InvalidSetting, UnknownModel
from tamis.evaluation.kept import LEARNT_FROM, Evaluation, ToldTarget, page_of
from tamis.jobs.evaluating import evaluate
from tamis.jobs.exporting import write_export
from tamis.jobs.operating import Acting, Done
from tamis.jobs.tools import Tools
from tamis.ml.model import load
from tamis.ml.training import train
from tamis.store.opening import Store
from tamis.store.records import ModelRecord, OperationRecord
from tamis.testing import tiny_base

TEXTS = {"delivery": "where is my parcel", "payment": "you charge my card"}
HOSTILE = "<script>alert(1)</script>"


def rows_of(n: int) -> list[dict[str, Any]]:
    return [
        {"text": f"{text} {'please ' * (k % 3)}", "labels": {"topic": topic, "flags": ["rude"] if k % 2 else []}}
        for k in range(n)
        for topic, text in TEXTS.items()
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model")
    train(rows_of(20), base=str(tiny_base(place / "base")), out=place / "made", epochs=4, name="shop")
    return place / "made"


@pytest.fixture
def model(store: Store, folder: Path) -> str:
    record = ModelRecord(
        id=str(uuid4()), name="shop", root="r", base="b", place=f"folder:{folder}", created_at=int(time())
    )
    return store.models.add(record).id


Act = Callable[..., Done]


@pytest.fixture
def act(tools: Tools, tmp_path: Path) -> Act:
    def do(what: Callable[[Acting], Done], **told: object) -> Done:
        record = OperationRecord(id="o", kind="k", status="RUNNING", title="", created_at=0, modified_at=0, told=told)
        work = tmp_path / "act"
        work.mkdir(exist_ok=True)
        return what(Acting(tools, record, work, lambda share, stage: None))

    return do


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def measured(done: Done) -> Evaluation:
    assert isinstance(done.content, bytes)
    return Evaluation.model_validate_json(done.content)


def test_it_measures_as_evaluate_does(act: Act, add_file: Any, model: str, folder: Path, tmp_path: Path) -> None:
    rows = [*rows_of(6), {"text": f"{HOSTILE} charge", "labels": {"topic": "delivery", "flags": ["rude", "new"]}}]
    done = act(evaluate, model=model, file=add_file("test.jsonl", lines(rows)))
    found = measured(done)
    (tmp_path / "rows.jsonl").write_bytes(lines(rows))
    wanted = load(folder).evaluate(tmp_path / "rows.jsonl")
    assert found.report.to_json() | {"seconds": 0} == wanted.to_json() | {"seconds": 0}
    assert (found.model, found.file, found.remarks) == ("shop@1", "test.jsonl", ())
    told = ToldTarget(found, "topic")
    (worst,) = told.mistakes()
    assert worst.row.line == 13
    assert "".join(part for part, _ in worst.parts) == f"{HOSTILE} charge"
    cell = told.kept.cells[told.places["delivery", "payment"]]
    assert [found.rows[row.row].line for row in cell.rows] == [13]
    assert done.summary["targets"]["topic"]["value"] == wanted.to_json()["targets"]["topic"]["accuracy"]
    assert set(found.targets["topic"].charts) == {"reliability", "coverage"}
    assert set(found.targets["flags"].charts) == {"reliability", "thresholds"}


def test_the_report_is_made_again_without_the_rows(act: Act, add_file: Any, model: str) -> None:
    rows = [*rows_of(3), {"text": f"{HOSTILE} charge", "labels": {"topic": "delivery"}}]
    page = page_of(measured(act(evaluate, model=model, file=add_file("test.jsonl", lines(rows))))).render()
    assert "Evaluation of shop@1" in page
    assert HOSTILE not in page.partition("</header>")[2].partition("<script>")[0]
    assert "&lt;script&gt;" in page


def test_what_should_be_known_is_told(act: Act, add_file: Any, model: str) -> None:
    done = act(evaluate, model=model, file=add_file("train.jsonl", lines(rows_of(20)) + b"no json\n"))
    assert done.summary["learnt_from"] is True
    assert done.summary["remarks"][0] == LEARNT_FROM
    assert "1 row was left out" in done.summary["remarks"][1]
    assert "Line 41" in done.summary["remarks"][1]


def test_columns_that_are_called_otherwise_are_named(act: Act, add_file: Any, model: str) -> None:
    file = add_file("rows.csv", b"id,said,topic\n1,where is my parcel,delivery\n2,you charge my card,payment\n")
    done = act(evaluate, model=model, file=file, text_column="said", label_columns=["topic"])
    assert done.summary["rows"] == 2
    assert list(done.summary["targets"]) == ["topic"]


def test_what_cannot_be_measured_says_why(act: Act, add_file: Any, model: str) -> None:
    with pytest.raises(DataError, match="topic"):
        act(evaluate, model=model, file=add_file("other.jsonl", b'{"text": "a", "labels": {"x": "y", "z": "u"}}\n'))
    with pytest.raises(DataError):
        act(evaluate, model=model, file=add_file("empty.jsonl", b""))
    with pytest.raises(UnknownModel):
        act(evaluate, model="gone", file="none")


def test_a_model_is_taken_along_as_it_is(act: Act, model: str, tmp_path: Path) -> None:
    done = act(write_export, model=model, format="artifact")
    assert isinstance(done.content, Path)
    assert (done.name, done.media_type) == ("shop-1.zip", "application/zip")
    with zipfile.ZipFile(BytesIO(done.content.read_bytes())) as archive:
        archive.extractall(tmp_path / "unpacked")
    again = load(tmp_path / "unpacked" / "shop-1")
    assert again.classify("where is my parcel")["topic"].label == "delivery"


def test_a_static_model_is_none_of_transformers(act: Act, model: str) -> None:
    with pytest.raises(InvalidSetting, match="static"):
        act(write_export, model=model, format="hf")
    with pytest.raises(UnknownModel):
        act(write_export, model="gone", format="artifact")
