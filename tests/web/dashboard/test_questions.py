"""Scripts where a model is tried: scores as one types, chats that grow, files that go up; all of it without, too."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamis.workspace.workspace import Workspace
from web.dashboard.browsing import Watched, passes_axe


@pytest.fixture
def served(models: Workspace, address: str) -> Callable[[str, str], str]:
    """The address of a model's page."""
    models.models.take_in()
    return lambda name, page: f"{address}/ui/models/{models.models.find(name).id}/{page}"


def test_scores_follow_as_one_types(browser: Any, served: Callable[[str, str], str], models: Workspace) -> None:
    watched = Watched(browser)
    page = watched.page
    page.goto(served("both", "try"))
    assert page.evaluate("document.activeElement.id") == "question-text"
    page.keyboard.type("where is my parcel")
    page.wait_for_selector(".answers .score")
    assert page.locator(".verdict").first.inner_text() == "delivery"
    assert page.evaluate("document.activeElement.id") == "question-text"
    assert "topic: delivery." in page.locator("[data-status]").inner_text()
    page.fill("#question-text", "you charge my card")
    page.wait_for_selector(".verdict >> text=payment")
    assert passes_axe(page)
    page.locator(".correction summary").click()
    page.select_option(".correction select", label="delivery")
    page.click("text=Keep the correction")
    page.wait_for_selector(".answers .note.ok")
    assert page.input_value("#question-text") == "you charge my card"
    assert models.store.looks.list()[0][0].proposed["topic"] == ["delivery"]
    assert watched.said == []
    watched.context.close()


def test_many_texts_and_a_closer_look(browser: Any, served: Callable[[str, str], str]) -> None:
    watched = Watched(browser, 390, "dark")
    page = watched.page
    page.goto(served("both", "try"))
    page.check("[name=lines]")
    page.fill("#question-text", "where is my parcel\nyou charge my card")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".answers td")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert passes_axe(page)
    page.locator("text=Look closer").nth(1).click()
    page.wait_for_selector(".answers .score")
    assert page.input_value("#question-text") == "you charge my card"
    page.fill("#question-text", " ")
    page.click("text=Classify")
    page.wait_for_selector(".why-not:visible")
    assert page.locator(".answers .score").count() > 0
    assert [each for each in watched.said if "422" not in each] == []
    watched.context.close()


def test_a_chat_grows(browser: Any, served: Callable[[str, str], str]) -> None:
    watched = Watched(browser)
    page = watched.page
    page.goto(served("intents", "try") + "?as=chat")
    page.fill("[name=content]", "where is my parcel")
    page.click("text=Add a message")
    assert page.locator("[name=role]").nth(1).input_value() == "assistant"
    page.keyboard.type("please")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".answers .speaker")
    assert page.locator(".speaker").all_inner_texts()[:2] == ["user", "assistant"]
    assert passes_axe(page)
    assert watched.said == []
    watched.context.close()


def test_a_file_goes_up_and_comes_back(browser: Any, served: Callable[[str, str], str], tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("id,text\n1,where is my parcel\n", encoding="utf-8")
    watched = Watched(browser)
    page = watched.page
    page.goto(served("intents", "label"))
    page.set_input_files("#file-new", file)
    page.click("text=Label it")
    page.wait_for_selector("a[download]", timeout=60_000)
    assert passes_axe(page)
    with page.expect_download() as download:
        page.click("a[download]")
    assert download.value.suggested_filename == "texts-labelled.csv"
    assert watched.said == []
    watched.context.close()


def test_a_file_that_is_refused_is_told_beside_the_form(
    browser: Any, served: Callable[[str, str], str], tmp_path: Path, models: Workspace
) -> None:
    file = tmp_path / "empty.csv"
    file.write_text("", encoding="utf-8")
    watched = Watched(browser)
    watched.page.goto(served("intents", "label"))
    watched.page.set_input_files("#file-new", file)
    watched.page.click("text=Label it")
    watched.page.wait_for_selector("[data-upload-wrong]:visible")
    assert "empty" in watched.page.locator("[data-upload-wrong]").inner_text()
    assert watched.page.is_enabled("text=Label it")
    watched.context.close()


def test_a_link_is_made_opened_and_used(browser: Any, served: Callable[[str, str], str]) -> None:
    watched = Watched(browser, 390, "dark")
    page = watched.page
    page.goto(served("both", "share"))
    page.click("text=Make a link")
    page.wait_for_selector(".copyable")
    assert passes_axe(page)
    address = page.locator(".copyable code").inner_text()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/ui/shared/[\w-]{43}", address)
    stranger = Watched(browser, 390, "dark")
    stranger.page.goto(address)
    assert stranger.page.locator("nav.places").count() == 0
    stranger.page.fill("#question-text", "where is my parcel")
    stranger.page.click("text=Classify")
    stranger.page.wait_for_selector(".answers .score")
    assert passes_axe(stranger.page)
    assert stranger.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert watched.said == stranger.said == []
    stranger.context.close()
    watched.context.close()


def test_all_of_it_works_without_scripts(browser: Any, served: Callable[[str, str], str], tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text\nwhere is my parcel\n", encoding="utf-8")
    plain = Watched(browser, java_script_enabled=False)
    page = plain.page
    page.goto(served("both", "try"))
    page.fill("#question-text", "where is my parcel")
    page.click("text=Classify")
    assert page.locator(".verdict").first.inner_text() == "delivery"
    page.goto(served("both", "try") + "?as=chat")
    page.fill("[name=content]", "where is my parcel")
    page.click("text=Add a message")
    assert page.locator("[name=content]").count() == 2
    page.goto(served("intents", "label"))
    page.set_input_files("#file-new", file)
    page.click("text=Label it")
    assert "texts.csv" in page.locator("#live-label h2").inner_text()
    page.goto(served("both", "share"))
    page.click("text=Make a link")
    page.goto(page.locator(".copyable code").inner_text())
    page.fill("#question-text", "where is my parcel")
    page.click("text=Classify")
    assert page.locator(".verdict").first.inner_text() == "delivery"
    plain.context.close()
