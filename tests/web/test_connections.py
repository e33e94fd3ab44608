"""Heads of requests that are too large or too slow cost neither memory nor sockets."""

import asyncio
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from tamis.web import connections
from tamis.web.connections import Connection

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def talk(*parts: bytes | float, then: float = 5.0) -> bytes:
    """Send the parts, a number being a pause, and return what came back until the server closed, at most so long."""

    async def main() -> bytes:
        config, state = Config(app, log_config=None, lifespan="off", timeout_keep_alive=60), ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        came = bytearray()
        closed = asyncio.create_task(_read(reader, came))
        try:
            await _send(writer, parts)
            await asyncio.wait_for(asyncio.shield(closed), then)
            came += b"<closed>"
        except TimeoutError:
            pass
        finally:
            closed.cancel()
            writer.close()
            server.close()
        return bytes(came)

    return asyncio.run(main())


async def _send(writer: asyncio.StreamWriter, parts: tuple[bytes | float, ...]) -> None:
    for part in parts:
        if isinstance(part, float):
            await asyncio.sleep(part)
        elif not writer.is_closing():
            writer.write(part)


async def _read(reader: asyncio.StreamReader, into: bytearray) -> None:
    try:
        while piece := await reader.read(65536):
            into += piece
    except ConnectionError:
        pass


class TestSize:
    @pytest.mark.parametrize(
        "head",
        [
            b"GET / HTTP/1.1\r\nX: " + b"a" * 2_000_000,
            b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 300_000,
            b"GET /" + b"a" * 2_000_000,
        ],
    )
    def test_a_large_head_is_refused(self, head: bytes) -> None:
        came = talk(head)
        assert came == b"<closed>" or (b" 431 " in came[:20] and came.endswith(b"<closed>"))

    def test_what_proxies_allow_is_taken(self) -> None:
        head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 32_000
        assert talk(head[:20_000], 0.01, head[20_000:], 0.01, b"\r\n\r\n", then=0.2).endswith(b"ok")

    def test_a_body_is_no_head(self) -> None:
        size = 3 * connections.MOST_HEAD_BYTES
        body = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
        assert talk(body, 0.05, body, 0.05, REQUEST, then=0.5).count(b"200 OK") == 3


class TestTime:
    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections, "HEAD_S", 0.2)

    @pytest.mark.parametrize(
        "parts",
        [
            (),
            (b"GET /",),
            (b"GET / HTTP/1.1\r\n", *([0.05, b"X: a\r\n"] * 20)),
            (REQUEST, 0.05, b"G"),
            (REQUEST, 0.05, b"\r\n"),
            (REQUEST + b"GET / HTT", 0.05, b"P"),
        ],
    )
    def test_a_head_that_does_not_end_is_given_up(self, parts: tuple[bytes | float, ...]) -> None:
        assert talk(*parts).endswith(b"<closed>")

    def test_between_requests_the_usual_time_holds(self) -> None:
        assert talk(REQUEST, 0.4, REQUEST, then=0.1).count(b"200 OK") == 2

    def test_a_body_has_a_time_of_its_own(self) -> None:
        head = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n"
        assert b"200 OK" in talk(head, 0.4, b"ab", then=0.1)


def test_too_many_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"200 OK" in talk(REQUEST, then=0.1)
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 0)
    assert talk(REQUEST) == b"<closed>"


def test_the_limit_of_files_is_raised_as_far_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    said: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: said.append(limits))
    connections.raise_file_limit()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100_000, 100_000))
    connections.raise_file_limit()
    assert said == [(4096, 4096)]
