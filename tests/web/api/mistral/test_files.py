"""Files over HTTP, as the SDKs send and read them."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from tamis.workspace.workspace import Workspace

Upload = Callable[..., dict[str, Any]]
ROW = b'{"text": "where is my parcel", "labels": {"topic": "delivery"}}\n'


def test_upload_answers_every_field_that_sdks_demand(upload: Upload) -> None:
    file = upload()
    assert {"id", "object", "bytes", "created_at", "filename", "purpose", "sample_type", "source"} <= file.keys()
    assert file["object"] == "file"
    assert file["bytes"] == len(ROW)
    assert isinstance(file["created_at"], int)
    assert (file["purpose"], file["sample_type"], file["source"]) == ("fine-tune", "instruct", "upload")
    assert (file["filename"], file["num_lines"], file["mimetype"]) == ("rows.jsonl", 1, "application/jsonl")
    assert len(file["signature"]) == 16


def test_the_same_name_and_content_is_the_same_file(upload: Upload) -> None:
    first = upload()
    assert upload()["id"] == first["id"]
    assert upload(name="other.jsonl")["id"] != first["id"]
    assert upload(content=ROW * 2)["id"] != first["id"]


def test_fields_of_newer_sdks(upload: Upload) -> None:
    file = upload(purpose="batch", visibility="user", expiry="2", something_new="x")
    assert (file["purpose"], file["sample_type"], file["visibility"]) == ("batch", "batch_request", "user")
    assert 0 < file["expires_at"] - file["created_at"] <= 2 * 3600 + 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("expiry", "soon"), ("expiry", "0"), ("expiry", "9" * 40), ("visibility", "world"), ("purpose", "a b")],
)
def test_wrong_fields_are_named(client: TestClient, field: str, value: str) -> None:
    answer = client.post("/v1/files", files={"file": ("x.jsonl", ROW)}, data={field: value})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]
    assert client.get("/v1/files").json()["total"] == 0


def test_list_and_filters(client: TestClient, upload: Upload) -> None:
    rows, batch = upload(name="rows.jsonl"), upload(name="batch.jsonl", purpose="batch")

    def ids(query: str) -> list[str]:
        answer = client.get(f"/v1/files?{query}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["object"] == "list"
        return sorted(file["id"] for file in answer.json()["data"])

    both = sorted([rows["id"], batch["id"]])
    assert ids("") == both
    assert ids("purpose=batch") == [batch["id"]]
    assert ids("sample_type=instruct") == [rows["id"]]
    assert ids("sample_type=instruct&sample_type=batch_request&source=upload&source=mistral") == both
    assert ids("search=ROWS") == [rows["id"]]
    assert ids("mimetypes=text/csv") == []
    assert ids("page=1&page_size=1") != ids("page=0&page_size=1")
    assert client.get("/v1/files").json()["total"] == 2
    assert client.get("/v1/files?include_total=false").json()["total"] is None


def test_retrieve_says_deleted(client: TestClient, upload: Upload) -> None:
    file = upload()
    assert client.get(f"/v1/files/{file['id']}").json() == file | {"deleted": False}


def test_delete(client: TestClient, upload: Upload) -> None:
    file = upload()
    assert client.delete(f"/v1/files/{file['id']}").json() == {"id": file["id"], "object": "file", "deleted": True}
    for method, path in (("GET", ""), ("GET", "/content"), ("GET", "/url"), ("DELETE", "")):
        gone = client.request(method, f"/v1/files/{file['id']}{path}")
        assert (gone.status_code, gone.json()["code"]) == (404, "unknown_file")


def test_a_file_of_a_live_job_stays(client: TestClient, upload: Upload) -> None:
    file = upload()
    body = {"model": "ministral-3b-latest", "training_files": [file["id"]], "hyperparameters": {}}
    assert client.post("/v1/fine_tuning/jobs", json=body).status_code == 200
    answer = client.delete(f"/v1/files/{file['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "in_use")


def test_download_is_octet_stream(client: TestClient, upload: Upload) -> None:
    file = upload(name='odd "näme".jsonl')
    answer = client.get(f"/v1/files/{file['id']}/content")
    assert answer.content == ROW
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "utf-8''odd%20%22n%C3%A4me%22.jsonl" in answer.headers["content-disposition"]
    head = client.head(f"/v1/files/{file['id']}/content")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(ROW)))


def test_a_lost_object_is_an_error_and_not_an_empty_file(client: TestClient, upload: Upload, tmp_path: Any) -> None:
    file = upload()
    (tmp_path / "home" / "objects" / "files" / file["id"]).unlink()
    assert client.get(f"/v1/files/{file['id']}/content").status_code in (404, 503)


class TestSignedLinks:
    def path_of(self, client: TestClient, file_id: str, query: str = "") -> str:
        url = client.get(f"/v1/files/{file_id}/url{query}").json()["url"]
        assert url.startswith("http://127.0.0.1:8000/")
        return url.removeprefix("http://127.0.0.1:8000")

    def test_it_needs_no_key(self, client: TestClient, upload: Upload, workspace: Any, make_client: Any) -> None:
        file = upload()
        path = self.path_of(client, file["id"])
        workspace.keys.create("k")
        stranger = make_client(host="203.0.113.9")
        assert stranger.get(f"/v1/files/{file['id']}/content").status_code == 401
        answer = stranger.get(path)
        assert answer.content == ROW
        assert answer.headers["content-type"] == "application/octet-stream"

    def test_it_expires(self, client: TestClient, upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
        import tamis.workspace.files as files

        path = self.path_of(client, upload()["id"], "?expiry=1")
        assert client.get(path).status_code == 200
        now = files.time()
        monkeypatch.setattr(files, "time", lambda: now + 3601)
        answer = client.get(path)
        assert answer.status_code == 403
        assert "expired" in answer.json()["message"]

    def test_it_cannot_be_changed(self, client: TestClient, upload: Upload) -> None:
        one, other = upload(), upload(name="other.jsonl")
        path = self.path_of(client, one["id"])
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        for changed in (
            path.replace(one["id"], other["id"]),
            path.replace(query["expires"], str(int(query["expires"]) + 3600)),
            path.replace(query["signature"], "0" * 64),
            path.replace(query["signature"], "é"),
            path.replace(query["expires"], "never"),
        ):
            assert client.get(changed).status_code == 403, changed
        assert client.get(path.partition("?")[0]).status_code == 422

    def test_it_names_the_public_address(self, make_client: Any, upload: Upload) -> None:
        file = upload()
        client = make_client(public_url="https://tamis.example/api/")
        url = client.get(f"/v1/files/{file['id']}/url").json()["url"]
        assert url.startswith(f"https://tamis.example/api/signed/files/{file['id']}?")

    @pytest.mark.parametrize("hours", ["0", "-1", "100000", "x"])
    def test_the_hours_are_checked(self, client: TestClient, upload: Upload, hours: str) -> None:
        assert client.get(f"/v1/files/{upload()['id']}/url?expiry={hours}").status_code == 422


class TestKeyWithoutTrain:
    """A key that may run batches has to do with their files, and with no others."""

    @pytest.fixture
    def ids(self, upload: Upload, workspace: Workspace) -> dict[str, str]:
        ids = {purpose: upload(name=purpose, purpose=purpose)["id"] for purpose in ("fine-tune", "batch", "own")}
        ids["key"] = workspace.keys.create("k", ["infer"])[1]
        return ids

    @pytest.fixture
    def infer(self, make_client: Callable[..., TestClient], ids: dict[str, str]) -> TestClient:
        return make_client(headers={"authorization": f"Bearer {ids['key']}"})

    @pytest.mark.parametrize("purpose", ["fine-tune", "own"])
    @pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/content"), ("GET", "/url"), ("DELETE", "")])
    def test_of_others_it_gets_nothing(
        self, infer: TestClient, ids: dict[str, str], workspace: Workspace, purpose: str, method: str, path: str
    ) -> None:
        answer = infer.request(method, f"/v1/files/{ids[purpose]}{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "scope train" in answer.json()["message"]
        assert workspace.files.get(ids[purpose])

    def test_batch_files_are_its_own(self, infer: TestClient, ids: dict[str, str]) -> None:
        path = f"/v1/files/{ids['batch']}"
        assert infer.get(path).json()["filename"] == "batch"
        assert infer.get(f"{path}/content").content == ROW
        assert infer.get(infer.get(f"{path}/url").json()["url"]).content == ROW
        assert infer.delete(path).status_code == 200

    def test_it_sees_no_others_in_lists(self, infer: TestClient, ids: dict[str, str]) -> None:
        for query in ("", "?purpose=batch", "?sample_type=instruct&sample_type=batch_request"):
            assert [file["id"] for file in infer.get(f"/v1/files{query}").json()["data"]] == [ids["batch"]]
        assert infer.get("/v1/files?purpose=fine-tune").status_code == 403

    @pytest.mark.parametrize("fields", [{}, {"purpose": "fine-tune"}, {"purpose": ""}])
    @pytest.mark.parametrize("purpose_first", [True, False])
    def test_it_uploads_no_others(
        self, infer: TestClient, workspace: Workspace, fields: dict[str, str], purpose_first: bool
    ) -> None:
        file = [("file", ("x.jsonl", ROW * 40_000))]
        parts = [(name, (None, value)) for name, value in fields.items()]
        answer = infer.post("/v1/files", files=[*parts, *file] if purpose_first else [*file, *parts])
        assert answer.status_code == 403
        assert workspace.files.list(0, 10, {"search": "x.jsonl"})[1] == 0
        assert not list(workspace.store.objects.root.glob(".unfinished/*"))

    def test_it_runs_a_batch_from_batch_files_alone(
        self, infer: TestClient, ids: dict[str, str], models: Workspace
    ) -> None:
        uploaded = infer.post("/v1/files", files={"file": ("q.jsonl", ROW)}, data={"purpose": "batch"})
        asked = {"endpoint": "/v1/classifications", "model": "intents", "timeout_hours": 1}
        for file, status in ((uploaded.json()["id"], 200), (ids["fine-tune"], 403), ("gone", 404)):
            assert infer.post("/v1/batch/jobs", json={**asked, "input_files": [file]}).status_code == status
