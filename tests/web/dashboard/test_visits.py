"""Where the header leads: all places in a line, and on narrow screens a menu that needs no script."""

from typing import Any

from tamis.web.dashboard.visits import NAVIGATION
from tamis.workspace.workspace import Workspace
from web.dashboard.browsing import Watched


def header_of(page: Any) -> int:
    return round(page.locator("header").bounding_box()["height"])


def test_a_narrow_header_is_one_line_with_a_menu_for_the_keyboard_without_scripts(browser: Any, address: str) -> None:
    watched = Watched(browser, width=390, java_script_enabled=False)
    page = watched.page
    page.goto(f"{address}/ui")
    assert header_of(page) < 60
    links = page.locator("nav.places a")
    assert not links.first.is_visible()
    for _ in range(3):  # past the link to the content and the name
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    links.first.wait_for(state="visible")
    assert links.all_inner_texts() == [entry.title for entry in NAVIGATION]
    assert page.locator("nav.places [aria-current]").inner_text() == "Home"
    page.keyboard.press("Escape")
    links.first.wait_for(state="hidden")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/new")
    watched.context.close()


def test_a_wide_header_has_all_places_in_its_line(browser: Any, address: str) -> None:
    watched = Watched(browser)
    watched.page.goto(f"{address}/ui")
    assert header_of(watched.page) < 60
    assert watched.page.locator("nav.places a").last.is_visible()
    assert not watched.page.locator(".menu").is_visible()
    watched.context.close()


def test_who_is_signed_in_stays_in_the_line(workspace: Workspace, browser: Any, address: str) -> None:
    _, secret = workspace.keys.create("a key with a name that is long " + "x" * 60, ["admin"])
    watched = Watched(browser, width=390)
    page = watched.page
    page.goto(f"{address}/ui")
    page.fill("input[name=key]", secret)
    page.click("main button")
    page.wait_for_selector(".who")
    assert header_of(page) < 60
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".who button").is_visible()
    watched.context.close()
