"""A model is tried in the browser: texts, lines, chats; bars, words that count; what is wrong is corrected."""

import re
from html import unescape
from typing import Any

import pytest

from tamis.errors import Overloaded
from tamis.workspace.workspace import Workspace


@pytest.fixture
def place(models: Workspace) -> Any:
    """Where a model's page of this kind is."""
    models.models.take_in()
    return lambda name, page="try": f"/ui/models/{models.models.find(name).id}/{page}"


def words(html: str) -> str:
    """What the page says, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def scores(html: str) -> list[tuple[str, str]]:
    found = re.findall(r'class="score[^"]*">.*?<bdi[^>]*>(.*?)</bdi>.*?class="figure"[^>]*>(.*?)</span>', html, re.S)
    return [(label, figure) for label, figure in found]


def test_before_anything_is_asked_the_page_says_what_it_answers(visitor: Any, place: Any) -> None:
    html = visitor.get(place("both")).text
    assert "What it answers" in html
    assert "any number of them" in html
    assert "data-live-question" in html
    assert 'class="score' not in html


def test_a_text_is_answered_with_a_bar_a_label(visitor: Any, place: Any, models: Workspace) -> None:
    answer = visitor.send(place("both"), text="where is my parcel", explain="yes")
    assert answer.status_code == 200
    served = models.classifier.served("both")
    said = served.predictor.predict(["where is my parcel"])[0]
    shown = scores(answer.text)
    for target in ("topic", "a", "b"):
        for label, score in said[target].scores.items():
            assert (label, f"{100 * score:.1f} %") in shown
    assert '<mark class="for-3" title="speaks for it">' in answer.text
    assert ">where is my parcel</textarea>" in answer.text.replace("\n", "")


def test_an_address_brings_a_text_without_asking(visitor: Any, place: Any) -> None:
    html = visitor.get(place("both") + "?text=%3Cb%3Ehello").text
    assert "&lt;b&gt;hello</textarea>" in html
    assert 'class="score' not in html


def test_each_line_may_be_a_text_of_its_own(visitor: Any, place: Any) -> None:
    answer = visitor.send(place("intents"), text="where is my parcel\r\n\r\nyou charge my card\r\n", lines="yes")
    assert answer.text.count("Look closer") == 2
    assert "2 texts answered." in answer.text
    assert "This is wrong" not in answer.text


def test_words_are_marked_only_where_that_is_asked_for(visitor: Any, place: Any, models: Workspace) -> None:
    assert "<mark" not in visitor.send(place("intents"), text="where is my parcel").text
    many = "\n".join(["where is my parcel"] * 9)
    answer = visitor.send(place("intents"), text=many, lines="yes", explain="yes")
    assert "Words are marked in up to 8 texts at a time." in answer.text


def test_where_words_cannot_be_had_the_answer_is_there_all_the_same(
    visitor: Any, place: Any, models: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        raise Overloaded("Too much.", retry_after=1)

    monkeypatch.setattr(models.answerer, "ask_long", busy)
    answer = visitor.send(place("intents"), text="where is my parcel", explain="yes")
    assert answer.status_code == 200
    assert "try again in a moment" in answer.text
    assert scores(answer.text)


def test_a_chat_is_asked_message_by_message(visitor: Any, place: Any) -> None:
    said = {
        "as": "chat",
        "role": ["user", "assistant", "nobody"],
        "content": ["where is my parcel", "<b>one moment", ""],
    }
    more = visitor.send(place("intents"), act="add", **said)
    assert more.text.count('name="content"') == 3
    assert 'class="score' not in more.text
    assert more.text.count("<option selected>user</option>") == 2
    answer = visitor.send(place("intents"), explain="yes", **said)
    assert 'class="score' in answer.text
    assert '<span class="speaker">assistant</span>' in answer.text
    assert "<b>one" not in answer.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": " \n "}, "Type or paste a text first."),
        ({"as": "chat", "role": "user", "content": " "}, "Say something first."),
        ({"text": "a\n" * 101, "lines": "yes"}, "These are 101 lines"),
        ({"text": "x" * 20_001}, "20,001 characters"),
        ({"as": "chat", "role": ["user"] * 51, "content": ["a"] * 51}, "51 messages"),
    ],
)
def test_what_cannot_be_asked_is_said_at_its_field(visitor: Any, place: Any, fields: dict[str, Any], said: str) -> None:
    answer = visitor.send(place("intents"), **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'role="alert"' in answer.text


def test_a_model_that_cannot_be_loaded_has_a_page(visitor: Any, filled: Workspace) -> None:
    where = "/ui/models/00000000-0000-4000-8000-000000000001/try"
    for answer in (visitor.get(where), visitor.send(where, text="hello")):
        assert answer.status_code == 200
        assert 'class="note error"' in answer.text
        assert 'class="main" disabled' in answer.text


def test_hostile_texts_are_shown_as_texts(visitor: Any, place: Any) -> None:
    hostile = "<script>alert(1)</script> \u202egnp.exe \x00 where is my parcel"
    answer = visitor.send(place("both"), text=hostile, explain="yes")
    assert "<script>alert" not in answer.text
    assert "\x00" not in answer.text


def test_a_correction_is_kept_for_the_queue(visitor: Any, place: Any, models: Workspace) -> None:
    model = models.models.find("both")
    labels = {target["name"]: list(target["labels"]) for target in model.targets}
    right = {
        "right-0": str(labels["topic"].index("payment")),
        "right-1": ["none", str(labels["a"].index("payment"))],
        "right-2": ["none", "skip"],
    }
    page = visitor.send(place("both"), text="where is my parcel")
    assert "This is wrong" in page.text
    answer = visitor.send(place("both", "correct"), text="where is my parcel", **right)
    assert answer.status_code == 200
    assert "kept for the" in answer.text
    assert scores(answer.text)
    (look,), _ = models.store.looks.list(name="both")
    assert look.input == "where is my parcel"
    assert look.reason == "correction"
    assert look.proposed == {"topic": ["payment"], "a": ["payment"]}


@pytest.mark.parametrize(("scopes", "status"), [(("infer",), "answered"), (("infer", "train"), "open")])
def test_what_was_answered_stands_for_those_who_may_not_train(
    sign_in: Any, place: Any, models: Workspace, scopes: tuple[str, ...], status: str
) -> None:
    look = models.looks.add_correction("intents", "where is my parcel", {"topic": ["delivery"]})
    models.looks.answer("intents", look.id, {"topic": ["delivery"]})
    answer = sign_in(*scopes).send(place("intents", "correct"), text="where is my parcel", **{"right-0": "none"})
    assert answer.status_code == 200
    assert models.looks.get("intents", look.id).status == status


def test_none_of_the_labels_is_a_correction_too(visitor: Any, place: Any, models: Workspace) -> None:
    visitor.send(place("flags", "correct"), text="where is my parcel", **{"right-0": "none"})
    assert models.store.looks.list(name="flags")[0][0].proposed == {"flags": []}


@pytest.mark.parametrize("right", [{}, {"right-0": "skip"}])
def test_a_correction_says_something(visitor: Any, place: Any, models: Workspace, right: dict[str, str]) -> None:
    answer = visitor.send(place("intents", "correct"), text="where is my parcel", **right)
    assert answer.status_code == 422
    assert "Choose what is right" in answer.text
    assert models.store.looks.list()[1] == 0


@pytest.mark.parametrize("right", ["99", "-1", "delivery", ["0", "1"]])
def test_a_correction_knows_the_models_labels(visitor: Any, place: Any, models: Workspace, right: Any) -> None:
    answer = visitor.send(place("intents", "correct"), text="where is my parcel", **{"right-0": right})
    assert answer.status_code == 422
    assert models.store.looks.list()[1] == 0


def test_a_correction_is_of_one_text(visitor: Any, place: Any, models: Workspace) -> None:
    answer = visitor.send(place("intents", "correct"), text="a\nb", lines="yes", **{"right-0": "0"})
    assert answer.status_code == 422
    assert models.store.looks.list()[1] == 0
