"""What is too large, too slow or too much is refused, with the reason, before anything is made of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient

from tamis.errors import Unauthorized
from tamis.settings import Settings
from tamis.web.limits import Limits

MakeClient = Callable[..., TestClient]
Message = dict[str, Any]


class TestBytes:
    @pytest.mark.parametrize(
        "path", ["/v1/classifications", "/v1/fine_tuning/jobs", "/v1/batch/jobs", "/v1/chat/completions"]
    )
    def test_a_large_body_is_refused_by_what_it_says(self, make_client: MakeClient, path: str) -> None:
        answer = make_client(max_request_bytes=1000).post(path, content=b"x" * 1001)
        assert (answer.status_code, answer.json()["code"]) == (413, "limit_exceeded")
        assert "max_request_bytes" in answer.json()["message"]
        assert answer.headers["connection"] == "close"

    @pytest.mark.parametrize(
        "path", ["/v1/classifications", "/v1/fine_tuning/jobs", "/v1/batch/jobs", "/v1/chat/completions"]
    )
    def test_and_by_what_comes(self, make_client: MakeClient, path: str) -> None:
        def pieces() -> Iterator[bytes]:
            for _ in range(10):
                yield b"x" * 200

        answer = make_client(max_request_bytes=1000).post(path, content=pieces())
        assert answer.status_code == 413, answer.text

    @pytest.mark.parametrize("length", ["abc", "-1", "1e3", "\xb2"])
    def test_an_odd_length_is_refused(self, client: TestClient, length: str) -> None:
        headers = {"content-length": length.encode("latin-1")}
        assert client.post("/v1/classifications", content=b"x", headers=headers).status_code in (400, 422)


def run(app: Callable[..., Awaitable[None]], tmp_path: Path, messages: list[Any], **settings: Any) -> list[Message]:
    """Send one request's messages through the limits and return what is answered; a number is a pause in seconds."""
    limits = Limits(app, Settings(home=tmp_path, **settings))
    sent: list[Message] = []

    async def receive() -> Message:
        while messages and isinstance(messages[0], float):
            await asyncio.sleep(messages.pop(0))
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/v1/files", "method": "POST", "headers": [], "request_id": "r"}
    anyio.run(lambda: limits(scope, receive, send))
    return sent


async def reads_all(scope: Any, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class TestTime:
    def test_a_body_that_stops_coming_is_refused(self, tmp_path: Path) -> None:
        piece = {"type": "http.request", "body": b"x", "more_body": True}
        sent = run(reads_all, tmp_path, [piece, 5.0], request_timeout_s=0.05)
        assert sent[0]["status"] == 408
        assert b"too_slow" in sent[1]["body"]

    def test_one_that_comes_slowly_but_surely_is_read(self, tmp_path: Path) -> None:
        piece = {"type": "http.request", "body": b"x", "more_body": True}
        slow = [part for _ in range(6) for part in (0.05, dict(piece))]
        sent = run(reads_all, tmp_path, [*slow, {"type": "http.request", "body": b""}], request_timeout_s=0.2)
        assert sent[0]["status"] == 200

    def test_one_that_only_trickles_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tamis.web.limits.PATIENCE_S", 0.1)
        piece = {"type": "http.request", "body": b"x", "more_body": True}
        slow = [part for _ in range(6) for part in (0.05, dict(piece))]
        sent = run(reads_all, tmp_path, [*slow, {"type": "http.request", "body": b""}])
        assert sent[0]["status"] == 408
        quick = [part for _ in range(6) for part in (0.05, {**piece, "body": b"x" * 10_000})]
        sent = run(reads_all, tmp_path, [*quick, {"type": "http.request", "body": b""}])
        assert sent[0]["status"] == 200

    def test_waiting_for_the_client_to_leave_has_no_limit(self, tmp_path: Path) -> None:
        async def waits(scope: Any, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
            await receive()
            assert (await receive())["type"] == "http.disconnect"
            await reads_all(scope, receive, send)

        sent = run(waits, tmp_path, [{"type": "http.request", "body": b""}, 0.2], request_timeout_s=0.05)
        assert sent[0]["status"] == 200


class TestRequestsAtATime:
    def test_more_get_429_and_when_to_come_back(self, tmp_path: Path) -> None:
        settings = Settings(home=tmp_path, max_concurrent_requests=2)
        statuses: list[int] = []
        retry: list[bytes] = []

        async def main() -> None:
            release = anyio.Event()

            async def slow(scope: Any, receive: Any, send: Any) -> None:
                await release.wait()
                await reads_all(scope, receive, send)

            limits = Limits(slow, settings)

            async def one(path: str = "/v1/files") -> None:
                async def receive() -> Message:
                    return {"type": "http.request", "body": b""}

                async def send(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        statuses.append(message["status"])
                        retry.extend(value for name, value in message["headers"] if name == b"retry-after")

                await limits({"type": "http", "path": path, "method": "GET", "headers": []}, receive, send)

            async with anyio.create_task_group() as group:
                group.start_soon(one)
                group.start_soon(one)
                await anyio.sleep(0.01)
                await one()
                group.start_soon(one, "/healthz")
                await anyio.sleep(0.01)
                release.set()
            await one()

        anyio.run(main)
        assert statuses == [429, 200, 200, 200, 200]
        assert retry == [b"1"]

    def test_one_that_is_refused_holds_no_place(self, tmp_path: Path) -> None:
        """Its body may come for seconds yet, and anybody can be refused."""
        statuses: list[int] = []

        async def main() -> None:
            async def refuses(scope: Any, receive: Any, send: Any) -> None:
                raise Unauthorized("No.")

            limits = Limits(refuses, Settings(home=tmp_path, max_concurrent_requests=1))

            async def one() -> None:
                async def receive() -> Message:
                    await anyio.sleep(60)
                    raise AssertionError

                async def send(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        statuses.append(message["status"])

                await limits({"type": "http", "path": "/v1/files", "method": "POST", "headers": []}, receive, send)

            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(one)
                    await anyio.sleep(0.01)
                group.cancel_scope.cancel()

        anyio.run(main)
        assert statuses == [401] * 5

    def test_a_failed_request_frees_its_place(self, make_client: MakeClient) -> None:
        client = make_client(max_concurrent_requests=1)
        for _ in range(3):
            assert client.get("/v1/files/nope").status_code == 404
