"""In a real browser no page complains, scrolls sideways from 390 to 1920 px, fetches from elsewhere, or fails axe."""

import re
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import pytest

from tamis.workspace.workspace import Workspace
from web.dashboard.browsing import Watched, passes_axe

ID = "00000000-0000-4000-8000-{:012d}"

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
