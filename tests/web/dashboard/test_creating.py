"""From a file to rows that are made ready: columns are chosen by click, and what was chosen is never lost."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from tamis.jobs import preparing, reviewing
from tamis.jobs.aside import understood
from tamis.jobs.choosing import choices_of
from tamis.jobs.tools import Tools
from tamis.ml.review import ReviewOptions
from tamis.web.app import create_app
from tamis.workspace import reviews
from tamis.workspace.files import NewFile
from tamis.workspace.preparing import Choice, Preparing, Preview
from tamis.workspace.workspace import Workspace
from web.dashboard.browsing import Watched, passes_axe, serving

TICKETS = (
    "No;Message;Topic;Mood\n1;where is my parcel;delivery;angry|late\n2;I want my money;refund;angry\n"
    "3;it broke;refund;\n4;;refund;late\n5;thanks a lot;praise;late|angry\n6;so good;praise;late\n7;yes;praise;angry\n"
)
MOODS = ("angry", "late", "angry|late")
DROP = """(text) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], "our tickets.csv"));
  const told = { dataTransfer, bubbles: true, cancelable: true };
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", told));
}"""
HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture(autouse=True)
def _nothing_begins(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "at_once" not in request.fixturenames:
        monkeypatch.setattr(workspace.operations._background, "submit", lambda *_: None)


@pytest.fixture
def at_once(workspace: Workspace, acts_here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has a process of its own is done in this one, and no label judged by models of other rows: takes seconds."""

    def applied(kind: str, told: dict[str, Any], *_: object) -> dict[str, Any]:
        return understood(reviewing.answer(Tools(workspace.store, choices_of(workspace.settings)), told), 0)

    monkeypatch.setattr(preparing, "ReviewOptions", partial(ReviewOptions, suspects=False))
    monkeypatch.setattr(reviews, "run_aside", applied)


@pytest.fixture
def bring(workspace: Workspace) -> Any:
    def upload(content: str = TICKETS, name: str = "tickets.csv") -> str:
        coming = workspace.files.begin(NewFile(name=name))
        coming.write(content.encode())
        return coming.commit().id

    return upload


def checked(html: str) -> dict[str, str]:
    """The roles that are chosen on a page, by column."""
    return dict(re.findall(r'name="c(\d+)" value="(\w+)" checked', html))


def test_what_a_file_shows_is_looked_at_once_for_each_choice(
    visitor: Any, workspace: Workspace, bring: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    look = Preparing.look

    def noted(self: Preparing, file_id: str, choice: Choice) -> Preview:
        looked.append(file_id)
        return look(self, file_id, choice)

    monkeypatch.setattr(Preparing, "look", noted)
    place = f"/ui/new/columns?training={(file_id := bring())}"
    assert visitor.get(place).text == visitor.get(place).text
    assert len(looked) == 1
    assert checked(visitor.get(f"{place}&c0=text&c1=unused&c2=label").text)["0"] == "text"
    assert len(looked) == 2
    workspace.files.delete(file_id)
    assert visitor.get(place).status_code == 404


def test_the_columns_are_shown_as_they_are_told(visitor: Any, bring: Any) -> None:
    page = visitor.get(f"/ui/new/columns?training={bring()}").text
    assert checked(page) == {"0": "unused", "1": "text", "2": "label", "3": "unused"}
    assert "cells parted by semicolons" in page
    assert "where is my parcel" in page
    assert "1 of the first 7 rows cannot be used" in page
    assert "The text is empty" in page
    assert "Some label cells are empty" not in page


def test_what_is_chosen_is_shown_and_stands_in_the_address(visitor: Any, bring: Any) -> None:
    file_id = bring()
    fields = {
        "training": file_id,
        "c1": "text",
        "c2": "label",
        "c3": "label",
        "s3": "|",
        "c0": "unused",
        "share_test": "0.3",
    }
    place = visitor.send("/ui/new/columns", **fields).headers["location"]
    assert "form_token" not in place
    page = visitor.get(place).text
    assert checked(page) == {"0": "unused", "1": "text", "2": "label", "3": "label"}
    assert "Some label cells are empty" in page
    assert '<option value="0.3" selected>' in page
    assert page.count(">late</bdi>") > 1


def test_another_reading_begins_with_its_own_columns(visitor: Any, bring: Any) -> None:
    fields = {"training": bring(), "c0": "text", "c1": "label", "read_as": "//", "delimiter": "comma"}
    page = visitor.get(visitor.send("/ui/new/columns", **fields).headers["location"]).text
    assert '<option value="comma" selected>' in page
    assert "c1=label" not in page


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"c1": "text"}, "Choose at least one column that holds labels"),
        ({"c0": "text", "c1": "text", "c2": "label"}, "2 columns are chosen as the text"),
        ({"c1": "text", "c2": "flag"}, "None of the first 7 rows can be used"),
        ({"c1": "<b>", "c99999": "text", "s1": "rm -rf", "share_test": "9", "encoding": "klingon"}, ""),
    ],
)
def test_what_cannot_be_is_said_where_it_was_chosen(visitor: Any, bring: Any, fields: dict[str, str], why: str) -> None:
    answer = visitor.send("/ui/new/prepare", training=bring(), **fields)
    if not why:  # as if nothing had been said
        assert answer.headers["location"].startswith("/ui/new/data/")
        return
    assert answer.status_code == 422
    assert why in answer.text


def test_further_files_are_read_alike_or_can_be_left(visitor: Any, bring: Any) -> None:
    other = bring("text,label\na,b\n", "other.csv")
    page = visitor.get(f"/ui/new/columns?training={bring()}&test={other}").text
    assert "cannot be read like this" in page
    assert "has no column" in page
    assert "--" not in page[page.index("cannot be read like this") :][:300]
    without = re.search(r'href="(/ui/new/columns\?[^"]+)">Go on without it', page)
    assert without
    assert "test=" not in without[1].replace("share_test=", "")
    assert visitor.send("/ui/new/prepare", training=bring(), test=other).status_code == 422


def test_the_work_begins_with_what_was_chosen(visitor: Any, bring: Any, workspace: Workspace) -> None:
    training = bring()
    fields = {"c1": "text", "c3": "label", "s3": "|", "empty": "none", "share_validation": "0", "share_test": "0.2"}
    place = visitor.send("/ui/new/prepare", training=training, **fields).headers["location"]
    told = workspace.operations.get(place.rsplit("/", 1)[1]).told
    assert told["files"] == {"training": training}
    assert told["shares"] == {"test": 0.2}
    assert told["layout"]["labels"] == ["Mood"]
    assert told["layout"]["separators"] == {"Mood": "|"}
    assert told["layout"]["empty_means_none"] is True


def test_the_example_goes_the_same_way(visitor: Any) -> None:
    place = visitor.send("/ui/new/example").headers["location"]
    page = visitor.get(place).text
    assert page.count('value="label" checked') == 2
    assert "JSON lines" in page


def test_what_a_file_holds_is_text(visitor: Any, bring: Any) -> None:
    file_id = bring(f"text,label\n{HOSTILE},{HOSTILE}\nyou,a\n", HOSTILE)
    page = visitor.get(f"/ui/new/columns?training={file_id}").text
    assert "<img" not in page
    assert "&lt;img" in page


def test_a_wide_table_is_shown_in_part(visitor: Any, bring: Any) -> None:
    names = ",".join(["text", "label", *(f"column of a long name {n}" for n in range(300))])
    file_id = bring(f"{names}\n{','.join('x' * 302)}\n")
    page = visitor.get(f"/ui/new/columns?training={file_id}").text
    assert "102 further columns are not shown" in page


def test_a_file_that_is_none_is_said(visitor: Any, bring: Any) -> None:
    assert visitor.get("/ui/new/columns?training=nope").status_code == 404
    answer = visitor.get(f"/ui/new/columns?training={bring('PAR1', 'a.parquet')}")
    assert answer.status_code == 422
    assert "CSV, TSV and JSONL" in answer.text
    assert "Bring texts" in visitor.get("/ui/new/columns").text


@pytest.fixture
def pages(workspace: Workspace, make_settings: Any, at_once: None, watched: Watched) -> Iterator[tuple[Watched, str]]:
    workspace.settings = make_settings(max_upload_bytes=10_000)
    with serving(create_app(workspace, workspace.settings)) as at:
        yield watched, at
        assert watched.asked == {urlsplit(at).netloc}


def test_in_a_browser_a_table_is_brought_and_decided_on(pages: tuple[Watched, str], workspace: Workspace) -> None:
    watched, at = pages
    page = watched.page
    page.goto(f"{at}/ui/new")
    assert passes_axe(page)
    page.set_input_files("#file-training", {"name": "a.csv", "mimeType": "text/csv", "buffer": b"x" * 20_000})
    page.click("#upload button.main")
    assert "a.csv has 20.0 kB, and a file may have 10.0 kB" in page.inner_text("#upload .note.error")
    assert workspace.files.list(0, 1, {})[1] == 0
    rows = [f"{n};where is parcel {n};delivery;late|angry\n{n};my card {n};payment;{MOODS[n % 3]}\n" for n in range(9)]
    table = "No;Message;Topic;Mood\n" + "".join(rows) + "99;where is parcel 3;payment;calm\n"
    page.evaluate(DROP, table)
    page.wait_for_url("**/ui/new/columns?**")
    assert passes_axe(page)
    mood = page.locator(".column", has_text="Mood")
    assert mood.locator("select").is_hidden()
    mood.locator('input[value="label"]').focus()
    page.keyboard.press("Space")
    page.wait_for_selector("#seen .targets >> text=any number of them a text")
    assert page.evaluate("document.activeElement.name") == "c3"
    assert "s3=%7C" in page.url
    page.locator(".column", has_text="No").first.locator('input[value="text"]').check(force=True)
    page.wait_for_selector("#seen:not([aria-busy]) .column.text >> text=No")
    assert page.locator('.role input[value="text"]:checked').count() == 1
    page.locator(".column", has_text="Message").locator('input[value="text"]').check(force=True)
    page.wait_for_selector("#seen:not([aria-busy]) .column.text >> text=Message")
    page.select_option('[name="share_test"]', "0")
    page.click("text=Check the data")
    page.wait_for_selector("#findings", timeout=60_000)
    assert passes_axe(page)
    card = page.locator("#finding-conflicts")
    card.locator("text=Accept").first.click()
    page.wait_for_selector("#going >> text=Apply 1 change")
    assert page.evaluate("document.activeElement.textContent").startswith("Accept")
    card.locator("a").click()
    page.wait_for_selector(".item.accepted")
    assert passes_axe(page)
    page.click('#item-0 button[value="rejected"]')
    page.wait_for_selector(".item.rejected")
    page.locator("#item-0 summary").first.click()
    page.locator('#item-0 [name="label"]').first.fill("nonsense")
    page.locator("#item-0 .relabel button").first.click()
    page.wait_for_selector("#item-0 .note.error")
    page.locator('#item-0 [name="label"]').first.fill("payment")
    page.locator("#item-0 .relabel button").first.click()
    page.wait_for_selector("#item-0 >> text=by hand")
    page.click("#going a")
    page.click("text=Apply 1 change")
    page.wait_for_selector("text=our tickets.train.v2.jsonl", timeout=60_000)


def test_without_a_script_the_same_forms_do(browser: Any, address: str, at_once: None) -> None:
    page = Watched(browser, java_script_enabled=False).page
    page.goto(f"{address}/ui/new")
    page.set_input_files("#file-training", {"name": "a.csv", "mimeType": "text/csv", "buffer": TICKETS.encode()})
    page.click("#upload button.main")
    page.locator(".column", has_text="Mood").locator('input[value="label"]').check(force=True)
    page.click('[formaction="/ui/new/columns"]')
    assert page.locator(".targets >> text=Mood").count() == 1
    assert "form_token" not in page.url
    page.click("text=Check the data")
    assert "/ui/new/data/" in page.url
    page.context.close()
