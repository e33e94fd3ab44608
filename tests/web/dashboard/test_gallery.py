"""In a real browser no page complains, scrolls sideways from 390 to 1920 px, fetches from elsewhere, or fails axe.

Two workspaces are looked at: one whose names are all hostile, and one whose pages have all that they can show.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jinja2.runtime import Macro

from tamis.jobs import operating, promoting, reviewing
from tamis.jobs.aside import understood
from tamis.jobs.choosing import choices_of
from tamis.jobs.tools import Tools
from tamis.settings import Settings
from tamis.web.app import create_app
from tamis.workspace import operations, promotions, reviews
from tamis.workspace.workspace import Workspace, open_workspace
from web.dashboard.browsing import Watched, chromium, passes_axe, serving
from web.dashboard.conftest import fill
from web.dashboard.every_page import Place, every_page, not_opened
from web.dashboard.furnished import Furnished, furnish, trained

ID = "00000000-0000-4000-8000-{:012d}"

STOPS = 30
"""How often the focus goes on, on each of very many pages."""

FOCUSED = """() => {
  const now = document.activeElement, before = window.focusedBefore;
  if (!now || now === document.body) return null;
  window.focusedBefore = now;
  const around = [now, now.parentElement, now.parentElement?.parentElement].filter(Boolean);
  const seen = around.some((each) => getComputedStyle(each).outlineStyle !== "none");
  const later = !before || (before.compareDocumentPosition(now) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0;
  return { is: now.outerHTML.slice(0, 120), later, seen };
}"""
"""What has the focus: whether it stands behind what had it before, and whether an outline shows it."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One for all tests of this file."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def served(filled: Workspace, address: str) -> str:
    """The address of a server over a workspace full of hostile names."""
    return address


@pytest.mark.parametrize(("width", "scheme"), [(1920, "light"), (390, "dark")])
def test_no_page_complains_or_fails_axe(browser: Any, served: str, routes: Any, width: int, scheme: str) -> None:
    watched = Watched(browser, width, scheme)
    for path, _ in routes("GET"):
        if not watched.goes_to(served + path):
            continue
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert passes_axe(watched.page)
    assert watched.said == []
    assert watched.asked == {urlsplit(served).netloc}
    watched.context.close()


def test_names_of_10_000_characters_break_no_layout(
    browser: Any, workspace: Workspace, address: str, routes: Any
) -> None:
    fill(workspace, rows=2, name="long " + "y" * 10_000)
    watched = Watched(browser, 390, "light")
    for path, _ in routes("GET"):
        if watched.goes_to(address + path):
            assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390, path
            assert watched.page.evaluate("document.body.scrollHeight") < 60_000, path
    assert watched.said == []
    watched.context.close()


def test_the_keyboard_reaches_the_content_and_a_dialog_asks_first(browser: Any, served: str, filled: Workspace) -> None:
    watched = Watched(browser, 1280, "light")
    page = watched.page
    page.goto(f"{served}/ui/files")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    first = page.locator("button[data-opens]").first
    first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert filled.files.list(0, 10, {})[1] == 3
    first.click()
    page.locator("dialog[open] button.danger").click()
    page.wait_for_selector(".note.ok")
    assert filled.files.list(0, 10, {})[1] == 2
    assert watched.said == []
    watched.context.close()


def test_the_page_of_components_shows_all_that_have_a_frame(visitor: Any) -> None:
    style = (files("tamis.web.dashboard") / "static" / "style.css").read_text(encoding="utf-8")
    framed = {name for name in re.findall(r"^\.([a-z-]+)[^{},]*\{[^}]*border: 1(?:\.5)?px", style, re.M)}
    page = visitor.get("/ui/components").text
    said = re.findall(r'class="([^"]*)"', page)
    assert len(framed) > 20
    assert framed - {name for each in said for name in each.split()} == set()
    assert "1 other label<" in page


def test_the_page_of_components_shows_all_that_pages_share(visitor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = files("tamis.web.dashboard") / "templates"
    shared = ("parts.html", "answers.html", "reports.html", "model_tabs.html")
    shared += tuple(each.name for each in folder.iterdir() if each.name.endswith("_parts.html"))
    pattern = re.compile(r"{% macro (\w+)\(")
    there = {(name, macro) for name in shared for macro in pattern.findall((folder / name).read_text("utf-8"))}
    called: set[tuple[str, str]] = set()
    invoke = Macro._invoke

    def noted(self: Macro, arguments: list[Any], autoescape: bool) -> str:
        called.add((Path(self._func.__code__.co_filename).name, self.name))
        return invoke(self, arguments, autoescape)

    monkeypatch.setattr(Macro, "_invoke", noted)
    assert visitor.get("/ui/components").status_code == 200
    assert len(there) > 50
    assert there - called == set()


@pytest.mark.parametrize(
    "place", ["/ui", "/ui/new", f"/ui/models/{ID.format(1)}", "/ui/queue/shop", f"/ui/new/data/{ID.format(9100)}"]
)
def test_focus_goes_through_a_page_as_it_is_read_and_is_seen(browser: Any, served: str, place: str) -> None:
    watched = Watched(browser, 1280, "light")
    page = watched.page
    page.goto(served + place)
    reached = []
    for _ in range(200):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:  # round the page
            break
        reached.append(focused)
    assert len(reached) > 10
    assert reached[0]["is"].startswith('<a class="skip"')
    assert [each["is"] for each in reached if not each["later"]] == []
    assert [each["is"] for each in reached if not each["seen"]] == []
    watched.context.close()


def test_a_live_part_is_asked_for_until_it_is_over(browser: Any, served: str, filled: Workspace) -> None:
    watched = Watched(browser, 1280, "light")
    job_id = "00000000-0000-4000-8000-000000000002"
    watched.page.goto(f"{served}/ui/jobs/{job_id}")
    assert watched.page.locator("#live-job .badge").first.inner_text() == "Running"
    filled.store.jobs.change(job_id, when=("RUNNING",), to="SUCCESS", finished_at=1)
    watched.page.wait_for_selector("#live-job:not([data-live])")
    assert watched.page.locator("#live-job .badge").first.inner_text() == "Done"
    assert watched.said == []
    watched.context.close()


@dataclass(frozen=True, slots=True)
class House:
    """A furnished workspace that is served: where, to whom, and what is in it."""

    address: str
    key: str
    found: Furnished

    @property
    def pages(self) -> list[Place]:
        """Every page."""
        return every_page(self.found)

    def enter(self, watched: Watched) -> None:
        """Sign in."""
        watched.page.goto(f"{self.address}/ui/login?next=/ui/settings")
        watched.page.fill("#field-key", self.key)
        watched.page.click("button.main")
        watched.page.wait_for_selector("form.who")

    def opens(self, watched: Watched, place: Place) -> None:
        """Open a page as a person would; fail where it is another one, or an empty one."""
        if place.sent is None:
            answer = watched.page.goto(self.address + place.path)
        else:
            watched.page.goto(f"{self.address}/ui/{'login' if place.stranger else 'settings'}")
            answer = watched.sends(place.path, place.sent)
        assert answer.request.redirected_from is None, place
        assert place.wrong(answer.status, answer.text()) == ""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A furnished workspace, served to those with a key; what goes on in the background is done in this process."""
    answers = {"operate": operating.answer, "promote": promoting.answer, "review": reviewing.answer}
    folder = tmp_path_factory.mktemp("house")
    settings = Settings(home=folder / "home")
    with pytest.MonkeyPatch.context() as patched, open_workspace(settings) as workspace:

        def run(kind: str, told: dict[str, Any], *_: object) -> dict[str, Any]:
            tools = Tools(workspace.store, choices_of(settings))
            return understood(answers[kind](tools, json.loads(json.dumps(told))), 0, kind)

        for module in (operations, promotions, reviews):
            patched.setattr(module, "run_aside", run)
        found = furnish(workspace, trained(folder))
        _, key = workspace.keys.create("owner", ("infer", "train", "admin"))
        with serving(create_app(workspace, settings)) as address:
            yield House(address, key, found)


def test_every_page_is_opened(house: House) -> None:
    assert not_opened(house.pages) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_page_that_shows_all_it_has_passes_too(browser: Any, house: House, width: int, scheme: str) -> None:
    member, stranger = (Watched(browser, width, scheme) for _ in range(2))
    for each in (member, stranger):
        each.context.route("**/new/train/estimate", lambda route: None)  # never answered: the form waits for it
    house.enter(member)
    for place in house.pages:
        watched = stranger if place.stranger else member
        house.opens(watched, place)
        page = watched.page
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place
        assert passes_axe(page), place
    for watched in (member, stranger):
        assert [said for said in watched.said if "Failed to load resource" not in said] == []  # of pages that refuse
        assert watched.asked == {urlsplit(house.address).netloc}
        watched.context.close()


def test_focus_goes_through_every_page_as_it_is_read(browser: Any, house: House) -> None:
    watched = Watched(browser, 1280, "light")
    watched.context.route("**/new/train/estimate", lambda route: None)
    house.enter(watched)
    page = watched.page
    for place in house.pages:
        if place.stranger:
            continue
        house.opens(watched, place)
        if page.locator("[data-live]").count():  # what is asked for again meanwhile has tests of its own
            continue
        page.focus("a.skip")
        page.evaluate("window.focusedBefore = null")
        for _ in range(STOPS):
            page.keyboard.press("Tab")
            focused = page.evaluate(FOCUSED)
            if focused is None or focused["is"].startswith('<a class="skip"'):  # round the page
                break
            assert (focused["later"], focused["seen"]) == (True, True), (place, focused)
    watched.context.close()


def test_without_a_script_deleting_asks_first_too(browser: Any, served: str, filled: Workspace) -> None:
    watched = Watched(browser, 1280, "light", java_script_enabled=False)
    page = watched.page
    page.goto(f"{served}/ui/files")
    sure = page.locator("details.sure").first
    assert not sure.locator("button.danger").is_visible()
    assert not page.locator("dialog").first.is_visible()
    sure.locator("summary").click()
    assert "cannot be brought back" in sure.inner_text() or "Jobs that need it" in sure.inner_text()
    assert filled.files.list(0, 10, {})[1] == 3
    sure.locator("button.danger").click()
    page.wait_for_selector(".note.ok")
    assert filled.files.list(0, 10, {})[1] == 2
    watched.context.close()


def test_the_colours_are_chosen_by_keyboard(browser: Any, served: str) -> None:
    watched = Watched(browser, 1280, "light")
    page = watched.page
    page.goto(f"{served}/ui/files?search=x")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.locator("form.theme button").nth(1).focus()
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.url.endswith("/ui/files?search=x")
    assert page.locator("form.theme [aria-pressed=true]").inner_text() == "Dark"
    assert page.evaluate(colour) != light
    page.emulate_media(color_scheme="dark")
    page.locator("form.theme button", has_text="Light").focus()
    with page.expect_navigation():
        page.keyboard.press("Space")
    assert page.evaluate(colour) == light
    watched.context.close()


def test_an_abstained_answer_names_the_evidence_that_decided(visitor: Any) -> None:
    assert "is 0.0445, and it answers from 0.5 on" in visitor.get("/ui/components").text
