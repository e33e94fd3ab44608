"""Sockets that listen: free ports, those that are taken, how this machine reaches them."""

import socket

import pytest

from tamis.errors import InvalidSetting
from tamis.listening import bound_socket, url_of


def test_a_free_port() -> None:
    with bound_socket("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert port
        assert url_of(listening) == f"http://127.0.0.1:{port}"


def test_one_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InvalidSetting, match="--port"):
        bound_socket("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("host", ["no.such.host.invalid", "\udcff", "x" * 300])
def test_no_address_of_this_machine(host: str) -> None:
    with pytest.raises(InvalidSetting, match="--host"):
        bound_socket(host, 0)


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
def test_how_this_machine_reaches_it(host: str, url: str) -> None:
    try:
        with bound_socket(host, 0) as listening:
            assert url_of(listening).startswith(url)
    except InvalidSetting:
        if ":" not in host:
            raise
        pytest.skip("no IPv6 here")
