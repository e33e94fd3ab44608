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
        workspace.aliases.set("prod", "intents")
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


@pytest.mark.usefixtures("models")
class TestExplanations:
    def test_old_clients_get_what_they_always_got(self, client: TestClient) -> None:
        for explain in ({}, {"explain": False}, {"explain": None}):
            body = client.post("/v1/classifications", json={"model": "intents", "input": "my parcel"} | explain).json()
            assert set(body) == {"id", "model", "results"}

    def test_each_input_is_explained_with_places_in_its_text(self, client: TestClient) -> None:
        texts = ["where is my parcel", "you charge my card"]
        asked = {"model": "both", "input": texts, "explain": {"top": 2}}
        answer = client.post("/v1/classifications", json=asked)
        assert answer.status_code == 200
        body = answer.json()
        plain = client.post("/v1/classifications", json={"model": "both", "input": texts}).json()
        assert body["results"] == plain["results"]
        for text, result, explained in zip(texts, body["results"], body["explanations"], strict=True):
            assert list(explained["targets"]) == list(result)
            for target, labels in explained["targets"].items():
                for each in labels:
                    assert each["score"] == pytest.approx(result[target]["scores"][each["label"]], abs=1e-5)
                    assert len(each["pieces"]) == 2
                    assert all(text[piece["start"] : piece["end"]] == piece["text"] for piece in each["pieces"])

    def test_words_of_chats_name_their_message(self, client: TestClient) -> None:
        chat = {"messages": [{"role": "user", "content": "hello"}, {"role": "user", "content": "where is my parcel"}]}
        asked = {"model": "intents", "input": chat, "explain": True}
        (explained,) = client.post("/v1/chat/classifications", json=asked).json()["explanations"]
        pieces = explained["targets"]["topic"][0]["pieces"]
        assert {(piece["message"], piece["text"]) for piece in pieces} >= {(0, "hello"), (1, "parcel")}

    def test_unknown_models_and_limits_are_told_as_always(self, client: TestClient) -> None:
        asked = {"model": "ft:classifier:gone", "input": "x", "explain": True}
        assert client.post("/v1/classifications", json=asked).json()["code"] == "1500"
        many = client.post("/v1/classifications", json={"model": "intents", "input": ["x"] * 9, "explain": True})
        assert (many.status_code, many.json()["code"]) == (422, "limit_exceeded")
        assert "max_explained_inputs" in many.json()["message"]
