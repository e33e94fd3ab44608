"""The merged card of models."""

from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from tamis.workspace.workspace import Workspace

CARD = {
    *("id", "object", "created", "owned_by", "capabilities", "type", "job", "root", "archived", "aliases"),
    *("name", "endpoints", "finetuned", "context_length", "tokenizer_url", "default_endpoints"),
}


@pytest.mark.usefixtures("models")
class TestModels:
    def test_the_list_is_all_three(self, client: TestClient) -> None:
        body = client.get("/v1/models").json()
        assert body["object"] == "list"
        assert body["data"] == body["models"]
        assert body["next_page_token"] is None
        assert all(card.keys() >= CARD for card in body["data"])
        kinds = {card["id"]: card["type"] for card in body["data"]}
        assert kinds["both@1"] == "fine-tuned"
        assert kinds["static-en"] == kinds["ministral-3b-latest"] == "base"

    def test_fine_tuned_ones_have_what_mistral_demands(self, client: TestClient) -> None:
        card = client.get("/v1/models/both").json()
        assert isinstance(card["job"], str)
        assert isinstance(card["root"], str)
        assert card["name"] == card["id"]
        assert card["capabilities"]["classification"] is True
        assert card["capabilities"]["moderation"] is True
        assert client.get("/v1/models/intents").json()["capabilities"]["moderation"] is False

    def test_any_name_finds_it(self, client: TestClient, workspace: Workspace) -> None:
        workspace.aliases.set("prod", "both")
        record = workspace.models.find("both")
        for name in ("both", "both@1", "prod", record.id, f"{record.id}-ft"):
            card = client.get(f"/v1/models/{name}").json()
            assert card["id"] == "both@1"
            assert card["aliases"] == ["prod"]

    def test_pages_for_cohere(self, client: TestClient) -> None:
        seen, token = [], ""
        for _ in range(20):
            body = client.get(f"/v1/models?page_size=2&page_token={token}").json()
            seen += [card["id"] for card in body["models"]]
            token = body["next_page_token"]
            if not token:
                break
        assert seen == [card["id"] for card in client.get("/v1/models").json()["data"]]
        assert client.get("/v1/models?page_token=x").status_code == 422
        assert client.get("/v1/models?page_token=99999").json()["data"] == []

    def test_endpoints(self, client: TestClient) -> None:
        assert {card["finetuned"] for card in client.get("/v1/models?endpoint=classify").json()["models"]} == {True}
        assert client.get("/v1/models?endpoint=embed").json()["models"] == []

    def test_by_owner_and_by_name(self, client: TestClient, workspace: Workspace) -> None:
        workspace.aliases.set("prod", "both")
        everything = client.get("/v1/models").json()["data"]
        mine = client.get("/v1/models", params={"provider": "tamis"}).json()["data"]
        assert mine == [card for card in everything if card["owned_by"] == "tamis"] != []
        assert client.get("/v1/models", params={"provider": "nobody"}).json()["data"] == []
        for name, found in (("both@1", ["both@1"]), ("prod", ["both@1"]), ("static-en", ["static-en"]), ("x", [])):
            cards = client.get("/v1/models", params={"model": name, "provider": "tamis"}).json()["data"]
            assert [card["id"] for card in cards] == found, name
        assert client.get("/v1/models", params={"model": "", "provider": ""}).json()["data"] == everything

    def test_what_a_model_reads_is_told(self, client: TestClient, workspace: Workspace) -> None:
        whole = workspace.models.find("both")
        cut = replace(whole, id="cut", name="cut", version=0, place="objects:models/cut", context=512)
        workspace.store.models.add(cut)
        for name, reads in (("both", 32_768), ("cut", 512)):
            card = client.get(f"/v1/models/{name}").json()
            assert card["max_context_length"] == card["context_length"] == reads
            assert client.patch(f"/v1/fine_tuning/models/{name}", json={}).json()["max_context_length"] == reads

    def test_delete(self, client: TestClient, workspace: Workspace) -> None:
        workspace.aliases.set("prod", "both")
        assert client.delete("/v1/models/both").status_code == 409
        workspace.aliases.drop("prod")
        assert client.delete("/v1/models/both").json() == {"id": "both", "object": "model", "deleted": True}
        assert client.get("/v1/models/both").status_code == 404

    def test_base_models_stay(self, client: TestClient) -> None:
        answer = client.delete("/v1/models/static-en")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("name", ["nope", "ft:classifier:m:8e27:20250416:db22", "a@1", "x" * 2000, "%00", "é"])
def test_unknown_ones_are_404(client: TestClient, name: str) -> None:
    for method in ("GET", "DELETE"):
        answer = client.request(method, f"/v1/models/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")
