"""A server without sockets: the application over a real workspace in a folder of its own."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tamis.ml.registry import register
from tamis.ml.training import train
from tamis.settings import Settings
from tamis.testing import tiny_base
from tamis.web.app import create_app
from tamis.workspace.workspace import Workspace, open_workspace

ROW = b'{"text": "where is my parcel", "labels": {"topic": "delivery"}}\n'
LOCAL = "http://127.0.0.1:8000"

MakeClient = Callable[..., TestClient]


@pytest.fixture
def make_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings of a home of the test's own, whatever the environment says."""
    monkeypatch.setenv("TAMIS_HOME", str(tmp_path / "home"))
    return lambda **given: Settings(home=tmp_path / "home", **given)


@pytest.fixture
def workspace(make_settings: Callable[..., Settings]) -> Iterator[Workspace]:
    with open_workspace(make_settings()) as opened:
        yield opened


@pytest.fixture
def make_client(workspace: Workspace, make_settings: Callable[..., Settings]) -> Iterator[MakeClient]:
    """Make clients of applications over the workspace, each with settings of its own."""
    opened: list[TestClient] = []

    def make(*, host: str = "127.0.0.1", headers: dict[str, str] | None = None, **settings: Any) -> TestClient:
        chosen = make_settings(**settings)
        workspace.settings = chosen
        workspace.files._max_bytes = chosen.max_upload_bytes
        app = create_app(workspace, chosen)
        client = TestClient(app, base_url=LOCAL, client=(host, 50000), headers=headers, raise_server_exceptions=False)
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()


@pytest.fixture
def app(client: TestClient) -> FastAPI:
    assert isinstance(client.app, FastAPI)
    return client.app


@pytest.fixture
def upload(client: TestClient) -> Callable[..., dict[str, Any]]:
    """Upload a file and return its object."""

    def send(content: bytes = ROW, name: str = "rows.jsonl", **fields: str) -> dict[str, Any]:
        answer = client.post("/v1/files", files={"file": (name, content)}, data=fields)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return send


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged."""
    caplog.set_level(logging.DEBUG, logger="tamis")
    return caplog


def rows_of(labels: Callable[[str, int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return 40 rows of two topics, labelled as told."""
    said = {"delivery": "where is my parcel", "payment": "you charge my card"}
    return [
        {"text": f"{text} {'please ' * (n % 3)}", "labels": labels(topic, n)}
        for n in range(20)
        for topic, text in said.items()
    ]


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trained models: `intents` (single-label), `flags` (multi-label), `both` (one single-label target, two others)."""
    folder = tmp_path_factory.mktemp("models")
    base = str(tiny_base(folder / "base"))
    kinds: dict[str, Callable[[str, int], dict[str, Any]]] = {
        "intents": lambda topic, n: {"topic": topic},
        "flags": lambda topic, n: {"flags": [topic] if n % 2 else ["safe"]},
        "both": lambda topic, n: {"topic": topic, "a": [topic], "b": ["odd"] if n % 2 else ["safe", "even"]},
    }
    for name, labels in kinds.items():
        train(rows_of(labels), base=base, out=folder / name, epochs=4)
    return {name: folder / name for name in kinds}


@pytest.fixture
def models(workspace: Workspace, model_folders: dict[str, Path]) -> Workspace:
    """The workspace with these models in its home."""
    for name, folder in model_folders.items():
        register(workspace.settings.home, name, folder)
    return workspace
