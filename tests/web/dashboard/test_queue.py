"""The review queue's pages: one row at a time, every key a button, hostile rows harmless, nothing done twice."""

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from time import sleep, time
from typing import Any

import pytest

from tamis.errors import InvalidRequest
from tamis.jobs.choosing import choices_of
from tamis.jobs.looks import ANSWERED, CORRECTION, DISAGREEMENT, SKIPPED, SUSPECT, UNLABELLED, Sight, look_at
from tamis.jobs.tools import Tools
from tamis.jobs.validation import validate
from tamis.ml.registry import register
from tamis.ml.training import train
from tamis.schema import Message
from tamis.store.records import JobRecord, ModelRecord
from tamis.testing import tiny_base
from tamis.workspace.retraining import FAILED, TRAINING, Round
from tamis.workspace.workspace import Workspace

TEXTS = {"delivery": "where is my parcel", "payment": "you charge my card"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> \u202egnp.exe {{ 7*7 }}"


def rows(n: int) -> bytes:
    made = [
        {"text": f"{text} {k}", "labels": {"topic": topic, "flags": ["rude"] if k % 2 else []}}
        for k in range(n)
        for topic, text in TEXTS.items()
    ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in made)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    (place / "rows.jsonl").write_bytes(rows(15))
    train(place / "rows.jsonl", base=str(tiny_base(place / "base")), out=place / "shop", epochs=4)
    return place / "shop"


@pytest.fixture
def shop(workspace: Workspace, artifact: Path) -> Workspace:
    """shop@1."""
    register(workspace.settings.home, "shop", artifact)
    workspace.models.list()
    return workspace


def put(workspace: Workspace, given: Any = "where is my parcel", reason: str = UNLABELLED, **more: Any) -> str:
    look = look_at(Sight(given=given, reason=reason, urgency=0.5, **more), "shop", None)
    workspace.store.looks.add([look])
    return look.id


def trained(workspace: Workspace, job_id: str, artifact: Path) -> JobRecord:
    """Do what a worker does with a job, but for the training itself."""
    job = workspace.store.jobs.claim("me", time(), 60)
    assert job.id == job_id
    validate(Tools(workspace.store, choices_of(workspace.settings)), job, lambda: False)
    place = f"folder:{artifact}"
    known = {"name": "shop", "root": "static-en", "base": "static-en", "place": place, "created_at": int(time()) + 100}
    targets = workspace.models.find("shop").targets
    model = workspace.store.models.add(ModelRecord(id=f"model-{job_id}", job_id=job_id, targets=targets, **known))
    return workspace.store.jobs.change(job_id, when=("QUEUED",), to="SUCCESS", model_id=model.id)


def stood(workspace: Workspace, state: str) -> Round:
    """Wait until the latest round of answers has come so far."""
    for _ in range(1000):
        found = workspace.retraining.rounds("shop")[0]
        if found.state == state:
            return found
        sleep(0.01)
    raise AssertionError(found)


def chosen(page: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'name="label-\d+" value="([^"]*)" checked', page)]


class TestOneRow:
    def test_it_is_shown_with_why_and_what_is_suggested(self, shop: Workspace, visitor: Any) -> None:
        source = {"file_name": "rows.csv", "line": 7}
        put(shop, reason=SUSPECT, proposed={"topic": ["delivery"]}, labels={"topic": ["payment"]}, source=source)
        page = visitor.get("/ui/queue/shop").text
        assert "rows.csv, line 7" in unescape(re.sub(r"<[^>]+>", "", page))
        assert chosen(page) == ["delivery"]
        assert "likely to be wrong" in page
        assert re.search(r"delivery.{0,80}suggested", page, re.S)
        assert re.search(r"payment.{0,80}in the file", page, re.S)
        assert page.count('data-key="1"') == 2, "each target has its first label"

    def test_the_question_is_named_of_which_the_model_is_unsure(self, shop: Workspace, visitor: Any) -> None:
        look = put(shop, source={"unsure": ["flags"]})
        page = visitor.get(f"/ui/queue/shop?look={look}").text
        told = " ".join(unescape(re.sub(r"<[^>]+>", "", page)).split())
        assert "the model is not sure of flags." in told
        assert re.findall(r"<legend>.*?</legend>", page, re.S)[0].count("not sure") == 0
        assert re.findall(r"<legend>.*?</legend>", page, re.S)[1].count("not sure") == 1
        sure = put(shop, "another", source={"unsure": []})
        assert "the model is rather sure of what it says" in visitor.get(f"/ui/queue/shop?look={sure}").text

    def test_chats_and_differences_are_shown(self, shop: Workspace, visitor: Any) -> None:
        said = {"versions": ["shop@2", "shop@1"], "said": [{"topic": ["delivery"]}, {"topic": ["payment"]}]}
        put(shop, (Message("user", "hello"), Message("assistant", "hi")), DISAGREEMENT, source=said)
        page = visitor.get("/ui/queue/shop").text
        assert re.search(r'<span class="speaker">assistant</span> <bdi>hi</bdi>', page)
        assert "shop@1" in page

    @pytest.mark.parametrize("given", [HOSTILE * 200, (Message("user", HOSTILE),)])
    def test_hostile_rows_are_harmless(self, shop: Workspace, visitor: Any, given: Any) -> None:
        put(shop, given, CORRECTION, proposed={"topic": [HOSTILE]}, source={"file_name": HOSTILE, "told": HOSTILE})
        for path in ("/ui/queue/shop", "/ui/queue/shop/rows", "/ui/queue"):
            page = visitor.get(path).text
            assert "<script>alert" not in page
            assert "<img src" not in page
            assert "{{ 7*7 }}" in page or path == "/ui/queue", path

    def test_a_row_can_be_asked_for(self, shop: Workspace, visitor: Any) -> None:
        put(shop, "first")
        second = put(shop, "second")
        assert f'value="{second}"' in visitor.get(f"/ui/queue/shop?look={second}").text
        assert visitor.get("/ui/queue/shop?look=none").status_code == 404

    def test_a_model_that_cannot_be_asked_shows_its_labels_all_the_same(
        self, shop: Workspace, visitor: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tamis.errors import DamagedArtifact

        def refuse(name: str) -> None:
            raise DamagedArtifact("Its files are gone.")

        monkeypatch.setattr(shop.classifier, "served", refuse)
        put(shop)
        page = visitor.get("/ui/queue/shop").text
        assert "could not be asked: Its files are gone." in re.sub("<[^>]+>", "", page)
        assert 'value="delivery"' in page

    def test_very_many_labels_are_typed(self, shop: Workspace, visitor: Any) -> None:
        model = shop.models.find("shop")
        labels = [f"label {n}" for n in range(5000)]
        shop.store.models.change(model.id, targets=({"name": "topic", "kind": "single_label", "labels": labels},))
        put(shop, proposed={"topic": ["label 4999"]})
        page = visitor.get("/ui/queue/shop").text
        assert chosen(page) == ["label 4999"]
        assert page.count('type="radio"') == 300
        assert len(page) < 400_000


class TestAnswering:
    def answer(self, visitor: Any, look: str, **fields: Any) -> Any:
        return visitor.send("/ui/queue/shop/answer", look=look, **fields)

    def test_answers_lead_to_the_next_row(self, shop: Workspace, visitor: Any) -> None:
        look = put(shop)
        fields = {"label-0": "payment", "label-1": ["rude"], "reason": "unlabelled"}
        answer = self.answer(visitor, look, **fields)
        assert answer.headers["location"] == "/ui/queue/shop?reason=unlabelled"
        assert shop.looks.get("shop", look).answer == {"topic": ["payment"], "flags": ["rude"]}

    def test_none_of_them_is_an_answer_too(self, shop: Workspace, visitor: Any) -> None:
        look = put(shop)
        self.answer(visitor, look, **{"none-0": "yes", "none-1": "yes"})
        assert shop.looks.get("shop", look).answer == {"topic": [], "flags": []}

    def test_what_is_typed_goes_before_what_was_picked(self, shop: Workspace, visitor: Any) -> None:
        look = put(shop)
        self.answer(visitor, look, **{"label-0": "payment", "typed-0": " delivery "})
        assert shop.looks.get("shop", look).answer == {"topic": ["delivery"]}

    def test_a_new_label_is_asked_about_and_then_taken(self, shop: Workspace, visitor: Any) -> None:
        look = put(shop, proposed={"topic": ["delivery"]})
        asked = self.answer(visitor, look, **{"typed-0": "returns", "label-1": "rude"})
        assert asked.status_code == 422
        assert "no label" in asked.text
        assert 'name="new"' in asked.text
        assert 'value="returns"' in asked.text, "what was typed stays"
        assert chosen(asked.text) == ["rude"], (
            "what was picked stays, and what was proposed gives way to what was typed"
        )
        self.answer(visitor, look, **{"typed-0": "returns", "new": "yes"})
        assert shop.looks.get("shop", look).answer == {"topic": ["returns"]}

    def test_nothing_is_no_answer(self, shop: Workspace, visitor: Any) -> None:
        look = put(shop)
        answer = self.answer(visitor, look)
        assert answer.status_code == 422
        assert "Choose a label first." in answer.text
        assert 'name="new"' not in answer.text

    def test_skip_undo_and_skipped_again(self, shop: Workspace, visitor: Any) -> None:
        look = put(shop)
        visitor.send("/ui/queue/shop/skip", look=look)
        assert shop.looks.get("shop", look).status == SKIPPED
        assert "Show the 1 skipped again" in visitor.get("/ui/queue/shop").text
        back = visitor.send("/ui/queue/shop/undo")
        assert back.headers["location"] == f"/ui/queue/shop?look={look}"
        visitor.send("/ui/queue/shop/skip", look=look)
        visitor.send("/ui/queue/shop/reopen")
        assert shop.looks.next("shop").id == look
        visitor.send("/ui/queue/shop/skip", look=look)
        visitor.send("/ui/queue/shop/undo")
        assert visitor.send("/ui/queue/shop/undo").headers["location"] == "/ui/queue/shop"

    def test_rows_that_are_not_there(self, shop: Workspace, visitor: Any) -> None:
        for act in ("answer", "skip"):
            assert visitor.send(f"/ui/queue/shop/{act}", look="none", **{"label-0": "payment"}).status_code == 404
        assert visitor.send("/ui/queue/none/answer", look="none").status_code == 404


class TestTheRest:
    def test_lists_by_state_lead_back_to_the_row(self, shop: Workspace, visitor: Any) -> None:
        look = put(shop, "an answered text")
        shop.looks.answer("shop", look, {"topic": ["payment"]})
        page = visitor.get("/ui/queue/shop/rows?state=answered").text
        assert "an answered text" in page
        assert f"look={look}" in page
        assert "Nothing here" in visitor.get("/ui/queue/shop/rows").text
        assert shop.looks.line("shop").answered == 1
        assert shop.looks.get("shop", look).status == ANSWERED

    def test_lists_begin_with_what_is_most_urgent(self, shop: Workspace, visitor: Any) -> None:
        for n in range(26):
            put(shop, f"text {n}")
        put(shop, "corrected", CORRECTION)
        page = visitor.get("/ui/queue/shop/rows").text
        assert page.index("corrected") < page.index("text 2")
        assert "Next →" in page
        assert "Before" in visitor.get("/ui/queue/shop/rows?page=2").text
        assert "Older" not in page, "they do not stand by age"

    def test_all_queues_and_models_without_one(self, shop: Workspace, visitor: Any, artifact: Path) -> None:
        assert "Begin with a model" in visitor.get("/ui/queue").text
        put(shop)
        register(shop.settings.home, "bank", artifact)
        shop.models.take_in()
        page = visitor.get("/ui/queue").text
        assert "Other models" in page
        assert re.search(r"1 without a label", page)

    def test_of_very_many_models_the_rest_is_found_otherwise(
        self, shop: Workspace, visitor: Any, artifact: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "models of late" not in visitor.get("/ui/queue").text
        register(shop.settings.home, "bank", artifact)
        shop.models.take_in()
        monkeypatch.setattr("tamis.web.dashboard.queue.MOST_MODELS", 1)
        assert "models of late" in visitor.get("/ui/queue").text
        found = visitor.get("/ui/queue?search=SHO").text
        assert ["/ui/queue/shop" in found, "/ui/queue/bank" in found, "models of late" in found] == [True, False, False]

    def test_queues_are_looked_for_and_paged(self, shop: Workspace, visitor: Any) -> None:
        queued = [look_at(Sight(given="x", reason=UNLABELLED, urgency=0.5), f"q-{n:02}", None) for n in range(30)]
        shop.store.looks.add(queued)
        first = visitor.get("/ui/queue").text
        assert [first.count('data-label="Model"'), "Other models" in first] == [25, True]
        assert 'href="/ui/queue?page=2"' in first
        second = visitor.get("/ui/queue?page=2").text
        assert [second.count('data-label="Model"'), "Other models" in second] == [5, False]
        assert "This page is empty" in visitor.get("/ui/queue?page=9").text
        assert visitor.get("/ui/queue?search=Q-07").text.count('data-label="Model"') == 1
        assert "Nothing found" in visitor.get("/ui/queue?search=zzz").text

    def test_no_models_at_all(self, visitor: Any) -> None:
        assert "No models yet" in visitor.get("/ui/queue").text
        assert visitor.get("/ui/queue/none").status_code == 404

    def test_a_queue_whose_model_is_gone_can_be_removed(self, shop: Workspace, visitor: Any) -> None:
        put(shop)
        shop.models.archive("shop")
        assert "no such model any more" in visitor.get("/ui/queue/shop").text
        visitor.send("/ui/queue/shop/clear", answered="yes")
        assert shop.looks.lines() == []

    def test_pasted_texts_become_rows(self, shop: Workspace, visitor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[Any] = []
        monkeypatch.setattr(shop.looks, "fill", asked.append)
        sent = visitor.send("/ui/queue/shop/fill", way="texts", texts="a\r\nb\n", most="7")
        assert sent.headers["location"] == "/ui/queue/shop#find"
        assert b"".join(shop.files.read(asked[0].file)).split() == [b"a", b"b"]
        assert (asked[0].name, asked[0].way, asked[0].most, asked[0].sure_too) == ("shop", "unsure", 7, True)
        assert visitor.send("/ui/queue/shop/fill", way="texts", texts="  ").status_code == 422

    def test_a_file_is_uploaded(self, shop: Workspace, visitor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[Any] = []
        monkeypatch.setattr(shop.looks, "fill", asked.append)
        fields, files = {"form_token": visitor.token()}, {"file": ("texts.csv", b"text\na\nb\n")}
        sent = visitor.client.post("/ui/queue/upload?name=shop", data=fields, files=files)
        assert sent.headers["location"] == "/ui/queue/shop#find"
        assert shop.files.get(asked[0].file).name == "texts.csv"

    @pytest.mark.parametrize("fields", [{"way": "magic"}, {"way": "unsure"}, {"way": "suspects"}, {"most": "x"}, {}])
    def test_forms_that_were_changed_are_refused(self, shop: Workspace, visitor: Any, fields: dict[str, str]) -> None:
        assert visitor.send("/ui/queue/shop/fill", **fields).status_code in (400, 404, 422)

    def test_training_again_says_what_is_missing(self, shop: Workspace, visitor: Any) -> None:
        assert visitor.send("/ui/queue/shop/train").status_code == 409
        look = put(shop)
        shop.looks.answer("shop", look, {"topic": ["payment"]})
        refused = visitor.send("/ui/queue/shop/train")
        assert refused.status_code == 422
        assert "choose one" in refused.text

    def test_a_model_that_was_trained_by_the_form_as_it_stands_learns_from_answers(
        self, shop: Workspace, visitor: Any, upload: Any, artifact: Path, acts_here: None
    ) -> None:
        file = upload(rows(15))["id"]
        started = visitor.send("/ui/new/train", training=file, title="shop", base="static-en", length="auto")
        first = trained(shop, started.headers["location"].removeprefix("/ui/jobs/"), artifact)
        assert re.search(
            r'name="length"[^>]* value="auto" checked', visitor.get(f"/ui/new/train?from={first.id}").text
        ), "what was measured is not what was asked for"
        shop.looks.answer("shop", put(shop, "something new"), {"topic": ["payment"]})
        assert visitor.send("/ui/queue/shop/train").status_code == 303
        round = stood(shop, TRAINING)
        assert round.job.hyperparameters == first.asked

    def test_what_went_wrong_is_told_without_words_of_the_api(
        self, shop: Workspace, visitor: Any, monkeypatch: pytest.MonkeyPatch, upload: Any, acts_here: None
    ) -> None:
        def refuse(new: object) -> None:
            raise InvalidRequest("body.hyperparameters: give less.", loc=["body", "hyperparameters"])

        monkeypatch.setattr(shop.jobs, "create", refuse)
        shop.looks.answer("shop", put(shop, "something new"), {"topic": ["payment"]})
        visitor.send("/ui/queue/shop/train", training=upload(rows(15))["id"])
        stood(shop, FAILED)
        page = visitor.get("/ui/queue/shop").text
        assert "Give less." in page
        assert "body." not in page

    @pytest.mark.parametrize(("end", "error"), [("FAILED", "There was no memory left."), ("CANCELLED", None)])
    def test_answers_of_which_no_model_was_made_wait(
        self, shop: Workspace, visitor: Any, upload: Any, artifact: Path, acts_here: None, end: str, error: str | None
    ) -> None:
        def page() -> str:
            return unescape(re.sub("<[^>]+>", "", visitor.get("/ui/queue/shop").text))

        shop.looks.answer("shop", put(shop, "something new"), {"topic": ["payment"]})
        visitor.send("/ui/queue/shop/train", training=upload(rows(15))["id"])
        job = stood(shop, TRAINING).job
        shop.store.jobs.change(job.id, when=("QUEUED",), to=end, error=error)
        assert "No new version was made: 1 answer still waits to be learnt." in page()
        assert (error or "The training was cancelled.") in page()
        assert "All answers are learnt." not in page()
        assert "Try again" in page()
        visitor.send("/ui/queue/shop/train", training=upload(rows(15))["id"])
        trained(shop, stood(shop, TRAINING).job.id, artifact)
        assert "All answers are learnt." in page()

    def test_names_in_addresses_are_no_paths(self, shop: Workspace, visitor: Any) -> None:
        for name in ("..%2F..%2Fetc", "shop%00", "ft:classifier:x", "shop@1", "x" * 3000):
            assert visitor.get(f"/ui/queue/{name}").status_code in (404, 414)

    def test_whoever_only_asks_models_sees_no_queue(self, shop: Workspace, sign_in: Callable[..., Any]) -> None:
        put(shop)
        visitor = sign_in("infer")
        assert visitor.get("/ui/queue/shop").status_code == 403
        assert "/ui/queue" not in visitor.get("/ui").text


def test_a_page_asks_for_no_more_the_more_rows_wait(
    shop: Workspace, visitor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def queries() -> int:
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        seen: list[str] = []
        listen = lambda conn, cursor, statement, *rest: seen.append(statement)  # noqa: E731
        event.listen(Engine, "before_cursor_execute", listen)
        try:
            assert visitor.get("/ui/queue/shop").status_code == 200
        finally:
            event.remove(Engine, "before_cursor_execute", listen)
        return len(seen)

    put(shop)
    few = min(queries() for _ in range(4))  # now and then the home is looked through for models, too
    for n in range(60):
        put(shop, f"a row {n}")
    assert min(queries() for _ in range(4)) <= few
