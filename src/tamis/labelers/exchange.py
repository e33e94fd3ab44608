"""One request over HTTP and its answer, bounded in time and size. It does not know what is asked."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from tamis.data.rows import printable
from tamis.labelers.endpoint import Endpoint

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 2**20
"""The largest answer that is read."""

CONNECT_S = 10.0

LEAST_KEY = 12
"""Characters from which on a key is one: shorter ones are words like `none`, which answers may hold for good."""


class Dropped(Exception):
    """No whole answer came; `was_sent` says whether the endpoint may have worked on it all the same."""

    def __init__(self, message: str, *, was_sent: bool) -> None:
        """Keep why."""
        super().__init__(message)
        self.was_sent = was_sent


@dataclass(frozen=True, slots=True)
class Received:
    """A whole answer; names of headers are lower case, and the body does not hold the key, which some repeat."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


def open_client(connections: int, timeout_s: float) -> httpx.AsyncClient:
    """Return a client that follows no redirects: the key would go along."""
    import httpx

    return httpx.AsyncClient(
        timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        follow_redirects=False,
    )


async def post(client: httpx.AsyncClient, endpoint: Endpoint, body: bytes, timeout_s: float) -> Received:
    """Send a request and return the answer, which has to be there within `timeout_s`, whole.

    Raises:
        Dropped: it is not.
    """
    import httpx

    begin = perf_counter()
    try:
        async with asyncio.timeout(timeout_s):
            request = client.build_request("POST", endpoint.url, content=body, headers=_headers(endpoint))
            response = await client.send(request, stream=True)
            try:
                content = await _bounded(response)
            finally:
                await response.aclose()
    except TimeoutError:
        raise Dropped(f"no whole answer within {timeout_s:g} s", was_sent=True) from None
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Dropped(f"no connection: {_told(error)}", was_sent=False) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Dropped(f"the connection broke off: {_told(error)}", was_sent=True) from error
    body = _without_key(content, endpoint.key)
    return Received(response.status_code, dict(response.headers), body, perf_counter() - begin)


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",  # what is packed may unpack to any size
        "user-agent": "tamis",
    }
    if endpoint.key:
        headers["authorization"] = f"Bearer {endpoint.key}"
    return headers


async def _bounded(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MOST_BYTES:
            raise _too_large()
    return _unpacked(bytes(content), response.headers.get("content-encoding", "identity").lower())


def _unpacked(content: bytes, encoding: str) -> bytes:
    """The answer of a server that packs it unasked; what unpacks to any size is bounded too."""
    if encoding in ("identity", ""):
        return content
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Dropped(f"the answer is packed as {printable(encoding)[:20]}, which was not asked for", was_sent=True)
    unpacking = zlib.decompressobj(wbits=47)  # either of the two
    try:
        read = unpacking.decompress(content, MOST_BYTES + 1)
    except zlib.error:
        raise Dropped("the answer is damaged", was_sent=True) from None
    if len(read) > MOST_BYTES:
        raise _too_large()
    return read


def _without_key(content: bytes, key: str) -> bytes:
    """An answer as it may be kept and shown: without the key, as it is or as JSON writes it."""
    if len(key) < LEAST_KEY:
        return content
    escaped = json.dumps(key)[1:-1]
    for written in (key, escaped, escaped.replace("/", "\\/")):
        content = content.replace(written.encode(), b"***")
    return content


def _too_large() -> Dropped:
    return Dropped(f"the answer is larger than {MOST_BYTES:,} bytes", was_sent=True)


def _told(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:200] or type(error).__name__
