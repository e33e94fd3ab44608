"""Batch jobs as the SDKs send and read them; their answers are tested with the jobs."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from tamis.workspace.workspace import Workspace

PATH = "/v1/batch/jobs"
REQUESTS = [{"custom_id": "0", "body": {"input": "x"}}, {"custom_id": None, "body": {"input": "y"}}]
STRICT = {
    *(
        "id",
        "input_files",
        "endpoint",
        "model",
        "errors",
        "status",
        "created_at",
        "total_requests",
        "object",
        "metadata",
    ),
    *("completed_requests", "succeeded_requests", "failed_requests", "output_file", "error_file", "outputs"),
    *("started_at", "completed_at", "agent_id"),
}


@pytest.fixture
def create(client: TestClient, models: Workspace) -> Callable[..., Any]:
    def send(**changes: Any) -> Any:
        body = {"endpoint": "/v1/classifications", "model": "intents", "requests": REQUESTS, "timeout_hours": 24}
        return client.post(PATH, json={**body, "input_files": None, "agent_id": None, "metadata": None, **changes})

    return send


def test_inline(create: Any) -> None:
    answer = create()
    assert answer.status_code == 200, answer.text
    batch = answer.json()
    assert batch.keys() >= STRICT
    assert (batch["input_files"], batch["errors"], batch["status"], batch["object"]) == ([], [], "QUEUED", "batch")
    assert batch["total_requests"] == batch["completed_requests"] == 0


def test_from_a_file(create: Any, client: TestClient, upload: Callable[..., dict[str, Any]]) -> None:
    file = upload(content=b'{"custom_id": "0", "body": {"input": "x"}}\n', purpose="batch")["id"]
    assert create(requests=None, input_files=[file]).json()["input_files"] == [file]
    assert client.delete(f"/v1/files/{file}").status_code == 409


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"endpoint": "/v1/embeddings"}, 422),
        ({"requests": []}, 422),
        ({"requests": None}, 422),
        ({"input_files": ["x"]}, 422),
        ({"requests": [{"custom_id": "0"}]}, 422),
        ({"requests": [{"body": "x"}]}, 422),
        ({"timeout_hours": 0}, 422),
        ({"timeout_hours": 169}, 422),
        ({"agent_id": "ag-1"}, 422),
        ({"metadata": {"k": 1}}, 422),
        ({"metadata": {"k" * 33: "v"}}, 422),
        ({"model": "nope"}, 404),
        ({"requests": None, "input_files": ["5f0b7a5e-0000-4000-8000-000000000000"]}, 404),
    ],
)  # fmt: skip
def test_wrong_ones(create: Any, changes: dict[str, Any], status: int) -> None:
    answer = create(**changes)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["detail"], list)


def test_list_and_filters(create: Any, client: TestClient) -> None:
    one = create(metadata={"team": "birds", "run": "1"}).json()["id"]
    two = create(model="both", metadata={"team": "birds"}).json()["id"]
    client.post(f"{PATH}/{two}/cancel")

    def ids(query: str = "") -> list[str]:
        body = client.get(f"{PATH}?{query}").json()
        assert body["total"] == len(body["data"])
        return [batch["id"] for batch in body["data"]]

    assert set(ids()) == {one, two}
    assert ids("team=birds&run=1") == [one]
    assert ids("run=2") == []
    assert ids("status=QUEUED") == [one]
    assert set(ids("status=QUEUED&status=CANCELLED")) == {one, two}
    assert ids("model=both") == [two]
    assert ids("agent_id=ag-1") == []
    assert sorted(ids("order_by=created")) == sorted(ids("order_by=-created"))
    assert ids("created_after=2100-01-01T00:00:00Z") == []
    assert set(ids("created_after=0001-01-01T00:00:00")) == {one, two}
    assert client.get(f"{PATH}?order_by=size").status_code == 422


def test_get_cancel_delete(create: Any, client: TestClient) -> None:
    batch = create().json()["id"]
    assert client.get(f"{PATH}/{batch}?inline=true").json()["outputs"] is None
    assert client.delete(f"{PATH}/{batch}").status_code == 409
    assert client.post(f"{PATH}/{batch}/cancel").json()["status"] == "CANCELLED"
    assert client.post(f"{PATH}/{batch}/cancel").status_code == 409
    assert client.get(f"{PATH}/{batch}?inline=true").json()["outputs"] == []
    assert client.delete(f"{PATH}/{batch}").json() == {"id": batch, "object": "batch", "deleted": True}
    for method, end in (("GET", ""), ("POST", "/cancel"), ("DELETE", "")):
        answer = client.request(method, f"{PATH}/{batch}{end}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_batch")


def test_results_inline(create: Any, client: TestClient, workspace: Workspace) -> None:
    from tamis.workspace.files import NewFile

    batch = create().json()["id"]
    outputs = []
    lines = {
        "output": [{"custom_id": str(n), "said": "\n, é" * 100} for n in range(5000)],
        "error": [{"custom_id": "e"}],
    }
    for name, rows in lines.items():
        upload = workspace.files.begin(NewFile(name=f"{name}.jsonl", source="mistral", sample_type=f"batch_{name}"))
        upload.write(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        outputs.append(upload.commit().id)
    batches = workspace.store.batches
    batches.change(batch, when={"QUEUED"}, to="RUNNING")
    done = batches.change(
        batch, when={"RUNNING"}, to="SUCCESS", output_file=outputs[0], error_file=outputs[1], completed_at=9
    )
    assert done is not None
    with client.stream("GET", f"{PATH}/{batch}?inline=true") as answer:
        pieces = list(answer.iter_raw())
    assert answer.headers["content-type"] == "application/json"
    assert len(pieces) > 2  # it is read while it is sent
    body = json.loads(b"".join(pieces))
    plain = client.get(f"{PATH}/{batch}").json()
    assert body == plain | {"outputs": lines["output"] + lines["error"]}
    assert plain["outputs"] is None
    client.delete(f"/v1/files/{outputs[1]}")
    gone = client.get(f"{PATH}/{batch}?inline=true")
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_file")
