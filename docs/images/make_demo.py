"""Makes demo.png, the page of `tamis demo`: python docs/images/make_demo.py (needs chromium)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tamis.examples import example_path

PICTURE = Path(__file__).with_name("demo.png")
TEXT = "My parcel never arrived and I want my money back"


def main() -> None:
    """Train the model, show it, type a text, and keep what is seen, in few colours."""
    with tempfile.TemporaryDirectory() as folder:
        rows, test = map(str, map(example_path, ("support.jsonl", "support-test.jsonl")))
        train = ["train", rows, "--test", test, "--max-bad-share", "0.01", "--out", f"{folder}/support"]
        subprocess.run([sys.executable, "-m", "tamis", *train], check=True)
        show = [sys.executable, "-m", "tamis", "demo", f"{folder}/support", "--port", "0"]
        with subprocess.Popen(show, stdout=subprocess.PIPE, text=True) as demo:
            try:
                link = next(found[0] for line in demo.stdout or () if (found := re.search(r"http\S+", line)))
                photograph(link)
            finally:
                demo.terminate()
    with Image.open(PICTURE) as picture:
        few = picture.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(PICTURE, optimize=True)


def photograph(link: str) -> None:
    """Open the page, type the text and wait for the answer."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 700}, color_scheme="light")
        page.goto(link)
        page.locator("#tm-text textarea").fill(TEXT)
        page.locator(".tm-chips").wait_for()
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURE, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
