"""Renaming and archiving fine-tuned models."""

import pytest
from starlette.testclient import TestClient

from tamis.workspace.workspace import Workspace

PATH = "/v1/fine_tuning/models"


@pytest.mark.usefixtures("models")
class TestTunedModels:
    def test_an_update_answers_what_sdks_demand(self, client: TestClient, workspace: Workspace) -> None:
        workspace.aliases.set("prod", "both")
        answer = client.patch(f"{PATH}/both", json={"name": "Both", "description": "of them"})
        assert answer.status_code == 200, answer.text
        model = answer.json()
        strict = {
            "id",
            "created",
            "owned_by",
            "workspace_id",
            "root",
            "root_version",
            "archived",
            "capabilities",
            "job",
        }
        assert model.keys() >= strict | {"classifier_targets", "model_type"}
        assert (model["model_type"], model["name"], model["description"]) == ("classifier", "Both", "of them")
        assert [target["loss_function"] for target in model["classifier_targets"]] == [
            "single_class",
            "multi_class",
            "multi_class",
        ]
        assert all(
            {"name", "labels", "weight", "loss_function"} == set(target) for target in model["classifier_targets"]
        )
        assert model["aliases"] == ["prod"]
        assert client.patch(f"{PATH}/both", json={"name": "Other"}).json()["description"] == "of them"

    def test_archive_and_back(self, client: TestClient) -> None:
        assert client.post(f"{PATH}/intents/archive").json() == {"id": "intents", "object": "model", "archived": True}
        assert client.get("/v1/models/intents").json()["archived"] is True
        assert client.delete(f"{PATH}/intents/archive").json() == {
            "id": "intents",
            "object": "model",
            "archived": False,
        }
        assert client.get("/v1/models/intents").json()["archived"] is False

    def test_an_archived_model_answers_no_more_from_then_on(self, client: TestClient) -> None:
        def status() -> int:
            return client.post("/v1/classifications", json={"model": "intents", "input": "x"}).status_code

        assert status() == 200
        client.post(f"{PATH}/intents/archive")
        assert status() == 400
        client.delete(f"{PATH}/intents/archive")
        assert status() == 200
        client.delete("/v1/models/intents")
        assert status() == 400

    @pytest.mark.parametrize(("method", "end"), [("PATCH", ""), ("POST", "/archive"), ("DELETE", "/archive")])
    def test_an_unknown_model_is_404(self, client: TestClient, method: str, end: str) -> None:
        path = f"{PATH}/ft:classifier:m:8e27:20250416:db22{end}"
        answer = client.request(method, path, json={"name": "x"} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")

    @pytest.mark.parametrize("changes", [{"name": 3}, {"name": "x" * 300}, []])
    def test_wrong_changes_are_422(self, client: TestClient, changes: object) -> None:
        assert client.patch(f"{PATH}/both", json=changes).status_code == 422
