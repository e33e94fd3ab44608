"""Files made ready: read as said, split without leaks, counted, reviewed; what was settled before stays settled."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobs.conftest import put_file
from tamis.errors import DataError, LimitExceeded, NothingToLearn
from tamis.jobs import preparing
from tamis.jobs.operating import Acting, Done
from tamis.jobs.preparing import prepare
from tamis.jobs.reviewing import ACCEPTED, ALL, BY_HAND, REJECTED, given_by_hand, report_of, settled
from tamis.jobs.tools import Tools
from tamis.ml.review import ReviewOptions
from tamis.schema import Kind, Target
from tamis.store.opening import Store
from tamis.store.records import FileRecord, OperationRecord

TEXTS = {"delivery": "where is my parcel number {}", "payment": "you charged my card {} times"}
LAYOUT = {"text": "Message", "labels": ["Topic"], "header": True}


def table(n: int = 20, extra: tuple[str, ...] = ()) -> bytes:
    rows = [f"{k};{text.format(k)};{topic}" for k in range(n) for topic, text in TEXTS.items()]
    return "\n".join(["No;Message;Topic", *rows, *extra, ""]).encode()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels are not judged by models of other rows, which takes seconds."""
    monkeypatch.setattr(preparing, "ReviewOptions", partial(ReviewOptions, suspects=False))


@pytest.fixture
def act(tools: Tools, tmp_path: Path) -> Callable[..., tuple[Done, dict[str, Any]]]:
    def do(**told: Any) -> tuple[Done, dict[str, Any]]:
        record = OperationRecord(
            id="o", kind="prepare", status="RUNNING", title="", created_at=0, modified_at=0, told=told, created_by="k"
        )
        said: list[tuple[float, str]] = []
        work = tmp_path / f"act-{len(list(tmp_path.iterdir()))}"
        done = prepare(Acting(tools, record, work, lambda share, stage: said.append((share, stage))))
        assert [share for share, _ in said] == sorted(share for share, _ in said)
        assert isinstance(done.content, bytes)
        return done, json.loads(done.content)

    return do


def rows_of(store: Store, file_id: str) -> list[dict[str, Any]]:
    record = store.files.find(file_id)
    assert isinstance(record, FileRecord)
    return [json.loads(line) for line in b"".join(store.objects.read(record.key)).splitlines()]


def test_a_table_becomes_files_a_count_and_a_review(act: Any, store: Store, tools: Tools) -> None:
    bad = ("40;;payment", "41;twice the same;payment", "42;Twice  the same;payment", "43;to@me.example;Payment")
    file_id = put_file(store, "our tickets.csv", table(extra=bad))
    done, found = act(files={"training": file_id}, layout=LAYOUT, shares={"validation": 0.1, "test": 0.2})
    files = {part: rows_of(store, made) for part, made in done.summary["files"].items()}
    assert sum(map(len, files.values())) == 43
    assert len(files["test"]) > len(files["validation"]) > 0
    texts = {part: {row["text"].lower().replace("  ", " ") for row in rows} for part, rows in files.items()}
    assert not texts["training"] & (texts["test"] | texts["validation"])
    assert files["training"][0]["labels"].keys() == {"Topic"}
    assert [store.files.find(made).name for made in done.summary["files"].values()] == [
        f"our tickets.{split}.jsonl" for split in ("train", "validation", "test")
    ]
    assert store.files.find(done.summary["files"]["training"]).created_by == "k"
    assert found["left_out"]["count"] == done.summary["left_out"] == 1
    assert found["left_out"]["first"][0]["line"] == 42
    assert str(tools.choices.home) not in done.content.decode()
    assert {"name": "Topic", "kind": "single_label", "labels": ["Payment", "delivery", "payment"]} in found["targets"]
    titles = [block["title"] for block in found["blocks"] if block["kind"] == "section"]
    assert titles[0] == "Labels of Topic"
    assert not {"Summary", "Findings", "Rejected rows"} & set(titles)
    record = store.reviews.find(done.summary["review"])
    assert record is not None
    assert (record.status, record.training_file) == ("SUCCESS", done.summary["files"]["training"])
    assert "same_names:Topic" in {finding["id"] for finding in record.summary}


def test_files_of_their_own_are_taken_instead_of_shares(quick: None, act: Any, store: Store) -> None:
    test = put_file(store, "held back.csv", b"Topic,Message\ndelivery,when will it come\nunheard of,what is this\n")
    done, _ = act(
        files={"training": put_file(store, "a.csv", table()), "test": test}, layout=LAYOUT, shares={"test": 0.5}
    )
    assert set(done.summary["files"]) == {"training", "test"}
    assert [row["labels"]["Topic"] for row in rows_of(store, done.summary["files"]["test"])] == [
        "delivery",
        "unheard of",
    ]
    assert done.summary["rows"] == {"train": 40, "test": 2}


def test_what_was_settled_stays_settled(quick: None, act: Any, store: Store, tools: Tools) -> None:
    extra = ("90;where is my parcel number 3;payment", "91;where is my parcel number 4;payment")
    file_id = put_file(store, "a.csv", table(extra=extra))
    done, _ = act(files={"training": file_id}, layout=LAYOUT, shares={})
    review = store.reviews.find(done.summary["review"])
    assert review is not None
    finding = report_of(tools, review).finding("conflicts")
    assert finding is not None
    assert len(finding.items) == 2
    store.reviews.decide(review.id, lambda _: {"conflicts": {"1": REJECTED}})
    again, _ = act(files=dict(done.summary["files"]), layout=None, before=review.id)
    assert again.summary["files"] == dict(done.summary["files"])
    later = store.reviews.find(again.summary["review"])
    assert later is not None
    assert later.decisions == {"conflicts": {"1": REJECTED}}
    store.reviews.decide(review.id, lambda _: {"conflicts": {ALL: REJECTED, "0": ACCEPTED}})
    assert settled(tools, review.id, report_of(tools, later)) == {"conflicts": {"1": REJECTED}}
    row = finding.items[0].rows[0]
    store.reviews.decide(review.id, lambda _: {BY_HAND: {f"{row.row}:Topic": json.dumps(row.labels["Topic"])}})
    assert settled(tools, review.id, report_of(tools, later)).get("conflicts") is None


def test_labels_by_hand_are_edits_of_known_targets() -> None:
    targets = [Target.of("one", Kind.SINGLE_LABEL, ("a", "b")), Target.of("many", Kind.MULTI_LABEL, ("a", "b"))]
    decisions = {
        BY_HAND: {"3:one": '["a", "b"]', "4:many": '["a", "b"]', "5:many": "[]", "6:gone": '["a"]', "7:one": "[]"}
    }
    assert [(edit.row, edit.target, edit.labels) for edit in given_by_hand(decisions, targets)] == [
        (3, "one", ("a",)),
        (4, "many", ("a", "b")),
        (5, "many", ()),
        (7, "one", None),
    ]


def test_what_cannot_be_learnt_from_or_kept_is_refused(quick: None, act: Any, store: Store, tools: Tools) -> None:
    one = put_file(store, "one.csv", b"No;Message;Topic\n1;hello there;x\n2;hello you;x\n")
    with pytest.raises(NothingToLearn):
        act(files={"training": one}, layout=LAYOUT)
    with pytest.raises(DataError, match="no column"):
        act(files={"training": put_file(store, "b.csv", b"a,b\n1,2\n")}, layout=LAYOUT)
    with pytest.raises(LimitExceeded, match="max_storage_bytes"):
        act(files={"training": put_file(store, "c.csv", table())}, layout=LAYOUT, most_bytes=10)
    object.__setattr__(tools.choices, "max_labels", 1)
    with pytest.raises(LimitExceeded, match="max_labels"):
        act(files={"training": put_file(store, "d.csv", table())}, layout=LAYOUT)


def test_languages_that_base_models_do_not_know_are_told(quick: None, act: Any, store: Store) -> None:
    german = tuple(f"{k};Ich habe die Rechnung {k} nicht bekommen und warte noch darauf;payment" for k in range(40))
    for extra, told in ((german, True), ((), False)):
        file_id = put_file(store, "tickets.csv", table(extra=extra))
        _, found = act(files={"training": file_id}, layout=LAYOUT, shares={"validation": 0.1, "test": 0.1})
        said = [each["message"] for each in found["findings"] if each["code"] == "other_languages"]
        assert len(said) == told
        assert all("static-en" in each and "German" in each for each in said)
