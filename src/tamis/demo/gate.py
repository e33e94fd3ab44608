"""The door before the page: who has the link comes in, nobody else, and the page reaches nothing but where it is from.

Plain ASGI. It does not know what is behind it.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlencode

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN = "token"
MOST_BYTES = 4 << 20
"""Of the body of a request: a chat of the longest allowed length, with room to spare."""

LONGEST_QUERY = 4096

NOT_NEEDED = frozenset({
    *("upload", "upload_progress", "file", "proxy", "stream", "call", "run", "api", "deep_link", "dev"),
    *("process_recording", "component_server", "custom_component", "runs", "run-history"),
    *("vibe-edit", "undo-vibe-edit", "vibe-code", "vibe-starter-queries"),
    *("openapi.json", "profiling"),
})  # fmt: skip
"""What Gradio would answer below `/gradio_api/` and the page never asks for: files, other servers' pages, its code."""

CLOSED = frozenset({"monitoring", "login", "logout", "file", "proxy", "openapi.json"})
"""The same, beside that."""

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""Gradio puts its settings and styles into its page; nothing comes from, or goes to, any other place."""

_PORT = re.compile(r"(?<=[^:]):[0-9]*$")  # of a name, an IPv4 address, or an IPv6 address in brackets

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex"),
)


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(24)


def link(url: str, token: str | None) -> str:
    """Return what one opens in a browser."""
    return f"{url}/?{urlencode({TOKEN: token})}" if token else f"{url}/"


class Gate:
    """An ASGI application that lets those into another one who bring the token, once in the link, then in a cookie.

    Without a token it lets in whoever asks for it by a name of this machine: a page elsewhere, whose name was made to
    mean this machine, is not among them.
    """

    def __init__(self, inside: Application, token: str | None, *, port: int) -> None:
        """Stand before `inside`; cookies know no ports, so the port is in the cookie's name."""
        self._inside, self._token, self._cookie = inside, token, f"tamis-demo-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "lifespan":
            await self._inside(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qs(scope.get("query_string", b"")[:LONGEST_QUERY].decode("latin-1"))
        if self._token is not None and TOKEN in query:
            await (self._let_in(scope, query, send) if self._is_right(query[TOKEN][-1]) else _refuse(send))
        elif not self._knows(headers):
            await _refuse(send)
        elif trouble := _trouble(scope, headers):
            await _say(send, *trouble)
        else:
            await self._inside(scope, receive, _with_headers(send))

    def _is_right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self._token or "").encode())

    def _knows(self, headers: Mapping[str, str]) -> bool:
        if self._token is None:
            return _is_this_machine(headers.get("host", ""))
        pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        return any(name == self._cookie and self._is_right(value) for name, _, value in pairs)

    async def _let_in(self, scope: Scope, query: Mapping[str, list[str]], send: Send) -> None:
        """Put the token into a cookie, and take it out of the address: that is shown, copied and remembered."""
        rest = urlencode({name: values for name, values in query.items() if name != TOKEN}, doseq=True)
        cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Lax"
        place = f"./?{rest}" if rest else "./"
        await _answer(send, 303, b"", ((b"location", place.encode()), (b"set-cookie", cookie.encode())))


def _trouble(scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
    """Status and reason to answer no request of the page itself."""
    parts = scope["path"].strip("/").split("/")
    if parts[0] == "gradio_api" and len(parts) > 1 and parts[1].partition("=")[0] in NOT_NEEDED:
        return 404, "There is nothing here."
    if parts[0].partition("=")[0] in CLOSED:
        return 404, "There is nothing here."
    if scope["method"] not in ("GET", "HEAD", "POST"):
        return 405, "The demo takes no such request."
    if scope["method"] == "POST":
        return _posted(headers)
    return None


def _posted(headers: Mapping[str, str]) -> tuple[int, str] | None:
    origin = headers.get("origin")
    if origin is not None and origin.lower().partition("://")[2] != headers.get("host", "").lower():
        return 403, "This request comes from the page of somebody else."
    size = headers.get("content-length", "")
    if not size.isdecimal():
        return 411, "A request without its length is not read."
    if int(size[:20]) > MOST_BYTES:
        return 413, f"This is more than the {MOST_BYTES:,} bytes that the demo reads at a time."
    return None


def _is_this_machine(host: str) -> bool:
    """Whether a Host header names this machine; a name that only begins like its address does not."""
    name = _PORT.sub("", host.lower()).strip("[]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            named = {name for name, _ in HEADERS}
            kept = [pair for pair in message.get("headers", ()) if bytes(pair[0]).lower() not in named]
            message = {**message, "headers": [*kept, *HEADERS]}
        await send(message)

    return sending


async def _refuse(send: Send) -> None:
    await _say(send, 403, "This link is not complete, or no longer valid: ask who shared the demo for a new one.")


async def _say(send: Send, status: int, reason: str) -> None:
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>Demo</title><style>:root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;"
        f"max-width:34rem;margin:20vh auto;padding:0 1.5rem}}</style><p>{escape(reason)}</p></html>\n"
    )
    more = ((b"content-type", b"text/html; charset=utf-8"), *((b"allow", b"GET, HEAD, POST"),) * (status == 405))
    await _answer(send, status, page.encode(), more)


async def _answer(send: Send, status: int, body: bytes, more: tuple[tuple[bytes, bytes], ...]) -> None:
    size = ((b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": status, "headers": [*more, *size, *HEADERS]})
    await send({"type": "http.response.body", "body": body})
