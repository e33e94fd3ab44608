"""Label a file: a table or JSON lines in, the same rows with a model's labels out, in the background."""

from __future__ import annotations

from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import Response

from tamis.errors import Forbidden, InvalidRequest, UnknownFile
from tamis.web.auth import INFER, TRAIN, require_scope
from tamis.web.dashboard import safety
from tamis.web.dashboard.pages import FORM_TOKEN, Pages, require_token
from tamis.web.dashboard.queue import USUAL, place_of
from tamis.web.dashboard.visits import Visit
from tamis.web.routing import answer_file
from tamis.web.uploads import Form, boundary_of, receive_files
from tamis.workspace.background import LIVE
from tamis.workspace.files import BATCH, NewFile, Upload
from tamis.workspace.looks import UNSURE, Fill
from tamis.workspace.operations import NewOperation

if TYPE_CHECKING:
    from tamis.store.records import OperationRecord

KIND = "classify"
OUTPUTS = ("", "csv", "jsonl")
FILE = "file"
FIELDS = (FORM_TOKEN, "model", "output", "text_column", "scores", "plain")
KEPT_HOURS = 24 * 7
"""An uploaded file is deleted then; what it came to stays."""

SHOWN, MOST_FILES, LONGEST_COLUMN = 10, 50, 200

pages = Pages()


@pages.get("/models/{model_id}/label", INFER)
def label(visit: Visit) -> Response:
    """Show the form, and what was labelled before."""
    model = visit.workspace.models.find(visit.request.path_params["model_id"])
    trains = visit.may(TRAIN)
    found, total = visit.workspace.operations.list(0, SHOWN, {"kind": KIND, "model_id": model.id})
    runs = [run for run in found if trains or not run.told.get("private")]  # even its name tells what models learn from
    n_runs = total - len(found) + len(runs)
    files = visit.workspace.files.list(0, MOST_FILES, {})[0] if trains else []
    return visit.page("label.html", model=model, runs=runs, n_runs=n_runs, files=files, live=LIVE)


@pages.upload("/label", INFER)
async def take(visit: Visit) -> Response:
    """Store the file that was dropped, and begin to label it."""
    request = visit.request
    form = Form(boundary_of(request.headers.get("content-type", "")), (FILE,), FIELDS)
    found = await receive_files(
        request, form, partial(_begin, visit), lambda form: require_token(visit, form.fields.get(FORM_TOKEN, ""))
    )
    if FILE not in found:
        raise InvalidRequest("Choose a file first.", loc=["body", FILE])
    work = partial(_started, visit, form.fields, found[FILE].id, found[FILE].name, private=False)
    return await anyio.to_thread.run_sync(work)


def _begin(visit: Visit, part: str, name: str) -> Upload:
    new = NewFile(name=name or "texts.csv", purpose=BATCH, expiry_hours=KEPT_HOURS, created_by=visit.caller)
    return visit.workspace.files.begin(new)


@pages.post("/models/{model_id}/label", TRAIN)
def again(visit: Visit) -> Response:
    """Label a file that is here already."""
    record = visit.workspace.files.get(visit.sent("stored"))
    fields = {name: visit.sent(name) for name in FIELDS} | {"model": visit.request.path_params["model_id"]}
    return _started(visit, fields, record.id, record.name, private=record.purpose != BATCH)


def _started(visit: Visit, fields: dict[str, str], file_id: str, name: str, *, private: bool) -> Response:
    model = visit.workspace.models.answering(fields.get("model", ""))
    output, column = fields.get("output", ""), fields.get("text_column", "").strip()
    if output not in OUTPUTS or len(column) > LONGEST_COLUMN:
        raise InvalidRequest("The form was changed: open the page again.", loc=["body"])
    told = {
        "model": model.id,
        "file": file_id,
        "output": output,
        "text_column": column or None,
        "scores": bool(fields.get("scores")),
        "spreadsheet": not fields.get("plain"),
        "private": private,
    }
    new = NewOperation(kind=KIND, title=name, told=told, model_id=model.id, created_by=visit.caller)
    record = visit.workspace.operations.create(new)
    return visit.go(f"/ui/models/{model.id}/label/{record.id}")


@pages.get("/models/{model_id}/label/{label_run}", INFER)
def labelled(visit: Visit) -> Response:
    """Show how far it is, and what came of it."""
    record = found_run(visit)
    model = visit.workspace.models.find(str(record.model_id))
    may_review = visit.may(TRAIN) and not model.archived and _is_there(visit, str(record.told.get("file", "")))
    return visit.page(
        "labelled.html",
        model=model,
        run=record,
        is_live=record.status in LIVE,
        may_end=_may_end(visit, record),
        most_reviewed=USUAL if may_review else 0,
        **_figures(record),
    )


@pages.post("/models/{model_id}/label/{label_run}/review", TRAIN)
def review(visit: Visit) -> Response:
    """Put the rows of the file that the model is least sure of into its review queue."""
    record = found_run(visit)
    name = visit.workspace.models.find(str(record.model_id)).name
    column = record.told.get("text_column")
    file = str(record.told.get("file", ""))
    asked = Fill(name=name, way=UNSURE, file=file, text_column=column, most=USUAL, by=visit.caller)
    visit.workspace.looks.fill(asked)
    return visit.go(f"{place_of(name)}#find")


@pages.get("/models/{model_id}/label/{label_run}/result", INFER)
def result(visit: Visit) -> Response:
    """Give the labelled file."""
    record = found_run(visit)
    pieces = visit.workspace.operations.read(record.id)
    answer = answer_file(visit.request, pieces, PurePath(record.result_name or "labelled").name, record.bytes)
    answer.headers.update(safety.headers())
    return answer


@pages.post("/models/{model_id}/label/{label_run}/cancel", INFER)
def cancel(visit: Visit) -> Response:
    """End it."""
    record = _own_run(visit)
    visit.workspace.operations.cancel(record.id)
    return visit.go(f"/ui/models/{record.model_id}/label/{record.id}", "It is cancelled.")


@pages.post("/models/{model_id}/label/{label_run}/delete", INFER)
def delete(visit: Visit) -> Response:
    """Delete it with its result."""
    record = _own_run(visit)
    visit.workspace.operations.delete(record.id)
    return visit.go(f"/ui/models/{record.model_id}/label", f"The labels of {record.title} are deleted.")


def found_run(visit: Visit) -> OperationRecord:
    """Return the run that the address names.

    Raises:
        UnknownOperation: there is none, or it is another model's, or of another kind.
        Forbidden: it is of a file that only those who may train are to see.
    """
    asked = visit.request.path_params
    model = visit.workspace.models.find(asked["model_id"])
    record = visit.workspace.operations.get(asked["label_run"], KIND, model.id)
    if record.told.get("private"):
        require_scope(visit.scopes, TRAIN, "What a model says of a file that was uploaded for training")
    return record


def _own_run(visit: Visit) -> OperationRecord:
    """Return the run that the address names, to one who may end it.

    Raises:
        UnknownOperation, Forbidden: as `found_run`; or somebody else began it.
    """
    record = found_run(visit)
    if not _may_end(visit, record):
        raise Forbidden("It was begun with another key: whoever has that one, or one with the scope train, may end it.")
    return record


def _may_end(visit: Visit, record: OperationRecord) -> bool:
    return visit.may(TRAIN) or (visit.caller is not None and record.created_by == visit.caller)


def _is_there(visit: Visit, file_id: str) -> bool:
    """Whether the file that was labelled is still here: one that was uploaded for that is for a week."""
    try:
        return bool(visit.workspace.files.get(file_id))
    except UnknownFile:
        return False


def _figures(record: OperationRecord) -> dict[str, Any]:
    """What templates need of a summary; before there is one, nothing."""
    summary = record.summary
    rows = int(summary.get("rows", 0)) - int(summary.get("bad", 0))
    return {"summary": summary, "asked_rows": rows}
