"""Datasets over HTTP: the query says what they are, the form brings the rows, links lead to what was kept."""

import io
import json
from typing import Any

import fastavro
import pytest
from starlette.testclient import TestClient

SINGLE = "single-label-classification-finetune-input"
MULTI = "multi-label-classification-finetune-input"


def rows(n: int = 40, **more: Any) -> bytes:
    said = [{"text": f"text {number}", "label": "ab"[number % 2], **more} for number in range(n)]
    return b"".join(json.dumps(row).encode() + b"\n" for row in said)


def create(client: TestClient, data: bytes | None, filename: str = "train.jsonl", **query: Any) -> Any:
    files = {} if data is None else {"data": (filename, data)}
    if isinstance(query.get("eval_data"), bytes):
        files["eval_data"] = ("eval.jsonl", query.pop("eval_data"))
    query = {"name": "mine", "type": SINGLE, **query}
    return client.post("/v1/datasets", params=query, files=files or {"other": ("x", b"x")})


def made(client: TestClient, data: bytes, *names: str, **query: Any) -> dict[str, Any]:
    answer = create(client, data, *names, **query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = client.get(f"/v1/datasets/{answer.json()['id']}").json()["dataset"]
    return found


class TestCreate:
    def test_a_dataset_is_validated_when_it_is_there(self, client: TestClient) -> None:
        found = made(client, rows(), eval_data=rows(24))
        assert found["validation_status"] == "validated"
        assert (found["name"], found["dataset_type"], found["validation_error"]) == ("mine", SINGLE, None)
        assert found["id"].startswith("mine-")
        assert [field["name"] for field in json.loads(found["schema"])["fields"]] == ["text", "label"]
        assert found["created_at"].endswith("Z")
        assert found["validation_warnings"] == []
        metrics = found["metrics"]["finetune_dataset_metrics"]
        assert (metrics["train_examples"], metrics["eval_examples"], metrics["total_examples"]) == (40, 24, 64)
        labels = metrics["classify_data_metrics"]["label_metrics"]
        assert [(label["label"], label["total_examples"]) for label in labels] == [("a", 20), ("b", 20)]
        train, held = found["dataset_parts"]
        assert (train["name"], train["num_rows"], train["index"]) == ("train.jsonl", 40, 0)
        assert (held["name"], held["num_rows"], held["original_url"]) == ("eval.jsonl", 24, None)
        assert json.loads(train["samples"][0]) == {"text": "text 0", "label": "a"}

    def test_csv(self, client: TestClient) -> None:
        data = b"text,label\n" + b"".join(b'"a, b %d",%s\n' % (n, b"xy"[n % 2 : n % 2 + 1]) for n in range(40))
        assert made(client, data, "train.csv")["dataset_parts"][0]["num_rows"] == 40
        found = made(client, data.replace(b",", b";").replace(b"; ", b", "), "train.csv", csv_delimiter=";")
        assert found["validation_status"] == "validated"

    def test_bytes_without_a_name(self, client: TestClient) -> None:
        assert made(client, rows(), "upload")["validation_status"] == "validated"

    def test_several_labels_and_none(self, client: TestClient) -> None:
        said = [{"text": f"text {n}", "label": ["a", "b"][: n % 3]} for n in range(45)]
        data = b"".join(json.dumps(row).encode() + b"\n" for row in said)
        found = made(client, data, type=MULTI)
        assert found["validation_status"] == "validated"
        again = list(fastavro.reader(io.BytesIO(client.get(found["dataset_parts"][0]["url"]).content)))
        assert again == said
        assert [json.loads(sample) for sample in found["dataset_parts"][0]["samples"]] == said[:3]

    @pytest.mark.parametrize(
        ("query", "says"),
        [
            ({"name": " "}, "query.name"),
            ({"name": "x" * 50}, "1 to 49"),
            ({"type": "embed-input"}, "other products"),
            ({"type": "nothing"}, SINGLE),
            ({"csv_delimiter": "ab"}, "one character"),
        ],
    )
    def test_what_cannot_be_is_refused(self, client: TestClient, query: dict[str, str], says: str) -> None:
        answer = create(client, rows(), **query)
        assert answer.status_code == 400
        assert says in answer.json()["message"]
        assert client.get("/v1/datasets").json() == {"datasets": []}
        assert client.get("/v1/files").json()["data"] == []

    @pytest.mark.parametrize(
        ("filename", "kind", "says"), [("a.parquet", SINGLE, ".jsonl or .csv"), ("a.csv", MULTI, "JSON lines")]
    )
    def test_files_of_other_kinds(self, client: TestClient, filename: str, kind: str, says: str) -> None:
        for data in (rows(), rows(40_000)):  # the latter is refused while it comes
            answer = create(client, data, filename, type=kind)
            assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (400, ["body", "data"])
            assert says in answer.json()["message"]

    def test_no_data(self, client: TestClient) -> None:
        answer = create(client, None)
        assert answer.status_code == 400
        assert "body.data" in answer.json()["message"]
        assert "body.data" in create(client, None, eval_data=rows()).json()["message"]
        assert client.get("/v1/files").json()["data"] == []
        assert client.post("/v1/datasets", params={"name": "a", "type": SINGLE}, json={}).status_code == 400

    def test_more_than_may_be_uploaded(self, make_client: Any) -> None:
        client = make_client(max_upload_bytes=1000)
        answer = create(client, rows(60))
        assert (answer.status_code, answer.json()["code"]) == (413, "limit_exceeded")


class TestAfterwards:
    def test_downloads_need_no_key_and_are_the_rows(self, client: TestClient) -> None:
        data = rows()
        (part,) = made(client, data, keep_original_file=True)["dataset_parts"]
        assert client.get(part["original_url"]).content == data
        again = list(fastavro.reader(io.BytesIO(client.get(part["url"]).content)))
        assert again == [json.loads(line) for line in data.splitlines()]
        assert part["size_bytes"] == len(client.get(part["url"]).content)

    def test_the_uploaded_file_is_not_kept(self, client: TestClient) -> None:
        made(client, rows())
        names = sorted(file["filename"] for file in client.get("/v1/files").json()["data"])
        assert names == ["mine.avro", "mine.jsonl"]

    def test_lists_and_usage(self, client: TestClient) -> None:
        first, second = made(client, rows(), name="one"), made(client, rows(1), name="two")
        ids = lambda query="": [one["id"] for one in client.get(f"/v1/datasets?{query}").json()["datasets"]]  # noqa: E731
        assert ids() == [second["id"], first["id"]]
        assert ids("validationStatus=failed") == [second["id"]]
        assert (ids(f"datasetType={MULTI}"), ids("limit=1"), ids("offset=1")) == ([], [second["id"]], [first["id"]])
        assert (ids("before=2020-01-01T00:00:00Z"), len(ids("after=2020-01-01T00:00:00Z"))) == ([], 2)
        assert client.get("/v1/datasets/usage").json()["organization_usage"] > 0

    def test_a_file_that_was_deleted_by_itself_has_no_link(self, client: TestClient) -> None:
        dataset_id = made(client, rows(), keep_original_file=True)["id"]
        for file in client.get("/v1/files").json()["data"]:
            assert client.delete(f"/v1/files/{file['id']}").status_code == 200
        (listed,) = client.get("/v1/datasets").json()["datasets"]
        assert [(part["url"], part["original_url"]) for part in listed["dataset_parts"]] == [(None, None)]
        assert client.delete(f"/v1/datasets/{dataset_id}").status_code == 200

    def test_a_long_row_is_no_long_sample(self, client: TestClient) -> None:
        long = json.dumps({"text": "long " * 100_000, "label": "a"}).encode() + b"\n"
        (part,) = made(client, long + rows())["dataset_parts"]
        assert part["num_rows"] == 41
        assert len(part["samples"][0]) < 2_000

    def test_a_name_of_any_letters(self, client: TestClient) -> None:
        assert made(client, rows(), filename="\u6f22" * 200 + ".jsonl")["validation_status"] == "validated"

    def test_a_delete_answers_an_object_and_leaves_nothing(self, client: TestClient) -> None:
        found = made(client, rows(), keep_original_file=True)
        answer = client.delete(f"/v1/datasets/{found['id']}")
        assert (answer.status_code, answer.json()) == (200, {})
        assert client.get("/v1/files").json()["data"] == []
        for method in ("GET", "DELETE"):
            answer = client.request(method, f"/v1/datasets/{found['id']}")
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_dataset")
