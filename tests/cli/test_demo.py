"""tamis demo, as a process of its own: its link, who gets in, what it says, how it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import Result

from tamis.errors import DataError, InvalidSetting, UnknownModel


@contextmanager
def demo(model: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """Run the demo until it has said all; yield the process, its link and what it said; end it, whatever happens."""
    command = [sys.executable, "-m", "tamis", "demo", str(model), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(4)]
        found = re.search(r"http://\S+", said[1])
        assert found, said
        yield process, found[0], said
    finally:
        process.kill()
        process.communicate(timeout=20)


def test_who_has_the_link_gets_in_until_it_ends(model: Path) -> None:
    with demo(model) as (process, link, said):
        assert said[0] == "Demo of small\n"
        url, token = link.split("/?token=")
        assert url.startswith("http://127.0.0.1:")
        assert "--network" in said[2]
        with httpx.Client(base_url=url) as visitor:
            assert visitor.get("/").status_code == 403
            assert visitor.get("/", params={"token": token[:-1]}).status_code == 403
            assert visitor.get("/config").status_code == 403
            page = visitor.get(link, follow_redirects=True)
            assert page.status_code == 200
            assert page.url.query == b""
            assert token not in page.text
            assert "connect-src 'self'" in page.headers["content-security-policy"]
            assert visitor.get("/config").status_code == 200
            assert visitor.get("/gradio_api/file=/etc/hostname").status_code == 404
            assert visitor.post("/gradio_api/upload", files={"files": b"x"}).status_code == 404
        process.send_signal(signal.SIGINT)
        more, logged = process.communicate(timeout=20)
        assert process.returncode == 0
        assert more == ""
        assert logged == ""
        with pytest.raises(httpx.ConnectError):
            httpx.get(link)


def test_it_ends_by_itself_and_needs_no_token_where_that_was_asked(model: Path) -> None:
    with demo(model, "--no-link", "--hours", "0.001") as (process, link, said):
        assert "token" not in link
        assert said[3] == "Ctrl-C ends it, or 0.001 hours from now.\n"
        assert httpx.get(link).status_code == 200
        assert httpx.get(link, headers={"host": "example.org"}).status_code == 403
        assert process.wait(timeout=30) == 0


class TestRefused:
    def test_without_a_token_others_must_not_reach_it(self, run: Callable[..., Result], model: Path) -> None:
        with pytest.raises(InvalidSetting, match="leave out --no-link"):
            run("demo", model, "--no-link", "--host", "0.0.0.0", "--port", "0")

    def test_an_address_of_another_machine(self, run: Callable[..., Result], model: Path) -> None:
        with pytest.raises(InvalidSetting, match="--host"):
            run("demo", model, "--host", "192.0.2.1", "--port", "0")

    def test_options_that_contradict_each_other(self, run: Callable[..., Result], model: Path) -> None:
        assert run("demo", model, "--network", "--host", "127.0.0.1").exit_code == 2

    def test_no_model_and_no_examples(self, run: Callable[..., Result], model: Path, tmp_path: Path) -> None:
        with pytest.raises(UnknownModel):
            run("demo", tmp_path / "none")
        with pytest.raises(DataError, match=r"none\.txt"):
            run("demo", model, "--examples", tmp_path / "none.txt")
