"""Scripts of a model's pages: rows open in place, figures follow a slider, what is measured appears by itself."""

from typing import Any

import pytest

from tamis.workspace.workspace import Workspace
from web.dashboard.browsing import Watched

pytestmark = pytest.mark.usefixtures("acts_here")

ROWS = b"".join(
    b'{"text": "%s", "labels": {"topic": "%s", "a": ["%s"], "b": ["even"]}}\n' % row
    for row in (
        (b"where is my parcel", b"delivery", b"delivery"),
        (b"you charge my card", b"payment", b"payment"),
        (b"you charge my card please", b"delivery", b"delivery"),
    )
    * 5
)


@pytest.fixture
def served(models: Workspace, address: str) -> str:
    """The address of the model `both`."""
    return f"{address}/ui/models/{models.models.find('both').id}"


def test_from_a_file_to_the_rows_behind_a_number(browser: Any, served: str) -> None:
    watched = Watched(browser)
    page = watched.page
    page.goto(f"{served}/quality")
    page.set_input_files("#file-new", {"name": "rows.jsonl", "mimeType": "text/plain", "buffer": ROWS})
    page.click("text=Upload and measure")
    page.wait_for_selector("#live-quality:not([data-live]) .matrix")
    page.wait_for_selector(".plot .main-svg")
    heads = page.locator("#labels ~ .frame table thead button")
    heads.nth(1).click()
    assert page.locator("#labels ~ .frame tbody tr td:first-child").all_inner_texts()[0] == "delivery"
    page.locator(".matrix .miss a").first.click()
    page.wait_for_selector("#rows")
    assert page.evaluate("document.activeElement.id") == "rows"
    assert page.locator("#rows").inner_text() == "delivery, given as payment"
    assert page.locator(".rows-part .texts li").count() == 5
    assert "cell=" in page.url
    page.reload()
    assert page.locator("#rows").inner_text() == "delivery, given as payment"
    assert watched.said == []
    watched.context.close()


def test_figures_follow_a_slider(browser: Any, served: str, models: Workspace) -> None:
    watched = Watched(browser)
    page = watched.page
    page.goto(f"{served}/thresholds?target=1")
    row = page.locator("tr[data-place='0']")
    before = row.inner_text()
    slider = row.locator("input[type=range]")
    slider.focus()
    page.keyboard.press("End")
    assert float(row.locator("input[type=number]").input_value()) > 0.99
    assert row.locator("[data-figure-of=recall]").inner_text() == "0.0 %"
    assert slider.get_attribute("aria-valuetext") == row.locator("input[type=number]").input_value()
    page.click("[data-reset]")
    page.wait_for_function("text => document.querySelector(\"tr[data-place='0']\").innerText === text", arg=before)
    row.locator("input[type=number]").fill("0.42")
    page.click("text=Save as new version")
    page.wait_for_selector(".note.ok")
    assert models.thresholds.look("both@2", "b").targets["b"]["labels"][0]["threshold"] == 0.42
    assert watched.said == []
    watched.context.close()


def test_what_is_answered_follows_how_much_may_go_unanswered(browser: Any, served: str, models: Workspace) -> None:
    watched = Watched(browser)
    page = watched.page
    page.goto(f"{served}/thresholds")
    row = page.locator("tr[data-rule='0']")
    before = row.inner_text()
    slider, number = row.locator("input[type=range]"), row.locator("input[type=number]")
    assert slider.get_attribute("aria-label") == "topic: may go unanswered, in percent"
    slider.focus()
    page.keyboard.press("End")
    assert (number.input_value(), slider.get_attribute("aria-valuetext")) == ("50", "50")
    curve = models.thresholds.rules("both")["topic"]["curve"]
    assert row.locator("[data-figure-of=coverage]").inner_text() == f"{100 * curve[-1]['coverage']:.1f} %"
    page.keyboard.press("Home")
    assert row.locator("[data-figure-of=coverage]").inner_text() == "100.0 %"
    page.click("[data-reset]")
    page.wait_for_function("text => document.querySelector(\"tr[data-rule='0']\").innerText === text", arg=before)
    number.fill("37.5")
    shown = row.locator("[data-figure-of=coverage]").inner_text()
    page.click("text=Save as new version")
    page.wait_for_selector(".note.ok")
    assert models.thresholds.rules("both@2")["topic"]["loss"] == 0.375
    assert row.locator("[data-figure-of=coverage]").inner_text().replace("\xa0", " ") == shown
    assert watched.said == []
    watched.context.close()
