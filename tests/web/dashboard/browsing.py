"""A server with a socket and a real browser before it, for tests of what scripts and styles do."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn

CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

SERIOUS = {"serious", "critical"}
"""What keeps people out, in axe's words."""


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Yield the address of a server of this application."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # a browser that is quicker than the server waits
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield the browser, or skip the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Watched:
    """A page of the browser, and what went wrong on it."""

    def __init__(self, browser: Any, width: int = 1280, scheme: str = "light", **options: Any) -> None:
        """Open an empty page."""
        size = {"width": width, "height": 844}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, **options)
        self.page, self.said, self.asked = self.context.new_page(), [], set()
        self.context.on("request", lambda request: self.asked.add(urlsplit(request.url).netloc))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message) or dialog.dismiss())

    def goes_to(self, address: str) -> bool:
        """Open a page; False where the address is that of a file to keep."""
        from playwright.sync_api import Error

        try:
            self.page.goto(address)
        except Error as error:
            if "Download is starting" not in str(error):
                raise
            return False
        return True


def passes_axe(page: Any) -> bool:
    """Fail where axe finds what keeps people out."""
    from axe_playwright_python.sync_playwright import Axe

    found = (each for each in Axe().run(page).response["violations"] if each["impact"] in SERIOUS)
    assert [(page.url, each["id"], each["nodes"][0]["html"]) for each in found] == []
    return True
