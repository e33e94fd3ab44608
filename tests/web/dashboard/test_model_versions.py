"""Versions and aliases in the dashboard: pointed, promoted where it is no worse, rolled back, dropped."""

import re
from html import unescape
from typing import Any

import pytest

from tamis.errors import UnknownAlias
from tamis.workspace.thresholds import NewThresholds
from tamis.workspace.workspace import Workspace

ROWS = b"".join(
    b'{"text": "%s", "labels": {"flags": ["%s"]}}\n' % row
    for row in ((b"where is my parcel please", b"delivery"), (b"you charge my card please", b"payment")) * 4
)


pytestmark = pytest.mark.usefixtures("acts_here")


@pytest.fixture
def ids(models: Workspace) -> list[str]:
    """Two versions of `flags`; the second one gives no label at all."""
    models.thresholds.change("flags", NewThresholds(fixed=dict.fromkeys(("delivery", "payment", "safe"), 1.0)))
    return [models.models.find(f"flags@{version}").id for version in (1, 2)]


@pytest.fixture
def rows(upload: Any) -> str:
    return str(upload(ROWS, "gate.jsonl")["id"])


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html)))


def place(model_id: str) -> str:
    return f"/ui/models/{model_id}/versions"


def test_an_alias_is_pointed_rolled_back_and_dropped(visitor: Any, models: Workspace, ids: list[str]) -> None:
    for model_id in ids:
        visitor.send(place(model_id), on=place(model_id), alias="production", rule="now")
        assert models.aliases.get("production").model.id == model_id
    page = text_of(visitor.get(place(ids[0])).text)
    assert "production points at flags@2" in page
    assert "pointed by hand to flags@2 from flags@1" in page
    visitor.send(f"/ui/models/{ids[0]}/roll-back", on=place(ids[0]), alias="production")
    assert models.aliases.get("production").model.id == ids[0]
    visitor.send(f"/ui/models/{ids[0]}/aliases/production/drop", on=place(ids[0]))
    with pytest.raises(UnknownAlias):
        models.aliases.get("production")
    assert "There is no alias" in visitor.send(f"/ui/models/{ids[0]}/aliases/production/drop").text
    assert "There is no alias" in visitor.send(f"/ui/models/{ids[0]}/roll-back", alias="never").text


def test_a_worse_version_is_not_promoted(visitor: Any, models: Workspace, ids: list[str], rows: str) -> None:
    models.aliases.set("production", ids[0])
    answer = visitor.send(place(ids[1]), on=place(ids[1]), alias="production", rule="not-worse", file=rows, act="move")
    assert "It was not moved" in answer.text
    assert "production stays at flags@1" in answer.text
    assert "Does not hold" in answer.text
    assert "micro_f1 >= current - 0.5pp" in text_of(answer.text)
    assert models.aliases.get("production").model.id == ids[0]


def test_a_better_one_is_and_what_was_measured_is_kept(
    visitor: Any, models: Workspace, ids: list[str], rows: str
) -> None:
    models.aliases.set("production", ids[1])
    sent = {"alias": "production", "rule": "better", "file": rows}
    tried = visitor.send(place(ids[0]), on=place(ids[0]), act="try", **sent)
    assert "It would be moved" in tried.text
    assert models.aliases.get("production").model.id == ids[1]
    assert visitor.send(place(ids[0]), on=place(ids[0]), act="move", **sent).status_code == 303
    assert models.aliases.get("production").model.id == ids[0]
    assert "on gate.jsonl" in text_of(visitor.get(place(ids[0])).text)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"rule": "now", "alias": "../x"}, "alias"),
        ({"rule": "now", "alias": "flags"}, "is the name of a model"),
        ({"rule": "not-worse", "alias": "a"}, "Choose a file with labelled texts"),
        ({"rule": "not-worse", "alias": "a", "file": "none"}, "no file"),
        ({"rule": "own", "alias": "a", "conditions": "", "file": "ROWS"}, "There is no condition"),
        ({"rule": "own", "alias": "a", "conditions": "fame > 3", "file": "ROWS"}, "fame"),
        ({"rule": "x", "alias": "a", "file": "ROWS"}, "Say under which condition"),
        ({"alias": "a", "file": "ROWS"}, "Say under which condition"),
    ],
)
def test_what_cannot_be_done_is_said_on_the_page(
    visitor: Any, models: Workspace, ids: list[str], rows: str, sent: dict[str, str], said: str
) -> None:
    sent = {name: rows if value == "ROWS" else value for name, value in sent.items()}
    answer = visitor.send(place(ids[0]), on=place(ids[0]), **sent)
    assert answer.status_code == 400
    assert said in text_of(answer.text)
    assert not models.models.alias_names()
