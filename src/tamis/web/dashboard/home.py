"""The first page: what is running, which models there are, what happened last, what could be done next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import Response

from tamis.errors import SimilarJob
from tamis.examples import example_path
from tamis.web.auth import ADMIN, ANY, INFER, TRAIN
from tamis.web.dashboard.activity import going_on, lately
from tamis.web.dashboard.listing import Asked
from tamis.web.dashboard.lists import ModelRow, model_rows
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit
from tamis.workspace.files import FINE_TUNE, NewFile
from tamis.workspace.jobs import NewJob

if TYPE_CHECKING:
    from tamis.store.records import ModelRecord

EXAMPLE = "support.jsonl"
BAD_ROWS = 0.05
"""Share of the example's rows that may be left out: a few are wrong on purpose."""

SHOWN_MODELS, SHOWN_STEPS = 6, 3

pages = Pages()


@dataclass(frozen=True, slots=True)
class Step:
    """Something worth doing next: what, why, and where."""

    title: str
    why: str
    place: str


@pages.get("", ANY)
def home(visit: Visit) -> Response:
    """Show what there is, of what the visitor may see."""
    may_ask = visit.may(INFER)
    models, n_models = model_rows(visit, Asked("/ui/models", 1, ""), SHOWN_MODELS) if may_ask else ([], 0)
    running, n_running = going_on(visit)
    latest = lately(visit)
    return visit.page(
        "home.html",
        models=models,
        n_models=n_models,
        running=running,
        n_running=n_running,
        latest=latest,
        steps=next_steps(visit, models)[:SHOWN_STEPS],
        is_empty=not (models or running or latest),
        may_train=visit.may(TRAIN),
    )


def next_steps(visit: Visit, models: list[ModelRow]) -> list[Step]:
    """Return what is worth doing next, the most useful first."""
    steps = []
    newest = models[0].record if models else None
    train = visit.may(TRAIN)
    if newest is not None and newest.last_used_at is None:
        why = "It has not been asked anything yet: type a text and see what it says."
        steps.append(Step(f"Try {models[0].reference}", why, f"/ui/models/{newest.id}/try"))
    if train and models:
        steps += _to_review(visit)
    if train and newest is not None and not _is_measured(visit, newest):
        why = "On a file of labelled texts that it did not learn from: only that says how good it will be."
        steps.append(Step(f"Measure {models[0].reference}", why, f"/ui/models/{newest.id}/quality"))
    if newest is not None:
        why = "A few lines to paste: curl, Python, or the SDK that you have."
        steps.append(Step(f"Use {models[0].reference} in your program", why, f"/ui/models/{newest.id}/use"))
    if visit.open and visit.may(ADMIN) and models:
        why = "Without a key this server serves its own machine only. The first key lets others in."
        steps.append(Step("Let others in", why, "/ui/keys"))
    return steps


def _is_measured(visit: Visit, model: ModelRecord) -> bool:
    """Whether a model was asked about labelled rows that it was not made with, at its making or later."""
    return "test" in model.metrics or visit.workspace.evaluations.latest(model.id) is not None


def _to_review(visit: Visit) -> Iterator[Step]:
    """Rows that wait for a look, if there are any: where all are of one model, its queue."""
    lines = [line for line in visit.workspace.looks.lines() if line.open]
    if lines:
        waiting = sum(line.open for line in lines)
        rows = "1 row is" if waiting == 1 else f"{waiting:,} rows are"
        why = "Rows whose label is doubtful, or that would teach your models most."
        place = f"/ui/queue/{quote(lines[0].name, safe='')}" if len(lines) == 1 else "/ui/queue"
        yield Step(f"{rows} worth your look", why, place)


@pages.post("/example", TRAIN)
def example(visit: Visit) -> Response:
    """Upload the packaged example set, start a job on it, and show it; the one that is at it already, if one is."""
    workspace = visit.workspace
    upload = workspace.files.begin(NewFile(name=EXAMPLE, purpose=FINE_TUNE, created_by=visit.caller))
    try:
        upload.write(example_path(EXAMPLE).read_bytes())
    except BaseException:
        upload.abort()
        raise
    record = upload.commit()
    base = workspace.settings.default_base_model
    new = NewJob(
        model=base,
        training_files=[(record.id, 1.0)],
        suffix="example",
        auto_start=True,
        max_bad_share=BAD_ROWS,
        created_by=visit.caller,
    )
    try:
        job_id = workspace.jobs.create(new).id
    except SimilarJob as similar:
        job_id = str(similar.context["job_id"])
    return visit.go(f"/ui/jobs/{job_id}", "The example set is uploaded, and its job is under way.")
