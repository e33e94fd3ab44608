"""The routes of reviews, over HTTP, from a review made to a file applied."""

import json
import time

import pytest

TEXTS = {"delivery": "where is my parcel number {}", "payment": "you charged my card twice number {}"}
ROWS = [{"text": text.format(n), "labels": {"topic": topic}} for n in range(20) for topic, text in TEXTS.items()]
ROWS += [ROWS[0], ROWS[1]]


@pytest.fixture
def file(client):
    content = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    return client.post("/v1/files", files={"file": ("rows.jsonl", content)}, data={"purpose": "fine-tune"}).json()["id"]


def wait(client, review_id):
    for _ in range(600):
        review = client.get(f"/v1/tamis/reviews/{review_id}").json()
        if review["status"] not in ("QUEUED", "RUNNING"):
            return review
        time.sleep(0.1)
    raise AssertionError("the review did not end")


def test_from_a_review_to_a_new_file(client, file):
    made = client.post("/v1/tamis/reviews", json={"training_file": file, "suspects": False})
    assert made.status_code == 200, made.text
    review = wait(client, made.json()["id"])
    assert review["status"] == "SUCCESS", review
    at = f"/v1/tamis/reviews/{review['id']}"
    finding = next(each for each in review["findings"] if each["id"] == "duplicates")
    assert (finding["count"], finding["decision"], finding["fix"]) == (2, "open", "dedupe")
    assert client.get(at, params={"severity": "error"}).json()["findings"] == []
    assert [f["id"] for f in client.get(at, params={"code": "duplicates"}).json()["findings"]] == ["duplicates"]
    items = client.get(f"{at}/items", params={"finding": "duplicates", "page_size": 1, "page": 1}).json()
    assert (items["total"], items["count"], len(items["data"])) == (2, 2, 1)
    assert items["data"][0]["edits"] == [{"kind": "remove_row", "row": 41}]
    decisions = [
        {"finding": "duplicates", "decision": "accepted"},
        {"finding": "duplicates", "item": 0, "decision": "rejected"},
    ]
    decided = client.put(f"{at}/decisions", json={"decisions": decisions})
    assert decided.status_code == 200, decided.text
    applied = client.post(f"{at}/apply", json={}).json()
    assert (applied["rows_before"], applied["rows_after"]) == (42, 41)
    content = client.get(f"/v1/files/{applied['file']}/content").text
    assert len(content.splitlines()) == 41
    assert client.get(f"{at}/summary").json()["rows"] == {"train": 42}
    listed = client.get("/v1/tamis/reviews", params={"training_file": file}).json()
    assert (listed["total"], listed["data"][0]["output_file"]) == (1, applied["file"])
    assert client.delete(at).json() == {"id": review["id"], "object": "review", "deleted": True}
    assert client.get(at).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "", {"training_file": "gone"}, 404, "unknown_file"),
        ("POST", "", {}, 422, "invalid_request"),
        ("POST", "", {"training_file": "x", "more": 1}, 422, "invalid_request"),
        ("POST", "", {"training_file": "x", "test_files": ["y"] * 30}, 422, "invalid_request"),
        ("GET", "/gone", None, 404, "unknown_review"),
        ("GET", "/gone/items?finding=x", None, 404, "unknown_review"),
        ("GET", "/gone/items", None, 422, "invalid_request"),
        ("GET", "?page_size=0", None, 422, "invalid_request"),
        ("PUT", "/gone/decisions", {"decisions": []}, 404, "unknown_review"),
        ("PUT", "/gone/decisions", {"decisions": [{"finding": "x", "decision": "maybe"}]}, 422, "invalid_request"),
        ("POST", "/gone/apply", {}, 404, "unknown_review"),
        ("DELETE", "/gone", None, 404, "unknown_review"),
    ],
)
def test_what_is_wrong_is_said(client, method, path, body, status, code):
    answer = client.request(method, f"/v1/tamis/reviews{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_reviews_are_for_keys_that_may_train(make_client, workspace):
    secret = workspace.keys.create("reader", ["infer"])[1]
    client = make_client(headers={"Authorization": f"Bearer {secret}"})
    assert client.get("/v1/tamis/reviews").status_code == 403
