"""A store in a folder, jobs in it, and executors that do what a test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import time
from uuid import uuid4

import pytest

from tamis.jobs.executors import Task
from tamis.jobs.tools import Choices, Tools
from tamis.store.opening import Store, open_store
from tamis.store.records import BatchRecord, FileRecord, JobRecord


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(
        f"sqlite:///{tmp_path / 'tamis.db'}", f"file://{tmp_path / 'objects'}", "a secret of tests"
    ) as found:
        yield found


def put_file(store: Store, name: str, content: bytes) -> str:
    """Store a file, as an upload would."""
    file_id = str(uuid4())
    with store.objects.writer(f"files/{file_id}") as writer:
        writer.write(content)
        written = writer.commit()
    store.files.add(
        FileRecord(
            id=file_id,
            name=name,
            purpose="fine-tune",
            source="upload",
            sample_type="instruct",
            bytes=written.bytes,
            sha256=written.sha256,
            key=f"files/{file_id}",
            created_at=int(time()),
        )
    )
    return file_id


def new_job(store: Store, **columns: object) -> JobRecord:
    """Add a job, queued for validation unless told otherwise."""
    now = int(time())
    usual: dict[str, object] = {
        "id": str(uuid4()),
        "status": "QUEUED",
        "model": "ministral-3b-latest",
        "base": "static-en",
        "name": "shop",
        "fingerprint": uuid4().hex,
        "created_at": now,
        "modified_at": now,
    }
    record = JobRecord(**{**usual, **columns})  # type: ignore[arg-type]
    store.jobs.add(record)
    return record


def new_batch(store: Store, **columns: object) -> BatchRecord:
    """Add a batch job."""
    now = int(time())
    usual: dict[str, object] = {
        "id": str(uuid4()),
        "endpoint": "/v1/classifications",
        "status": "QUEUED",
        "created_at": now,
        "modified_at": now,
    }
    record = BatchRecord(**{**usual, **columns})  # type: ignore[arg-type]
    store.batches.add(record)
    return record


class ScriptedRun:
    """A child that ends when the test says so."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.code: int | None = None
        self.memory = 10.0
        self.stops: list[bool] = []
        self.when_stopped: int | None = None

    def exit_code(self) -> int | None:
        return self.code

    def memory_mb(self) -> float:
        return self.memory

    def stop(self, *, kill: bool = False) -> None:
        self.stops.append(kill)
        if kill:
            self.code = -9
        elif self.when_stopped is not None:
            self.code = self.when_stopped


class ScriptedExecutor:
    """Remembers what it was asked to start."""

    def __init__(self) -> None:
        self.runs: list[ScriptedRun] = []

    def start(self, task: Task) -> ScriptedRun:
        self.runs.append(ScriptedRun(task))
        return self.runs[-1]


@pytest.fixture
def executor() -> ScriptedExecutor:
    return ScriptedExecutor()


@pytest.fixture
def add_job(store: Store) -> Callable[..., JobRecord]:
    """Adds a job, queued for validation unless told otherwise."""
    return partial(new_job, store)


@pytest.fixture
def add_batch(store: Store) -> Callable[..., BatchRecord]:
    """Adds a batch job."""
    return partial(new_batch, store)


@pytest.fixture
def add_file(store: Store) -> Callable[[str, bytes], str]:
    """Stores a file, and returns its id."""
    return partial(put_file, store)


WORDS = {"delivery": "parcel courier late", "payment": "card invoice refund"}


def labelled(n: int) -> bytes:
    """Return rows of JSONL with a single-label target and a multi-label one."""
    rows = []
    for number in range(n):
        label = list(WORDS)[number % 2]
        tags = ["angry"] if number % 3 == 0 else ["safe"]
        text = f"{WORDS[label]} {number} {' '.join(tags)}"
        rows.append(json.dumps({"text": text, "labels": {"topic": label, "tone": tags}}))
    return "\n".join(rows).encode()


@pytest.fixture
def tools(store: Store, tmp_path: Path) -> Tools:
    """What a child works with."""
    return Tools(store, Choices(work=tmp_path / "work", home=tmp_path, memory_mb=1e6))


@pytest.fixture
def rows() -> Callable[[int], bytes]:
    """Makes labelled rows."""
    return labelled
