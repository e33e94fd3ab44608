"""Lines of the log: text for people, JSON for machines, and no tricks with line breaks."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tamis.logs import JsonLines, TextLines, read_record, set_up_logs


def record(message: str = "request", **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("tamis.web", logging.INFO, __file__, 1, message, None, None)
    made.__dict__.update(fields)
    return made


def test_text() -> None:
    line = TextLines().format(record(method="GET", path="/v1/files", status=200, ms=1.5, key_id=None))
    assert line.endswith("Z info tamis.web request method=GET path=/v1/files status=200 ms=1.5")


def test_json() -> None:
    line = json.loads(JsonLines().format(record(path="/é\n", status=200)))
    assert (line["message"], line["level"], line["logger"], line["path"]) == ("request", "info", "tamis.web", "/é\n")


@pytest.mark.parametrize("path", ["/a\nb", "/a\r\nb", "/\x1b[2J", "/a b", '/a"b', "/a=b", "/\u2028x"])
def test_a_line_stays_one_line(path: str) -> None:
    for formatter in (TextLines(), JsonLines()):
        line = formatter.format(record(path=path))
        assert len(line.splitlines()) == 1
        assert line.isprintable()


def test_tracebacks_come_with_it() -> None:
    try:
        raise ValueError("x")
    except ValueError as error:
        made = record()
        made.exc_info = (type(error), error, error.__traceback__)
    assert "ValueError: x" in TextLines().format(made)
    assert "ValueError: x" in json.loads(JsonLines().format(made))["traceback"]


def test_setting_up(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        set_up_logs("json", "warning")
        logging.getLogger("tamis.web").info("not this")
        logging.getLogger("tamis.web").warning("but this")
        assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["but this"]
    finally:
        root.handlers[:] = before
        root.setLevel(level)


def test_what_another_process_logged_is_read() -> None:
    made = record("50 % of it", path="/x", status=200)
    line = JsonLines().format(made)
    found = read_record(line)
    assert found is not None
    assert JsonLines().format(found) == line
    for other in ("", "x", "{}", "[]", "3", line.replace("info", "loud"), line.replace("time", "t")):
        assert read_record(other) is None


def test_a_server_that_starts_is_no_error() -> None:
    made = logging.LogRecord("uvicorn.error", logging.INFO, __file__, 1, "Started", None, None)
    assert TextLines().format(made).endswith("Z info uvicorn Started")
    assert json.loads(JsonLines().format(made))["logger"] == "uvicorn"


RAISES = """
import threading, warnings
from tamis.logs import log_what_is_raised, set_up_logs
set_up_logs("json", "info")
log_what_is_raised()
warnings.warn("old", stacklevel=1)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise ValueError("x\\ny")
"""


def test_what_nothing_catches_is_logged() -> None:
    done = subprocess.run([sys.executable, "-c", RAISES], capture_output=True, text=True, check=False)
    warned, thread, process = (json.loads(line) for line in done.stderr.splitlines())
    assert "old" in warned["message"]
    assert "ZeroDivisionError" in thread["traceback"]
    assert (process["level"], process["message"]) == ("critical", "The process ends.")
    assert "ValueError: x" in process["traceback"]
    assert done.returncode == 1


AT_WORK = """
import logging
from tamis.jobs import tasks
tasks.run_task = lambda *_: logging.getLogger("tamis.jobs").info("at work")
from tamis.jobs.__main__ import main
main(["child"])
"""


def test_the_processes_of_jobs_log_what_their_worker_can_read(tmp_path: Path) -> None:
    environment = {**os.environ, "TAMIS_HOME": str(tmp_path)}
    task = b'{"kind": "job", "id": "x", "attempt": 1, "owner": "a/1/1"}\n'
    command = [sys.executable, "-c", AT_WORK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, stderr=subprocess.PIPE) as child:
        child.stdin.write(task)  # and left open: a child ends with its parent
        child.stdin.flush()
        (line,) = (json.loads(line) for line in child.stderr.read().splitlines())
    assert (line["level"], line["logger"], line["message"]) == ("info", "tamis.jobs", "at work")
