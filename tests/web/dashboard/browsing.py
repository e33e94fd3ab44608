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

SLOW_MS = 90_000
"""How long a page may take where the machine has much else to do."""

SERIOUS = {"serious", "critical"}
"""What keeps people out, in axe's words."""

SENDS = """([place, token, fields]) => {
  const form = document.createElement("form");
  form.method = "post";
  form.action = place;
  for (const [name, values] of Object.entries({ ...fields, form_token: token }))
    for (const value of [values].flat()) {
      const field = document.createElement("textarea");
      field.name = name;
      field.value = value;
      form.append(field);
    }
  document.body.append(form);
  form.submit();
}"""
"""Sends a form as the page's own would be sent."""

SETTLES = """async () => {
  for (const each of document.getAnimations()) {
    each.pause();
    each.currentTime = each.effect.getComputedTiming().duration;
  }
}"""
"""Shows what moves as it is at its end."""


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
        self.context.set_default_timeout(SLOW_MS)
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

    def sends(self, place: str, fields: Any) -> Any:
        """Send a form with the token of the page that is open, and return the answer."""
        token = self.page.locator("input[name=form_token]").first.input_value()
        with self.page.expect_navigation() as coming:
            self.page.evaluate(SENDS, [place, token, dict(fields)])
        return coming.value


def passes_axe(page: Any) -> bool:
    """Fail where axe finds what keeps people out."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate(SETTLES)
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    found = [each for each in found if each["impact"] in SERIOUS]
    assert [(page.url, each["id"], each["nodes"][0]["html"]) for each in found] == []
    return True
