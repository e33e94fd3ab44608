"""Batch jobs: every request is answered in its place, bad ones apart, and files appear only at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tamis.endpoints import CLASSIFICATIONS, MODERATIONS
from tamis.errors import UnknownModel
from tamis.jobs import batch as module
from tamis.jobs.batch import lines_of
from tamis.jobs.executors import Task
from tamis.jobs.tasks import run_task
from tamis.jobs.tools import Tools
from tamis.ml.model import Model, load
from tamis.ml.training import train
from tamis.store.records import BatchRecord


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("model")
    lines = []
    for number in range(60):
        text = "parcel courier late" if number % 2 else "card invoice refund"
        tags = ["angry"] if number % 3 == 0 else ["safe"]
        labels = {"topic": "delivery" if number % 2 else "payment", "tone": tags}
        lines.append(json.dumps({"text": f"{text} {number} {tags[0]}", "labels": labels}))
    (folder / "rows.jsonl").write_text("\n".join(lines))
    train(folder / "rows.jsonl", out=folder / "model")
    return load(folder / "model")


@pytest.fixture
def find(model: Model):
    def find(name: str):
        if name != "shop":
            raise UnknownModel(f"There is no model {name}.")
        return model.predictor, "the id"

    return find


def run(tools: Tools, find) -> None:
    claimed = tools.store.batches.claim("me", time.time(), 60)
    run_task(tools, Task("batch", claimed.id, claimed.attempt, "me"), find)


def lines(tools: Tools, file_id: str | None) -> Iterator[dict]:
    if file_id is None:
        return iter(())
    return map(json.loads, b"".join(tools.store.objects.read(tools.store.files.find(file_id).key)).splitlines())


def requests(*bodies: object, model: str | None = None) -> bytes:
    said = {} if model is None else {"model": model}
    return b"\n".join(
        json.dumps({"custom_id": str(number), "body": {**said, "input": body}}).encode()
        for number, body in enumerate(bodies)
    )


def test_answers_come_in_order_with_their_ids_and_failures_apart(tools: Tools, add_batch, add_file, find, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 3)
    content = requests("my parcel", ["my card", "my parcel"], 7, "an invoice", "")
    content += b'\nno json\n{"custom_id": "x"}\n\n' + requests("my parcel", model="other")
    batch = add_batch(input_files=(add_file("requests.jsonl", content),), model="shop")
    run(tools, find)
    done = tools.store.batches.find(batch.id)
    assert done.status == "SUCCESS"
    assert (done.total, done.completed, done.succeeded, done.failed) == (8, 8, 4, 4)
    out, bad = list(lines(tools, done.output_file)), list(lines(tools, done.error_file))
    assert [row["custom_id"] for row in out] == ["0", "1", "3", "4"]
    assert [row["custom_id"] for row in bad] == ["2", None, "x", "0"]
    assert [len(row["response"]["body"]["results"]) for row in out] == [1, 2, 1, 1]
    first = out[0]["response"]["body"]["results"][0]["topic"]["scores"]
    assert max(first, key=first.get) == "delivery"
    assert {row["response"]["status_code"] for row in out} == {200}
    assert [row["response"]["status_code"] for row in bad] == [422, 422, 422, 400]
    assert {row["message"] for row in done.errors} >= {"There is no model other."}
    record = tools.store.files.find(done.output_file)
    assert (record.source, record.sample_type, record.num_lines) == ("mistral", "batch_result", 4)
    assert tools.store.files.find(done.error_file).sample_type == "batch_error"


def test_scores_are_those_of_the_model_whatever_is_beside_them(tools: Tools, add_batch, add_file, find, model: Model):
    texts = [f"parcel {number} card" for number in range(40)]
    batch = add_batch(input_files=(add_file("requests.jsonl", requests(*texts)),), model="shop")
    run(tools, find)
    rows = list(lines(tools, tools.store.batches.find(batch.id).output_file))
    for text, row in zip(texts, rows, strict=True):
        alone = model.predictor.scores([text])["topic"][0]
        assert list(row["response"]["body"]["results"][0]["topic"]["scores"].values()) == pytest.approx(alone, abs=1e-5)


def test_explanations_are_refused_where_they_would_take_for_ever(tools: Tools, add_batch, add_file, find):
    row = {"custom_id": "0", "body": {"input": "my parcel", "explain": True}}
    batch = add_batch(input_files=(add_file("requests.jsonl", json.dumps(row).encode()),), model="shop")
    run(tools, find)
    done = tools.store.batches.find(batch.id)
    assert (done.succeeded, done.failed) == (0, 1)
    assert "Batch jobs explain nothing" in done.errors[0]["message"]


def test_moderations_can_be_asked_for_too(tools: Tools, add_batch, add_file, find):
    batch = add_batch(
        endpoint=MODERATIONS, input_files=(add_file("requests.jsonl", requests("an angry parcel")),), model="shop"
    )
    run(tools, find)
    (row,) = lines(tools, tools.store.batches.find(batch.id).output_file)
    assert set(row["response"]["body"]["results"][0]["categories"]) == {"angry", "safe"}


def test_a_batch_beyond_its_limits_or_its_time_fails(tools: Tools, add_batch, add_file, find):
    from dataclasses import replace

    file_id = add_file("requests.jsonl", requests("a", "b"))
    large = add_batch(input_files=(file_id,), model="shop")
    run(replace(tools, choices=replace(tools.choices, max_batch_requests=1)), find)
    failed: BatchRecord = tools.store.batches.find(large.id)
    assert failed.status == "FAILED"
    assert "max_batch_requests" in failed.errors[0]["message"]
    late = add_batch(input_files=(file_id,), model="shop", created_at=int(time.time()) - 7200, timeout_hours=1)
    run(tools, find)
    assert tools.store.batches.find(late.id).status == "TIMEOUT_EXCEEDED"
    assert tools.store.batches.find(late.id).output_file is None


def test_a_cancelled_batch_leaves_no_files(tools: Tools, add_batch, add_file, find, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "AT_ONCE", 1)
    batch = add_batch(input_files=(add_file("requests.jsonl", requests(*["a"] * 50)),), model="shop")

    def slow(name: str):
        time.sleep(0.1)
        current = tools.store.batches.find(batch.id)
        if not current.cancel_requested:
            tools.store.batches.change(batch.id, when={"RUNNING"}, to="CANCELLATION_REQUESTED", cancel_requested=True)
        return find(name)

    run(tools, slow)
    done = tools.store.batches.find(batch.id)
    assert (done.status, done.output_file, done.error_file) == ("CANCELLED", None, None)
    assert tools.store.files.list()[1] == 1


def test_an_attempt_that_is_overtaken_at_its_very_end_leaves_no_files(
    tools: Tools, add_batch, add_file, find, monkeypatch: pytest.MonkeyPatch
):
    batch = add_batch(input_files=(add_file("requests.jsonl", requests("a", 7)),), model="shop")
    finish = tools.store.batches.finish

    def overtaken(batch_id: str, *given: object, **columns: object) -> bool:
        assert tools.store.files.list()[1] == 1  # killed here, it would leave none for good
        tools.store.batches.change(batch_id, when={"RUNNING"}, lease_until=1.0, quiet=True)
        assert tools.store.batches.claim("other", time.time(), 60).attempt == 2
        return finish(batch_id, *given, **columns)

    monkeypatch.setattr(tools.store.batches, "finish", overtaken)
    run(tools, find)
    assert tools.store.batches.find(batch.id).status == "RUNNING"
    assert tools.store.files.list()[1] == 1
    assert len(list(tools.store.objects.list("files"))) == 1


def test_inline_requests_are_read_where_they_were_put(tools: Tools, add_batch, find):
    with tools.store.objects.writer("batches/b/requests.jsonl") as writer:
        writer.write(requests("my parcel"))
        writer.commit()
    batch = add_batch(inline=True, inline_key="batches/b/requests.jsonl", model="shop", endpoint=CLASSIFICATIONS)
    run(tools, find)
    assert tools.store.batches.find(batch.id).succeeded == 1


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_the_same_however_the_bytes_are_cut(size: int):
    content = b"one\n\ntwo\r\n  \nthree"
    pieces = (content[start : start + size] for start in range(0, len(content), size))
    assert [line.strip() for line in lines_of(pieces)] == [b"one", b"two", b"three"]


def test_a_model_is_found_by_any_name(tools: Tools, model: Model, tmp_path: Path):
    from tamis.jobs.models_here import finder
    from tamis.store.records import ModelRecord

    model.save(tmp_path / "copy")
    model_id = "00000000-0000-4000-8000-000000000001"
    tools.store.objects.put_folder(tmp_path / "copy", f"models/{model_id}")
    record = ModelRecord(
        id=model_id, name="shop", root="english", base="static-en", place=f"objects:models/{model_id}", created_at=0
    )
    tools.store.models.add(record)
    found = finder(tools.store, tools.choices)
    assert {found(name)[1] for name in ("shop", "shop@1", model_id, f"{model_id}-ft")} == {model_id}
    with pytest.raises(UnknownModel):
        found("other")
