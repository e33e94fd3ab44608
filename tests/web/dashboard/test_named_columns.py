"""A table of somebody's own on pages that measure a model: read as the model knows it, or as is said, and told."""

import re
from html import unescape
from time import monotonic, sleep
from typing import Any

import pytest

from tamis.workspace.background import LIVE
from tamis.workspace.workspace import Workspace

WAIT_S = 60.0
TABLE = b"Said,topic,a,Other\n" + b"".join(
    b"%s %d,%s,%s,%s\n" % (said, n, topic, marks, b"even")
    for n in range(5)
    for said, topic, marks in (
        (b"where is my parcel", b"delivery", b"delivery;payment"),
        (b"you charge my card", b"payment", b"payment"),
    )
)

pytestmark = pytest.mark.usefixtures("acts_here")


@pytest.fixture
def model_id(models: Workspace) -> str:
    return models.models.find("both").id


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html)))


def settled(workspace: Workspace, visitor: Any, answer: Any) -> str:
    """The page that an answer leads to, once nothing is under way."""
    assert answer.status_code == 303, answer.text
    end = monotonic() + WAIT_S
    while workspace.operations.list(0, 1, {"status": LIVE})[1]:
        assert monotonic() < end
        sleep(0.05)
    return text_of(visitor.get(answer.headers["location"]).text)


def test_a_target_that_a_new_file_lacks_is_an_error_with_a_cure(models: Workspace, visitor: Any, model_id: str) -> None:
    fields = {"form_token": visitor.token(), "model": model_id}
    page = settled(models, visitor, visitor.client.post("/ui/measure", data=fields, files={"file": ("own.csv", TABLE)}))
    assert "The file says nothing of b: it was not measured. Choose the columns of the labels" in page
    assert "Columns called like what the model answers are read as its labels (topic, a)." in page
    assert "Cells divided into several labels, since nearly all pieces are labels of the model (a by ';')." in page


def test_columns_of_a_new_file_are_chosen(models: Workspace, visitor: Any, model_id: str) -> None:
    fields = {"form_token": visitor.token(), "model": model_id, "text_column": "Said", "label_columns": "topic, a"}
    fields["label_separator"] = "|"
    table = TABLE.replace(b";", b"|")
    settled(models, visitor, visitor.client.post("/ui/measure", data=fields, files={"file": ("own.csv", table)}))
    run = models.evaluations.latest(model_id)
    assert run is not None
    told = {name: run.told[name] for name in ("text_column", "label_columns", "label_separator")}
    assert told == {"text_column": "Said", "label_columns": ["topic", "a"], "label_separator": "|"}
    assert run.summary["targets"]["a"]["rows"] == 10


def test_the_queue_takes_columns_too(models: Workspace, visitor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(models.looks, "fill", asked.append)
    fields = {
        "form_token": visitor.token(),
        "text_column": " Said ",
        "label_columns": "topic,,a ",
        "label_separator": ";",
    }
    visitor.client.post("/ui/queue/upload?name=both", data=fields, files={"file": ("own.csv", TABLE)})
    visitor.send("/ui/queue/both/fill", **{**fields, "way": "unsure", "file": asked[0].file})
    for each in asked:
        assert (each.text_column, each.label_columns, each.label_separator) == ("Said", ("topic", "a"), ";")


def test_the_queue_says_how_a_file_was_read(models: Workspace, visitor: Any, model_id: str) -> None:
    fields = {"form_token": visitor.token()}
    sent = visitor.client.post("/ui/queue/upload?name=both", data=fields, files={"file": ("own.csv", TABLE)})
    page = settled(models, visitor, sent)
    assert "Columns called like what the model answers are read as its labels (topic, a)." in page
    found = models.looks.list("both", 0, 20)[0]
    assert {tuple(look.given["a"]) for look in found} == {("delivery", "payment"), ("payment",)}
    assert all("parcel" in str(look.input) or "card" in str(look.input) for look in found)


def test_what_was_not_measured_is_not_promoted_unless_that_is_said(
    models: Workspace, visitor: Any, model_id: str, upload: Any
) -> None:
    place, file = f"/ui/models/{model_id}/versions", upload(TABLE, "own.csv")["id"]
    sent = {"alias": "shop", "rule": "own", "conditions": "micro_f1 >= 0", "file": file}
    page = settled(models, visitor, visitor.send(place, on=place, **sent))
    assert "It was not moved" in page
    assert "the rows say nothing of this target" in page
    settled(models, visitor, visitor.send(place, on=place, **sent, allow_unmeasured="yes"))
    assert "shop points at" in text_of(visitor.get(place).text)
