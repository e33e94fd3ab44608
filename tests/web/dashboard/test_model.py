"""A model's pages: what they show of it, and what can be done there."""

import io
import re
import zipfile
from collections.abc import Callable
from html import unescape
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from tamis.errors import UnknownModel
from tamis.jobs import exporting
from tamis.ml.model import load
from tamis.workspace import exports
from tamis.workspace.background import LIVE
from tamis.workspace.workspace import Workspace
from web.dashboard.evaluations import fill_evaluation

WAIT_S = 60.0
ROWS = b"".join(
    b'{"text": "%s", "labels": {"topic": "%s", "flags": ["%s"], "a": ["%s"], "b": ["even"]}}\n' % row
    for row in (
        (b"where is my parcel", b"delivery", b"delivery", b"delivery"),
        (b"you charge my card", b"payment", b"payment", b"payment"),
        (b"you charge my card please <b>", b"delivery", b"safe", b"delivery"),
    )
)


pytestmark = pytest.mark.usefixtures("acts_here")


@pytest.fixture
def ids(models: Workspace) -> dict[str, str]:
    return {name: models.models.find(name).id for name in ("intents", "flags", "both")}


@pytest.fixture
def test_file(upload: Callable[..., dict[str, Any]]) -> str:
    return str(upload(ROWS, "test.jsonl")["id"])


def settle(workspace: Workspace, model_id: str) -> None:
    """Wait until nothing of a model is under way."""
    end = monotonic() + WAIT_S
    while workspace.operations.list(0, 1, {"model_id": model_id, "status": LIVE})[1]:
        assert monotonic() < end
        sleep(0.05)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html)))


def test_any_of_its_names_leads_to_its_page(visitor: Any, models: Workspace, ids: dict[str, str]) -> None:
    models.aliases.set("production", "intents")
    for name in ("intents", "intents@1", "production"):
        assert visitor.get(f"/ui/models/{name}").headers["location"] == f"/ui/models/{ids['intents']}"
    page = text_of(visitor.get(f"/ui/models/{ids['intents']}").text)
    assert "Measured when it was made" in page
    assert "one of 2 labels a text" in page
    assert "production points at this version" in page
    assert visitor.get("/ui/models/nothing").status_code == 404


def test_it_leads_to_its_review_queue(sign_in: Any, models: Workspace, ids: dict[str, str]) -> None:
    trainer, caller, place = sign_in("infer", "train"), sign_in("infer"), f"/ui/models/{ids['intents']}"
    assert "Find rows to review" in trainer.get(place).text
    models.looks.add_correction("intents", "where is it", {"topic": ["delivery"]})
    page = trainer.get(place).text
    assert "Review 1 row<" in page
    assert 'href="/ui/queue/intents"' in page
    assert "/ui/queue" not in caller.get(place).text
    models.models.archive(ids["intents"])
    assert 'href="/ui/queue/intents"' not in trainer.get(place).text


def test_it_is_measured_and_the_rows_behind_a_figure_open(
    visitor: Any, models: Workspace, ids: dict[str, str], test_file: str
) -> None:
    place = f"/ui/models/{ids['both']}/quality"
    assert "Measure it" in visitor.get(place).text
    run = visitor.send(place, on=place, file=test_file).headers["location"]
    settle(models, ids["both"])
    page = visitor.get(run).text
    assert "3 rows, measured" in text_of(page)
    assert "accuracy 66.7%" in text_of(page)
    assert 'aria-current="page"><bdi class="words">topic' in page
    cell = unescape(re.findall(r'href="([^"]+)" title="delivery given as payment"', page)[0])
    opened = text_of(visitor.get(cell.partition("#")[0]).text)
    assert "delivery, given as payment" in opened
    assert "you charge my card please <b>" in opened
    missed = re.findall(r'data-cell href="([^"]+)">missed 1', page)
    assert "delivery missed" in text_of(visitor.get(unescape(missed[0]).partition("#")[0]).text)
    report = visitor.get(f"{place}/{run.rpartition('=')[2]}/report.html")
    assert "attachment" in report.headers["content-disposition"]
    assert "Evaluation of both@1" in report.text
    figures = visitor.get(f"{place}/{run.rpartition('=')[2]}/report.json").json()
    assert figures["targets"]["topic"]["accuracy"] == pytest.approx(2 / 3, abs=1e-5)
    overview = text_of(visitor.get(f"/ui/models/{ids['both']}").text)
    assert "on test.jsonl, 3 rows" in overview
    deleted = visitor.send(f"{place}/{run.rpartition('=')[2]}/delete", on=place)
    assert deleted.headers["location"] == place
    assert models.evaluations.latest(ids["both"]) is None


def test_a_new_file_is_uploaded_and_measured_at_once(visitor: Any, models: Workspace, ids: dict[str, str]) -> None:
    def send(files: dict[str, Any], token: str | None = None, model: str = ids["both"]) -> Any:
        data = {"form_token": visitor.token() if token is None else token, "model": model}
        return visitor.client.post("/ui/measure", data=data, files=files)

    new = {"file": ("new.jsonl", ROWS)}
    place = send(new).headers["location"]
    settle(models, ids["both"])
    assert "On new.jsonl" in text_of(visitor.get(place).text)
    assert send(new, token="x").status_code == 403
    assert send({"other": ("a", b"b")}).status_code == 422
    assert send(new, model="nope").status_code == 404
    assert models.files.list(0, 9, {"search": "new.jsonl"})[1] == 1


def test_asking_for_the_same_twice_measures_once(
    visitor: Any, models: Workspace, ids: dict[str, str], test_file: str
) -> None:
    first = models.evaluations.start("flags", test_file)
    assert models.evaluations.start("flags", test_file).id == first.id
    settle(models, ids["flags"])
    assert models.evaluations.start("flags", test_file).id != first.id
    settle(models, ids["flags"])


def test_a_file_that_does_not_fit_says_why(visitor: Any, models: Workspace, ids: dict[str, str], upload: Any) -> None:
    place = f"/ui/models/{ids['both']}/quality"
    other = upload(b'{"text": "a", "labels": {"x": "y", "z": "u"}}\n', "other.jsonl")["id"]
    run = visitor.send(place, on=place, file=other).headers["location"]
    settle(models, ids["both"])
    page = text_of(visitor.get(run).text)
    assert "Could not measure both@1 on other.jsonl" in page
    assert "but expected are topic, a, b" in page
    assert visitor.send(place, on=place).status_code == 422
    assert visitor.send(place, on=place, file="nope").status_code == 404


def test_columns_are_few_and_have_names(visitor: Any, models: Workspace, ids: dict[str, str], test_file: str) -> None:
    for named in ({"label_columns": "x," * 1_000}, {"text_column": "x" * 1_001}):
        answer = visitor.send(f"/ui/models/{ids['flags']}/quality", file=test_file, **named)
        assert answer.status_code == 422
        assert "1,000 columns at most" in answer.text
    assert not models.evaluations.list(ids["flags"])


def test_evaluations_are_those_of_the_model(
    visitor: Any, models: Workspace, ids: dict[str, str], test_file: str
) -> None:
    run = models.evaluations.start("flags", test_file)
    settle(models, ids["flags"])
    for place in (f"quality?run={run.id}", f"quality/{run.id}/report.html", f"exports/{run.id}/model.zip"):
        assert visitor.get(f"/ui/models/{ids['both']}/{place}").status_code == 404
    assert visitor.send(f"/ui/models/{ids['both']}/quality/{run.id}/delete").status_code == 404
    assert models.evaluations.latest(ids["flags"]) is not None


def test_places_that_are_not_there_are_the_first_ones(
    visitor: Any, models: Workspace, ids: dict[str, str], test_file: str
) -> None:
    models.evaluations.start("flags", test_file)
    settle(models, ids["flags"])
    for asked in ("target=99", "target=-1", "target=x", "cell=99999", "cell=²", "target=" + "9" * 30):
        assert visitor.get(f"/ui/models/{ids['flags']}/quality?{asked}").status_code == 200, asked


def test_it_is_renamed_archived_and_deleted(visitor: Any, models: Workspace, ids: dict[str, str]) -> None:
    place = f"/ui/models/{ids['flags']}"
    details = f"{place}/details"
    answer = visitor.send(f"{place}/rename", on=details, title=" Flags of <shop> ", description="One\r\ntwo")
    assert answer.headers["location"] == details
    record = models.models.find("flags")
    assert (record.title, record.description) == ("Flags of <shop>", "One\ntwo")
    wrong = visitor.send(f"{place}/rename", on=details, title="x" * 201, description="")
    assert "Give at most 200 characters" in wrong.text
    assert "body.name" not in wrong.text
    visitor.send(f"{place}/archive", on=details)
    with pytest.raises(UnknownModel):
        models.models.answering("flags")
    assert "This model is archived" in visitor.get(place).text
    assert ">Unarchive<" in visitor.get(details).text
    visitor.send(f"{place}/unarchive", on=details)
    assert models.models.answering("flags").id == ids["flags"]
    models.aliases.set("production", "flags")
    refused = visitor.send(f"{place}/delete", on=details)
    assert refused.headers["location"] == f"{place}/versions#aliases"
    told = "The model flags@1 is behind production. Move or drop the alias first."
    assert told in visitor.get(f"{place}/versions").text
    models.aliases.drop("production")
    assert visitor.send(f"{place}/delete", on=details).headers["location"] == "/ui/models"
    assert visitor.get(place).status_code == 404


def test_it_is_taken_along(visitor: Any, models: Workspace, ids: dict[str, str], tmp_path: Any) -> None:
    place = f"/ui/models/{ids['intents']}"
    details = f"{place}/details"
    assert "Only models on an encoder" in visitor.get(details).text
    assert visitor.send(f"{place}/export", on=details, format="hf").status_code == 422
    assert visitor.send(f"{place}/export", on=details, format="../x").status_code == 422
    visitor.send(f"{place}/export", on=details, format="artifact")
    settle(models, ids["intents"])
    link = re.findall(r'href="([^"]+/model\.zip)"', visitor.get(details).text)[0]
    answer = visitor.get(link)
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="intents-1.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    assert load(tmp_path / "intents-1").classify("where is my parcel")["topic"].label == "delivery"
    visitor.send(f"{place}/export", on=details, format="artifact")
    assert models.operations.list(0, 9, {"kind": "export"})[1] == 1


@pytest.mark.parametrize("format", ["onnx", "hf"])
def test_it_is_taken_along_as_something_else_where_it_can_become_that(
    visitor: Any, models: Workspace, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    def write(model: Path, into: str, out: Path, *, network_alone: bool) -> Path:
        out.mkdir()
        (out / "config.json").write_text(into)
        return out

    monkeypatch.setattr(exporting, "export", write)
    monkeypatch.setattr(exports, "_why_not", lambda *_: "")
    place = f"/ui/models/{ids['intents']}"
    assert "Not for this model" not in visitor.get(f"{place}/details").text
    visitor.send(f"{place}/export", on=f"{place}/details", format=format)
    settle(models, ids["intents"])
    (link,) = re.findall(r'href="([^"]+/model\.zip)"', visitor.get(f"{place}/details").text)
    answer = visitor.get(link)
    assert f'filename="intents-1-{format}.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("intents-1/config.json").decode() == format


def test_a_model_whose_files_are_gone_can_still_be_deleted(visitor: Any, filled: Workspace) -> None:
    place = "/ui/models/00000000-0000-4000-8000-000000000011"
    for page in ("", "/quality", "/thresholds", "/versions", "/details"):
        assert visitor.get(place + page).status_code == 200, page
    assert "files cannot be read" in visitor.get(place).text
    assert visitor.send(f"{place}/delete", on="/ui/models").status_code == 303


def test_who_may_only_ask_sees_no_texts(sign_in: Any, filled: Workspace) -> None:
    visitor = sign_in("infer")
    place = "/ui/models/00000000-0000-4000-8000-000000000001"
    overview = visitor.get(place).text
    assert "Measured" in overview
    assert "/quality" not in overview
    assert visitor.get(f"{place}/versions").status_code == 200
    for page in ("quality", "thresholds", "details"):
        assert visitor.get(f"{place}/{page}").status_code == 403


def test_an_evaluation_on_rows_that_it_learnt_from_comes_last(
    visitor: Any, models: Workspace, ids: dict[str, str]
) -> None:
    model_id, place = ids["both"], f"/ui/models/{ids['both']}"
    fill_evaluation(models, "new-rows", model_id, "new")
    fill_evaluation(models, "own-rows", model_id, "own")
    own = models.store.operations.find("own-rows")
    assert own is not None
    models.store.operations.change("own-rows", summary={**own.summary, "learnt_from": True})
    best = models.evaluations.best(model_id)
    assert best is not None
    assert best.id == "new-rows"
    assert "/quality/new-rows/report.html" in visitor.get(f"{place}/details").text
    page = visitor.get(f"{place}/quality").text
    assert "/quality/new-rows/report.html" in page
    assert "rows that it learnt from" in page
    models.operations.delete("new-rows")
    page = visitor.get(f"{place}/details").text
    assert "/quality/own-rows/report.html" in page
    assert "rows that it learnt from" in page


def test_what_the_server_lacks_for_a_file_is_said_at_once(
    visitor: Any, models: Workspace, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "is_installed", lambda library: library != "onnx")
    details = f"/ui/models/{ids['intents']}/details"
    assert "Not on this server, which lacks onnx." in visitor.get(details).text
    answer = visitor.send(f"/ui/models/{ids['intents']}/export", on=details, format="onnx")
    assert answer.status_code == 422
    assert models.operations.list(0, 9, {"kind": "export"})[1] == 0
