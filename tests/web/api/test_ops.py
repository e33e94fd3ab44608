"""Alive, ready, busy."""

import pytest
from starlette.testclient import TestClient

import tamis
from tamis.errors import StorageFailed
from tamis.workspace.workspace import Workspace


def test_alive(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "version": tamis.__version__}


def test_ready_says_what_is_missing(client: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "missing", dict)
    assert client.get("/readyz").json() == {"status": "ready", "missing": {}}
    monkeypatch.setattr(workspace, "missing", lambda: {"worker": "No worker."})
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "missing": {"worker": "No worker."}})


def test_a_database_that_is_down_is_missing(
    client: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> dict[str, str]:
        raise StorageFailed("The database cannot be reached.")

    monkeypatch.setattr(workspace, "missing", fail)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["missing"]) == (
        503,
        {"storage_failed": "The database cannot be reached."},
    )
    assert client.get("/healthz").status_code == 200


def test_metrics_are_prometheus_text(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "# TYPE tamis_request_seconds histogram" in answer.text
    assert 'tamis_jobs{status="RUNNING"} 0.0' in answer.text


def test_the_root_points_on(client: TestClient) -> None:
    assert client.get("/").json()["docs"] == "/docs"
