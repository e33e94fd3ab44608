"""The door before the page: the token, what may be asked, what answers carry."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tamis.demo.gate import MOST_BYTES, Gate, link, new_token

TOKEN = "a-token"
COOKIE = "tamis-demo-7860=a-token"
Answer = tuple[int, dict[str, str], str]


async def page(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"referrer-policy", b"unsafe-url")]})
    await send({"type": "http.response.body", "body": b"the page"})


def ask(path: str = "/", *, method: str = "GET", token: str | None = TOKEN, **headers: str) -> Answer:
    """Return status, headers and body of what the gate answers."""
    where, _, query = path.partition("?")
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": where, "query_string": query.encode(), "headers": named}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(Gate(page, token, port=7860)(scope, receive, send))
    start, body = sent
    said = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    assert len(said) == len(start["headers"]), "a header twice"
    return start["status"], said, body["body"].decode()


class TestToken:
    def test_the_link_lets_in_and_leaves_the_address(self) -> None:
        status, headers, body = ask(link("", TOKEN) + "&__theme=dark")
        assert (status, headers["location"], body) == (303, "./?__theme=dark", "")
        assert headers["set-cookie"] == f"{COOKIE}; Path=/; HttpOnly; SameSite=Lax"
        assert headers["cache-control"] == "no-store"

    def test_the_cookie_lets_in(self) -> None:
        assert ask(cookie=COOKIE)[::2] == (200, "the page")
        assert ask(cookie=f"a=b; {COOKIE}; c")[0] == 200

    @pytest.mark.parametrize(
        ("path", "cookie"),
        [
            ("/", ""),
            ("/?token=", ""),
            ("/?token=a-toke", ""),
            ("/?token=a-token&token=b", ""),
            ("/?token=%C3%A9%00", ""),
            ("/config", ""),
            ("/", "tamis-demo-7860=b"),
            ("/", "tamis-demo-7860="),
            ("/", "tamis-demo-7861=a-token"),
            ("/?token=b", COOKIE),
            ("/?" + "a=1&" * 5000 + "token=a-token", ""),
        ],
    )
    def test_nobody_else_comes_in(self, path: str, cookie: str) -> None:
        status, headers, body = ask(path, cookie=cookie)
        assert status == 403
        assert "set-cookie" not in headers
        assert "ask who shared" in body
        assert TOKEN not in body

    def test_tokens_differ_and_are_long(self) -> None:
        assert new_token() != new_token()
        assert len(new_token()) >= 32
        assert link("http://h:1", None) == "http://h:1/"


class TestWithoutToken:
    @pytest.mark.parametrize(
        "host", ["localhost", "localhost:7860", "127.0.0.1:7860", "[::1]:7860", "[::1]", "a.localhost"]
    )
    def test_names_of_this_machine(self, host: str) -> None:
        assert ask(token=None, host=host)[0] == 200

    @pytest.mark.parametrize(
        "host", ["", "example.org", "127.0.0.1.example.org", "127.example.org:7860", "10.0.0.1", "[", "::"]
    )
    def test_names_that_were_made_to_mean_it(self, host: str) -> None:
        assert ask(token=None, host=host)[0] == 403


class TestRequests:
    @pytest.mark.parametrize(
        "path",
        [
            "/gradio_api/upload",
            "/gradio_api/file=/etc/passwd",
            "/gradio_api/file/x",
            "/gradio_api/proxy=http://example.org",
            "/gradio_api/call/x",
            "/gradio_api/run/predict",
            "/gradio_api/stream/x",
            "/gradio_api/deep_link",
            "/gradio_api/vibe-code",
            "/gradio_api/undo-vibe-edit/",
            "/gradio_api/component_server",
            "/gradio_api/run-history/connect",
            "/gradio_api/openapi.json",
            "/gradio_api/profiling/summary",
            "/openapi.json",
            "/logout",
            "/monitoring",
            "/login",
            "/file=/etc/passwd",
        ],
    )
    def test_what_the_page_does_not_need(self, path: str) -> None:
        assert ask(path, cookie=COOKIE)[0] == 404

    def test_what_it_needs(self) -> None:
        for path in ("/config", "/gradio_api/queue/data", "/assets/index.js", "/theme.css", "/gradio_api/heartbeat/x"):
            assert ask(path, cookie=COOKIE)[0] == 200
        sent = {"cookie": COOKIE, "host": "h:1", "origin": "http://h:1", "content_length": "10"}
        assert ask("/gradio_api/queue/join", method="POST", **sent)[0] == 200

    def test_other_methods(self) -> None:
        status, headers, _ = ask(method="DELETE", cookie=COOKIE)
        assert (status, headers["allow"]) == (405, "GET, HEAD, POST")

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            ({"origin": "http://evil.example", "content_length": "1"}, 403),
            ({"origin": "null", "content_length": "1"}, 403),
            ({"origin": "[", "content_length": "1"}, 403),
            ({}, 411),
            ({"content_length": "-1"}, 411),
            ({"content_length": str(MOST_BYTES + 1)}, 413),
            ({"content_length": "9" * 5000}, 413),
        ],
    )
    def test_posts(self, sent: dict[str, str], status: int) -> None:
        assert ask("/gradio_api/queue/join", method="POST", cookie=COOKIE, host="h:1", **sent)[0] == status

    def test_the_page_reaches_nothing_else(self) -> None:
        for answer in (ask(cookie=COOKIE), ask()):
            assert "connect-src 'self'" in answer[1]["content-security-policy"]
            assert answer[1]["x-frame-options"] == "DENY"
            assert answer[1]["referrer-policy"] == "no-referrer"

    def test_sockets_of_the_web_are_not_answered(self) -> None:
        async def fails(*_: object) -> None:
            raise AssertionError

        asyncio.run(Gate(fails, TOKEN, port=1)({"type": "websocket"}, fails, fails))  # type: ignore[arg-type]
