"""What children say: their own lines as they are, and whatever else comes out of them as lines of the log."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable

import pytest

from tamis.jobs import executors
from tamis.jobs.executors import LocalExecutor, Task
from tamis.jobs.relaying import LONGEST, Relay
from tamis.logs import JsonLines

Said = Callable[[bytes], list[dict]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    """Has a relay pass something on, and returns the lines of the log."""
    caplog.set_level(logging.INFO)

    def say(given: bytes) -> list[dict]:
        reader, writer = os.pipe()
        relay = Relay(os.fdopen(reader, "rb"))
        relay.job = "j1"
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(given)
        assert relay.wait(10)
        return [json.loads(JsonLines().format(record)) for record in caplog.records]

    return say


def test_its_own_lines_are_as_they_were(said: Said) -> None:
    event = {"time": "2026-01-31T12:00:00.250Z", "level": "warning", "logger": "tamis.jobs.tasks", "message": "50 % é"}
    more = {"traceback": "Traceback ...\nValueError: x"}
    assert said(json.dumps(event | more).encode() + b"\n") == [event | {"job": "j1"} | more]


@pytest.mark.parametrize(
    ("line", "level", "logger", "message"),
    [
        (b"tracker: wandb: syncing", "info", "tamis.jobs.tracker", "wandb: syncing"),
        (b"Fatal Python error: Segmentation fault", "warning", "tamis.jobs.output", "Fatal Python error: S"),
        (b'{"level": "info"}', "warning", "tamis.jobs.output", '{"level": "info"}'),
        (b'{"time": 3, "level": "info", "logger": "x", "message": "y"}', "warning", "tamis.jobs.output", '{"time": 3'),
        (b"[1, 2]", "warning", "tamis.jobs.output", "[1, 2]"),
        (b"\xff\x1b[2J", "warning", "tamis.jobs.output", "\ufffd\x1b[2J"),
        (b"[" * 100_000, "warning", "tamis.jobs.output", "[[[["),
        (b"no line break at the end\nlast", "warning", "tamis.jobs.output", "no line"),
    ],
)
def test_all_else_becomes_a_line(said: Said, line: bytes, level: str, logger: str, message: str) -> None:
    found = said(line)[0]
    assert (found["level"], found["logger"], found["job"]) == (level, logger, "j1")
    assert found["message"].startswith(message)


def test_lines_without_end_are_cut(said: Said) -> None:
    assert [len(line["message"]) for line in said(b"x" * (LONGEST + 5) + b"\n\ny\n")] == [LONGEST, 5, 1]


CRASH = """
import os, sys
os.write(2, b"Fatal: it broke\\n")
print("a library prints")
sys.stdout.flush()
sys.stdin.readline()
raise SystemExit(3)
"""


def test_what_a_child_prints_is_logged_with_its_job(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    made = executors.subprocess.Popen
    monkeypatch.setattr(
        executors.subprocess, "Popen", lambda command, **given: made([command[0], "-c", CRASH], **given)
    )
    executor = LocalExecutor()
    running = executor.start(Task("job", "j7", 1, "me"))
    executor._relays[0].wait(20)
    executor.close()
    assert [(record.getMessage(), record.job) for record in caplog.records] == [
        ("Fatal: it broke", "j7"),
        ("a library prints", "j7"),
    ]
    assert capfd.readouterr() == ("", "")
    while running.exit_code() is None:
        pass
    assert running.exit_code() == 3
