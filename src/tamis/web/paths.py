"""Addresses as clients send them: a doubled `/v1`, a slash at the end, HEAD.

A redirect would be the usual cure for the first two, but the older SDKs do not follow redirects.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DOUBLED = re.compile(r"^(?:/v1)+(?=/v1/)")

HEAD_ASKED = "tamis.head"
"""Key of the scope under which a route can see that only the headers of its answer are wanted."""


class Paths:
    """Routes `/v1/v1/files/` as `/v1/files`, and HEAD as GET without the body."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand around `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            path = scope["path"]
            if path[-1:] == "/" or path[:7] == "/v1/v1/":
                scope["path"] = plain_path(path)
            if scope["method"] == "HEAD":
                scope["method"], scope[HEAD_ASKED] = "GET", True
                await self._app(scope, receive, _without_body(send))
                return
        await self._app(scope, receive, send)


def plain_path(path: str) -> str:
    """Return the path with one `/v1` at most and no slash at the end."""
    return _DOUBLED.sub("", path).rstrip("/") or "/"


def _without_body(send: Send) -> Send:
    ended = False

    async def only_headers(message: Message) -> None:
        nonlocal ended
        if message["type"] != "http.response.body":
            await send(message)
        elif not ended:
            ended = True
            await send({"type": "http.response.body", "body": b""})

    return only_headers
