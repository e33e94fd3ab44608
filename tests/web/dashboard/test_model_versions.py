"""Versions and aliases in the dashboard: pointed, promoted where it is no worse, rolled back, dropped."""

import re
import threading
import time
from html import unescape
from typing import Any

import pytest

from tamis.errors import UnknownAlias
from tamis.workspace import operations
from tamis.workspace.thresholds import NewThresholds
from tamis.workspace.workspace import Workspace
from web.dashboard.evaluations import fill_operation

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


def outcome(visitor: Any, model_id: str, **sent: str) -> str:
    """Send the form, and return the page that tells what came of it."""
    answer = visitor.send(place(model_id), on=place(model_id), **sent)
    assert answer.status_code == 303, answer.text
    for _ in range(1000):
        page = str(visitor.get(answer.headers["location"]).text)
        if "data-live" not in page:
            return page
        time.sleep(0.02)
    raise AssertionError(page)


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
    page = outcome(visitor, ids[1], alias="production", rule="not-worse", file=rows, act="move")
    assert "It was not moved" in page
    assert "production stays at flags@1" in page
    assert "Does not hold" in page
    assert "micro-F1 >= the one before - 0.5 points" in text_of(page)
    assert "calibration error" in text_of(page)
    assert "micro f1" not in text_of(page)
    assert 'value="not-worse" checked' in page
    assert models.aliases.get("production").model.id == ids[0]


def test_a_better_one_is_and_what_was_measured_is_kept(
    visitor: Any, models: Workspace, ids: list[str], rows: str
) -> None:
    models.aliases.set("production", ids[1])
    sent = {"alias": "production", "rule": "better", "file": rows}
    tried = outcome(visitor, ids[0], act="try", **sent)
    assert "It would be moved" in tried
    assert 'value="better" checked' in tried
    assert models.aliases.get("production").model.id == ids[1]
    assert "It was moved" in outcome(visitor, ids[0], act="move", **sent)
    assert models.aliases.get("production").model.id == ids[0]
    assert "on gate.jsonl" in text_of(visitor.get(place(ids[0])).text)
    again = visitor.send(place(ids[0]), on=place(ids[0]), act="move", **sent)
    assert again.headers["location"] == place(ids[0])
    assert "nothing was measured" in visitor.get(place(ids[0])).text


def test_it_is_measured_in_the_background(
    visitor: Any, models: Workspace, ids: list[str], rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked may leave, come back, and stop it; what cannot be measured is said."""
    goes_on, done = threading.Event(), operations.run_aside

    def slow(kind: str, told: Any, home: Any, bounds: Any, check: Any) -> Any:
        models.store.operations.change(told["id"], progress=0.4, stage="Measuring on 8 rows")
        goes_on.wait(30)
        check()
        return done(kind, told, home, bounds, check)

    monkeypatch.setattr(operations, "run_aside", slow)
    monkeypatch.setattr("tamis.workspace.background.LOOK_S", 0.0)
    models.aliases.set("production", ids[1])
    sent = {"alias": "production", "rule": "own", "conditions": "accuracy of fame > 0", "file": rows, "act": "move"}
    asked = visitor.send(place(ids[0]), on=place(ids[0]), **sent).headers["location"]
    while "Measuring on 8 rows" not in (page := visitor.get(place(ids[0])).text):
        assert 'data-live="1" data-with="aliases-part"' in page
    run = re.search(r"promotion=([0-9a-f-]+)#outcome$", asked)
    assert run
    assert visitor.send(f"/ui/models/{ids[1]}/promotions/{run[1]}/stop").status_code == 404
    assert visitor.send(f"/ui/models/{ids[0]}/promotions/{run[1]}/stop").status_code == 303
    page = visitor.get(asked).text
    assert "It could not be measured" in page
    assert "It was cancelled." in page
    goes_on.set()
    page = outcome(visitor, ids[0], **sent)
    assert "no target &#39;fame&#39;" in page
    assert "accuracy of fame &gt; 0</textarea>" in page
    assert models.aliases.get("production").model.id == ids[1]


def test_promotions_are_for_those_who_train(sign_in: Any, models: Workspace, ids: list[str]) -> None:
    told = {
        "alias": "production",
        "candidate_name": "flags@1",
        "data": "secret.jsonl",
        "conditions": [],
        "dry_run": True,
    }
    fill_operation(models, "p", "promote", ids[0], b"", status="RUNNING", told=told)
    seen = ["secret.jsonl" in sign_in(*scopes).get(place(ids[0])).text for scopes in (("infer",), ("infer", "train"))]
    assert seen == [False, True]
    assert sign_in("infer").send(f"/ui/models/{ids[0]}/promotions/p/stop").status_code == 403


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"rule": "now", "alias": "../x"}, "alias"),
        ({"rule": "now", "alias": "flags"}, "is the name of a model"),
        ({"rule": "not-worse", "alias": "a"}, "Choose a file with labelled texts"),
        ({"rule": "not-worse", "alias": "a", "file": "none"}, "no file"),
        ({"rule": "own", "alias": "a", "conditions": "", "file": "ROWS"}, "There is no condition"),
        ({"rule": "own", "alias": "a", "conditions": "fame >", "file": "ROWS"}, "fame"),
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
