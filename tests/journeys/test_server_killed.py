"""The server killed at any moment: no job is lost, none runs twice to its end, no half model is served."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tamis.ml.model import load
from tamis.settings import Settings
from tamis.workspace.workspace import open_workspace

WORDS = {
    "delivery": ["parcel", "courier", "late", "shipped", "tracking", "address", "driver", "depot"],
    "payment": ["card", "invoice", "charged", "refund", "bank", "price", "paid", "cheque"],
    "account": ["password", "login", "email", "profile", "locked", "username", "settings", "delete"],
}
FINAL = ("SUCCESS", "FAILED", "FAILED_VALIDATION", "CANCELLED")
KILLS = 4


def rows(n: int) -> bytes:
    made = random.Random(0)
    lines = []
    for number in range(n):
        label = list(WORDS)[number % 3]
        text = " ".join([*made.choices(WORDS[label], k=4), str(number)])
        lines.append(json.dumps({"text": text, "labels": {"topic": label}}))
    return "\n".join(lines).encode()


class Server:
    """`tamis serve` as a process, with everything that it starts."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._process: subprocess.Popen[bytes] | None = None
        self._family: list[psutil.Process] = []

    def start(self) -> httpx.Client:
        place = self.home / "server.json"
        place.unlink(missing_ok=True)
        with (self.home / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tamis", "serve", "--port", "0", "--home", str(self.home)],
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + 60
        while not place.exists():
            assert self._process.poll() is None, (self.home / "log.txt").read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        return httpx.Client(base_url=json.loads(place.read_text())["url"], timeout=30)

    def kill(self) -> None:
        """Kill the server alone; everything else has to notice."""
        assert self._process is not None
        self._family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        _, alive = psutil.wait_procs(self._family, timeout=10)
        assert not alive, [process.cmdline() for process in alive]

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(40)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    home = tmp_path / "home"
    home.mkdir()
    made = Server(home)
    yield made
    made.stop()


def until(client: httpx.Client, job_id: str, seconds: float = 90) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = client.get(f"/v1/fine_tuning/jobs/{job_id}").json()
        if job["status"] in FINAL:
            return job
        time.sleep(0.1)
    raise AssertionError(job)


def begin(client: httpx.Client, content: bytes, suffix: str) -> str:
    file_id = client.post("/v1/files", files={"file": (f"{suffix}.jsonl", content)}).json()["id"]
    asked = {
        "model": "ministral-3b-latest",
        "training_files": [{"file_id": file_id, "weight": 1}],
        "hyperparameters": {"learning_rate": 1e-4},
        "auto_start": True,
        "suffix": suffix,
    }
    return client.post("/v1/fine_tuning/jobs", json=asked).json()["id"]


def test_jobs_and_models_survive_a_server_that_is_killed_again_and_again(server: Server):
    client = server.start()
    job_ids = [begin(client, rows(300), "first"), begin(client, rows(400), "second")]
    moments = random.Random(7)
    for _ in range(KILLS):
        time.sleep(moments.uniform(0.0, 1.5))
        client.close()
        server.kill()
        client = server.start()
        # half a model is never there: whatever is listed answers
        for card in client.get("/v1/models").json()["data"]:
            if card["type"] == "fine-tuned":
                answer = client.post("/v1/classifications", json={"model": card["id"], "input": "my parcel is late"})
                assert answer.status_code == 200, answer.text
    ended = [until(client, job_id) for job_id in job_ids]
    # a server killed so often may have killed one job three times, which then says so; none is lost or stuck
    for job in ended:
        statuses = [event["data"].get("status") for event in job["events"] if event["name"] == "status-updated"]
        assert sum(status in FINAL for status in statuses) == 1, statuses
    client.close()
    server.stop()
    with open_workspace(Settings(home=server.home)) as workspace:
        models = {model.job_id: model for model in workspace.store.models.list()[0]}
        done = {job["id"] for job in ended if job["status"] == "SUCCESS"}
        assert set(models) == done
        stored = {info.key.split("/")[1] for info in workspace.store.objects.list("models")}
        assert stored >= {model.id for model in models.values()}
        for model in models.values():
            scores = load(workspace.models.folder(model)).classify(["my parcel is late"])[0]["topic"].scores
            assert max(scores, key=scores.__getitem__) == "delivery"
        failed = [job for job in ended if job["status"] != "SUCCESS"]
        for job in failed:
            assert "killed 3 times" in workspace.jobs.get(job["id"]).job.error


def test_an_upload_that_is_cut_off_by_a_kill_leaves_no_file(server: Server):
    client = server.start()
    port = client.base_url.port
    head = (
        f"POST /v1/files HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        "content-length: 10000000\r\n\r\n"
        '--b\r\ncontent-disposition: form-data; name="file"; filename="rows.jsonl"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", port)) as sending:
        sending.sendall(head.encode() + b"x" * 1_000_000)
        time.sleep(0.3)
        client.close()
        server.kill()
    client = server.start()
    assert client.get("/v1/files").json()["data"] == []
    client.close()


def test_a_server_that_is_asked_to_stop_lets_requests_finish_and_jobs_go_on_later(server: Server):
    client = server.start()
    job_id = begin(client, rows(400), "third")
    while client.get(f"/v1/fine_tuning/jobs/{job_id}").json()["status"] != "RUNNING":
        time.sleep(0.05)
    family = psutil.Process(json.loads((server.home / "server.json").read_text())["pid"]).children(recursive=True)
    client.close()
    server.stop()
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not (server.home / "server.json").exists()
    client = server.start()
    job = until(client, job_id)
    assert job["status"] == "SUCCESS", job
    client.close()
    assert os.path.exists(server.home / "tamis.db")
