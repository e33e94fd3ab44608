"""What the page is asked: functions that it has, and no more answers than somebody fetches."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tamis.demo.asking import DATA, JOIN, MOST_SESSIONS, MOST_UNREAD, Asking


class Page:
    """Answers 200, and keeps the bodies it was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            self.bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Client:
    def __init__(self) -> None:
        self.page = Page()
        self.app = Asking(self.page, range(3))

    def ask(self, method: str, path: str, pieces: tuple[bytes, ...] = (b"",), query: str = "") -> int:
        waiting = [
            {"type": "http.request", "body": piece, "more_body": place + 1 < len(pieces)}
            for place, piece in enumerate(pieces)
        ]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": []}
        asyncio.run(self.app(scope, receive, send))
        return int(sent[0]["status"]) if sent else 0

    def join(self, session: object = "me", function: object = 1) -> int:
        return self.ask("POST", JOIN, (json.dumps({"fn_index": function, "session_hash": session}).encode(),))

    def fetch(self, session: str = "me") -> int:
        return self.ask("GET", DATA, query=f"session_hash={session}")


@pytest.fixture
def client() -> Client:
    return Client()


def test_what_the_page_has_is_passed_on_whole(client: Client) -> None:
    body = b'{"fn_index": 2, "session_hash": "me", "data": ["text"]}'
    assert client.ask("POST", JOIN, (body[:10], body[10:])) == 200
    assert client.page.bodies == [body]
    assert client.ask("GET", "/") == client.ask("GET", JOIN) == 200


@pytest.mark.parametrize("function", [3, 999, -1, None, "1", True, 1.0, [1]])
def test_functions_that_the_page_does_not_have(client: Client, function: object) -> None:
    assert client.join(function=function) == 404
    assert not client.page.bodies


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b"1"])
def test_what_is_no_request(client: Client, body: bytes) -> None:
    assert client.ask("POST", JOIN, (body,)) in (400, 404)


@pytest.mark.parametrize("session", [None, "", 1, "s" * 65])
def test_a_request_has_a_session(client: Client, session: object) -> None:
    assert client.join(session) == 400


def test_a_client_that_leaves_in_the_middle(client: Client) -> None:
    assert client.ask("POST", JOIN, ()) == 0
    assert not client.page.bodies


def test_answers_that_nobody_fetches_are_few(client: Client) -> None:
    assert [client.join() for _ in range(MOST_UNREAD + 1)] == [200] * MOST_UNREAD + [429]
    assert client.join("you") == 200
    assert client.fetch() == 200
    assert client.join() == 200


def test_who_reads_may_ask_on(client: Client) -> None:
    client.app._read["me"] = 1
    assert {client.join() for _ in range(3 * MOST_UNREAD)} == {200}


def test_sessions_are_forgotten(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamis.demo.asking.MOST_SESSIONS", 5)
    assert {client.join(f"s{number}") for number in range(20)} == {200}
    assert len(client.app._unread) == 5 < MOST_SESSIONS
