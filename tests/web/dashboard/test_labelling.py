"""A file is uploaded, labelled in the background, watched, and taken along."""

import csv
import io
import time
from collections.abc import Callable
from typing import Any

import pytest

from tamis.jobs.worker import owner_name
from tamis.store.records import OperationRecord
from tamis.workspace.files import NewFile
from tamis.workspace.workspace import Workspace

TABLE = b"id,text\n1,where is my parcel\n2,you charge my card\n"


@pytest.fixture
def model_id(models: Workspace) -> str:
    models.models.take_in()
    return models.models.find("intents").id


@pytest.fixture
def upload_file(models: Workspace) -> Callable[[str], str]:
    """Store the table under a name; return its id."""

    def store(name: str) -> str:
        coming = models.files.begin(NewFile(name=name))
        coming.write(TABLE)
        return coming.commit().id

    return store


def upload(visitor: Any, content: bytes, name: str = "texts.csv", **fields: str) -> Any:
    data = {"form_token": visitor.token(), **fields}
    return visitor.client.post("/ui/label", data=data, files={"file": (name, content)})


def test_a_file_comes_back_with_labels(sign_in: Any, models: Workspace, model_id: str) -> None:
    visitor = sign_in("infer")
    answer = upload(visitor, TABLE, model=model_id, plain="yes")
    assert answer.status_code == 303, answer.text
    place = answer.headers["location"]
    deadline = time.monotonic() + 60
    while "data-live=" in (page := visitor.get(place).text) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "Download" in page, page
    assert "texts-labelled.csv" in page
    result = visitor.get(f"{place}/result")
    assert result.headers["content-disposition"].startswith("attachment;")
    assert result.headers["content-type"] == "application/octet-stream"
    rows = list(csv.DictReader(io.StringIO(result.text)))
    assert [row["id"] for row in rows] == ["1", "2"]
    said = models.classifier.served(model_id).predictor.predict(["where is my parcel", "you charge my card"])
    assert [row["predicted_topic"] for row in rows] == [each["topic"].label or "" for each in said]
    assert "texts.csv" in visitor.get(f"/ui/models/{model_id}/label").text
    assert visitor.send(f"{place}/delete").status_code == 303
    assert visitor.get(place).status_code == 404


def test_the_uploaded_file_is_for_this_and_for_a_week(visitor: Any, models: Workspace, model_id: str) -> None:
    upload(visitor, TABLE, model=model_id)
    (file,), _ = models.files.list(0, 10, {})
    assert file.purpose == "batch"
    assert file.expires_at is not None
    assert 6 * 86_400 < file.expires_at - file.created_at <= 7 * 86_400


def test_what_cannot_be_is_said(visitor: Any, models: Workspace, model_id: str) -> None:
    assert upload(visitor, TABLE, model="nope").status_code == 404
    assert upload(visitor, TABLE, model=model_id, output="exe").status_code == 422
    assert upload(visitor, TABLE, model=model_id, text_column="x" * 201).status_code == 422
    none = visitor.client.post(
        "/ui/label", data={"form_token": visitor.token(), "model": model_id}, files={"other": ("a", b"b")}
    )
    assert none.status_code == 422
    assert models.operations.list(0, 10, {})[1] == 0


def test_no_file_is_stored_for_another_site(visitor: Any, models: Workspace, model_id: str) -> None:
    answer = visitor.client.post("/ui/label", data={"form_token": "x", "model": model_id}, files={"file": ("a", TABLE)})
    assert answer.status_code in (400, 403)
    foreign = visitor.client.post(
        "/ui/label",
        data={"form_token": visitor.token(), "model": model_id},
        files={"file": ("a", TABLE)},
        headers={"origin": "http://evil.example"},
    )
    assert foreign.status_code == 403
    assert models.files.list(0, 10, {})[1] == 0


def run(model_id: str, id: str = "r", **said: Any) -> OperationRecord:
    known = {"id": id, "kind": "classify", "status": "RUNNING", "title": "t.csv", "model_id": model_id}
    return OperationRecord(**{**known, "created_at": 1, "modified_at": 1, "owner": owner_name(), **said})


def test_only_a_models_own_runs_are_shown(visitor: Any, models: Workspace, model_id: str) -> None:
    other = models.models.find("flags").id
    models.store.operations.add(run(model_id))
    models.store.operations.add(run(model_id, "e", kind="export"))
    assert visitor.get(f"/ui/models/{model_id}/label/r").status_code == 200
    for place in (f"{other}/label/r", f"{model_id}/label/e", f"{model_id}/label/nope"):
        assert visitor.get(f"/ui/models/{place}").status_code == 404
        assert visitor.get(f"/ui/models/{place}/result").status_code == 404
        assert visitor.send(f"/ui/models/{place}/delete").status_code == 404


def test_what_came_of_training_data_is_for_those_who_train(sign_in: Any, models: Workspace, model_id: str) -> None:
    models.store.operations.add(run(model_id, told={"private": True}, title="secret.csv"))
    caller, trainer = sign_in("infer"), sign_in("infer", "train")
    page = f"/ui/models/{model_id}/label"
    assert ["secret.csv" in visitor.get(page).text for visitor in (caller, trainer)] == [False, True]
    for path in ("", "/result"):
        assert caller.get(f"/ui/models/{model_id}/label/r{path}").status_code == 403
    assert caller.send(f"/ui/models/{model_id}/label/r/cancel").status_code == 403
    assert trainer.get(f"/ui/models/{model_id}/label/r").status_code == 200


@pytest.mark.parametrize(("status", "act"), [("RUNNING", "cancel"), ("SUCCESS", "delete"), ("FAILED", "delete")])
def test_a_run_is_ended_by_who_began_it_or_may_train(
    sign_in: Any, models: Workspace, model_id: str, status: str, act: str
) -> None:
    mine, other, trainer = sign_in("infer"), sign_in("infer"), sign_in("train", "infer")
    place, by = f"/ui/models/{model_id}/label/r", models.keys.list()[-1].id
    assert models.keys.list()[-1].scopes == ("infer",)
    summary = {"rows": 2, "bad": 0, "cut": 0, "text": "body", "targets": [], "preview": []}
    for visitor, status_code in ((other, 403), (mine, 303), (trainer, 303)):
        models.store.operations.delete("r")
        known = {"status": status, "summary": summary, "result_name": "t.csv", "finished_at": 1}
        models.store.operations.add(run(model_id, created_by=by, **known))
        assert (f'action="{place}/{act}"' in visitor.get(place).text) == (status_code == 303)
        assert visitor.send(f"{place}/{act}").status_code == status_code


def test_unsure_rows_go_to_the_review_queue(
    sign_in: Any, models: Workspace, model_id: str, upload_file: Callable[[str], str]
) -> None:
    summary = {"rows": 2, "bad": 0, "cut": 0, "text": "body", "targets": [], "preview": []}
    done: dict[str, Any] = {"status": "SUCCESS", "summary": summary, "result_name": "t-labelled.csv"}
    file = upload_file("t.csv")
    models.store.operations.add(run(model_id, told={"file": file, "text_column": "body"}, **done))
    place, trainer = f"/ui/models/{model_id}/label/r", sign_in("infer", "train")
    assert "Review them" in trainer.get(place).text
    assert "Review them" not in sign_in("infer").get(place).text
    assert sign_in("infer").send(f"{place}/review").status_code == 403
    assert trainer.send(f"{place}/review").headers["location"] == "/ui/queue/intents#find"
    (filling,) = models.looks.fillings("intents")
    assert (filling.told["file"], filling.told["text_column"], filling.told["way"]) == (file, "body", "unsure")
    models.files.delete(file)
    assert "Review them" not in trainer.get(place).text
    assert trainer.send(f"{place}/review").status_code == 404


def test_a_run_is_cancelled_and_says_so(visitor: Any, models: Workspace, model_id: str) -> None:
    models.store.operations.add(run(model_id, progress=0.4, stage="4 of 10 rows"))
    place = f"/ui/models/{model_id}/label/r"
    page = visitor.get(place).text
    assert "4 of 10 rows" in page
    assert 'data-live="1"' in page
    assert visitor.get(f"{place}/result").status_code == 409
    assert visitor.send(f"{place}/cancel").status_code == 303
    assert "Cancelled" in visitor.get(place).text


def test_files_that_are_here_are_offered_to_those_who_may_see_them(
    sign_in: Any, models: Workspace, model_id: str, upload_file: Callable[[str], str]
) -> None:
    assert "already" not in sign_in("infer").get(f"/ui/models/{model_id}/label").text
    visitor = sign_in("admin")
    file = upload_file("t.csv")
    assert file in visitor.get(f"/ui/models/{model_id}/label").text
    answer = visitor.send(f"/ui/models/{model_id}/label", stored=file)
    found = models.operations.get(answer.headers["location"].rpartition("/")[2])
    assert found.told["file"] == file
    assert found.told["private"] is True
