"""Chats that pass through to the operator's LLM endpoint, through every release of the SDK."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from wire.client_process import CallFailed, Client, run_program
from wire.sdk_environments import MISTRAL, Sdk
from wire.server_process import Server
from wire.stub_llm import FOOD, LLM_KEY, PIECES, StubLlm

ASKED = [{"role": "user", "content": "Count to three."}]


def test_an_answer_comes_back(client: Client, llm: StubLlm) -> None:
    name = f"any-name:{uuid.uuid4().hex[:6]}"
    answer = client.call("chat.complete", model=name, messages=ASKED, temperature=0.25, max_tokens=7)
    assert answer["choices"][0]["message"]["content"] == "".join(PIECES)
    assert (answer["model"], answer["usage"]["total_tokens"]) == (name, 8)
    path, headers, body = llm.requests[-1]
    assert path == "/v1/chat/completions"
    assert body["model"] == name  # untouched
    assert (body["temperature"], body["max_tokens"], body["messages"][0]["content"]) == (0.25, 7, "Count to three.")
    assert headers["authorization"] == f"Bearer {LLM_KEY}"


def test_the_callers_key_is_never_passed_on(client: Client, llm: StubLlm) -> None:
    client.call("chat.complete", model="m", messages=ASKED)
    assert "any-key-will-do" not in str(llm.requests[-1])


def test_a_stream_arrives_in_pieces(client: Client, llm: StubLlm) -> None:
    events = client.call("chat.stream", model="m", messages=ASKED)
    said = [event["data"]["choices"][0]["delta"].get("content") for event in events]
    assert [piece for piece in said if piece] == PIECES
    assert events[-1]["data"]["choices"][0]["finish_reason"] == "stop"
    assert llm.requests[-1][2]["stream"] is True


@pytest.mark.parametrize("sdk", MISTRAL, ids=str)
def test_the_product_notebooks_comparison(sdk: Sdk, server: Server, llm: StubLlm) -> None:
    found = run_program(sdk, "chat_parse.py", server.url, "the-callers-key", "mistral-small-latest", "Camembert")
    assert found == FOOD
    _, headers, body = llm.requests[-1]
    assert body["model"] == "mistral-small-latest"
    assert body["response_format"]["json_schema"]["schema"]["additionalProperties"] is False
    assert "the-callers-key" not in str(headers)


def test_an_error_of_the_endpoint_is_shown(client: Client) -> None:
    with pytest.raises(CallFailed) as caught:
        client.call("chat.complete", model="no-such-llm", messages=ASKED)
    assert caught.value.type == "SDKError"
    assert 400 <= (caught.value.status or 0) < 500
    assert "no-such-llm" in caught.value.message + caught.value.body


def test_the_async_methods(client: Client) -> None:
    answer = client.call("chat.complete_async", model="m", messages=ASKED)
    assert answer["choices"][0]["message"]["content"] == "".join(PIECES)
    events = client.call("chat.stream_async", model="m", messages=ASKED)
    said = [event["data"]["choices"][0]["delta"].get("content") for event in events]
    assert [piece for piece in said if piece] == PIECES


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that no LLM endpoint is configured for."""
    with Server(tmp_path_factory.mktemp("bare") / "home") as running:
        yield running


class TestOtherSettings:
    """Servers with other settings of their own."""

    @pytest.mark.parametrize("sdk", MISTRAL, ids=str)
    def test_without_an_endpoint_the_setting_is_named(self, bare: Server, sdk: Sdk) -> None:
        with Client(sdk, bare.url) as client, pytest.raises(CallFailed) as caught:
            client.call("chat.complete", model="m", messages=ASKED)
        assert caught.value.type == "HTTPValidationError"
        assert "TAMIS_LLM_BASE_URL" in caught.value.detail[0]["msg"]

    def test_names_can_be_mapped(self, llm: StubLlm, tmp_path: Path) -> None:
        names = '{"mistral-small-latest": "my-llm"}'
        settings = {"TAMIS_LLM_BASE_URL": llm.url, "TAMIS_LLM_MODELS": names}
        with Server(tmp_path / "home", **settings) as running, Client(MISTRAL[1], running.url) as client:
            client.call("chat.complete", model="mistral-small-latest", messages=ASKED)
            assert llm.requests[-1][2]["model"] == "my-llm"
            assert "authorization" not in llm.requests[-1][1]
            client.call("chat.complete", model="another", messages=ASKED)
            assert llm.requests[-1][2]["model"] == "another"
