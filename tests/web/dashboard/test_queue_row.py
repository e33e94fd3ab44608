"""The review queue in a real browser: numbers pick, Enter accepts, S skips, U takes back; without a script too."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamis.jobs.looks import SUSPECT, Sight, look_at
from tamis.ml.registry import register
from tamis.ml.training import train
from tamis.settings import Settings
from tamis.testing import tiny_base
from tamis.web.app import create_app
from tamis.workspace.workspace import Workspace
from web.dashboard.browsing import Watched, passes_axe, serving

TEXTS = {"delivery": "where is my parcel", "payment": "you charge my card", "account": "change my password"}
LONG = "a label with a name that is longer than any label should be, and that goes on and on " * 2

HANGS = """AbortSignal.timeout = () => AbortSignal.abort();
window.fetch = (_, { signal }) => new Promise((_, fail) => { if (signal?.aborted) fail(signal.reason); });"""
"""A server that says nothing, and patience that is at its end."""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    rows = [
        {"text": f"{text} {k}", "labels": {"topic": topic, "flags": ["rude"] if k % 2 else [LONG]}}
        for k in range(12)
        for topic, text in TEXTS.items()
    ]
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    train(place / "rows.jsonl", base=str(tiny_base(place / "base")), out=place / "shop", epochs=4)
    return place / "shop"


@pytest.fixture
def address(workspace: Workspace, artifact: Path, acts_here: None, address: str) -> str:
    """The queue of shop@1, in which three rows wait."""
    register(workspace.settings.home, "shop", artifact)
    workspace.models.take_in()
    texts = ["where is my parcel", "you charge my card", "x" * 5_000]
    sights = [
        Sight(given=text, reason=SUSPECT, urgency=1 - place / 10, proposed={"topic": ["delivery"]})
        for place, text in enumerate(texts)
    ]
    workspace.store.looks.add(look_at(sight, "shop", None) for sight in sights)
    return f"{address}/ui/queue/shop"


def answers(workspace: Workspace) -> dict[str, Any]:
    return {look.input[:20]: (look.status, look.answer) for look in workspace.store.looks.list(0, None)[0]}


def fits(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_a_queue_is_worked_through_by_keys(browser: Any, address: str, workspace: Workspace) -> None:
    watched = Watched(browser)
    page = watched.page
    page.goto(address)
    assert passes_axe(page)
    first = page.locator('[data-question] >> nth=0 >> [data-key="2"]')
    wanted = first.get_attribute("value")
    page.keyboard.press("2")
    page.keyboard.press("0")  # of the second question, to which the first pick led
    page.keyboard.press("Enter")
    page.wait_for_selector("text=you charge my card")
    assert answers(workspace)["where is my parcel"] == ("answered", {"topic": [wanted], "flags": []})
    page.keyboard.press("s")
    page.wait_for_selector("text=xxxxxxxx")
    assert answers(workspace)["you charge my card"] == ("skipped", None)
    page.keyboard.press("u")
    page.wait_for_selector("text=you charge my card")
    assert answers(workspace)["you charge my card"] == ("open", None)
    page.keyboard.press("/")
    page.keyboard.type("s1u returns")  # keys are letters where one types
    assert page.locator("[data-question] >> nth=0 >> :checked").count() == 0, "what is typed goes before it"
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert] >> text=no label")
    assert page.evaluate("document.activeElement.name") == "new"
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=xxxxxxxx")
    assert answers(workspace)["you charge my card"] == ("answered", {"topic": ["s1u returns"]})
    page.keyboard.press("Enter")
    page.wait_for_selector("text=All done")
    page.wait_for_selector("text=0 to look at, 3 answered.", state="attached")  # said once the page stands
    assert passes_axe(page)
    assert [each for each in watched.said if "422" not in each] == []


def test_keys_pressed_while_an_answer_is_on_its_way_wait_for_it(
    browser: Any, address: str, workspace: Workspace
) -> None:
    page = Watched(browser).page
    page.goto(address)
    for key in ("Enter", "s", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector(".empty")
    assert [status for status, _ in answers(workspace).values()] == ["answered", "skipped", "answered"]


def test_keys_can_be_turned_off(browser: Any, address: str, workspace: Workspace) -> None:
    page = Watched(browser).page
    page.goto(address)
    page.click("text=Turn them off")
    page.reload()
    page.keyboard.press("s")
    assert page.locator("[data-keys]").inner_text() == "Turn them on"
    assert {status for status, _ in answers(workspace).values()} == {"open"}


def test_a_server_that_is_away_loses_no_choice(browser: Any, address: str, workspace: Workspace) -> None:
    watched = Watched(browser)
    page = watched.page
    page.goto(address)
    page.keyboard.press("2")
    picked = page.locator("[data-question] :checked >> nth=0").get_attribute("value")
    watched.context.set_offline(True)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=The server did not answer")
    assert page.locator("[data-question] :checked >> nth=0").get_attribute("value") == picked
    watched.context.set_offline(False)
    page.click("button.main >> text=Accept")
    page.wait_for_selector("text=you charge my card")
    assert answers(workspace)["where is my parcel"][1]["topic"] == [picked]


def test_a_server_that_hangs_loses_no_choice(browser: Any, address: str, workspace: Workspace) -> None:
    page = Watched(browser).page
    page.add_init_script(HANGS)
    page.goto(address)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=The server did not answer")
    assert {status for status, _ in answers(workspace).values()} == {"open"}


def test_it_all_works_without_a_script(browser: Any, address: str, workspace: Workspace) -> None:
    page = Watched(browser, 390, "dark", java_script_enabled=False).page
    page.goto(address)
    page.check('[data-question] >> nth=0 >> [data-key="1"]')
    page.click("text=Accept")
    page.click("[data-skip]")
    page.click("[data-undo]")
    assert [status for status, _ in answers(workspace).values()] == ["answered", "open", "open"]


@pytest.mark.parametrize("width", [390, 1280])
def test_narrow_and_wide_in_both_themes(browser: Any, address: str, width: int) -> None:
    for scheme in ("light", "dark"):
        page = Watched(browser, width, scheme).page
        for path in ("", "/rows"):
            page.goto(address + path)
            assert fits(page)
            assert passes_axe(page)
        page.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_hostile_rows_of_many_labels_and_targets_break_nothing(
    browser: Any, filled: Workspace, make_settings: Callable[..., Settings], width: int, scheme: str
) -> None:
    watched = Watched(browser, width, scheme)
    page = watched.page
    with serving(create_app(filled, make_settings())) as at:
        for path in ("/ui/queue", "/ui/queue/shop", "/ui/queue/shop?reason=disagreement", "/ui/queue/shop/rows"):
            page.goto(at + path)
            assert fits(page), path
            assert passes_axe(page), path
    assert watched.said == []


def test_pasted_texts_come_as_rows_by_themselves(browser: Any, address: str, workspace: Workspace) -> None:
    workspace.looks.clear("shop")
    page = Watched(browser).page
    page.goto(address)
    page.fill("textarea[name=texts]", "my parcel and my card\nmy password")
    page.click("text=Add them")
    page.wait_for_selector("form[data-looking] >> text=No label yet", timeout=20_000)
    assert workspace.looks.line("shop").open == 2
