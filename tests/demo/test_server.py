"""The demo as a server: the address at which others reach it."""

from __future__ import annotations

import socket

import pytest

from tamis.demo.server import is_loopback, network_address, url_for_others
from tamis.errors import InvalidSetting


class Probe:
    """A socket of a machine with one address, or none."""

    address: str | None = None

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: object) -> None: ...

    def connect(self, _: object) -> None:
        if self.address is None:
            raise OSError

    def getsockname(self) -> tuple[str | None, int]:
        return self.address, 1


def test_the_address_on_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probe, "address", "192.168.7.4")
    monkeypatch.setattr(socket, "socket", Probe)
    assert network_address() == "192.168.7.4"


@pytest.mark.parametrize("address", [None, "127.0.0.1"])
def test_a_machine_on_no_network(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    monkeypatch.setattr(Probe, "address", address)
    monkeypatch.setattr(socket, "socket", Probe)
    with pytest.raises(InvalidSetting, match="--host ADDRESS"):
        network_address()


@pytest.mark.parametrize(
    ("bound", "found", "shown"),
    [
        ("127.0.0.1", "192.168.7.4", "http://127.0.0.1:5"),
        ("0.0.0.0", "192.168.7.4", "http://192.168.7.4:5"),
        ("::", "192.168.7.4", "http://192.168.7.4:5"),
        ("0.0.0.0", None, "http://127.0.0.1:5"),
    ],
)
def test_how_others_reach_it(monkeypatch: pytest.MonkeyPatch, bound: str, found: str | None, shown: str) -> None:
    class Listening:
        def getsockname(self) -> tuple[str, int]:
            return bound, 5

    monkeypatch.setattr(Probe, "address", found)
    monkeypatch.setattr(socket, "socket", Probe)
    assert url_for_others(Listening()) == shown  # type: ignore[arg-type]


def test_which_addresses_others_reach() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("192.168.7.4")
