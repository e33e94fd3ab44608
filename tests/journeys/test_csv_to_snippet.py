"""A person with nothing but a CSV and a browser: to a trained, measured, promoted classifier and a call that works.

The server is a real one with its worker, the browser a real one, and the calls at the end are made by the real SDKs.
Each step is looked through in both widths and both themes; with TAMIS_SHOTS=FOLDER it leaves screenshots.
"""

from __future__ import annotations

import csv
import os
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from web.dashboard.browsing import passes_axe
from wire.client_process import surroundings
from wire.sdk_environments import COHERE_7_3, MISTRAL_3_7, OPENAI, Sdk, interpreter
from wire.server_process import Server

CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WORDS = {
    "delivery": "parcel courier late shipped tracking address driver depot",
    "payment": "card invoice charged refund bank price paid cheque",
    "account": "password login email profile locked username settings delete",
}
SLOW_MS = 60_000
TEXT = "parcel late driver tracking 7"
ASKED = ("parcel refund late", "login invoice driver", "password charged terrible")

PAGE_WIDTHS, SCHEMES = (390, 1280), ("dark", "light")

WIDER = """(width) => document.documentElement.scrollWidth <= width ? [] : [...document.querySelectorAll("main *")]
    .filter((each) => each.getBoundingClientRect().right > width + 1).map((each) => each.outerHTML.slice(0, 99))"""
"""What is wider than the window, where the page scrolls sideways."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


def write_csv(path: Path) -> Path:
    """Write what a spreadsheet gives: a topic a row, any number of marks, and the usual mistakes."""
    made = random.Random(0)
    rows = []
    for number in range(360):
        topic = list(WORDS)[number % 3]
        angry, twice = number % 4 == 0, number % 5 == 0
        said = [*made.choices(WORDS[topic].split(), k=4), str(number), *(["terrible"] if angry else [])]
        marks = [*(["angry"] if angry else []), *(["repeated"] if twice else [])]
        rows.append([" ".join([*said, *(["again"] if twice else [])]), topic, ";".join(marks)])
    rows += [rows[0], rows[1], [rows[2][0], "payment", rows[2][2]], ["", "payment", ""]]
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["Message", "Topic", "Marks"], *rows])
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("walk") / "home") as running:
        yield running


class Walk:
    """A browser on its way: what it shows, and what went wrong meanwhile."""

    def __init__(self, browser: Any, address: str) -> None:
        self.address = address
        self.context = browser.new_context(viewport={"width": 1280, "height": 900})
        self.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
        self.page = self.context.new_page()
        self.page.set_default_timeout(SLOW_MS)
        self.said: list[str] = []
        self.steps = 0
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def shoot(self, name: str) -> None:
        """Have the page looked through in both widths and themes; keep what is to be seen, where somebody wants it."""
        self.steps += 1
        folder = os.environ.get("TAMIS_SHOTS")
        for width in PAGE_WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            for _ in range(100):  # charts follow within a moment
                if self.page.evaluate("document.documentElement.scrollWidth") <= width:
                    break
                self.page.wait_for_timeout(50)
            assert self.page.evaluate(WIDER, width) == [], self.page.url
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)
                if folder:
                    self.page.wait_for_timeout(400)
                    self.page.screenshot(path=f"{folder}/{self.steps:02}-{name}-{width}-{scheme}.png", full_page=True)
                assert passes_axe(self.page)

    def press(self, name: str) -> None:
        """Press a button or follow a link by what it says."""
        self.page.get_by_role("button", name=name).or_(self.page.get_by_role("link", name=name)).first.click()

    def copied(self, section: str) -> str:
        """Press Copy beside the last code of a section, and return what the clipboard holds."""
        part = self.page.locator(f"section[aria-labelledby='{section}']")
        part.locator("[data-copy]").last.click()
        part.get_by_text("Copied").wait_for()
        return str(self.page.evaluate("navigator.clipboard.readText()"))


@pytest.fixture
def walk(server: Server) -> Iterator[Walk]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        walk = Walk(browser, server.url)
        yield walk
        browser.close()


def run(sdk: Sdk, code: str) -> str:
    """Return what a call to copy prints, run as it stands by a program of the SDK's user."""
    command = [str(interpreter(sdk)), "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=surroundings(), check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_from_a_csv_to_a_call_that_works(walk: Walk, server: Server, tmp_path: Path) -> None:
    bring(walk, write_csv(tmp_path / "messages.csv"))
    accept_what_was_found(walk)
    train(walk)
    look_at_the_figures(walk)
    move_a_threshold(walk)
    promote(walk)
    try_it(walk)
    call_it(walk)
    answer_and_train_again(walk)
    with restarted(server) as address:
        come_back(walk, address)
    assert walk.said == []


def bring(walk: Walk, file: Path) -> None:
    page = walk.page
    page.goto(f"{walk.address}/ui")
    walk.shoot("empty-home")
    walk.press("New classifier")
    page.wait_for_url("**/ui/new")
    walk.shoot("new")
    page.set_input_files("#file-training", str(file))
    walk.press("Upload")
    page.wait_for_url("**/ui/new/columns*")
    rows = page.locator("#seen tbody tr")
    assert rows.count() >= 3
    marks = page.locator("li.column", has_text="Marks")
    assert page.locator("li.column", has_text="Message").locator("input:checked").get_attribute("value") == "text"
    marks.get_by_label("Label", exact=True).click()
    marks.locator("select").select_option(";")
    page.locator("#seen .tag", has_text="repeated").first.wait_for()
    page.locator("select[name='empty']").select_option("none")
    walk.shoot("columns")
    walk.press("Check the data")


def accept_what_was_found(walk: Walk) -> None:
    page = walk.page
    page.wait_for_selector("#findings")
    walk.shoot("findings")
    accepts = page.get_by_role("button", name=re.compile("^Accept"))
    assert accepts.count() >= 1
    accepts.first.click()
    page.locator("[aria-pressed='true']").first.wait_for()
    walk.shoot("accepted")
    apply = page.get_by_role("button", name=re.compile("^Apply"))
    changes = int(re.sub(r"\D", "", apply.inner_text()))
    without = page.get_by_role("link", name="Train without them").get_attribute("href")
    before = rows_of(walk, parse_qs(urlsplit(str(without)).query)["training"][0])
    apply.click()
    page.get_by_role("link", name="Go on to training").wait_for()
    walk.shoot("applied")
    walk.press("Go on to training")
    page.wait_for_url("**/ui/new/train*")
    written = rows_of(walk, page.locator("input[name=training]").first.input_value())
    assert len(before) >= len(written) > 250
    gone = Counter(before) - Counter(written)
    assert changes <= gone.total() <= 2 * changes
    assert [line for line in gone if "locked" in line and '"Topic": "payment"' in line], "the label that was wrong"


def rows_of(walk: Walk, file_id: str) -> list[str]:
    """Return the lines of a file that is here, without what says where it comes from."""
    answer = walk.page.request.get(f"{walk.address}/ui/files/{file_id}/download")
    return [line for line in answer.text().splitlines() if '"text"' in line]


def train(walk: Walk) -> None:
    page = walk.page
    page.wait_for_url("**/ui/new/train*")
    page.get_by_label("Name", exact=True).fill("shop")
    page.get_by_text(re.compile("^About ")).first.wait_for()
    walk.shoot("train")
    walk.press("Start training")
    page.wait_for_url("**/ui/jobs/*")
    walk.shoot("job")
    page.get_by_role("link", name="To the model").wait_for()
    walk.shoot("job-done")
    walk.press("To the model")


def look_at_the_figures(walk: Walk) -> None:
    page = walk.page
    page.wait_for_url("**/ui/models/*")
    walk.shoot("model")
    page.get_by_role("link", name="Quality").click()
    page.wait_for_url("**/quality*")
    page.locator(".plot svg.main-svg").first.wait_for()
    walk.shoot("quality")


def move_a_threshold(walk: Walk) -> None:
    page = walk.page
    page.get_by_role("link", name="Thresholds").click()
    page.wait_for_url("**/thresholds*")
    box = page.locator("input[name='t-0']")
    before = box.input_value()
    box.fill("0.9")
    box.dispatch_event("change")
    walk.shoot("thresholds")
    assert before != "0.900"
    walk.press("Save as new version")
    page.wait_for_selector(".note.ok")
    assert "shop@2" in page.locator("main").inner_text()
    walk.shoot("saved")


def promote(walk: Walk) -> None:
    page = walk.page
    page.get_by_role("link", name="Versions").click()
    page.wait_for_url("**/versions*")
    page.get_by_label("Alias", exact=True).fill("production")
    page.get_by_label("Measured on").select_option(label=file_of(page, "messages.test"))
    walk.shoot("versions")
    walk.press("Point it here")
    page.locator(".alias", has_text="production").wait_for()
    assert "shop@2" in page.locator(".alias").inner_text()
    walk.shoot("promoted")


def file_of(page: Any, name: str) -> str:
    """Return what a list of files calls the one whose name begins so."""
    shown = page.locator("option", has_text=name).first.text_content()
    return str(shown).strip()


def try_it(walk: Walk) -> None:
    page = walk.page
    page.get_by_role("link", name="Try it").first.click()
    page.wait_for_url("**/try*")
    page.locator("textarea").first.fill(TEXT)
    page.locator(".said .verdict", has_text=re.compile("^delivery")).first.wait_for()
    walk.shoot("try")


def call_it(walk: Walk) -> None:
    page = walk.page
    page.get_by_role("link", name="Use it").first.click()
    page.wait_for_url("**/use*")
    page.goto(f"{page.url.partition('?')[0]}?name=production&text={TEXT.replace(' ', '+')}")
    walk.shoot("use")
    assert "delivery" in run(MISTRAL_3_7, walk.copied("mistralai"))
    assert "delivery" in run(COHERE_7_3, walk.copied("cohere"))
    assert "angry" in run(OPENAI, walk.copied("openai"))
    assert "production" in walk.copied("mistralai")
    walk.press("Versions")
    page.wait_for_url("**/versions*")
    walk.press("shop@1")
    page.get_by_role("link", name="Use it").first.click()
    page.wait_for_url("**/use*")
    page.goto(f"{page.url.partition('?')[0]}?text={TEXT.replace(' ', '+')}")
    own = {"mistralai": MISTRAL_3_7, "cohere": COHERE_7_3}
    codes = {section: walk.copied(section) for section in own}
    assert "ft:classifier:" in codes["mistralai"]
    assert "-ft" in codes["cohere"]
    for section, sdk in own.items():
        assert "delivery" in run(sdk, codes[section])


def answer_and_train_again(walk: Walk) -> None:
    """Answer rows of the review queue, learn from them, and see what that gave."""
    page = walk.page
    page.goto(f"{walk.address}/ui/queue/shop")
    page.locator("textarea[name=texts]").fill("\n".join(f"{text} {n}" for n, text in enumerate(ASKED)))
    walk.press("Add them")
    for n in range(len(ASKED)):
        page.locator("#standing", has_text=f"{n} answered").wait_for()
        page.locator("form.looking").wait_for()
        walk.press("Accept")
    page.locator("#standing", has_text=f"{len(ASKED)} answered").wait_for()
    page.locator("select[name=training]").select_option(label=file_of(page, "messages.train.v2"))
    page.locator("select[name=measured]").select_option(label=file_of(page, "messages.test"))
    walk.press("Train a new version")
    page.locator(".round .moved").first.wait_for()
    assert "%" in page.locator(".round .moved").first.inner_text()
    assert "shop@3" in page.locator(".round").first.inner_text()
    walk.shoot("trained-again")


@contextmanager
def restarted(server: Server) -> Iterator[str]:
    """End the server, and yield the address of another one over the same home."""
    server.stop()
    with Server(server.home) as other:
        yield other.url


def come_back(walk: Walk, address: str) -> None:
    """Look at the job and the model that were there before the server was started again."""
    page = walk.page
    page.goto(f"{address}/ui/jobs?state=SUCCESS")
    page.locator("td[data-label='Job'] a").last.click()
    page.wait_for_url("**/ui/jobs/*")
    page.locator(".curves .plot").first.wait_for()
    page.get_by_role("link", name="To the model").click()
    page.wait_for_url("**/ui/models/*")
    assert "shop@1" in page.locator("main").inner_text()
