"""What is known of each request afterwards: its id, a line in the log, and figures for Prometheus.

It is also the last resort: what nothing further in expected is logged with its traceback and answered with 500.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import MutableMapping
from secrets import token_hex
from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from tamis.web.problems import CLIENT_LEFT, unexpected

SECRET_BELOW = "/ui/shared/"
"""What follows in a path opens something, so that the log does not have it."""

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that monitors ask for every few seconds; they are logged at level debug."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,128}")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

_log = logging.getLogger("tamis.web")


class Figures:
    """What Prometheus reads of the requests of this process."""

    def __init__(self) -> None:
        """Start a registry of its own, so that two applications in a process do not meet."""
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tamis_requests_total", "Answered requests.", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "tamis_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "tamis_requests_in_progress",
            "Requests at work.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        which = (method if method in _METHODS else "OTHER", route, status)
        if (counter := self._counters.get(which)) is None:
            counter = self._counters[which] = self._requests.labels(which[0], route, str(status))
            self._histograms[route] = self._seconds.labels(route)
        counter.inc()
        self._histograms[route].observe(seconds)


class Telemetry:
    """Gives each request an id, tells of it when it is over, and answers what nothing else answered."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        """Stand around `app`."""
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        self._figures.in_progress.inc()
        try:
            await self._app(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.status = CLIENT_LEFT
        except asyncio.CancelledError:
            exchange.status = CLIENT_LEFT
            raise
        except Exception as error:  # noqa: BLE001  nothing may leave a request without an answer
            await exchange.fail(error, receive)
        finally:
            self._figures.in_progress.dec()
            self._tell(scope, exchange)

    def _tell(self, scope: Scope, exchange: _Exchange) -> None:
        seconds = perf_counter() - exchange.started
        self._figures.observe(scope["method"], route_of(scope), exchange.status, seconds)
        level = logging.DEBUG if scope["path"] in QUIET else logging.INFO
        if _log.isEnabledFor(level):
            fields = {
                "request_id": exchange.request_id,
                "method": scope["method"],
                "path": _told(scope["path"]),
                "status": exchange.status,
                "ms": round(seconds * 1000, 2),
                "bytes": exchange.sent,
                "key_id": scope.get("key_id"),
            }
            # as _log.log does, but for the search of the stack for who called, which takes longer than all else here
            _log.handle(_log.makeRecord(_log.name, level, __file__, 0, "request", (), None, extra=fields))


def _told(path: str) -> str:
    return f"{SECRET_BELOW}…" if path.startswith(SECRET_BELOW) else path


class _Exchange:
    """One request on its way: what has been answered so far."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.started = perf_counter()
        self.scope = scope
        self.request_id = _given_id(scope) or token_hex(16)
        self.status = CLIENT_LEFT  # unless an answer starts
        self.sent = 0
        self._send = send
        self._answered = False
        scope["request_id"] = self.request_id

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Pass a part of the answer on; the first one gets the headers that all answers have."""
        if message["type"] == "http.response.start":
            self._answered = True
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", self.request_id.encode()),
                (b"x-content-type-options", b"nosniff"),
            ]
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        await self._send(message)

    async def fail(self, error: Exception, receive: Receive) -> None:
        """Log what nobody expected, and answer it where no answer has begun."""
        _log.error("unexpected %s", type(error).__name__, exc_info=error, extra={"request_id": self.request_id})
        if self._answered:
            raise error  # the server closes the connection, so that half an answer is not taken for a whole one
        await unexpected(self.request_id)(self.scope, receive, self.send)


def route_of(scope: Scope) -> str:
    """Return the template of the path that was asked for: few enough to count by, whatever clients invent."""
    return str(getattr(scope.get("route"), "path", "unmatched"))


def _given_id(scope: Scope) -> str:
    """Return the id that the caller, or a proxy, gave the request; an odd one does not count."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode("ascii") if _REQUEST_ID.fullmatch(value) else ""
    return ""
