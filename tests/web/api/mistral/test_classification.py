"""Classification as the SDKs read it."""

import re

import pytest
from starlette.testclient import TestClient

from tamis.workspace.workspace import Workspace


@pytest.mark.usefixtures("models")
class TestTexts:
    def test_one(self, client: TestClient) -> None:
        answer = client.post("/v1/classifications", json={"model": "intents", "input": "where is my parcel"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        body = answer.json()
        assert re.fullmatch(r"[0-9a-f]{32}", body["id"])
        assert body["model"] == "intents"
        (result,) = body["results"]
        scores = result["topic"]["scores"]
        assert scores.keys() == {"delivery", "payment"}
        assert all(isinstance(score, float) for score in scores.values())
        assert sum(scores.values()) == pytest.approx(1, abs=1e-6)

    def test_several_answer_in_order(self, client: TestClient) -> None:
        texts = ["where is my parcel", "you charge my card", "where is my parcel"]
        results = client.post("/v1/classifications", json={"model": "intents", "input": texts}).json()["results"]
        assert len(results) == 3
        assert results[0] == results[2] != results[1]

    def test_several_targets(self, client: TestClient) -> None:
        result = client.post("/v1/classifications", json={"model": "both", "input": "x"}).json()["results"][0]
        assert list(result) == ["topic", "a", "b"]
        assert all(0 <= score <= 1 for target in result.values() for score in target["scores"].values())

    def test_every_name_of_a_model(self, client: TestClient, workspace: Workspace) -> None:
        record = workspace.models.find("intents")
        workspace.models.set_alias("prod", "intents")
        for name in ("intents", "intents@1", "prod", record.id, f"{record.id}-ft"):
            answer = client.post("/v1/classifications", json={"model": name, "input": "x"})
            assert (answer.status_code, answer.json()["model"]) == (200, name)

    def test_odd_texts(self, client: TestClient) -> None:
        for text in ("", " ", "\x00", "é" * 5000, "🎉", "\u202e"):
            assert client.post("/v1/classifications", json={"model": "intents", "input": text}).status_code == 200


@pytest.mark.usefixtures("models")
class TestChats:
    def test_one_and_several(self, client: TestClient) -> None:
        chat = {"messages": [{"role": "user", "content": "where is my parcel"}]}
        one = client.post("/v1/chat/classifications", json={"model": "intents", "input": chat}).json()
        several = client.post("/v1/chat/classifications", json={"model": "intents", "input": [chat, chat]}).json()
        scores = one["results"][0]["topic"]["scores"]
        assert [result["topic"]["scores"] for result in several["results"]] == [pytest.approx(scores, abs=1e-5)] * 2

    def test_what_sdks_put_into_messages(self, client: TestClient) -> None:
        messages = [
            {"role": "system", "content": [{"type": "text", "text": "be nice"}]},
            {"role": "assistant", "content": "hello", "prefix": False},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "x"}]},
            {"role": "tool", "content": "42", "name": "t", "tool_call_id": "x"},
        ]
        body = {"model": "intents", "input": {"messages": messages}}
        assert client.post("/v1/chat/classifications", json=body).status_code == 200

    def test_pictures_are_refused(self, client: TestClient) -> None:
        messages = [{"role": "user", "content": [{"type": "image_url", "image_url": "https://x"}]}]
        answer = client.post("/v1/chat/classifications", json={"model": "intents", "input": {"messages": messages}})
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"][:2] == ["body", "input"]
