"""Chats passed through to an LLM endpoint that remembers what it was sent."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tamis.labelers.endpoint import chat_url

MakeClient = Callable[..., TestClient]
PATH = "/v1/chat/completions"
ASK = {"model": "small", "messages": [{"role": "user", "content": "Hello!"}]}
ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "small",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


class Llm:
    """An LLM endpoint on a port of its own."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.answer: Callable[[], Response] = lambda: JSONResponse(ANSWER)
        self.left = threading.Event()
        self.url = ""

    async def handle(self, request: Request) -> Response:
        self.asked.append((request.url.path, dict(request.headers), await request.json()))
        return self.answer()

    def stream(self, pieces: int = 3, pause: float = 0.0) -> Response:
        async def events() -> AsyncIterator[bytes]:
            try:
                for n in range(pieces):
                    yield b'data: {"n": %d}\n\n' % n
                    await asyncio.sleep(pause)
                yield b"data: [DONE]\n\n"
            finally:
                self.left.set()

        return StreamingResponse(events(), media_type="text/event-stream")


@pytest.fixture
def llm() -> Iterator[Llm]:
    made = Llm()
    app = Starlette(routes=[Route("/{path:path}", made.handle, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    made.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield made
    server.should_exit = True
    thread.join()


class TestWithoutOne:
    def test_the_setting_is_named(self, client: TestClient) -> None:
        answer = client.post(PATH, json=ASK)
        assert answer.status_code == 422
        assert "TAMIS_LLM_BASE_URL" in answer.json()["message"]

    @pytest.mark.parametrize(
        "body", [{}, {"model": "m"}, {"model": "m", "messages": []}, {"model": 1, "messages": [1]}]
    )
    def test_wrong_bodies_are_told_first(self, client: TestClient, body: dict[str, Any]) -> None:
        answer = client.post(PATH, json=body)
        assert answer.json()["detail"][0]["loc"][0] == "body"


class TestPassingThrough:
    def test_everything_but_the_key_goes_on(self, make_client: MakeClient, llm: Llm) -> None:
        client = make_client(llm_base_url=llm.url, llm_api_key="operators")
        asked = ASK | {"temperature": 0.1, "response_format": {"type": "json_schema", "json_schema": {"strict": True}}}
        answer = client.post(PATH, json=asked, headers={"authorization": "Bearer callers", "cookie": "a=callers"})
        assert answer.json() == ANSWER
        ((path, headers, body),) = llm.asked
        assert (path, body) == (PATH, asked)
        assert headers["authorization"] == "Bearer operators"
        assert "callers" not in json.dumps(headers)

    def test_without_a_key_none_is_sent(self, make_client: MakeClient, llm: Llm) -> None:
        make_client(llm_base_url=llm.url).post(PATH, json=ASK, headers={"authorization": "Bearer callers"})
        assert "authorization" not in llm.asked[0][1]

    def test_models_by_other_names(self, make_client: MakeClient, llm: Llm) -> None:
        client = make_client(llm_base_url=f"{llm.url}/v1", llm_models={"small": "owner/other"})
        client.post(PATH, json=ASK)
        client.post(PATH, json=ASK | {"model": "large"})
        assert [body["model"] for _, _, body in llm.asked] == ["owner/other", "large"]
        assert {path for path, _, _ in llm.asked} == {PATH}

    def test_streams(self, make_client: MakeClient, llm: Llm) -> None:
        llm.answer = llm.stream
        client = make_client(llm_base_url=llm.url)
        with client.stream("POST", PATH, json=ASK | {"stream": True}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = [line for line in answer.iter_lines() if line]
        assert lines == ['data: {"n": 0}', 'data: {"n": 1}', 'data: {"n": 2}', "data: [DONE]"]


class TestFailures:
    @pytest.mark.parametrize("says", ["Incorrect API key provided: {}.", "{}", "<p>Bearer {}</p>"])
    def test_our_key_stays_here_when_the_endpoint_repeats_it(
        self, make_client: MakeClient, llm: Llm, says: str
    ) -> None:
        key = "sk-canary-0123456789"
        llm.answer = lambda: JSONResponse({"error": {"message": says.format(key)}}, 401)
        answer = make_client(llm_base_url=llm.url, llm_api_key=key).post(PATH, json=ASK)
        assert answer.status_code == 502
        assert key not in answer.text

    @pytest.mark.parametrize(
        ("status", "told"),
        [(400, 400), (404, 404), (422, 422), (429, 429), (500, 500), (503, 503), (401, 502), (403, 502), (302, 502)],
    )
    def test_statuses_are_passed_on(self, make_client: MakeClient, llm: Llm, status: int, told: int) -> None:
        """That our own key is wrong is nothing that the caller could mend."""
        content = {"error": {"message": "No such model.", "type": "x"}}
        llm.answer = lambda: JSONResponse(content, status, {"retry-after": "9", "location": "http://x/"})
        answer = make_client(llm_base_url=llm.url).post(PATH, json=ASK)
        assert answer.status_code == told
        assert answer.json()["code"] == "upstream_failed"
        assert "No such model." in answer.json()["message"]
        assert answer.headers["retry-after"] == "9"

    @pytest.mark.parametrize(
        "content", [b"", b"<html>no</html>", b"\xff\xfe", b'{"detail": [1]}', b"[]", b"null", b"x" * 10**6]
    )
    def test_odd_errors(self, make_client: MakeClient, llm: Llm, content: bytes) -> None:
        llm.answer = lambda: Response(content, 500)
        answer = make_client(llm_base_url=llm.url).post(PATH, json=ASK)
        assert answer.status_code == 500
        assert len(answer.content) < 20_000

    def test_nobody_there(self, make_client: MakeClient) -> None:
        answer = make_client(llm_base_url="http://127.0.0.1:9").post(PATH, json=ASK)
        assert (answer.status_code, answer.json()["code"]) == (502, "upstream_failed")
        assert "127.0.0.1" not in answer.text

    def test_too_slow(self, make_client: MakeClient, llm: Llm) -> None:
        llm.answer = lambda: llm.stream(pieces=1, pause=30)
        client = make_client(llm_base_url=llm.url, request_timeout_s=0.3)
        with client.stream("POST", PATH, json=ASK | {"stream": True}) as answer:
            lines = [line for line in answer.iter_lines() if line]
        assert "broke off" in lines[-1]


def test_a_caller_that_leaves_lets_the_endpoint_go(llm: Llm, make_client: MakeClient) -> None:
    import anyio

    llm.answer = lambda: llm.stream(pieces=1000, pause=0.02)
    app = make_client(llm_base_url=llm.url).app

    async def main() -> None:
        import httpx

        async with httpx.AsyncClient() as upstream:
            app.state.llm = upstream
            sent: list[dict[str, Any]] = []
            messages = [{"type": "http.request", "body": json.dumps(ASK | {"stream": True}).encode()}]

            async def receive() -> dict[str, Any]:
                if messages:
                    return messages.pop(0)
                while len(sent) < 3:
                    await anyio.sleep(0.01)
                return {"type": "http.disconnect"}

            async def send(message: dict[str, Any]) -> None:
                sent.append(message)

            headers = [(b"host", b"127.0.0.1")]
            scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers, "query_string": b""}
            await app(
                {**scope, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "http_version": "1.1"}, receive, send
            )

    anyio.run(main)
    assert llm.left.wait(5)


@pytest.mark.parametrize(
    ("base", "endpoint"),
    [
        ("https://api.mistral.ai", "https://api.mistral.ai/v1/chat/completions"),
        ("https://api.mistral.ai/v1/", "https://api.mistral.ai/v1/chat/completions"),
        ("http://x/openai/v2", "http://x/openai/v2/chat/completions"),
        ("http://x/v1/chat/completions", "http://x/v1/chat/completions"),
    ],
)
def test_base_urls(base: str, endpoint: str) -> None:
    assert chat_url(base) == endpoint
