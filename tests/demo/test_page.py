"""The page, in a real browser and as Gradio is told of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.browser import CHROMIUM, NARROW, WIDE, chromium, opened
from demo.naming import HOSTILE
from tamis.demo.gate import link
from tamis.demo.page import Demo, build, look
from tamis.demo.server import application, made
from tamis.errors import InvalidSetting
from tamis.listening import bound_socket, url_of
from tamis.ml.model import Model

TOKEN = "a-token-of-the-tests"
PARCEL = "where is my parcel"


@contextmanager
def served(model: Model, **more: Any) -> Iterator[str]:
    """Serve the page of a model in this process; yield its link."""
    with bound_socket("127.0.0.1", 0) as listening:
        server = made(application(Demo(model, **more), TOKEN, listening.getsockname()[1]))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield link(url_of(listening), TOKEN)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def texts(model: Model) -> Iterator[str]:
    with served(model, longest=12_000) as found:
        yield found


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_text_is_classified_as_it_is_typed(browser: Any, texts: str, model: Model, size: dict[str, int]) -> None:
    score = model.classify(PARCEL)["topic"].scores["delivery"]
    with opened(browser, texts, size) as page:
        assert "token" not in page.url
        assert page.locator("h1").inner_text() == "support"
        page.locator("#tm-text textarea").press_sequentially(PARCEL)
        page.get_by_text(f"{100 * score:.1f} %", exact=True).first.wait_for()
        assert page.locator(".tm-target h2").all_inner_texts() == ["topic", "all"]
        assert page.locator(".tm-target").first.locator(".tm-words").inner_text() == "delivery"
        hostile = page.locator(".tm-target").last.locator(".tm-label").filter(has_text="onerror")
        assert hostile.inner_text().removesuffix(" ✓").strip() == HOSTILE
        assert page.evaluate("document.querySelectorAll('.tm-target img').length") == 0
        page.locator("#tm-text textarea").fill("")
        page.get_by_text("Scores appear here.").first.wait_for()


def test_thresholds_are_moved_with_the_keyboard_and_put_back(browser: Any, texts: str, model: Model) -> None:
    given = set(model.classify(PARCEL)["all"].labels)
    assert "delivery" in given
    with opened(browser, texts) as page:
        page.locator("#tm-text textarea").fill(PARCEL)
        chips = page.locator(".tm-target").last.locator(".tm-chips")
        chips.wait_for()
        page.get_by_role("button", name="Thresholds").press("Enter")
        slider = page.get_by_role("slider", name="delivery", exact=False).last
        slider.press("End")
        page.wait_for_function(
            "!document.querySelector('.tm-target:last-of-type .tm-chips')?.innerText.includes('delivery')"
        )
        shown = page.locator(".tm-target").last.locator(".tm-bars li").filter(has_text="delivery")
        assert "given from 1.000" in shown.inner_text()
        page.get_by_role("button", name="Back to the model's own").last.press("Enter")
        chips.get_by_text("delivery").wait_for()
        assert set(chips.locator("li").all_inner_texts()) == given


def test_the_model_abstains_in_words(browser: Any, texts: str, model: Model) -> None:
    strange = "zebras juggle purple quasars"
    assert model.classify(strange)["topic"].abstained
    with opened(browser, texts) as page:
        page.locator("#tm-text textarea").fill(strange)
        page.get_by_text("too little speaks for any of the labels").wait_for()


def test_examples_and_long_texts(browser: Any, texts: str) -> None:
    with opened(browser, texts) as page:
        page.locator("#tm-examples button").first.press("Enter")
        page.locator(".tm-target").first.locator(".tm-words b").wait_for()
        assert page.locator("#tm-text textarea").input_value() == "delivery"
        box = page.locator("#tm-text textarea")
        box.fill("where is my parcel " * 530)
        page.wait_for_timeout(100)
        assert page.locator(".tm-note").count() == 0
        box.fill("x" * 12_001)
        page.get_by_text("12,001 characters long; this demo takes up to 12,000").wait_for()
        page.get_by_role("button", name="Clear").click()
        page.locator(".tm-note").wait_for(state="detached")
        assert box.input_value() == ""


def test_all_is_reached_with_the_keyboard(browser: Any, texts: str) -> None:
    with opened(browser, texts) as page:
        page.locator("#tm-text textarea").focus()
        reached = []
        for _ in range(12):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.innerText.trim()"))
        for name in ("Clear", "Threshold", "Thresholds", "delivery", "About this model"):
            assert any(text.startswith(name) for text in reached), (name, reached)


def test_a_slow_model_is_asked_with_a_button(browser: Any, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(model.predictor), "quick", False)
    with served(model) as link, opened(browser, link) as page:
        box, words = page.locator("#tm-text textarea"), page.locator(".tm-target").first.locator(".tm-words b")
        box.fill(PARCEL)
        page.wait_for_timeout(300)
        assert words.count() == 0
        page.get_by_role("button", name="Classify").click()
        words.get_by_text("delivery").wait_for()
        box.fill("the invoice is wrong")
        box.press("Shift+Enter")
        words.get_by_text("payment").wait_for()


def test_a_chat_message_by_message(browser: Any, chat_model: Model) -> None:
    with served(chat_model) as chats, opened(browser, chats, NARROW) as page:
        box, add = page.locator("#tm-text textarea"), page.get_by_role("button", name="Add", exact=True)
        box.fill(HOSTILE)
        add.click()
        page.locator(".tm-chat p").wait_for()
        assert page.locator(".tm-chat p").inner_text() == HOSTILE
        box.fill("where is my parcel")
        page.get_by_label("user").check()
        add.click()
        page.locator(".tm-words b", has_text="delivery").wait_for()
        said = [{"role": "user", "content": HOSTILE}, {"role": "user", "content": "where is my parcel"}]
        score = chat_model.classify(said)["topic"].scores["delivery"]
        page.get_by_text(f"{100 * score:.1f} %", exact=True).first.wait_for()
        page.get_by_role("button", name="Take back").click()
        page.locator(".tm-chat li").nth(1).wait_for(state="detached")
        page.get_by_role("button", name="Clear", exact=True).click()
        page.get_by_text("Scores appear here.").wait_for()


def built(demo: Demo) -> Any:
    """The page, made within an event loop: else Gradio makes one, and does not close it."""

    async def make() -> Any:
        return build(demo)

    with ThreadPoolExecutor(1) as thread:  # the browser's library has a loop in this one
        return thread.submit(lambda: asyncio.run(make())).result()


def test_a_value_that_names_a_file_fetches_nothing(model: Model, chat_model: Model) -> None:
    """Gradio would fetch what any value names: from anywhere, to the disk, of any size."""
    from gradio.processing_utils import async_move_files_to_cache

    sent = [{"path": "http://192.0.2.1/large", "meta": {"_type": "gradio.FileData"}}]
    for demo in (Demo(model), Demo(chat_model)):
        for block in built(demo).blocks.values():
            with pytest.raises(InvalidSetting):
                async_move_files_to_cache(sent, block, check_in_upload_folder=True).send(None)


def test_gradio_is_told_to_report_and_offer_nothing(model: Model) -> None:
    blocks = built(Demo(model))
    config = blocks.get_config_file()
    assert config["analytics_enabled"] is False
    assert {dependency["api_visibility"] for dependency in config["dependencies"]} == {"private"}
    style = Path(look()["css_paths"][0]).read_text(encoding="utf-8") + look()["theme"]._get_theme_css()
    assert "http" not in style.replace("http://www.w3.org/2000/svg", "")
