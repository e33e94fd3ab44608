"""One model: what it is and how good; what is told of it is changed here, and it is put away or deleted."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastapi import Response

from tamis.errors import InUse, InvalidRequest, TamisError
from tamis.web.auth import ADMIN, INFER, TRAIN
from tamis.web.dashboard.downloads import download
from tamis.web.dashboard.failures import in_words
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit
from tamis.workspace.manifests import settings_of

if TYPE_CHECKING:
    from tamis.ml.manifest import Manifest
    from tamis.store.records import ModelRecord, OperationRecord

SHOWN_VERSIONS = 5
FIGURES = ("accuracy", "micro_f1")

pages = Pages()


def model_of(visit: Visit) -> ModelRecord:
    """Return the model that an address names, by any of its names.

    Raises:
        UnknownModel: there is none.
    """
    return visit.workspace.models.find(visit.request.path_params["model_id"])


def model_page(
    visit: Visit, model: ModelRecord, template: str, *, status: int = 200, charts: bool = False, **known: object
) -> Response:
    """Return a page of a model."""
    aliases = visit.workspace.models.aliases(model.id)
    return visit.page(template, status=status, charts=charts, model=model, aliases=aliases, **known)


def manifest_of(visit: Visit, model: ModelRecord) -> tuple[Manifest | None, str]:
    """Return what is written down of a model, or why that cannot be read: its page is there all the same."""
    try:
        return visit.workspace.manifests.read(model), ""
    except TamisError as error:
        return None, plainly(error) if visit.may(ADMIN) else "They are missing or damaged: its operator knows more."


def plainly(error: TamisError) -> str:
    """Return what an error says, without the place in a request's body, for people who see a form."""
    return in_words(error.for_callers)


def best_run(visit: Visit, model: ModelRecord) -> OperationRecord | None:
    """Return the evaluation of a model that tells most: on the test file of its training, where there is one."""
    test = None
    with suppress(TamisError):
        test = visit.workspace.jobs.record(model.job_id).test_file if model.job_id else None
    return visit.workspace.evaluations.best(model.id, test)


class Measured:
    """How good a model is at one target, as far as is known, and on what."""

    def __init__(self, target: Mapping[str, Any], figures: Mapping[str, Any], labels: int) -> None:
        """Take a target of a model, and the figures that there are of it."""
        self.name, self.labels = str(target["name"]), labels
        self.is_multi = target.get("kind") == "multi_label"
        self.figure = next((name for name in FIGURES if _share(figures.get(name)) is not None), "")
        self.value = _share(figures.get(self.figure))
        self.interval = _interval(figures.get(f"{self.figure}_ci"))
        self.macro_f1, self.ece = _share(figures.get("macro_f1")), _share(figures.get("ece"))
        self.rows = figures.get("n") if isinstance(figures.get("n"), int) else None


def measured_by(summary: Mapping[str, Any], model: ModelRecord) -> list[Measured]:
    """Return the figures of an evaluation, from what its operation tells of it."""
    found = []
    for target in model.targets:
        told = summary.get("targets", {}).get(target["name"])
        if isinstance(told, dict):
            figure = str(told.get("figure", "")).replace("micro-F1", "micro_f1")
            named = {figure: told.get("value"), f"{figure}_ci": told.get("interval"), "n": told.get("rows")}
            found.append(Measured(target, told | named, len(target.get("labels", ()))))
    return found


def measured_at_training(model: ModelRecord) -> tuple[str, list[Measured]]:
    """Return which rows a model was measured on when it was made (`test`, `held_out` or nothing), and the figures."""
    for source in ("test", "held_out"):
        parts = model.metrics.get(source)
        figures = (
            {} if not isinstance(parts, dict) else {n: each for n, each in parts.items() if isinstance(each, dict)}
        )
        targets = [target for target in model.targets if target["name"] in figures]
        if targets:
            return source, [Measured(each, figures[each["name"]], len(each.get("labels", ()))) for each in targets]
    return "", []


@pages.get("/models/{model_id}", INFER)
def overview(visit: Visit) -> Response:
    """Show how good a model is, what it answers, and what to do with it."""
    model = model_of(visit)
    if visit.request.path_params["model_id"] != model.id:
        return visit.go(f"/ui/models/{model.id}")
    workspace = visit.workspace
    latest = best_run(visit, model)
    source, at_training = measured_at_training(model)
    versions, n_versions = workspace.models.page(0, SHOWN_VERSIONS, {"name": model.name})
    manifest, trouble = manifest_of(visit, model)
    return model_page(
        visit,
        model,
        "model.html",
        latest=latest,
        measured=measured_by(latest.summary, model) if latest else [],
        source=source,
        at_training=at_training,
        versions=versions,
        n_versions=n_versions,
        newest=versions[0] if versions else model,
        manifest=manifest,
        trouble=trouble,
        waiting=workspace.looks.line(model.name).open if visit.may(TRAIN) else 0,
    )


@pages.get("/models/{model_id}/details", TRAIN)
def details(visit: Visit) -> Response:
    """Show what a model was made of, and what can be done with its files."""
    return _details(visit, model_of(visit), {})


def _details(visit: Visit, model: ModelRecord, wrong: Mapping[str, str]) -> Response:
    manifest, trouble = manifest_of(visit, model)
    text = ""
    with suppress(TamisError):
        text = visit.workspace.manifests.text(model) if manifest else ""
    return model_page(
        visit,
        model,
        "model_details.html",
        manifest=manifest,
        trouble=trouble,
        settings=settings_of(manifest) if manifest else {},
        text=text,
        offers=visit.workspace.exports.offers(model, manifest) if manifest else [],
        latest=best_run(visit, model),
        wrong=wrong,
        place=visit.workspace.models.place(model),
    )


@pages.post("/models/{model_id}/rename", TRAIN)
def rename(visit: Visit) -> Response:
    """Change what a model is called and what is told of it; its names for programs stay."""
    model = model_of(visit)
    title, description = visit.sent("title").strip(), visit.sent("description").replace("\r\n", "\n").strip()
    try:
        visit.workspace.models.update(model.id, title, description)
    except InvalidRequest as error:
        field = "description" if error.context.get("loc") == ["body", "description"] else "title"
        return _details(visit, model, {field: plainly(error)})
    return visit.go(f"/ui/models/{model.id}/details", "It is saved.")


@pages.post("/models/{model_id}/archive", TRAIN)
def archive(visit: Visit) -> Response:
    """Put a model away."""
    model = visit.workspace.models.archive(model_of(visit).id)
    return visit.go(f"/ui/models/{model.id}", "The model is archived: it answers no more until it is unarchived.")


@pages.post("/models/{model_id}/unarchive", TRAIN)
def unarchive(visit: Visit) -> Response:
    """Have an archived model answer again."""
    model = visit.workspace.models.unarchive(model_of(visit).id)
    return visit.go(f"/ui/models/{model.id}", "The model is in use again.")


@pages.post("/models/{model_id}/delete", TRAIN)
def delete(visit: Visit) -> Response:
    """Delete a model for good."""
    model = model_of(visit)
    try:
        visit.workspace.models.delete(model.id)
    except InUse as error:
        return visit.go(f"/ui/models/{model.id}/versions#aliases", plainly(error), "error")
    return visit.go("/ui/models", f"{model.name}@{model.version} is deleted.")


@pages.post("/models/{model_id}/export", TRAIN)
def export(visit: Visit) -> Response:
    """Begin to make a file of a model to take along."""
    model = model_of(visit)
    visit.workspace.exports.start(model.id, visit.sent("format"), created_by=visit.caller)
    return visit.go(f"/ui/models/{model.id}/details#downloads")


@pages.get("/models/{model_id}/exports/{export_id}/model.zip", TRAIN)
def exported(visit: Visit) -> Response:
    """Hand out a file that was made."""
    made, content = visit.workspace.exports.read(model_of(visit).id, visit.request.path_params["export_id"])
    return download(content, made.result_name or "model.zip", made.media_type or "application/zip")


def _share(value: object) -> float | None:
    """A share of 1; what is none was not checked by anybody."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def _interval(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = (_share(bound) for bound in value)
    return None if low is None or high is None else (low, high)
