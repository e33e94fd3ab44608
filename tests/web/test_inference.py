"""From a request to a model's answer."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from tamis.endpoints import (
    CHAT_CLASSIFICATIONS,
    CHAT_MODERATIONS,
    CLASSIFICATIONS,
    MODERATIONS,
    Question,
    read_question,
)
from tamis.web import inference
from tamis.workspace.workspace import Workspace

MakeClient = Callable[..., TestClient]
CHAT = [{"role": "user", "content": "where is my parcel"}]
INPUTS = {
    CLASSIFICATIONS: "x",
    CHAT_CLASSIFICATIONS: {"messages": CHAT},
    MODERATIONS: "x",
    CHAT_MODERATIONS: CHAT,
}


@pytest.mark.parametrize("endpoint", INPUTS, ids=str)
class TestEveryEndpoint:
    def test_an_unknown_model_is_400(self, client: TestClient, endpoint: str) -> None:
        answer = client.post(endpoint, json={"model": "ft:classifier:gone", "input": INPUTS[endpoint]})
        assert answer.status_code == 400
        assert answer.json()["message"] == "Invalid model: ft:classifier:gone"
        assert (answer.json()["type"], answer.json()["code"]) == ("invalid_model", "1500")

    def test_no_model_is_422(self, client: TestClient, endpoint: str) -> None:
        answer = client.post(endpoint, json={"input": INPUTS[endpoint]})
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "model"])

    def test_extra_fields_do_no_harm(self, client: TestClient, models: Workspace, endpoint: str) -> None:
        body = {"model": "flags", "input": INPUTS[endpoint], "metadata": {"a": 1}, "truncate_for_context_length": True}
        assert client.post(endpoint, json=body).status_code == 200

    def test_no_content_type_is_no_obstacle(self, client: TestClient, models: Workspace, endpoint: str) -> None:
        import orjson

        content = orjson.dumps({"model": "flags", "input": INPUTS[endpoint]})
        assert client.post(endpoint, content=content).status_code == 200

    def test_an_empty_list_is_422(self, client: TestClient, models: Workspace, endpoint: str) -> None:
        assert client.post(endpoint, json={"model": "flags", "input": []}).status_code == 422

    def test_an_archived_model_answers_no_more(self, client: TestClient, models: Workspace, endpoint: str) -> None:
        body = {"model": "flags", "input": INPUTS[endpoint]}
        assert client.post("/v1/fine_tuning/models/flags/archive").json()["archived"] is True
        assert client.post(endpoint, json=body).status_code == 400


def test_limits_name_their_settings(make_client: MakeClient, models: Workspace) -> None:
    client = make_client(max_inputs=2, max_input_chars=10, max_request_chars=15, max_messages=2)
    for endpoint, given, setting in (
        (CLASSIFICATIONS, ["a", "b", "c"], "max_inputs"),
        (CLASSIFICATIONS, "x" * 11, "max_input_chars"),
        (CLASSIFICATIONS, ["x" * 9, "y" * 9], "max_request_chars"),
        (CHAT_CLASSIFICATIONS, {"messages": [{"role": "user", "content": "x"}] * 3}, "max_messages"),
    ):
        answer = client.post(endpoint, json={"model": "flags", "input": given})
        assert (answer.status_code, answer.json()["code"]) == (422, "limit_exceeded")
        assert setting in answer.json()["message"]
        assert answer.json()["detail"][0]["loc"][:2] == ["body", "input"]


def test_a_model_that_stands_in_moderates(make_client: MakeClient, models: Workspace) -> None:
    client = make_client(moderation_model="flags")
    answer = client.post(MODERATIONS, json={"input": "x"})
    assert (answer.status_code, answer.json()["model"]) == (200, "flags")
    assert client.post(CLASSIFICATIONS, json={"input": "x"}).status_code == 422


@pytest.mark.parametrize("hosted", ["omni-moderation-latest", "mistral-moderation-latest"])
def test_hosted_moderators_are_the_operators(make_client: MakeClient, models: Workspace, hosted: str) -> None:
    client = make_client(moderation_model="flags")
    for endpoint, given in ((MODERATIONS, "x"), (CHAT_MODERATIONS, CHAT)):
        answer = client.post(endpoint, json={"input": given, "model": hosted})
        assert (answer.status_code, answer.json()["model"]) == (200, hosted)
    client = make_client()
    assert client.post(MODERATIONS, json={"input": "x", "model": hosted}).status_code == 400  # no model stands in


def test_parts_of_text_are_one_input_and_images_are_refused(client: TestClient, models: Workspace) -> None:
    parts = [{"type": "text", "text": "where is"}, {"type": "text", "text": "my parcel"}]
    answer = client.post(MODERATIONS, json={"model": "flags", "input": parts})
    whole = client.post(MODERATIONS, json={"model": "flags", "input": "where is\nmy parcel"})
    assert answer.json()["results"] == whole.json()["results"]
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    answer = client.post(MODERATIONS, json={"model": "flags", "input": [*parts, image]})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "input", 2, "type"])
    assert "leave out images" in answer.json()["message"]


def test_large_bodies_are_read_in_a_thread_and_small_ones_are_not(
    client: TestClient, models: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def read(*given: Any) -> Question:
        threads.append(threading.current_thread().name)
        return read_question(*given)

    monkeypatch.setattr(inference, "read_question", read)
    for text in ("x", "x" * 150_000):
        body = {"model": "flags", "input": [text, text]}
        assert client.post(CLASSIFICATIONS, json=body).status_code == 200
    assert threads[0] != threads[1]
    assert "worker" in threads[1].lower()


@pytest.mark.parametrize(("path", "status"), [("/v1/classify", 400), ("/classify", 422), ("/v1/tamis/reviews", 422)])
def test_crowded_bodies_are_refused_before_they_are_parsed(client: TestClient, path: str, status: int) -> None:
    crowded = b'{"inputs": ["x"], "input": "x", "more": [' + b"1," * 2_100_000 + b"1]}"
    answer = client.post(path, content=crowded, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, "limit_exceeded")
    assert "2,000,000 values" in answer.json()["message"]


def test_overload_is_429(client: TestClient, models: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from tamis.errors import Overloaded

    async def busy(*_: object) -> bytes:
        raise Overloaded("Too much to classify.", retry_after=3)

    monkeypatch.setattr(models.answerer, "ask", busy)
    answer = client.post(CLASSIFICATIONS, json={"model": "flags", "input": "x"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
