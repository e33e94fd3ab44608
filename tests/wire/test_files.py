"""Files through every release of the SDK."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from wire.client_process import CallFailed, Client, Json
from wire.polling import wait_for
from wire.sdk_environments import MISTRAL
from wire.server_process import Server
from wire.training_rows import topics

SINCE_1_12 = MISTRAL[1:]  # 1.7.0 lacks some arguments
TEXT = '{"text": "where is my parcel", "labels": {"topic": "delivery"}}\n'


def upload(client: Client, name: str, text: str = TEXT, **more: object) -> Json:
    return client.call("files.upload", file={"file_name": name, "content": {"$bytes": text}}, **more)


def own_name(client: Client) -> str:
    return f"{client.sdk}-{uuid.uuid4().hex[:12]}"


def test_bytes_become_a_file(client: Client) -> None:
    name = own_name(client) + ".jsonl"
    file = upload(client, name, TEXT * 3)
    assert (file["object"], file["filename"], file["purpose"], file["source"]) == ("file", name, "fine-tune", "upload")
    assert (file["size_bytes"], file["num_lines"], file["sample_type"]) == (len(TEXT) * 3, 3, "instruct")
    assert abs(file["created_at"] - time.time()) < 60
    assert str(uuid.UUID(file["id"])) == file["id"]


def test_a_handle_becomes_a_file(client: Client, jsonl: Callable[..., Path]) -> None:
    path = jsonl(topics(), own_name(client) + ".jsonl")
    file = client.call("files.upload", file={"file_name": path.name, "content": {"$open": str(path)}})
    assert (file["size_bytes"], file["num_lines"]) == (path.stat().st_size, len(topics()))


@pytest.mark.parametrize(("purpose", "sample_type"), [("fine-tune", "instruct"), ("batch", "batch_request")])
def test_the_purpose_is_kept(client: Client, purpose: str, sample_type: str) -> None:
    file = upload(client, own_name(client) + ".jsonl", purpose=purpose)
    assert (file["purpose"], file["sample_type"]) == (purpose, sample_type)


def test_the_same_file_is_the_same_object(client: Client) -> None:
    name = own_name(client)
    first = upload(client, f"{name}.jsonl")
    assert upload(client, f"{name}.jsonl") == first
    assert upload(client, f"{name}-b.jsonl")["id"] != first["id"]
    assert upload(client, f"{name}.jsonl", TEXT * 2)["id"] != first["id"]


def test_a_file_is_found_by_its_id(client: Client) -> None:
    file = upload(client, own_name(client) + ".jsonl")
    found = client.call("files.retrieve", file_id=file["id"])
    assert found.pop("deleted") is False
    assert found == file


@pytest.mark.parametrize("method", ["retrieve", "delete", "get_signed_url", "download"])
def test_an_unknown_file_is_not_found(client: Client, method: str) -> None:
    wanted = str(uuid.uuid4())
    with pytest.raises(CallFailed) as caught:
        client.call(f"files.{method}", file_id=wanted)
    assert caught.value.status == 404
    assert caught.value.type == "SDKError"
    if method != "download":  # a stream's body is not read by every release
        assert wanted in caught.value.body


def test_a_deleted_file_is_gone(client: Client) -> None:
    name = own_name(client) + ".jsonl"
    file = upload(client, name)
    assert client.call("files.delete", file_id=file["id"]) == {"id": file["id"], "object": "file", "deleted": True}
    with pytest.raises(CallFailed):
        client.call("files.retrieve", file_id=file["id"])
    assert client.call("files.list", search=name)["data"] == []
    assert upload(client, name)["id"] != file["id"]


def test_a_download_is_the_same_bytes(client: Client) -> None:
    text = TEXT + '{"text": "Grüße, 你好, \\u0000", "labels": {"topic": "x"}}\n'
    file = upload(client, own_name(client) + ".jsonl", text)
    found = client.call("files.download", file_id=file["id"])
    assert found["text"] == text
    assert found["content_type"].startswith("application/octet-stream")


def test_a_signed_url_needs_no_key(client: Client, server: Server) -> None:
    file = upload(client, own_name(client) + ".jsonl")
    url = client.call("files.get_signed_url", file_id=file["id"], expiry=1)["url"]
    assert url.startswith(server.url)
    path = url.removeprefix(server.url)
    assert server.raw.request("GET", path).body.decode() == TEXT
    other = upload(client, own_name(client) + ".jsonl", TEXT * 2)
    assert server.raw.request("GET", path.replace(file["id"], other["id"])).status in (401, 403, 404)
    last = path[-1]
    assert server.raw.request("GET", path[:-1] + ("a" if last != "a" else "b")).status in (401, 403, 404)


@pytest.fixture(scope="module")
def name(client: Client) -> str:
    name = own_name(client)
    for number in range(3):
        upload(client, f"{name}-{number}.jsonl", TEXT * (number + 1))
    upload(client, f"{name}-b.jsonl", '{"custom_id": "0", "body": {"input": "x"}}\n', purpose="batch")
    return name


class TestList:
    """Every filter; own names keep the files of other tests out."""

    def names(self, client: Client, **filters: object) -> list[str]:
        answer = client.call("files.list", **filters)
        assert answer["object"] == "list"
        return [file["filename"].rpartition("-")[2] for file in answer["data"]]

    def test_search(self, client: Client, name: str) -> None:
        assert sorted(self.names(client, search=name)) == ["0.jsonl", "1.jsonl", "2.jsonl", "b.jsonl"]
        assert self.names(client, search=f"{name}-1") == ["1.jsonl"]
        assert self.names(client, search=f"{name}%") == []

    def test_pages_and_total(self, client: Client, name: str) -> None:
        pages = [self.names(client, search=name, page=page, page_size=3) for page in range(3)]
        assert [len(page) for page in pages] == [3, 1, 0]
        assert len({*pages[0], *pages[1]}) == 4
        assert client.call("files.list", search=name, page_size=1)["total"] == 4

    @pytest.mark.parametrize("client", SINCE_1_12, ids=str, indirect=True)
    def test_without_a_total(self, client: Client, name: str) -> None:
        assert client.call("files.list", search=name, include_total=False)["total"] is None

    def test_purpose(self, client: Client, name: str) -> None:
        assert self.names(client, search=name, purpose="batch") == ["b.jsonl"]
        assert len(self.names(client, search=name, purpose="fine-tune")) == 3

    def test_source(self, client: Client, name: str) -> None:
        assert len(self.names(client, search=name, source=["upload"])) == 4
        assert len(self.names(client, search=name, source=["upload", "mistral"])) == 4
        assert self.names(client, search=name, source=["mistral"]) == []

    def test_sample_type(self, client: Client, name: str) -> None:
        assert self.names(client, search=name, sample_type=["batch_request"]) == ["b.jsonl"]
        assert len(self.names(client, search=name, sample_type=["batch_request", "instruct"])) == 4

    @pytest.mark.parametrize("client", SINCE_1_12, ids=str, indirect=True)
    def test_mimetypes(self, client: Client, name: str) -> None:
        assert len(self.names(client, search=name, mimetypes=["application/jsonl"])) == 4
        assert self.names(client, search=name, mimetypes=["application/pdf"]) == []


def test_a_file_of_a_job_under_way_stays(job_client: Client, jsonl: Callable[..., Path]) -> None:
    path = jsonl(topics(4, seed=own_name(job_client)))
    file = job_client.call("files.upload", file={"file_name": path.name, "content": {"$open": str(path)}})
    job = job_client.call(
        "fine_tuning.jobs.create",
        model="ministral-3b-latest",
        job_type="classifier",
        training_files=[{"file_id": file["id"], "weight": 1}],
        hyperparameters={},
        auto_start=False,
    )
    with pytest.raises(CallFailed) as caught:
        job_client.call("files.delete", file_id=file["id"])
    assert caught.value.status == 409
    job_client.call("fine_tuning.jobs.cancel", job_id=job["id"])
    wait_for(lambda: job_client.call("fine_tuning.jobs.get", job_id=job["id"])["status"] == "CANCELLED")
    assert job_client.call("files.delete", file_id=file["id"])["deleted"] is True


def test_the_async_methods(client: Client) -> None:
    name = own_name(client) + ".jsonl"
    file = client.call("files.upload_async", file={"file_name": name, "content": {"$bytes": TEXT}})
    assert client.call("files.retrieve_async", file_id=file["id"])["filename"] == name
    assert [found["id"] for found in client.call("files.list_async", search=name)["data"]] == [file["id"]]
    assert client.call("files.download_async", file_id=file["id"])["text"] == TEXT
    assert client.call("files.get_signed_url_async", file_id=file["id"])["url"].startswith("http://127.0.0.1:")
    assert client.call("files.delete_async", file_id=file["id"])["deleted"] is True
