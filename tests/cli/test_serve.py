"""tamis serve, as a process of its own: what it says, what it leaves, how it ends."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest


@contextmanager
def serving(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict]]:
    """Run the server until it says where it is; end it, and all that it started, whatever happens."""
    command = [sys.executable, "-m", "tamis", "serve", "--port", "0", "--train-workers", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=dict(os.environ)
    )
    try:
        deadline = time.monotonic() + 60
        while not (home / "server.json").exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process, json.loads((home / "server.json").read_text())
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_it_says_where_it_is_and_how_to_try_it(home: Path) -> None:
    with serving(home) as (process, running):
        assert running["pid"] == process.pid
        assert httpx.get(f"{running['url']}/v1/models").status_code == 200
        process.send_signal(signal.SIGINT)
        said, logged = process.communicate(timeout=20)
    for part in (running["url"], str(home), "none yet", "/docs", "curl ", "mistralai", "tamis train"):
        assert part in said
    assert "request" in logged
    assert process.returncode == 0
    assert not (home / "server.json").exists()


def test_keys_are_asked_for_and_logs_can_be_json(home: Path) -> None:
    create = [sys.executable, "-m", "tamis", "keys", "create", "k"]
    secret = subprocess.run(create, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    with serving(home, "--log-format", "json", "--host", "0.0.0.0") as (process, running):
        assert httpx.get(f"{running['url']}/v1/models").status_code == 401
        header = {"authorization": f"Bearer {secret}"}
        assert httpx.get(f"{running['url']}/v1/models", headers=header).status_code == 200
        process.terminate()
        said, logged = process.communicate(timeout=20)
    assert "needed" in said
    lines = [json.loads(line) for line in logged.splitlines()]
    assert {line["status"] for line in lines if line["message"] == "request"} == {401, 200}
    assert secret not in said + logged


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_are_not_let_in_without_keys(home: Path, host: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tamis", "serve", "--port", "0", "--host", host],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "tamis keys create" in done.stderr or "--host" in done.stderr
    assert not (home / "server.json").exists()


def test_several_processes_add_up_their_figures(home: Path) -> None:
    with serving(home, "--workers", "2") as (_, running):
        for _ in range(12):
            assert httpx.get(f"{running['url']}/v1/files").status_code == 200
        text = httpx.get(f"{running['url']}/metrics").text
        assert 'tamis_requests_total{method="GET",route="/v1/files",status="200"} 12.0' in text
    assert not list(home.glob("figures-*"))


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.ZombieProcess:  # one that has ended, and nobody has asked how
        return []


def _dry_run_of(server: int) -> psutil.Process:
    """Wait for the process that measures a file, as long as a busy machine may need to start it."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for child in psutil.Process(server).children():
            if "measure" in _command(child):
                return child
        time.sleep(0.01)
    pytest.fail("no process measured the file")


@pytest.mark.parametrize("end", ["the caller leaves", "the server is killed"])
def test_a_dry_run_outlives_neither_its_caller_nor_the_server(home: Path, end: str) -> None:
    rows = b"".join(b'{"text": "t%d", "labels": {"t": "%d"}}\n' % (n, n % 2) for n in range(200_000))
    with serving(home) as (process, running):
        file = httpx.post(f"{running['url']}/v1/files", files={"file": ("rows.jsonl", rows)}, timeout=60).json()["id"]
        job = {"model": "ministral-3b-latest", "training_files": [file], "hyperparameters": {}}
        with closing(http.client.HTTPConnection("127.0.0.1", httpx.URL(running["url"]).port)) as caller:
            asked = "/v1/fine_tuning/jobs?dry_run=true"
            caller.request("POST", asked, json.dumps(job), {"content-type": "application/json"})
            dry_run = _dry_run_of(process.pid)
            if end == "the server is killed":
                process.kill()
        dry_run.wait(10)
        if end == "the caller leaves":
            assert httpx.get(f"{running['url']}/healthz").status_code == 200
            process.terminate()
            assert "status=499" in process.communicate(timeout=20)[1]
