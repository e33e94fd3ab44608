"""A table with several labels in a cell, made ready by the dashboard and learnt: the table itself is understood again.

Every act that reads a file for the model gives for the table what it gives for the rows that were written anew.
"""

import csv
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobs.conftest import new_job, put_file
from tamis.jobs import preparing
from tamis.jobs.choosing import choices_of
from tamis.jobs.comparing import act as compare
from tamis.jobs.evaluating import evaluate
from tamis.jobs.labelling import classify
from tamis.jobs.operating import Acting, Done
from tamis.jobs.preparing import prepare
from tamis.jobs.promoting import measure
from tamis.jobs.queueing import UNSURE, fill
from tamis.jobs.tools import Tools
from tamis.jobs.tracking import Tracking
from tamis.jobs.training import run_training
from tamis.ml.model import load
from tamis.ml.reading import layout_of
from tamis.ml.review import ReviewOptions
from tamis.settings import Settings
from tamis.store.opening import Store, open_store
from tamis.store.records import OperationRecord
from tamis.testing import tiny_base

LAYOUT = {
    "text": "Message",
    "labels": ["Topic", "Marks"],
    "separators": {"Marks": ";"},
    "header": True,
    "empty_means_none": True,
}
WORDS = {"delivery": "where is my parcel number", "payment": "you charged my card on day"}


def table(first: int, last: int) -> bytes:
    made = io.StringIO()
    rows = [["Message", "Topic", "Marks"]]
    for n in range(first, last):
        topic = list(WORDS)[n % 2]
        marks = [*(["angry"] if n % 4 == 0 else []), *(["repeated"] if n % 3 == 0 else [])]
        said = f"{WORDS[topic]} {n} {'terrible ' * (n % 4 == 0)}{'again' * (n % 3 == 0)}"
        rows.append([said, topic, ";".join(marks)])
    csv.writer(made).writerows(rows)
    return made.getvalue().encode()


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with open_store(f"sqlite:///{tmp_path / 't.db'}", f"file://{tmp_path / 'objects'}", "a secret of tests") as found:
        yield found


@pytest.fixture
def tools(store: Store, tmp_path: Path) -> Tools:
    return Tools(store, choices_of(Settings(home=tmp_path / "home")))


@pytest.fixture
def do(tools: Tools, tmp_path: Path) -> Callable[..., Done]:
    def act(what: Callable[[Acting], Done], **told: Any) -> Done:
        record = OperationRecord(id="o", kind="k", status="RUNNING", title="", created_at=0, modified_at=0, told=told)
        work = tmp_path / f"work-{len(list(tmp_path.iterdir()))}"
        work.mkdir()
        return what(Acting(tools, record, work, lambda share, stage: None))

    return act


def as_json(done: Done) -> dict[str, Any]:
    content = done.content if isinstance(done.content, bytes) else done.content.read_bytes()
    return json.loads(content)  # type: ignore[no-any-return]


def figures_of(done: Done) -> dict[str, Any]:
    return {name: (each["n"], each["macro_f1"]) for name, each in as_json(done)["report"]["targets"].items()}


def test_the_table_gives_what_the_rows_give_that_were_made_of_it(
    do: Any, tools: Tools, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "ReviewOptions", partial(ReviewOptions, suspects=False))
    raw = put_file(store, "held back.csv", table(80, 120))
    made = do(
        prepare, files={"training": put_file(store, "own.csv", table(0, 80)), "test": raw}, layout=LAYOUT, shares={}
    )
    files = made.summary["files"]
    new_job(store, base=str(tiny_base(tmp_path / "base")), phase="train", training_files=((files["training"], 1.0),))
    job = store.jobs.claim("worker", 0, 60.0)
    assert job is not None
    run_training(tools, job, lambda: False, Tracking(tools, job))
    model = store.models.list()[0][0]
    assert (
        layout_of(load(tmp_path / "objects" / "models" / model.id).manifest).model_dump(  # type: ignore[union-attr]
            mode="json", exclude_defaults=True
        )
        == LAYOUT
    )
    two = (raw, files["test"])
    measured = [do(evaluate, model=model.id, file=each) for each in two]
    assert figures_of(measured[0]) == figures_of(measured[1])
    assert figures_of(measured[0])["Marks"][0] == 40
    asked = {
        "candidate": model.id,
        "candidate_name": "b",
        "current": model.id,
        "current_name": "a",
        "max_bad_share": 0.0,
    }
    asked |= {"conditions": ["micro_f1 >= current"], "allow_label_changes": False}
    gates = [as_json(do(measure, **asked, file=each)) for each in two]
    assert gates[0]["targets"] == gates[1]["targets"]
    assert gates[0]["passed"]
    assert gates[0]["remarks"][0].startswith("Read like the rows that the model learnt from (the text from Message, ")
    rivals = {
        "models": [{"id": model.id, "name": "a"}],
        "baselines": ["majority"],
        "llms": [],
        "train": files["training"],
    }
    compared = [do(compare, **rivals, file=each).summary["targets"] for each in two]
    assert compared[0] == compared[1]
    queued = do(
        fill, name="shop", way=UNSURE, most=40, model=model.id, targets=list(model.targets), file=raw, file_name=""
    )
    assert queued.summary["added"]
    assert queued.summary["read_as"] == list(gates[0]["remarks"][:1])
    looks = store.looks.list(0, None, name="shop")[0]
    assert {label for look in looks for label in look.given["Marks"]} == {"angry", "repeated"}
    labelled = do(classify, model=model.id, file=raw)
    assert (labelled.summary["text"], labelled.summary["rows"]) == ("Message", 40)
