"""The lists: models, files, batch jobs; files are brought here and taken along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Response

from tamis.web.auth import INFER, TRAIN
from tamis.web.dashboard.downloads import download
from tamis.web.dashboard.formats import figure_of
from tamis.web.dashboard.listing import ON_A_PAGE, Asked, Listing
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.uploading import received
from tamis.web.dashboard.visits import Visit
from tamis.workspace.files import FINE_TUNE

if TYPE_CHECKING:
    from tamis.store.records import ModelRecord

BATCH_STATES = ("QUEUED", "RUNNING", "SUCCESS", "FAILED", "CANCELLATION_REQUESTED", "CANCELLED", "TIMEOUT_EXCEEDED")
LIVE_BATCHES = ("QUEUED", "RUNNING")
MODEL_STATES = ("archived",)
FOR = {"fine-tune": "labelled texts", "batch": "batch jobs", "review-log": "log of a review", "batch-output": "answers"}
"""What files are for, in words."""

pages = Pages()


class ModelRow:
    """A model as lists show it: with its aliases, and a figure for each target."""

    def __init__(self, record: ModelRecord, aliases: tuple[str, ...] = ()) -> None:
        """Show a record."""
        self.record, self.aliases = record, aliases
        self.title = record.title or record.name
        self.reference = f"{record.name}@{record.version}"
        self.targets = [
            (str(target["name"]), len(target.get("labels", ())), figure_of(record.metrics, str(target["name"])))
            for target in record.targets
        ]


def model_rows(visit: Visit, asked: Asked, size: int = ON_A_PAGE) -> tuple[list[ModelRow], int]:
    """Return a page of models, and how many there are; archived ones where they are asked for."""
    models = visit.workspace.models
    found, total = models.page(
        asked.page - 1, size, {"search": asked.search or None, "archived": asked.state == "archived"}
    )
    aliases = models.alias_names() if found else {}
    return [ModelRow(record, aliases.get(record.id, ())) for record in found], total


@pages.get("/models", INFER)
def models(visit: Visit) -> Response:
    """Show the models."""
    asked = Asked.of(visit, MODEL_STATES)
    return visit.page("models.html", listing=Listing(asked, *model_rows(visit, asked)))


@pages.get("/files", TRAIN)
def files(visit: Visit) -> Response:
    """Show the files."""
    asked = Asked.of(visit)
    found = visit.workspace.files.list(asked.page - 1, ON_A_PAGE, {"search": asked.search or None})
    most = visit.workspace.settings.max_upload_bytes
    return visit.page("files.html", listing=Listing(asked, *found), purposes=FOR, most=most)


@pages.upload("/files/upload", TRAIN)
async def upload(visit: Visit) -> Response:
    """Take a file."""
    (record,) = (await received(visit, ("file",), FINE_TUNE)).values()
    return visit.go("/ui/files", f"{record.name} is here.")


@pages.get("/files/{file_id}/download", TRAIN)
def download_file(visit: Visit) -> Response:
    """Hand out a file as it came."""
    record = visit.workspace.files.get(visit.request.path_params["file_id"])
    return download(visit.workspace.files.read(record.id), record.name)


@pages.post("/files/{file_id}/delete", TRAIN)
def delete_file(visit: Visit) -> Response:
    """Delete a file."""
    record = visit.workspace.files.get(visit.request.path_params["file_id"])
    visit.workspace.files.delete(record.id)
    return visit.go("/ui/files", f"{record.name} is deleted.")


@pages.get("/batches", INFER)
def batches(visit: Visit) -> Response:
    """Show the batch jobs."""
    asked = Asked.of(visit, BATCH_STATES)
    filters = {"search": asked.search or None, "status": asked.state or None}
    found = visit.workspace.batches.list(asked.page - 1, ON_A_PAGE, filters)  # type: ignore[arg-type]
    return visit.page("batches.html", listing=Listing(asked, *found), states=BATCH_STATES, live=LIVE_BATCHES)


@pages.get("/batches/{batch_id}/answers", INFER)
def batch_answers(visit: Visit) -> Response:
    """Hand out what a batch job answered, a JSON object a line."""
    batch = visit.workspace.batches.get(visit.request.path_params["batch_id"])
    return download(visit.workspace.batches.outputs(batch), f"answers-{batch.id}.jsonl")


@pages.post("/batches/{batch_id}/cancel", INFER)
def cancel_batch(visit: Visit) -> Response:
    """Cancel a batch job."""
    visit.workspace.batches.cancel(visit.request.path_params["batch_id"])
    return visit.go("/ui/batches", "The batch job is being cancelled.")
