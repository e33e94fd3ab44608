"""What was found is decided on, all of a kind or row by row; what was accepted makes a new file, looked at again."""

import json
import re
import time
from collections.abc import Callable
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tamis.jobs import operating
from tamis.jobs import preparing as making
from tamis.jobs.choosing import choices_of
from tamis.jobs.tools import Tools
from tamis.ml.review import ReviewOptions
from tamis.workspace import operations, preparing, reviews
from tamis.workspace.files import NewFile
from tamis.workspace.operations import NewOperation
from tamis.workspace.reviews import by_hand, changes_of
from tamis.workspace.workspace import Workspace

TEXTS = {"delivery": "where is my parcel number {}", "payment": "you charged my card {} times"}
EXTRA = (
    {"text": "where is my parcel number 3", "labels": {"topic": "payment", "mood": ["calm"]}},
    {"text": "where is my parcel number 4", "labels": {"topic": "payment", "mood": []}},
    {"text": "and now for something", "labels": {"topic": "Delivery"}},
    {"text": "where is  my parcel number 5", "labels": {"topic": "delivery", "mood": ["angry"]}},
)


def rows() -> bytes:
    mood = {"delivery": ["angry"], "payment": ["calm", "angry"]}
    made = [
        {"text": text.format(k), "labels": {"topic": topic, "mood": mood[topic]}}
        for k in range(12)
        for topic, text in TEXTS.items()
    ]
    return "".join(json.dumps(row) + "\n" for row in [*made, *EXTRA]).encode()


@pytest.fixture
def at_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations and reviews are done in this process."""

    def answered(kind: str, told: dict[str, Any], home: Path, bounds: object, check: Callable[[], None]) -> object:
        from tamis.jobs import reviewing
        from tamis.jobs.aside import understood

        act = operating.answer if kind == "operate" else reviewing.answer
        return understood(act(Tools(workspace.store, choices_of(workspace.settings)), told), 0)

    monkeypatch.setattr(making, "ReviewOptions", partial(ReviewOptions, suspects=False))  # seconds each
    monkeypatch.setattr(operations, "run_aside", answered)
    monkeypatch.setattr(reviews, "run_aside", answered)


def ready(visitor: Any, place: str) -> str:
    """Wait until the page is no longer one that waits, and return it."""
    for _ in range(600):
        page = visitor.get(place).text
        if "data-live" not in page:
            return str(page)
        time.sleep(0.1)
    raise AssertionError(page)


@pytest.fixture
def place(visitor: Any, workspace: Workspace, at_once: None) -> str:
    coming = workspace.files.begin(NewFile(name="our.jsonl"))
    coming.write(rows())
    answer = visitor.send("/ui/new/prepare", training=coming.commit().id, share_validation="0", share_test="0")
    found = str(answer.headers["location"])
    ready(visitor, found)
    return found


def shown(page: str) -> dict[str, str]:
    """What a page sends along when its changes are applied."""
    found = re.search(r'name="decided" value="([^"]+)"', page)
    assert found
    return {"decided": found[1]}


def review_of(workspace: Workspace, place: str) -> Any:
    return workspace.reviews.get(preparing.Preparing(workspace).result(place.rsplit("/", 1)[1]).review)


def test_from_findings_to_a_new_file_that_is_looked_at_again(
    visitor: Any, workspace: Workspace, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visitor.get(place).text
    assert "The same text with different labels" in page
    assert "Labels with nearly the same name" in page
    assert "Labels of topic" in page
    assert "Go on to training" in page
    visitor.send(f"{place}/decide", finding="same_names:topic", decision="accepted")
    visitor.send(f"{place}/decide", finding="conflicts", decision="rejected", item="0")
    back = visitor.send(f"{place}/decide", finding="conflicts", decision="accepted", item="1", **{"from": "finding"})
    assert back.headers["location"] == f"{place}/finding?finding=conflicts#item-1"
    one_by_one = visitor.get(f"{place}/finding?finding=conflicts").text
    assert re.search(r'value="open" aria-pressed="true">Accept<', one_by_one)
    assert "leave line" in one_by_one
    left = visitor.get(f"{place}/finding?finding=conflicts&state=rejected").text
    assert left.count('class="item ') == 1
    row = workspace.reviews.items(review_of(workspace, place).id, "conflicts")[1][0].item.rows[0]
    fields = {"row": str(row.row), "target": "topic", "item": "0", "from": "finding", "finding": "conflicts"}
    visitor.send(f"{place}/label", label="payment", **fields)
    assert by_hand(review_of(workspace, place)) == {(row.row, "topic"): ("payment",)}
    assert "by hand" in visitor.get(f"{place}/finding?finding=conflicts").text
    assert changes_of(review_of(workspace, place)) == 3
    assert "Apply 3 changes" in visitor.get(place).text

    again = visitor.send(f"{place}/apply", **shown(visitor.get(place).text)).headers["location"]
    page = ready(visitor, again)
    assert "our.train.v2.jsonl" in page
    assert "Labels with nearly the same name" not in page
    found = preparing.Preparing(workspace).result(again.rsplit("/", 1)[1])
    lines = b"".join(workspace.files.read(found.files["training"])).splitlines()
    written = [json.loads(line) for line in lines]
    assert [each["labels"]["topic"] for each in written if each["text"] == row.text] == ["payment", "payment"]
    assert not [each for each in written if each["text"] == "where is my parcel number 4"]
    assert {each["labels"]["topic"] for each in written} == {"delivery", "payment"}
    monkeypatch.setattr(operations, "MOST_LIVE", 99)
    monkeypatch.setattr(workspace.operations._background, "submit", lambda work, id: None)
    for _ in range(60):
        workspace.operations.create(NewOperation(kind="prepare", title="another's.csv", told={"files": {}}))
    assert f'href="{again}"' in visitor.get(place).text, "however much others do"
    to_training = re.search(r'href="(/ui/new/train\?[^"]+)"', page)
    assert to_training
    assert unescape(to_training[1]) == f"/ui/new/train?training={found.files['training']}&review={found.review}"


def test_what_is_decided_on_all_leaves_what_was_said_row_by_row(visitor: Any, workspace: Workspace, place: str) -> None:
    visitor.send(f"{place}/decide", finding="conflicts", decision="rejected", item="0")
    page = visitor.get(place).text
    assert "1 left as it is" in page
    assert "Accept the rest" in page
    visitor.send(f"{place}/decide", finding="conflicts", decision="accepted")
    items = workspace.reviews.items(review_of(workspace, place).id, "conflicts")[1]
    assert [each.decision for each in items] == ["rejected", "accepted"]
    assert changes_of(review_of(workspace, place)) == 1
    visitor.send(f"{place}/decide", finding="conflicts", decision="accepted", item="0")
    visitor.send(f"{place}/decide", finding="conflicts", decision="rejected")
    items = workspace.reviews.items(review_of(workspace, place).id, "conflicts")[1]
    assert [each.decision for each in items] == ["accepted", "rejected"]


def test_what_a_page_showed_is_applied_and_once(visitor: Any, workspace: Workspace, place: str) -> None:
    visitor.send(f"{place}/decide", finding="conflicts", decision="accepted", item="0")
    first = shown(visitor.get(place).text)
    visitor.send(f"{place}/decide", finding="conflicts", decision="accepted")
    answer = visitor.send(f"{place}/apply", **first)
    assert answer.headers["location"] == place
    page = visitor.get(place).text
    assert "2 changes are accepted now. Nothing was applied yet" in page
    assert review_of(workspace, place).output_file is None
    second = shown(page)
    made = [visitor.send(f"{place}/apply", **second).headers["location"] for _ in range(2)]
    assert made[0] == made[1]
    assert "were applied already" in visitor.get(made[1]).text
    assert workspace.operations.list(0, 9, {"kind": "prepare"})[1] == 2


def test_labels_by_hand_are_those_that_there_are(visitor: Any, workspace: Workspace, place: str) -> None:
    row = workspace.reviews.items(review_of(workspace, place).id, "conflicts")[1][0].item.rows[0]
    of = {"row": str(row.row), "item": "0", "from": "finding", "finding": "conflicts"}
    told = {
        "There is no label": {"target": "topic", "label": "unheard of"},
        "Choose a label first": {"target": "topic"},
    }
    for why, fields in told.items():
        answer = visitor.send(f"{place}/label", **of, **fields)
        assert why in visitor.get(answer.headers["location"]).text
    assert visitor.send(f"{place}/label", **of, target="nothing", label="x").status_code == 422
    assert visitor.send(f"{place}/label", **{**of, "row": "99999"}, target="topic", label="payment").status_code == 422
    assert not by_hand(review_of(workspace, place))
    visitor.send(f"{place}/label", **of, target="mood", lines="angry\ncalm\nangry")
    visitor.send(f"{place}/label", **of, target="topic", label="payment")
    assert by_hand(review_of(workspace, place)) == {
        (row.row, "mood"): ("angry", "calm"),
        (row.row, "topic"): ("payment",),
    }
    visitor.send(f"{place}/label", **of, target="topic", label="payment", undo="yes")
    visitor.send(f"{place}/label", **of, target="mood")
    assert by_hand(review_of(workspace, place)) == {(row.row, "mood"): ()}


def test_what_cannot_be_decided_is_said(visitor: Any, place: str) -> None:
    assert visitor.send(f"{place}/apply").status_code == 409
    for fields in (
        {"finding": "nope", "decision": "accepted"},
        {"finding": "conflicts", "decision": "maybe"},
        {"finding": "conflicts", "decision": "accepted", "item": "999"},
        {"finding": "conflicts", "decision": "accepted", "item": "-1"},
    ):
        assert visitor.send(f"{place}/decide", **fields).status_code == 422
    assert visitor.get(f"{place}/finding?finding=nope").status_code == 422


def test_data_that_cannot_be_used_leads_back(visitor: Any, workspace: Workspace, at_once: None) -> None:
    coming = workspace.files.begin(NewFile(name="one.csv"))
    coming.write(b"text,label\nhello,a\nyou,a\n")
    file_id = coming.commit().id
    chosen = {"c0": "text", "c1": "label", "share_test": "0"}
    found = visitor.send("/ui/new/prepare", training=file_id, **chosen).headers["location"]
    page = ready(visitor, found)
    assert "cannot be used yet" in page
    assert "at least two different labels" in page.replace("\n", " ")
    back = f"/ui/new/columns?training={file_id}&amp;share_test=0&amp;c0=text&amp;c1=label"
    assert f'href="{back}"' in page, "what was chosen stays chosen"
    assert visitor.get(f"{found}/finding?finding=x").status_code == 409


def test_it_can_be_stopped(visitor: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace.operations._background, "submit", lambda *_: None)
    coming = workspace.files.begin(NewFile(name="our.jsonl"))
    coming.write(rows())
    found = visitor.send("/ui/new/prepare", training=coming.commit().id).headers["location"]
    page = visitor.get(found).text
    assert "data-live" in page
    assert "waiting for its turn" in page.lower()
    assert visitor.send(f"{found}/cancel").headers["location"] == found
    page = visitor.get(found).text
    assert "data-live" not in page
    assert "The work was stopped" in page


@pytest.mark.parametrize(
    ("share", "told"), [("0", "is read row by row, and"), ("0.2", "is read row by row, split, and")]
)
def test_what_is_not_split_is_not_said_to_be(
    visitor: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, share: str, told: str
) -> None:
    monkeypatch.setattr(workspace.operations._background, "submit", lambda *_: None)
    coming = workspace.files.begin(NewFile(name="our.jsonl"))
    coming.write(rows())
    fields = {"training": coming.commit().id, "share_validation": "0", "share_test": share}
    assert told in visitor.get(visitor.send("/ui/new/prepare", **fields).headers["location"]).text


def test_rows_are_named_by_their_lines_in_the_file_that_came(visitor: Any, workspace: Workspace, at_once: None) -> None:
    coming = workspace.files.begin(NewFile(name="ours.csv"))
    lines = [f"the parcel {n} is late,{'a' if n % 2 else 'b'}" for n in range(40)]
    lines[30:33] = [f"{line.partition(',')[0]},c" for line in lines[7:10]]
    coming.write("\n".join(["text,topic", *lines]).encode())
    chosen = {"c0": "text", "c1": "label", "share_validation": "0", "share_test": "0.2"}
    place = visitor.send("/ui/new/prepare", training=coming.commit().id, **chosen).headers["location"]
    ready(visitor, place)
    review = review_of(workspace, place)
    found = [row for each in workspace.reviews.report(review.id)[1].findings for i in each.items for row in i.rows]
    assert found
    for row in found:
        assert (row.source_file, lines[row.source_line - 2].partition(",")[0]) == ("ours.csv", row.text)
    finding = review.summary[0]["id"]
    page = unescape(re.sub("<[^>]+>", "", visitor.get(f"{place}/finding?finding={finding}").text))
    assert re.search(r"line \d+ of ours.csv", page)


def test_it_is_said_which_rows_findings_and_tables_count(visitor: Any, workspace: Workspace, at_once: None) -> None:
    coming = workspace.files.begin(NewFile(name="our.jsonl"))
    coming.write(rows())
    fields = {"training": coming.commit().id, "share_validation": "0", "share_test": "0.2"}
    page = ready(visitor, visitor.send("/ui/new/prepare", **fields).headers["location"])
    assert re.search(r"Of the \d+ rows to learn from", page)
    assert "Counted over train and test together" in page


def test_other_operations_are_no_preparations(visitor: Any, filled: Workspace) -> None:
    assert visitor.get("/ui/new/data/nope").status_code == 404
    other = next(each.id for each in filled.operations.list(0, 50, {})[0] if each.kind != "prepare")
    assert visitor.get(f"/ui/new/data/{other}").status_code == 404


def test_hard_names_are_shown_and_decided_on(visitor: Any, filled: Workspace) -> None:
    place = "/ui/new/data/00000000-0000-4000-8000-000000009100"
    page = visitor.get(f"{place}/finding?finding=suspects:t").text
    assert page.count('class="item ') == 25
    assert "by hand" in page
    assert 'rel="next"' in page
    assert visitor.get(f"{place}/finding?finding=suspects:t&page=2").text.count('class="item ') == 5
    assert "has become shorter" in visitor.get(f"{place}/finding?finding=suspects:t&page=99").text
    review = filled.reviews.get("00000000-0000-4000-8000-000000009100-review")
    named = next(each["id"] for each in review.summary if each["code"] == "same_names")
    answer = visitor.send(f"{place}/decide", finding=named, decision="accepted")
    assert answer.status_code == 303, answer.text
    assert changes_of(filled.reviews.get(review.id)) == 3
