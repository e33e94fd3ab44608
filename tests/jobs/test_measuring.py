"""Dry runs: what their process answers, and that it is gone however the dry run ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from tamis.errors import InvalidRequest, LimitExceeded, NoRows, TamisError, TooManyBadRows, UnknownFile
from tamis.jobs import aside
from tamis.jobs.aside import Bounds
from tamis.jobs.measuring import answer, measure_aside
from tamis.jobs.tools import Tools
from tamis.store.records import JobRecord

USUAL = Bounds(60, 1024)


class Left(Exception):
    """The caller left."""


@pytest.fixture
def job(add_job: Callable[..., JobRecord], add_file: Callable[[str, bytes], str], rows: Callable[[int], bytes]):
    return add_job(training_files=((add_file("rows.jsonl", rows(60)), 1.0),))


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[subprocess.Popen]]:
    """Lets a process be some other program, and keeps it for a look."""

    def use(program: str) -> list[subprocess.Popen]:
        started: list[subprocess.Popen] = []
        made = subprocess.Popen

        def start(command: list[str], **given: object) -> subprocess.Popen:
            started.append(made([command[0], "-c", program], **given))
            return started[-1]

        monkeypatch.setattr(aside.subprocess, "Popen", start)
        return started

    return use


def test_what_it_answers_is_what_validation_finds(tools: Tools, job: JobRecord) -> None:
    found = json.loads(answer(tools, json.loads(json.dumps(asdict(job)))))
    assert found["metadata"]["rows"] == 60
    assert [target["name"] for target in found["targets"]] == ["topic", "tone"]


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b'{"text": 3, "label": "x"}\n' * 3, TooManyBadRows, "rows.jsonl:1: "),
        (b"\n", NoRows, "no usable rows"),
        (None, UnknownFile, "is gone"),
    ],
)
def test_its_errors_are_raised_here(
    tools: Tools,
    add_job: Callable[..., JobRecord],
    add_file: Callable[[str, bytes], str],
    content: bytes | None,
    error: type[TamisError],
    said: str,
) -> None:
    file = add_file("rows.jsonl", content or b"x")
    job = add_job(training_files=((file, 1.0),))
    if content is None:
        tools.store.jobs.change(job.id, when=None, to="CANCELLED")
        tools.store.files.delete(file)
    told = answer(tools, asdict(job))
    with pytest.raises(error, match=said) as caught:
        aside.understood(told, 0)
    assert str(tools.choices.home) not in caught.value.message


def test_an_error_keeps_its_place() -> None:
    told = {"code": "invalid_request", "message": "m", "context": {"loc": ["body", "model"]}}
    with pytest.raises(InvalidRequest) as caught:
        aside.understood(json.dumps(told).encode(), 0)
    assert caught.value.context == {"loc": ["body", "model"]}


def test_long_answers_do_not_stop_it(say, job: JobRecord, tmp_path: Path) -> None:
    say("import json; print(json.dumps({'targets': [{'name': 'x' * 10**6}], 'metadata': {}, 'hyperparameters': {}}))")
    assert len(measure_aside(job, tmp_path, USUAL, lambda: None).targets[0]["name"]) == 10**6


ASLEEP = "import sys, time; sys.stdin.readline(); time.sleep(600)"


def test_a_caller_that_leaves_ends_it(say, job: JobRecord, tmp_path: Path) -> None:
    started, looks = say(ASLEEP), []

    def check() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise Left

    with pytest.raises(Left):
        measure_aside(job, tmp_path, USUAL, check)
    assert started[0].returncode == -signal.SIGKILL


@pytest.mark.parametrize("bounds", [Bounds(0.3, 1024), Bounds(60, 1)])
def test_what_takes_too_much_is_ended(say, job: JobRecord, tmp_path: Path, bounds: Bounds) -> None:
    started = say(ASLEEP)
    with pytest.raises(LimitExceeded, match="more time or memory"):
        measure_aside(job, tmp_path, bounds, lambda: None)
    assert started[0].returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", LimitExceeded),  # by the system, short of memory
        ("raise SystemExit(3)", TamisError),
        ('print(\'{"code": "out_of_memory", "message": "m", "context": {}}\')', LimitExceeded),
    ],
)
def test_one_that_breaks_is_told(say, job: JobRecord, tmp_path: Path, program: str, error: type[TamisError]) -> None:
    say(program)
    with pytest.raises(TamisError) as caught:
        measure_aside(job, tmp_path, USUAL, lambda: None)
    assert type(caught.value) is error


def test_it_ends_with_the_process_that_asked(tmp_path: Path) -> None:
    """However that dies: the pipe that it was told through is closed then."""
    reader, writer = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", "tamis.jobs", "measure"],
        stdin=reader,
        env={**os.environ, "TAMIS_HOME": str(tmp_path / "home")},
        start_new_session=True,
    )
    os.close(reader)
    process = psutil.Process(child.pid)
    killer = threading.Timer(0.2, os.close, [writer])
    killer.start()
    assert child.wait(20) == 0
    assert not process.is_running()
