"""Ids, lines in the log, figures; and nothing of what users say."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tamis.workspace.workspace import Workspace

CANARY = "canary-3f9a"


def requests(lines: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in lines.records if record.name == "tamis.web" and record.getMessage() == "request"]


class TestIds:
    def test_a_given_one_is_kept(self, client: TestClient) -> None:
        assert client.get("/healthz", headers={"x-request-id": "abc-1:2.3_4"}).headers["x-request-id"] == "abc-1:2.3_4"

    @pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\tb", '"<x>'])
    def test_an_odd_one_is_replaced(self, client: TestClient, given: str) -> None:
        found = client.get("/healthz", headers={"x-request-id": given}).headers["x-request-id"]
        assert found != given
        assert len(found) == 32

    def test_each_request_has_its_own(self, client: TestClient) -> None:
        assert client.get("/").headers["x-request-id"] != client.get("/").headers["x-request-id"]


class TestLines:
    def test_a_line_a_request(self, client: TestClient, lines: pytest.LogCaptureFixture) -> None:
        answer = client.get("/v1/files/nope")
        (record,) = requests(lines)
        said = record.__dict__
        assert (said["method"], said["path"], said["status"]) == ("GET", "/v1/files/nope", 404)
        assert said["request_id"] == answer.headers["x-request-id"]
        assert said["bytes"] == len(answer.content)
        assert said["ms"] > 0

    def test_monitors_are_quiet(self, client: TestClient, lines: pytest.LogCaptureFixture) -> None:
        client.get("/healthz")
        assert [record.levelno for record in requests(lines)] == [logging.DEBUG]

    def test_no_texts_queries_or_keys(
        self, make_client: Callable[..., TestClient], models: Workspace, lines: pytest.LogCaptureFixture
    ) -> None:
        secret = models.keys.create("k", ("admin",))[1]
        client = make_client(headers={"authorization": f"Bearer {secret}"})
        client.post("/v1/classifications", json={"model": "intents", "input": CANARY}).raise_for_status()
        client.post("/v1/moderations", json={"model": "flags", "input": [CANARY], "metadata": {"a": CANARY}})
        client.post("/v1/chat/classifications", json={"model": CANARY, "input": {"messages": CANARY}})
        client.post("/v1/chat/completions", json={"model": "m", "messages": [{"role": "user", "content": CANARY}]})
        client.post("/v1/files", files={"file": (f"{CANARY}.jsonl", CANARY.encode())}, data={"purpose": CANARY + " !"})
        client.get(f"/v1/files?search={CANARY}")
        client.get(f"/signed/files/x?expires=1&signature={CANARY}")
        client.post(
            "/v1/fine_tuning/jobs", json={"model": "m", "integrations": [{"project": "p", "api_key": CANARY * 5}]}
        )
        assert len(requests(lines)) == 8
        everything = "\n".join(f"{record.__dict__}" for record in lines.records)
        assert CANARY not in everything
        assert secret not in everything


class TestFigures:
    def test_requests_by_route_and_status(self, client: TestClient) -> None:
        for path in ("/v1/files/a", "/v1/files/b", "/v1/v1/files/", "/nope/1", "/nope/2"):
            client.get(path)
        client.request("BREW", "/v1/files")
        text = client.get("/metrics").text
        assert 'tamis_requests_total{method="GET",route="/v1/files/{file_id}",status="404"} 2.0' in text
        assert 'tamis_requests_total{method="GET",route="/v1/files",status="200"} 1.0' in text
        assert 'tamis_requests_total{method="GET",route="unmatched",status="404"} 2.0' in text
        assert 'tamis_requests_total{method="OTHER",route="/v1/files",status="405"} 1.0' in text
        assert 'tamis_request_seconds_count{route="/v1/files/{file_id}"} 2.0' in text
        assert "nope" not in text

    def test_queues_and_models(self, client: TestClient, models: Workspace) -> None:
        client.post("/v1/classifications", json={"model": "intents", "input": "x"}).raise_for_status()
        file = client.post("/v1/files", files={"file": ("a.jsonl", b'{"text": "a"}')}).json()["id"]
        client.post("/v1/fine_tuning/jobs", json={"model": "static-en", "training_files": [file]}).raise_for_status()
        text = client.get("/metrics").text
        assert 'tamis_jobs{status="QUEUED"} 1.0' in text
        assert "tamis_models_loaded 1.0" in text
        assert "tamis_model_loads_total 1.0" in text

    def test_without_the_database_the_rest_is_told(
        self, client: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tamis.errors import StorageFailed

        def fail() -> None:
            raise StorageFailed

        monkeypatch.setattr(workspace, "queue_lengths", fail)
        answer = client.get("/metrics")
        assert answer.status_code == 200
        assert "tamis_requests_in_progress" in answer.text


def test_a_canary_key_stays_nowhere(
    client: TestClient, lines: pytest.LogCaptureFixture, tmp_path: Path, workspace: Workspace
) -> None:
    """A tracker's key is sealed: in no answer, log, file or database."""
    key = CANARY + "k" * 40
    file = client.post("/v1/files", files={"file": ("a.jsonl", b'{"text": "a"}')}).json()["id"]
    body = {"model": "static-en", "training_files": [file], "integrations": [{"project": "p", "api_key": key}]}
    created = client.post("/v1/fine_tuning/jobs", json=body)
    assert created.status_code == 200, created.text
    path = f"/v1/fine_tuning/jobs/{created.json()['id']}"
    again = client.post("/v1/fine_tuning/jobs", json=body)
    assert again.status_code == 409
    told = [created, again, client.get(path), client.get("/v1/fine_tuning/jobs"), client.post(f"{path}/cancel")]
    assert all(key not in answer.text for answer in told)
    assert key not in "\n".join(f"{record.__dict__}" for record in lines.records)
    workspace.close()
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert files
    assert all(key.encode() not in path.read_bytes() for path in files)
