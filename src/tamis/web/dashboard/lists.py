"""The lists: models, files, batch jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Response

from tamis.web.auth import INFER, TRAIN
from tamis.web.dashboard.formats import figure_of
from tamis.web.dashboard.listing import ON_A_PAGE, Asked, Listing
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit

if TYPE_CHECKING:
    from tamis.store.records import ModelRecord

BATCH_STATES = ("QUEUED", "RUNNING", "SUCCESS", "FAILED", "CANCELLATION_REQUESTED", "CANCELLED", "TIMEOUT_EXCEEDED")
MODEL_STATES = ("archived",)

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
    return visit.page("files.html", listing=Listing(asked, *found))


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
    return visit.page("batches.html", listing=Listing(asked, *found), states=BATCH_STATES)
