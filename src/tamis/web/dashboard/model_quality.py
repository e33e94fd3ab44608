"""How good a model is: it is measured on a file, and what was measured is shown, down to the rows behind a figure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import Response

from tamis.errors import InvalidRequest, TamisError
from tamis.web.auth import TRAIN
from tamis.web.dashboard.downloads import download
from tamis.web.dashboard.model import best_run, model_of, model_page
from tamis.web.dashboard.named_columns import COLUMNS, named_columns
from tamis.web.dashboard.pages import FORM_TOKEN, Pages, require_token
from tamis.web.dashboard.visits import Visit
from tamis.web.uploads import Form, boundary_of, receive_files
from tamis.workspace.background import LIVE, SUCCESS
from tamis.workspace.files import FINE_TUNE, NewFile, Upload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tamis.evaluation.kept import Evaluation, ToldTarget
    from tamis.store.records import FileRecord, ModelRecord, OperationRecord

MOST_FILES, MOST_RUNS = 100, 20
FILE = "file"
FIELDS = (FORM_TOKEN, "model", *COLUMNS)

pages = Pages()


def data_files(visit: Visit, wanted: str = "") -> Sequence[FileRecord]:
    """Return the newest files of labelled rows, and among them the one that is wanted."""
    found, _ = visit.workspace.files.list(0, MOST_FILES, {"purpose": FINE_TUNE})
    files = list(found)
    if wanted and wanted not in {file.id for file in files}:
        try:
            files.insert(0, visit.workspace.files.get(wanted))
        except TamisError:
            return files
    return files


def number_asked(visit: Visit, name: str) -> int | None:
    """Return a whole number of the address; None where there is none."""
    said = visit.asked(name)
    return int(said) if said.isascii() and said.isdigit() and len(said) < 8 else None


@pages.get("/models/{model_id}/quality", TRAIN)
def quality(visit: Visit) -> Response:
    """Show an evaluation: the one that is asked for, or the one that tells most."""
    model = model_of(visit)
    evaluations = visit.workspace.evaluations
    runs = evaluations.list(model.id, MOST_RUNS)
    run = _chosen(visit, model, runs)
    known: dict[str, Any] = {"evaluation": None, "target": None, "place": 0, "cell": None, "unmeasured": []}
    if run is not None and run.status == SUCCESS:
        known = _looked_at(visit, evaluations.read(model.id, run.id))
        known["unmeasured"] = _unmeasured(model, known["evaluation"])
    return model_page(
        visit,
        model,
        "model_quality.html",
        charts=True,
        runs=runs,
        run=run,
        live=any(each.status in LIVE for each in runs),
        files=data_files(visit, visit.asked("file")),
        wanted=visit.asked("file"),
        **known,
    )


def _chosen(visit: Visit, model: ModelRecord, runs: Sequence[OperationRecord]) -> OperationRecord | None:
    """The evaluation that is asked for, else the one that tells most, else the newest."""
    if asked := visit.asked("run"):
        return visit.workspace.evaluations.get(model.id, asked)
    return best_run(visit, model) or (runs[0] if runs else None)


def _unmeasured(model: ModelRecord, evaluation: Evaluation) -> list[str]:
    """The targets of which the rows said nothing."""
    measured = {name for name, report in evaluation.report.targets.items() if report.n}
    return [str(target["name"]) for target in model.targets if target["name"] not in measured]


def _looked_at(visit: Visit, evaluation: Evaluation) -> dict[str, Any]:
    """The target of an evaluation that is asked for, and the cell whose rows are."""
    place = number_asked(visit, "target") or 0
    target: ToldTarget | None = visit.workspace.evaluations.told(evaluation, place)
    names, at = list(evaluation.report.targets), number_asked(visit, "cell")
    cells = target.kept.cells if target else ()
    return {
        "evaluation": evaluation,
        "names": names,
        "target": target,
        "place": place if place < len(names) else 0,
        "cell": cells[at] if at is not None and at < len(cells) else None,
    }


@pages.post("/models/{model_id}/quality", TRAIN)
def measure(visit: Visit) -> Response:
    """Begin to measure a model on a file."""
    model = model_of(visit)
    if not (file := visit.sent("file")):
        raise InvalidRequest("No file was chosen: choose one with labelled rows.", loc=["body", "file"])
    run = visit.workspace.evaluations.start(model.id, file, created_by=visit.caller, **named_columns(visit.sent))
    return visit.go(f"/ui/models/{model.id}/quality?run={run.id}")


@pages.upload("/measure", TRAIN)
async def measure_new(visit: Visit) -> Response:
    """Store a file that was dropped, and begin to measure a model on it."""
    form = Form(boundary_of(visit.request.headers.get("content-type", "")), (FILE,), FIELDS)
    found = await receive_files(
        visit.request, form, partial(_begin, visit), lambda form: require_token(visit, form.fields.get(FORM_TOKEN, ""))
    )
    if FILE not in found:
        raise InvalidRequest("Choose a file first.", loc=["body", FILE])
    return await anyio.to_thread.run_sync(_measured_on, visit, form.fields, found[FILE].id)


def _begin(visit: Visit, part: str, name: str) -> Upload:
    return visit.workspace.files.begin(NewFile(name=name or f"{part}.csv", purpose=FINE_TUNE, created_by=visit.caller))


def _measured_on(visit: Visit, fields: Mapping[str, str], file_id: str) -> Response:
    columns = named_columns(lambda name: fields.get(name, ""))
    run = visit.workspace.evaluations.start(fields.get("model", ""), file_id, created_by=visit.caller, **columns)
    return visit.go(f"/ui/models/{run.model_id}/quality?run={run.id}")


@pages.post("/models/{model_id}/quality/{evaluation_id}/delete", TRAIN)
def delete(visit: Visit) -> Response:
    """Delete an evaluation, or end one that is under way."""
    model = model_of(visit)
    visit.workspace.evaluations.delete(model.id, visit.request.path_params["evaluation_id"])
    return visit.go(f"/ui/models/{model.id}/quality", "The evaluation is deleted.")


@pages.get("/models/{model_id}/quality/{evaluation_id}/report.html", TRAIN)
def report(visit: Visit) -> Response:
    """Hand out the report of an evaluation: one page that opens anywhere."""
    model = model_of(visit)
    page = visit.workspace.evaluations.report(model.id, visit.request.path_params["evaluation_id"])
    return download([page.encode()], f"{model.name}-{model.version}-report.html", "text/html")


@pages.get("/models/{model_id}/quality/{evaluation_id}/report.json", TRAIN)
def figures(visit: Visit) -> Response:
    """Hand out the figures of an evaluation, as `tamis evaluate --json` has them."""
    model = model_of(visit)
    found = visit.workspace.evaluations.figures(model.id, visit.request.path_params["evaluation_id"])
    return download([found], f"{model.name}-{model.version}-figures.json", "application/json")
