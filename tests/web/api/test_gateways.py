"""The shapes of vLLM's /classify and of text-embeddings-inference's /predict."""

import asyncio
from typing import Any

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from tamis.web import routing
from tamis.web.api import gateways
from tamis.web.api.cohere import classification
from tamis.workspace.workspace import Workspace

TEXTS = ["where is my parcel", "you charge my card"]


@pytest.mark.usefixtures("models")
class TestVllm:
    def test_the_model_of_body_path_and_setting(self, make_client: Any) -> None:
        client = make_client(default_model="intents")
        for path, body, model in (
            ("/classify", {"model": "both", "input": TEXTS}, "both"),
            ("/classify", {"input": TEXTS}, "intents"),
            ("/models/intents@1/classify", {"model": "other", "input": TEXTS}, "intents@1"),
        ):
            found = client.post(path, json=body).json()
            assert (found["object"], found["model"]) == ("list", model)
            assert found["id"].startswith("classify-")
            assert [one["index"] for one in found["data"]] == [0, 1]
            assert found["usage"]["completion_tokens"] == 0
            for one in found["data"]:
                assert one["num_classes"] == len(one["probs"])

    def test_label_and_probabilities(self, client: TestClient, workspace: Workspace) -> None:
        (one,) = client.post("/classify", json={"model": "intents", "input": TEXTS[0]}).json()["data"]
        target = workspace.classifier.served("intents").predictor.targets[0]
        assert one["label"] == target.labels[one["probs"].index(max(one["probs"]))] == "delivery"
        assert sum(one["probs"]) == pytest.approx(1, abs=1e-6)

    def test_no_model_is_told(self, client: TestClient) -> None:
        for path, body in (("/classify", {"input": "a"}), ("/predict", {"inputs": "a"})):
            answer = client.post(path, json=body)
            assert answer.status_code == 422
            assert "TAMIS_DEFAULT_MODEL" in answer.json()["message"]
        assert client.post("/models/gone/classify", json={"input": "a"}).status_code == 404

    def test_token_ids_and_too_much_are_refused(self, make_client: Any) -> None:
        client = make_client(default_model="intents", max_inputs=2)
        for given in ([1, 2], [], ["a"] * 3):
            answer = client.post("/classify", json={"input": given})
            assert (answer.status_code, answer.json()["detail"][0]["loc"][:2]) == (422, ["body", "input"])


@pytest.mark.usefixtures("models")
class TestTei:
    def test_one_text(self, make_client: Any) -> None:
        client = make_client(default_model="intents")
        for given in (TEXTS[0], [TEXTS[0]]):
            found = client.post("/predict", json={"inputs": given, "truncate": True}).json()
            assert [one["label"] for one in found] == ["delivery", "payment"]
            assert found[0]["score"] > found[1]["score"]

    def test_a_batch(self, client: TestClient) -> None:
        found = client.post("/models/intents/predict", json={"inputs": [[text] for text in TEXTS]}).json()
        assert [one[0]["label"] for one in found] == ["delivery", "payment"]
        assert len(client.post("/models/both/predict", json={"inputs": [["a"]]}).json()[0]) > 2

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ({"inputs": TEXTS}, "belong together"),
            ({"inputs": [["a"], TEXTS]}, "body.inputs.1"),
            ({"inputs": []}, "body.inputs"),
            ({"inputs": "a", "raw_scores": True}, "calibrated"),
            ({}, "body.inputs"),
        ],
    )
    def test_what_is_wrong_is_told(self, client: TestClient, body: dict[str, Any], says: str) -> None:
        answer = client.post("/models/intents/predict", json=body)
        assert answer.status_code == 422
        assert says in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "field"), [("/classify", "input"), ("/models/intents/predict", "inputs"), ("/v1/classify", "inputs")]
)
def test_a_large_answer_is_written_where_it_holds_up_nobody(
    client: TestClient, models: Workspace, monkeypatch: pytest.MonkeyPatch, path: str, field: str
) -> None:
    on_the_loop = []

    def seen(content: object) -> Response:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            on_the_loop.append(False)
        else:
            on_the_loop.append(True)
        return routing.answer_json(content)

    for module in (gateways, classification):
        monkeypatch.setattr(module, "answer_json", seen)
    texts: list[Any] = ["where is my parcel " * 10] * 96
    body = {"model": "intents", field: [[text] for text in texts] if "predict" in path else texts}
    assert client.post(path, json=body).status_code == 200
    assert on_the_loop == [False]
