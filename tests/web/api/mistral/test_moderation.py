"""Moderation by multi-label classifiers, as mistralai and openai read it."""

import pytest
from starlette.testclient import TestClient


@pytest.mark.usefixtures("models")
class TestModeration:
    def moderate(self, client: TestClient, model: str, given: object, path: str = "/v1/moderations") -> list[dict]:
        answer = client.post(path, json={"model": model, "input": given})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert {"id", "model", "results"} == body.keys()
        results: list[dict] = body["results"]
        return results

    def test_a_verdict_an_input(self, client: TestClient) -> None:
        first, second = self.moderate(client, "flags", ["where is my parcel", "you charge my card"])
        for verdict in (first, second):
            names = {"safe", "delivery", "payment"}
            assert verdict["categories"].keys() == verdict["category_scores"].keys() == names
            assert all(isinstance(flag, bool) for flag in verdict["categories"].values())
            assert verdict["flagged"] is any(verdict["categories"].values())
            assert verdict["category_applied_input_types"] == {name: ["text"] for name in names}

    def test_none_labels_never_flag(self, client: TestClient) -> None:
        for verdict in self.moderate(client, "flags", ["where is my parcel", "you charge my card", "", "please"]):
            assert verdict["categories"]["safe"] is False

    def test_several_targets_give_their_names(self, client: TestClient) -> None:
        (verdict,) = self.moderate(client, "both", "x")
        assert {"a/delivery", "a/payment", "b/odd", "b/even", "b/safe"} == verdict["categories"].keys()

    def test_chats(self, client: TestClient) -> None:
        chat = [{"role": "user", "content": "where is my parcel"}]
        one = self.moderate(client, "flags", chat, "/v1/chat/moderations")
        two = self.moderate(client, "flags", [chat, chat], "/v1/chat/moderations")
        assert [verdict["category_scores"] for verdict in two] == [
            pytest.approx(one[0]["category_scores"], abs=1e-5)
        ] * 2

    def test_a_single_label_model_cannot(self, client: TestClient) -> None:
        answer = client.post("/v1/moderations", json={"model": "intents", "input": "x"})
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "model"])
        assert "multi-label" in answer.json()["message"]
