"""The server as processes: sockets, signals, several that share one."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tamis.errors import InvalidSetting
from tamis.web.process import _config, require_keys_unless_loopback

if TYPE_CHECKING:
    from fastapi import FastAPI

SERVE = """
import sys
from tamis.settings import load_settings
from tamis.listening import bound_socket, url_of
from tamis.web.process import serve
if __name__ == "__main__":
    with bound_socket("127.0.0.1", 0) as listening:
        print(url_of(listening), flush=True)
        serve(listening, load_settings(), int(sys.argv[1]))
"""


class TestKeys:
    def test_others_need_one(self) -> None:
        with pytest.raises(InvalidSetting, match="tamis keys create"):
            require_keys_unless_loopback("0.0.0.0", has_keys=False)

    @pytest.mark.parametrize(("address", "has_keys"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True)])
    def test_these_may_start(self, address: str, has_keys: bool) -> None:
        require_keys_unless_loopback(address, has_keys=has_keys)


@contextmanager
def serving(home: Path, workers: int = 1) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    script = home.parent / "serve.py"
    script.write_text(SERVE, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script), str(workers)],
        env=os.environ | {"TAMIS_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    url = process.stdout.readline().strip()
    try:
        wait_until(lambda: httpx.get(f"{url}/healthz").status_code == 200)
        yield url, process
    finally:
        process.stdout.close()
        try:
            process.wait(20)
        finally:
            with_group(process.pid, signal.SIGKILL)


def with_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def wait_until(is_so: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with suppress(httpx.HTTPError):
            if is_so():  # type: ignore[operator]
                return
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def upload_slowly(url: str, stop: object) -> httpx.Response:
    """Upload a file in pieces, and have something happen in the middle."""

    def pieces() -> Iterator[bytes]:
        yield b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
        for n in range(10):
            yield b'{"text": "a"}\n'
            if n == 3:
                time.sleep(0.2)
                stop()  # type: ignore[operator]
            time.sleep(0.05)
        yield b"\r\n--XX--\r\n"

    return httpx.post(f"{url}/v1/files", content=pieces(), headers={"content-type": "multipart/form-data; boundary=XX"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_requests_finish(tmp_path: Path, number: int) -> None:
    with serving(tmp_path / "home") as (url, process):
        answer = upload_slowly(url, lambda: process.send_signal(number))
        assert answer.status_code == 200
        assert answer.json()["bytes"] == 140
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def test_several_processes_share_a_socket_and_end_with_their_parent(tmp_path: Path) -> None:
    with serving(tmp_path / "home", workers=2) as (url, process):
        file = httpx.post(f"{url}/v1/files", files={"file": ("a.jsonl", b"{}")}).json()
        seen = [httpx.get(f"{url}/v1/files/{file['id']}").status_code for _ in range(20)]
        assert seen == [200] * 20
        process.kill()
        process.wait()

        def gone() -> bool:
            try:
                httpx.get(f"{url}/healthz", timeout=1)
            except httpx.TransportError:
                return True
            return False

        wait_until(gone)


@pytest.mark.parametrize(
    ("proxy", "seen"), [("10.0.0.5", "203.0.113.9"), ("10.0.0.6", "10.0.0.6"), ("127.0.0.1", "127.0.0.1")]
)
def test_who_a_caller_is_says_the_proxy_that_is_believed_alone(
    proxy: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.5")
    asked = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append((scope["client"][0], scope["scheme"]))

    config = _config(cast("FastAPI", app), 1)
    config.load()
    told = [(b"x-forwarded-for", b"127.0.0.1, 203.0.113.9"), (b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "client": (proxy, 1), "scheme": "http", "headers": told, "method": "GET", "path": "/"}
    asyncio.run(cast("Any", config.loaded_app)(scope, None, None))
    assert asked == [(seen, "https" if proxy == "10.0.0.5" else "http")]
