"""A real browser on a page that is served, and what it must not do meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

CHROMIUM = shutil.which("chromium")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, link: str, size: dict[str, int] = WIDE) -> Iterator[Any]:
    """Open a link until its text box is there; at the end nothing was asked of other hosts and nothing went wrong."""
    context = browser.new_context(viewport=size)
    page, asked, said = context.new_page(), [], []
    context.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}") or dialog.dismiss())
    page.goto(link)
    page.wait_for_selector("#tm-text textarea")
    yield page
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], "it scrolls sideways"
    here = urlsplit(link).netloc
    elsewhere = [url for url in asked if not url.startswith(("data:", "blob:")) and urlsplit(url).netloc != here]
    assert asked
    assert not elsewhere
    assert said == []
    context.close()
