"""What the page is asked through Gradio's queue: only what it has, and no more than somebody fetches the answers of.

Gradio keeps every answer until its session's stream is read, and looks functions up without asking whether they are
there. Plain ASGI, between the gate and Gradio.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from tamis.demo.gate import LONGEST_QUERY, Application, Receive, Scope, Send

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
SESSION = "session_hash"
LONGEST_NAME = 64

MOST_UNREAD = 8
"""Requests of a session whose answers nobody fetches; the page opens a stream for its first."""

MOST_SESSIONS = 4_000
"""That are remembered; Gradio forgets all but the last 2,000."""


class Asking:
    """An ASGI application that passes on what the page's own code would ask."""

    def __init__(self, inside: Application, functions: Collection[int]) -> None:
        """Stand before `inside`, a Gradio page with these functions."""
        self._inside, self._functions = inside, frozenset(functions)
        self._unread = Counter[str]()
        self._read = Counter[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        path = scope.get("path", "").rstrip("/") if scope["type"] == "http" else ""
        if path.endswith(JOIN) and scope["method"] == "POST":
            await self._join(scope, receive, send)
        elif path.endswith(DATA):
            await self._fetch(scope, receive, send)
        else:
            await self._inside(scope, receive, send)

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            return
        session, trouble = self._asked(body)
        if trouble is not None:
            await _say(send, *trouble)
            return
        if not self._read[session]:
            self._unread[session] += 1
            while len(self._unread) > MOST_SESSIONS:
                del self._unread[next(iter(self._unread))]
        await self._inside(scope, _again(body, receive), send)

    def _asked(self, body: bytes) -> tuple[str, tuple[int, str] | None]:
        """The session, and status and reason where it is not to be answered."""
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            return "", (400, "This is no JSON.")
        function, session = (asked.get("fn_index"), asked.get(SESSION)) if isinstance(asked, dict) else (None, None)
        if type(function) is not int or function not in self._functions:
            return "", (404, "The page has no such function.")
        if not isinstance(session, str) or not 1 <= len(session) <= LONGEST_NAME:
            return "", (400, "A request belongs to a session.")
        if not self._read[session] and self._unread[session] >= MOST_UNREAD:
            return session, (429, "Too many answers wait to be fetched.")
        return session, None

    async def _fetch(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope.get("query_string", b"")[:LONGEST_QUERY].decode("latin-1"))
        session = query.get(SESSION, [""])[-1]
        self._read[session] += 1
        self._unread.pop(session, None)
        try:
            await self._inside(scope, receive, send)
        finally:
            self._read[session] -= 1
            if not self._read[session]:
                del self._read[session]


async def _body(receive: Receive) -> bytes | None:
    """The whole body, whose length the gate looked at; None where the client went away."""
    pieces = list[bytes]()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


def _again(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    return received


async def _say(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
