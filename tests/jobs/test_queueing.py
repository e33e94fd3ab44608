"""The review queue filled, and its answers put to use: which rows come, what is written, what is measured."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from jobs.conftest import put_file
from tamis.errors import Conflict, DataError, NoRows, UnknownFile, UnknownReview
from tamis.jobs import looks as nouns
from tamis.jobs.looks import ANSWERED, CORRECTION, OPEN, SUSPECT, UNCERTAIN, UNLABELLED, Sight, look_at
from tamis.jobs.operating import Acting, Done
from tamis.jobs.queueing import DIFFERENCES, SUSPECTS, UNSURE, fill
from tamis.jobs.relabelling import gain, relabel
from tamis.jobs.tools import Tools
from tamis.ml import active
from tamis.ml.training import train
from tamis.store.opening import Store
from tamis.store.records import LookRecord, ModelRecord, OperationRecord, ReviewRecord
from tamis.testing import tiny_base

TEXTS = {"delivery": "where is my parcel", "payment": "you charge my card", "account": "change my password"}
TARGETS = [{"name": "topic", "kind": "single_label"}, {"name": "flags", "kind": "multi_label"}]


def rows_of(n: int, wrong: int = 0) -> list[dict[str, Any]]:
    rows = [
        {"text": f"{text} {'please ' * (k % 3)}{k}", "labels": {"topic": topic, "flags": ["rude"] if k % 2 else []}}
        for k in range(n)
        for topic, text in TEXTS.items()
    ]
    for row in rows[:wrong]:
        row["labels"]["topic"] = "payment" if row["labels"]["topic"] != "payment" else "account"
    return rows


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("model")
    base = str(tiny_base(place / "base"))
    train(rows_of(20), base=base, out=place / "good", epochs=6, name="shop")
    train(rows_of(8, wrong=12), base=base, out=place / "poor", epochs=2, name="shop", seed=5)
    return {name: place / name for name in ("good", "poor")}


@pytest.fixture
def models(store: Store, folders: dict[str, Path]) -> dict[str, str]:
    return {
        name: store.models.add(
            ModelRecord(
                id=str(uuid4()), name="shop", root="r", base="b", place=f"folder:{folder}", created_at=int(time())
            )
        ).id
        for name, folder in folders.items()
    }


@pytest.fixture
def put(store: Store) -> Callable[..., str]:
    def put(content: bytes | list[dict[str, Any]], name: str = "rows.jsonl") -> str:
        raw = content if isinstance(content, bytes) else b"".join(json.dumps(r).encode() + b"\n" for r in content)
        return put_file(store, name, raw)

    return put


Act = Callable[..., Done]


@pytest.fixture
def act(tools: Tools, tmp_path: Path) -> Act:
    def do(what: Callable[[Acting], Done], **told: object) -> Done:
        said = {"name": "shop", "targets": TARGETS, "most": 10, "model_name": "shop@1", "file_name": "rows"}
        said |= {"sure_too": True, **told}
        record = OperationRecord(id="o", kind="k", status="RUNNING", title="", created_at=0, modified_at=0, told=said)
        (tmp_path / "act").mkdir(exist_ok=True)
        return what(Acting(tools, record, tmp_path / "act", lambda share, stage: None))

    return do


def queue(store: Store, **filters: Any) -> list[LookRecord]:
    return store.looks.list(0, None, name="shop", **filters)[0]


class TestUnsureRows:
    def test_texts_without_labels_come_with_what_the_model_would_say(self, store: Store, models, put, act: Act):
        texts = [*(f"where is my parcel {n}" for n in range(30)), "parcel card password", "zzz"]
        done = act(fill, way=UNSURE, model=models["good"], file=put("\n".join(texts).encode(), "texts.txt"), most=5)
        looks = queue(store)
        assert done.summary["added"] == len(looks) == 5
        assert {look.reason for look in looks} == {UNLABELLED}
        assert "parcel card password" in [look.input for look in looks]
        assert all(look.proposed["topic"] and look.given == {} for look in looks)
        assert [look.priority for look in looks] == sorted((look.priority for look in looks), reverse=True)

    def test_rows_that_the_model_is_sure_of_are_passed_over_and_counted(
        self, store: Store, models, put, act: Act, monkeypatch
    ):
        texts = [*(f"where is my parcel {n}" for n in range(8)), "parcel card password"]
        told = {"way": UNSURE, "model": models["good"], "file": put("\n".join(texts).encode(), "texts.txt")}
        doubt = {text: 0.9 if "card" in text else 0.01 for text in texts}
        monkeypatch.setattr(active, "uncertainties", lambda _, given, check: np.array([doubt[x] for x in given]))
        monkeypatch.setattr(
            "tamis.jobs.queueing.uncertainty_by_target",
            lambda _, scores: {"topic": np.full(9, 0.1), "flags": np.full(9, 0.9)},
        )
        summary = act(fill, **told, sure_too=False).summary
        assert (summary["added"], summary["looked_at"], summary["sure"]) == (1, 9, 8)
        assert queue(store)[0].source["unsure"] == ["flags"]
        assert act(fill, **told).summary["added"] == 8

    def test_rows_with_labels_bring_them(self, store: Store, models, put, act: Act):
        act(fill, way=UNSURE, model=models["good"], file=put(rows_of(5)), most=4)
        looks = queue(store)
        assert {look.reason for look in looks} == {UNCERTAIN}
        assert all(look.given["topic"] in (["delivery"], ["payment"], ["account"]) for look in looks)
        assert all(look.source["line"] >= 1 and look.source["file_name"] == "rows" for look in looks)

    def test_any_other_column_is_no_label(self, store: Store, models, put, act: Act):
        table = b"text,channel\nwhere is my parcel 1,mail\nyou charge my card 2,phone\nchange my password 3,payment\n"
        told = {"targets": TARGETS[:1], "model": models["good"], "file": put(table, "t.csv")}
        act(fill, way=UNSURE, **told)
        given = {look.input: (look.reason, look.given) for look in queue(store)}
        assert given["you charge my card 2"] == (UNLABELLED, {})
        assert given["change my password 3"] == (UNCERTAIN, {"topic": ["payment"]})

    def test_the_texts_are_those_of_the_column_that_was_said(self, store: Store, models, put, act: Act):
        table = b"text,other\nticket 1,where is my parcel\nticket 2,you charge my card\n"
        act(fill, way=UNSURE, model=models["good"], file=put(table, "t.csv"), text_column="other")
        assert {look.input for look in queue(store)} == {"where is my parcel", "you charge my card"}

    def test_nothing_comes_twice(self, store: Store, models, put, act: Act):
        file = put([{"text": "where is my parcel"}] * 5 + [{"text": "my card"}])
        first = act(fill, way=UNSURE, model=models["good"], file=file)
        assert (first.summary["added"], first.summary["repeats"]) == (2, 4)
        with pytest.raises(NoRows, match="in the queue already"):
            act(fill, way=UNSURE, model=models["good"], file=file)

    def test_books_and_nothing_are_not_asked_about(self, models, put, act: Act, monkeypatch):
        monkeypatch.setattr(nouns, "LONGEST", 20)
        file = put([{"text": "x" * 30}, {"text": ""}, {"text": "my card"}])
        assert act(fill, way=UNSURE, model=models["good"], file=file).summary["unusable"] == 2

    def test_a_full_queue_takes_no_more(self, store: Store, models, put, act: Act, monkeypatch):
        monkeypatch.setattr("tamis.jobs.queueing.MOST_OPEN", 3)
        file = put([{"text": f"my parcel {n}"} for n in range(9)])
        assert act(fill, way=UNSURE, model=models["good"], file=file).summary["added"] == 3
        with pytest.raises(Conflict, match="answer some first"):
            act(fill, way=UNSURE, model=models["good"], file=file)

    def test_chats_are_asked_about_too(self, store: Store, models, put, act: Act):
        act(fill, way=UNSURE, model=models["good"], file=put([{"messages": [{"role": "user", "content": "hello"}]}]))
        assert queue(store)[0].input == [{"role": "user", "content": "hello"}]

    def test_a_file_that_is_gone(self, models, act: Act):
        with pytest.raises(UnknownFile):
            act(fill, way=UNSURE, model=models["good"], file="gone")


class TestDifferences:
    def test_rows_on_which_two_versions_say_different_things(self, store: Store, models, put, act: Act):
        told = {"way": DIFFERENCES, "model": models["good"], "other": models["poor"], "other_name": "shop@2"}
        done = act(fill, file=put(rows_of(12)), **told)
        looks = queue(store)
        assert looks
        assert done.summary["found"] >= len(looks)
        for look in looks:
            said, told_by_other = look.source["said"]
            assert any(set(said[name]) != set(told_by_other[name]) for name in said)
            assert look.source["versions"] == ["shop@1", "shop@2"]

    def test_a_version_differs_from_itself_nowhere(self, store: Store, models, put, act: Act):
        told = {"way": DIFFERENCES, "model": models["good"], "other": models["good"], "other_name": "shop@1"}
        assert act(fill, file=put(rows_of(12)), **told).summary["added"] == 0


class TestSuspects:
    def reviewed(self, tools: Tools, file: str) -> str:
        from tamis.jobs.reviewing import answer

        review = ReviewRecord(
            id="review", status="RUNNING", training_file=file, created_at=0, modified_at=0, options={"suspects": True}
        )
        tools.store.reviews.add(review)
        said = json.loads(answer(tools, {"act": "review", "id": "review"}))
        tools.store.reviews.change("review", status="SUCCESS", result_key=said["result_key"])
        return review.id

    def test_doubted_rows_come_whole_with_what_is_proposed(self, store: Store, tools: Tools, models, put, act: Act):
        rows = rows_of(20, wrong=1)
        for row in rows:
            row["text"] += " thank you" * 50
        done = act(fill, way=SUSPECTS, model=models["good"], review=self.reviewed(tools, put(rows)))
        looks = {look.input: look for look in queue(store)}
        assert done.summary["added"] == len(looks) > 0
        doubted = looks[rows[0]["text"]]
        said = (doubted.reason, doubted.given["topic"], doubted.proposed["topic"], doubted.source["line"])
        assert said == (SUSPECT, ["payment"], ["delivery"], 1)

    def test_a_data_check_that_is_gone(self, models, act: Act):
        with pytest.raises(UnknownReview):
            act(fill, way=SUSPECTS, model=models["good"], review="gone")


def answered(store: Store, given: str, answer: dict[str, list[str]], **more: Any) -> None:
    look = look_at(Sight(given=given, reason=CORRECTION, urgency=1, **more), "shop", None)
    store.looks.add([replace(look, status=ANSWERED, answer=answer)])


def written(done: Done) -> list[dict[str, Any]]:
    assert isinstance(done.content, Path)
    return [json.loads(line) for line in done.content.read_bytes().rstrip(b"\n").split(b"\n")]


class TestRelabelling:
    def test_rows_get_the_answers_and_new_ones_stand_behind_them(self, store: Store, put, act: Act):
        rows = rows_of(2)
        answered(store, rows[0]["text"], {"topic": ["account"]})
        answered(store, "a new text", {"topic": ["new label"], "flags": ["rude"]})
        done = act(relabel, files=[put(rows)], measured=[], output="rows.v2.jsonl")
        after = written(done)
        assert after[0]["labels"] == {"topic": "account", "flags": []}
        assert after[1:-1] == rows[1:]
        assert after[-1] == {"text": "a new text", "labels": {"topic": "new label", "flags": ["rude"]}}
        assert (done.summary["changed"], done.summary["added"], done.summary["rows"]) == (1, 1, 7)
        assert done.summary["labels"] == {"topic": ["account", "new label"], "flags": ["rude"]}

    def test_a_row_that_no_label_fits_is_not_learnt_from(self, store: Store, put, act: Act):
        rows = rows_of(2)
        answered(store, rows[0]["text"], {"topic": []})
        answered(store, "neither here nor there", {"topic": []})
        done = act(relabel, files=[put(rows)], measured=[], output="o")
        assert written(done)[0]["labels"] == {"topic": None, "flags": []}
        assert (done.summary["changed"], done.summary["added"]) == (1, 0)

    def test_what_the_file_said_of_other_targets_stays(self, store: Store, put, act: Act):
        answered(store, "a row of another file", {"topic": ["account"]}, labels={"flags": ["rude"], "topic": ["x"]})
        after = written(act(relabel, files=[put(rows_of(2))], measured=[], output="o"))
        assert after[-1]["labels"] == {"flags": ["rude"], "topic": "account"}

    def test_rows_that_are_measured_on_are_not_learnt_from(self, store: Store, put, act: Act):
        answered(store, "kept for measuring", {"topic": ["account"]})
        answered(store, "not kept", {"topic": ["account"]})
        test = put([{"text": "kept for measuring", "labels": {"topic": "payment"}}])
        done = act(relabel, files=[put(rows_of(2))], measured=[test], output="o")
        assert done.summary["measured_on"] == 1
        assert "kept for measuring" not in [row["text"] for row in written(done)]

    def test_a_table_becomes_rows_of_json(self, store: Store, put, act: Act):
        answered(store, "my card", {"topic": ["payment"]})
        table = put(b"text,topic\nmy parcel,delivery\nmy card,delivery\n", "rows.csv")
        after = written(act(relabel, files=[table], measured=[], output="o"))
        assert [row["labels"]["topic"] for row in after] == ["delivery", "payment"]

    def test_where_nothing_would_change_nothing_is_written(self, store: Store, put, act: Act):
        rows = rows_of(2)
        answered(store, rows[0]["text"], {"topic": [rows[0]["labels"]["topic"]], "flags": []})
        with pytest.raises(Conflict, match="Nothing was answered"):
            act(relabel, files=[put(rows)], measured=[], output="o")

    def test_open_and_skipped_rows_say_nothing(self, store: Store, put, act: Act):
        store.looks.add([look_at(Sight(given="open", reason=CORRECTION, urgency=1), "shop", None)])
        answered(store, "new", {"topic": ["account"]})
        done = act(relabel, files=[put(rows_of(2))], measured=[], output="o")
        assert done.summary["added"] == 1
        assert queue(store, status=OPEN)

    def test_hostile_texts_and_labels_come_through_as_they_are(self, store: Store, put, act: Act):
        text, label = '"},{"text":"\u2028\u202e</script>\x85', "=cmd|' /C calc'!A0"
        answered(store, text, {"topic": [label]})
        after = written(act(relabel, files=[put(rows_of(2))], measured=[], output="o"))
        assert after[-1] == {"text": text, "labels": {"topic": label}}


class TestGain:
    def test_both_versions_are_measured_on_the_same_rows(self, models, put, act: Act):
        told = {"after": models["good"], "after_name": "shop@2", "before": models["poor"], "before_name": "shop@1"}
        done = act(gain, file=put(rows_of(30)[60:]), **told)
        topic = done.summary["targets"]["topic"]
        assert topic["figure"] == "accuracy"
        assert topic["difference"] == pytest.approx(topic["candidate"] - topic["current"], abs=1e-6)
        assert topic["candidate"] > topic["current"]
        assert done.summary["targets"]["flags"]["figure"] == "micro_f1"
        assert json.loads(done.content)["candidate"] == "shop@2"

    def test_rows_without_labels_measure_nothing(self, models, put, act: Act):
        told = {"after": models["good"], "after_name": "b", "before": models["poor"], "before_name": "a"}
        with pytest.raises(DataError):
            act(gain, file=put([{"text": "x"}]), **told)
