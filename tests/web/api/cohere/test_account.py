"""Tokens, and whether a key is good."""

import pytest
from starlette.testclient import TestClient

from tamis.workspace.workspace import Workspace


def test_every_key_is_good_where_there_are_none(client: TestClient) -> None:
    assert client.post("/v1/check-api-key").json() == {
        "valid": True,
        "organization_id": "tamis",
        "owner_id": "anyone",
    }


def test_with_keys(client: TestClient, workspace: Workspace) -> None:
    record, secret = workspace.keys.create("k", ("infer",), None)
    answer = client.post("/v1/check-api-key", headers={"authorization": f"Bearer {secret}"})
    assert answer.json()["owner_id"] == record.id
    answer = client.post("/v1/check-api-key", headers={"authorization": "Bearer other"})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.usefixtures("models")
def test_tokens_of_base_and_tuned_models(client: TestClient) -> None:
    for model in ("english", "static-en", "embed-english-v3.0"):
        answer = client.post("/v1/tokenize", json={"text": "where is it", "model": model})
        assert answer.status_code == (404 if model.startswith("embed") else 200)
    tuned = client.post("/v1/tokenize", json={"text": "where is my parcel", "model": "intents"}).json()
    assert tuned["token_strings"] == ["where", "is", "my", "parcel"]
    assert len(tuned["tokens"]) == 4


@pytest.mark.parametrize("text", ["", "x" * 65_537])
def test_texts_that_are_too_short_or_too_long(client: TestClient, text: str) -> None:
    answer = client.post("/v1/tokenize", json={"text": text, "model": "english"})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (400, ["body", "text"])
