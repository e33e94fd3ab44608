"""Sockets that listen, and how they are reached. It does not know what answers on them."""

from __future__ import annotations

import socket

from tamis.errors import InvalidSetting

BACKLOG = 2048


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises:
        InvalidSetting: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise InvalidSetting(f"{host} is no address of this machine: {error}. Choose another --host.") from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or error
        raise InvalidSetting(f"{host}, port {port}: {why}. Choose another --port or --host.") from error
    listening.set_inheritable(True)
    return listening


def url_of(listening: socket.socket) -> str:
    """Return how programs on this machine reach the server."""
    host, port = listening.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"
