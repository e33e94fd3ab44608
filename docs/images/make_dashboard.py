"""Makes dashboard.png, where a model is tried: python docs/images/make_dashboard.py (needs chromium)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).with_name("dashboard.png")
TEXT = "My parcel never arrived and I want my money back"
LONGEST_MS = 180_000


def main() -> None:
    """Serve an empty home, go the way of a newcomer with the example, and keep what is seen, in few colours."""
    with tempfile.TemporaryDirectory() as home:
        serve = [sys.executable, "-m", "tamis", "serve", "--port", "0"]
        environment = {**os.environ, "TAMIS_HOME": home}
        with subprocess.Popen(
            serve, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as server:
            try:
                place = next(found[0] for line in server.stdout or () if (found := re.search(r"http://[\d.:]+", line)))
                photograph(place)
            finally:
                server.terminate()
    with Image.open(PICTURE) as picture:
        few = picture.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(PICTURE, optimize=True)


def photograph(place: str) -> None:
    """Train a classifier from the example set, type a text and wait for the answer."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 760}, color_scheme="light")
        page.set_default_timeout(LONGEST_MS)
        page.goto(f"{place}/ui")
        page.get_by_role("button", name="Try the example set").click()
        page.get_by_role("link", name="Try it").click()
        page.locator("textarea").first.fill(TEXT)
        page.get_by_text("Words that speak").first.wait_for()
        page.wait_for_timeout(1000)
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
