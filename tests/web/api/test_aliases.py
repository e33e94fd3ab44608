"""The routes of aliases, over HTTP, from one that is set to one that is promoted and rolled back."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tamis.workspace.workspace import Workspace

ALIASES = "/v1/tamis/aliases"
SAID = {"delivery": "where is my parcel", "payment": "you charge my card"}
ROWS = "".join(
    json.dumps({"text": f"{text} {n}", "labels": {"topic": topic}}) + "\n"
    for n in range(8)
    for topic, text in SAID.items()
)


def test_set_moved_rolled_back_dropped(client: TestClient, models: Workspace) -> None:
    made = client.put(f"{ALIASES}/prod", json={"model": "intents"}).json()
    assert (made["alias"], made["model"], made["number"], made["why"]) == ("prod", "intents@1", 1, "set")
    assert made["moved_by"] is None
    assert client.put(f"{ALIASES}/prod", json={"model": "both@1"}).json()["number"] == 2
    assert client.get(f"{ALIASES}/prod").json() == client.get(ALIASES).json()["data"][0]
    assert client.post(f"{ALIASES}/prod/rollback").json()["model"] == "intents@1"
    assert client.delete(f"{ALIASES}/prod").json() == {"object": "alias", "alias": "prod", "deleted": True}
    assert client.get(ALIASES).json()["data"] == []
    models.models.delete("both@1")
    history = client.get(f"{ALIASES}/prod/history", params={"page_size": 3}).json()
    assert history["total"] == 4
    assert [move["why"] for move in history["data"]] == ["drop", "roll back", "set"]
    assert history["data"][1]["from_model"]["gone"] is True
    assert history["data"][0]["to_model"] is None
    assert client.get(f"{ALIASES}/prod/history", params={"page": 1, "page_size": 3}).json()["data"][0]["number"] == 1


def test_what_cannot_be_done(client: TestClient, models: Workspace) -> None:
    for method, path in (("GET", "prod"), ("DELETE", "prod"), ("GET", "prod/history"), ("POST", "prod/rollback")):
        answer = client.request(method, f"{ALIASES}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_alias"), path
    assert client.put(f"{ALIASES}/prod", json={"model": "gone"}).status_code == 404
    assert client.put(f"{ALIASES}/both", json={"model": "intents"}).status_code == 422
    assert client.put(f"{ALIASES}/prod", json={"model": "intents", "x": 1}).status_code == 422
    client.put(f"{ALIASES}/prod", json={"model": "intents"})
    answer = client.post(f"{ALIASES}/prod/rollback")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_an_alias_answers_as_its_model(client: TestClient, models: Workspace) -> None:
    client.put(f"{ALIASES}/prod", json={"model": "intents"})
    question = {"model": "prod", "input": ["where is my parcel"]}
    answer = client.post("/v1/classifications", json=question).json()
    assert answer["results"][0].keys() == {"topic"}
    client.put(f"{ALIASES}/prod", json={"model": "both"})
    assert client.post("/v1/classifications", json=question).json()["results"][0].keys() == {"topic", "a", "b"}


def test_promoted_or_not(client: TestClient, models: Workspace, upload: Callable[..., dict[str, Any]]) -> None:
    file = upload(ROWS.encode(), "test.jsonl")["id"]

    def promote(model: str, *conditions: str, **more: Any) -> Any:
        return client.post(
            f"{ALIASES}/prod/promote", json={"model": model, "file": file, "conditions": list(conditions), **more}
        )

    refused = promote("intents", "accuracy >= current")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert '"first": true' in refused.json()["message"]
    silent = promote("both", "accuracy >= current and accuracy >= 50%", first=True).json()  # of a and b
    assert (silent["moved"], {each["target"] for each in silent["report"]["conditions"]}) == (
        False,
        {"topic", "a", "b"},
    )
    first = promote("both", "accuracy >= current and accuracy >= 50%", first=True, allow_unmeasured=True).json()
    assert (first["moved"], first["passed"], first["former"]) == (True, True, None)
    assert first["report"]["targets"]["topic"]["figures"][0]["candidate"] is not None
    no = promote("intents", "accuracy >= current").json()
    assert (no["moved"], no["passed"]) == (False, False)
    assert no["report"]["lost"] == ["a", "b"]
    assert no["why"] == "prod stays at both@1: intents@1 lacks labels that both@1 has."
    dry = promote("intents", "accuracy >= current", allow_label_changes=True, dry_run=True).json()
    assert (dry["moved"], dry["passed"]) == (False, True)
    assert promote("intents", "accuracy >= current", allow_label_changes=True).json()["moved"] is True
    assert client.get(f"{ALIASES}/prod").json()["why"] == "promote"
    figures = client.get(f"{ALIASES}/prod/history").json()["data"][0]["figures"]
    assert (figures["data"], figures["rows"]) == ("test.jsonl", 16)
    wrong = promote("both", "accuracy >= high")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_setting")
    assert "at character 13" in wrong.json()["message"]
    assert promote("both").status_code == 422
    assert promote("both", "accuracy >= 0", max_bad_share=2).status_code == 422
    assert promote("both", "ece <= 1", file="gone").json()["code"] == "unknown_file"


@pytest.mark.parametrize("scope", ["infer", "train", "admin"])
def test_who_may_do_what(make_client: Callable[..., TestClient], models: Workspace, scope: str) -> None:
    key, secret = models.keys.create("mine", [scope], None)
    client = make_client(headers={"Authorization": f"Bearer {secret}"})
    expected = 403 if scope == "infer" else 200
    assert client.put(f"{ALIASES}/prod", json={"model": "intents"}).status_code == expected
    models.aliases.set("prod", "both")
    looks = 403 if scope == "train" else 200
    assert client.get(f"{ALIASES}/prod/history").status_code == looks
    assert client.post(f"{ALIASES}/prod/rollback").status_code in (expected, 409)
    if scope == "admin":
        moves = client.get(f"{ALIASES}/prod/history").json()["data"]
        assert [move["moved_by"] for move in moves] == [key.id, None, key.id]
