"""Connections, before they are requests: how long and how large the head of a request may be, and how many there are.

The server under it waits for ever for the end of a head, and keeps in memory all of it that came so far. What is
refused here gets a plain answer, or none: there is no request yet that one could answer.
"""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers; proxies allow 8 to 32 KB."""

HEAD_S = 20.0
"""Seconds in which a head must be complete, from the connection's begin or the head's first byte on."""

CLOSING = "tamis.closing"
"""Key of a request's scope: true from when the server is told to stop. Answers without an end look at it, and end."""

MOST_CONNECTIONS = 4096
"""Of a process; more are closed at once."""


class Connection(HttpToolsProtocol):
    """A connection that is closed when a request's head is too large or too slow."""

    _head_bytes = 0
    _in_head = True
    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the server has it
        """Begin to wait for a head."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._watch = self.loop.call_later(HEAD_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_watch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head, and pass it on."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large", b"The request's headers are too large.")
        elif self._watch is None and not self._answers():  # empty lines before a head count as its beginning
            self._watch = self.loop.call_later(HEAD_S, self._too_slow)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._head_bytes = 0
        self._stop_watch()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """The server stops: say so to the answer that is on its way."""
        if self._answers():
            cast("dict[str, object]", self.cycle.scope)[CLOSING] = True
        super().shutdown()

    def _too_slow(self) -> None:
        self._watch = None
        if self._head_bytes and not self._answers():
            self._refuse(b"408 Request Timeout", b"The request's headers did not come in time.")
        elif not self._answers():
            self.transport.close()

    def _answers(self) -> bool:
        """Whether an answer to an earlier request is on its way: its connection is not to be cut."""
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: bytes, why: bytes) -> None:
        head = b"HTTP/1.1 " + status + b"\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(why) + why)
        self.transport.close()

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


def raise_file_limit() -> None:
    """Let this process have as many files and sockets open as the system allows it, up to what connections may take."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 2 * MOST_CONNECTIONS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
