"""How much a client may ask for at once: bytes of a body, seconds between its pieces, requests at the same time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tamis.errors import InvalidRequest, LimitExceeded, Overloaded, Refused, ServiceFailed, StorageFull, TooSlow
from tamis.settings import Settings
from tamis.web.problems import failure
from tamis.web.telemetry import QUIET

UPLOAD_PATHS = frozenset(
    {"/v1/files", "/v1/datasets", "/ui/new/upload", "/ui/files/upload", "/ui/measure", "/ui/label", "/ui/queue/upload"}
)
"""Where a body may be as large as a file."""

ENVELOPE = 2**20
"""Bytes that a multipart body may be larger than the file in it."""

LINGER_S = 5.0
"""Seconds for which the rest of a refused body is still taken in, so that the client gets to read why."""

RETRY_AFTER_S = 1

PATIENCE_S = 60.0
LEAST_RATE = 2048
"""Bytes a second that a body must come with on average, once it was waited for that long: a slow line has more."""


Refusal = Refused | ServiceFailed
Page = Callable[[Scope, Refusal], Awaitable[Response | None]]
"""Says why a request is refused to a person; None where it is a program that asks."""


async def no_page(scope: Scope, error: Refusal) -> None:
    """Say it to a program."""


class Limits:
    """Refuses what is too large, too slow or too much, before anything is made of it."""

    def __init__(self, app: ASGIApp, settings: Settings, page: Page = no_page) -> None:
        """Stand around `app`, with the limits that the settings give; what is refused, `page` says to people."""
        self._app = app
        self._settings = settings
        self._page = page
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, *self._most_bytes(scope), self._settings.request_timeout_s)
        counted = scope["path"] not in QUIET  # monitors get through whatever is going on
        refusal: Refusal | None = (self._too_much() if counted else None) or body.declared(scope)
        if refusal is not None:
            await self._refuse(refusal, scope, body, send)
            return
        self._at_work += counted
        statuses = None
        try:
            await self._app(scope, body.receive, send)
        except BodyRefused as error:
            refusal, statuses = error.why, error.statuses
        except (Refused, ServiceFailed) as error:  # by what stands between this and the routes
            refusal = error
        finally:
            self._at_work -= counted
        if refusal is not None:  # and holds no place any more: who has no key could take them all
            await self._refuse(refusal, scope, body, send, statuses)

    async def _refuse(
        self, error: Refusal, scope: Scope, body: _Body, send: Send, statuses: Mapping[int, int] | None = None
    ) -> None:
        answer = await self._page(scope, error) or failure(error, str(scope.get("request_id", "")), statuses)
        await refuse(error, answer, scope, body, send)

    def _too_much(self) -> Refused | None:
        most = self._settings.max_concurrent_requests
        if self._at_work < most:
            return None
        why = f"The server is at work on {most} requests, the most it takes at a time. Try again in a moment."
        return Overloaded(why, limit=most, setting="max_concurrent_requests", retry_after=RETRY_AFTER_S)

    def _most_bytes(self, scope: Scope) -> tuple[int, str]:
        if scope["path"] in UPLOAD_PATHS and scope["method"] == "POST":
            return self._settings.max_upload_bytes + ENVELOPE, "max_upload_bytes"
        return self._settings.max_request_bytes, "max_request_bytes"


class BodyRefused(Exception):
    """What cannot be taken in was found out while the body was read; not for routes to catch.

    Whoever raises it is done with the body: the rest is taken in and dropped, so that the client gets to read why.
    """

    def __init__(self, why: Refusal) -> None:
        """Carry what the client is told."""
        super().__init__(why.message)
        self.why = why
        self.statuses: Mapping[int, int] | None = None
        """What is used in place of other statuses, as `problems.failure` takes it."""


class _Body:
    """A request's body, counted while it comes in."""

    def __init__(self, receive: Receive, most: int, setting: str, patience_s: float) -> None:
        self._receive = receive
        self._most = most
        self._setting = setting
        self._patience_s = patience_s
        self._taken = 0
        self._waited = 0.0
        self._complete = False

    def declared(self, scope: Scope) -> Refused | None:
        """Return why the body is refused by what Content-Length says of it, or None."""
        for name, value in scope["headers"]:
            if name == b"content-length":
                if not value.isdigit():
                    return InvalidRequest("Content-Length is not a number.", loc=["header", "content-length"])
                return self._too_large() if int(value) > self._most else None
        return None

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            BodyRefused: there is more than the limit, or nothing came for too long.
        """
        if self._complete:
            return await self._receive()
        begun = monotonic()
        try:
            async with asyncio.timeout(self._patience_s):
                message = await self._receive()
        except TimeoutError:
            why = f"Nothing of the request's body came for {self._patience_s:g} s. Send it again."
            raise BodyRefused(TooSlow(why, setting="request_timeout_s")) from None
        self._taken += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        self._waited += monotonic() - begun
        if not self._complete and self._waited > PATIENCE_S and self._taken < LEAST_RATE * self._waited:
            why = f"The request's body comes with less than {LEAST_RATE:,} bytes a second. Send it again."
            raise BodyRefused(TooSlow(why))
        if self._taken > self._most:
            raise BodyRefused(self._too_large())
        return message

    async def drain(self) -> None:
        """Take in what still comes, for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not self._complete:
                    message = await self._receive()
                    self._complete = message["type"] == "http.disconnect" or not message.get("more_body", False)

    def _too_large(self) -> LimitExceeded:
        what = "The file" if self._setting == "max_upload_bytes" else "The request's body"
        most = self._most - ENVELOPE if self._setting == "max_upload_bytes" else self._most
        message = f"{what} is larger than {most:,} bytes. Send less, or raise the setting {self._setting}."
        return LimitExceeded(message, limit=most, setting=self._setting)


async def refuse(error: Refusal, answer: Response, scope: Scope, body: _Body, send: Send) -> None:
    """Answer at once, then let the client finish what it is sending, so that it gets to read the answer."""
    headers = answer.raw_headers
    waits = any(name == b"expect" for name, _ in scope["headers"])  # such a client sends nothing before it is told to
    if isinstance(error, LimitExceeded | TooSlow | StorageFull):
        headers = [*headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(answer.body), "more_body": True})
    if not waits:
        await body.drain()
    await send({"type": "http.response.body", "body": b""})
