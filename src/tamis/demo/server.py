"""The demo as a server of its own, on one socket, until it is told to stop or its time is over.

It reads no settings and knows no command line.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import TYPE_CHECKING

from tamis.demo.asking import Asking
from tamis.demo.gate import Gate
from tamis.demo.page import Demo, build, look
from tamis.demo.quiet import quiet_gradio
from tamis.errors import InvalidSetting
from tamis.listening import url_of

if TYPE_CHECKING:
    import uvicorn

GRACE_S = 1
"""Seconds that running requests get when it is to stop: the page's own open connections never end by themselves."""

MOST_CONNECTIONS = 200
SOMEWHERE = "192.0.2.1"
"""An address that is nobody's (RFC 5737): which way packets to it would leave tells this machine's own address."""


def application(demo: Demo, token: str | None, port: int) -> Gate:
    """Return the page behind its gate, as ASGI.

    Raises:
        MissingExtra: Gradio is not installed.
    """
    gradio = quiet_gradio()
    from fastapi import FastAPI

    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    page = build(demo)
    return Gate(Asking(gradio.mount_gradio_app(outer, page, path="", **look()), page.fns), token, port=port)


def serve(listening: socket.socket, app: Gate, seconds: float | None = None) -> None:
    """Serve until a signal says to stop, or for so many seconds."""
    server = made(app)
    timer = threading.Timer(seconds or 0, setattr, (server, "should_exit", True))
    timer.daemon = True
    if seconds is not None:
        timer.start()
    try:
        server.run(sockets=[listening])
    finally:
        timer.cancel()


def made(app: Gate) -> uvicorn.Server:
    """Return the server, not running yet; it logs nothing of who asks for what."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_S,
    )
    return uvicorn.Server(config)


def network_address() -> str:
    """Return this machine's address on its network; nothing is sent to find it.

    Raises:
        InvalidSetting: it is on none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((SOMEWHERE, 9))
            address = str(probe.getsockname()[0])
        except OSError:
            address = "127.0.0.1"
    if is_loopback(address):
        raise InvalidSetting(
            "This machine is on no network that others could reach it by. Name one of its addresses: --host ADDRESS.",
            setting="network",
        )
    return address


def url_for_others(listening: socket.socket) -> str:
    """Return how others reach the demo; where it listens on every address, by that of the network."""
    host, port = listening.getsockname()[:2]
    if not ipaddress.ip_address(host).is_unspecified:
        return url_of(listening)
    try:
        return f"http://{network_address()}:{port}"
    except InvalidSetting:
        return url_of(listening)


def is_loopback(address: str) -> bool:
    """Return whether a numeric address is one of this machine alone."""
    return ipaddress.ip_address(address).is_loopback
