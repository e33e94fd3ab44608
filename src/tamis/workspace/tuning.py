"""Tuned models as one thing with their jobs: for APIs that make a model, and then wait until it is ready.

The id is that of the job, from the first moment on; a model that no job of the server made has its own. Such an API
knows no jobs that were cancelled, and none that were deleted. It does not know how any of this is written on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from tamis.errors import InvalidRequest, UnknownModel
from tamis.jobs.states import LIVE, Status
from tamis.schema import Kind
from tamis.store.opening import Store
from tamis.store.records import CheckpointRecord, JobRecord, ModelRecord
from tamis.workspace.datasets import MULTI, VALIDATED, Datasets
from tamis.workspace.jobs import Integration, Jobs, NewJob
from tamis.workspace.models import Models

MOST_TITLE = 200
Stages = list[tuple["Stage", int]]
Checkpoints = list[CheckpointRecord]
DELETED = "deleted"
"""Key of a job's metadata that says that it is no longer to be shown as a model."""


class Stage(StrEnum):
    """How far a tuned model is."""

    QUEUED = "QUEUED"
    FINETUNING = "FINETUNING"
    DEPLOYING = "DEPLOYING_API"
    READY = "READY"
    FAILED = "FAILED"
    PAUSED = "PAUSED"  # its model is archived


_STAGES: Mapping[Status, Stage] = {
    Status.QUEUED: Stage.QUEUED,
    Status.VALIDATING: Stage.QUEUED,
    Status.VALIDATED: Stage.QUEUED,
    Status.RUNNING: Stage.FINETUNING,
    Status.CANCELLATION_REQUESTED: Stage.FINETUNING,
    Status.SUCCESS: Stage.READY,
    Status.FAILED: Stage.FAILED,
    Status.FAILED_VALIDATION: Stage.FAILED,
}
"""The stage of each status of a job that such an API knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTuned:
    """A tuned model as it is asked for."""

    title: str
    dataset_id: str
    base: str
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    integrations: Sequence[Integration] = ()
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class Tuned:
    """A tuned model: its job, its model, or both."""

    id: str
    title: str
    stage: Stage
    job: JobRecord | None
    model: ModelRecord | None
    several: bool | None
    """Whether an input gets any number of labels; None while it is not known."""

    @property
    def created_at(self) -> int:
        """When it was asked for."""
        return self.job.created_at if self.job else self.model.created_at if self.model else 0


class Tuning:
    """The tuned models of a workspace."""

    def __init__(self, store: Store, jobs: Jobs, models: Models, datasets: Datasets) -> None:
        """Take what they are made of."""
        self._store, self._jobs, self._models, self._datasets = store, jobs, models, datasets

    def create(self, new: NewTuned) -> Tuned:
        """Make a job of a dataset, which starts by itself.

        Raises:
            InvalidRequest: a field is not what it should be, or the dataset is not validated.
            UnknownDataset: there is none of this id.
            SimilarJob: the same is being trained.
            Overloaded: very many jobs are not finished.
        """
        if not new.title.strip() or len(new.title) > MOST_TITLE:
            raise _invalid(["name"], f"give 1 to {MOST_TITLE} characters")
        place = ["settings", "dataset_id"]
        dataset = self._datasets.get(new.dataset_id)
        if dataset.status != VALIDATED:
            why = f": {dataset.error}" if dataset.error else ""
            raise _invalid(place, f"the dataset {new.dataset_id} is {dataset.status}, not {VALIDATED}{why}")
        files = {part["name"]: part["rows_file"] for part in dataset.parts}
        job = self._jobs.create(
            NewJob(
                model=new.base,
                training_files=[(files["data"], 1.0)],
                validation_files=[files["eval_data"]] if "eval_data" in files else (),
                hyperparameters=new.hyperparameters,
                integrations=new.integrations,
                auto_start=True,
                created_by=new.created_by,
                title=new.title,
                dataset_id=dataset.id,
            )
        )
        return self._of_job(job, None, several=dataset.type == MULTI)

    def get(self, reference: str) -> Tuned:
        """Return a tuned model by the id of its job, or by any name of its model.

        Raises:
            UnknownModel: there is none.
        """
        job = self._store.jobs.find(reference.removesuffix("-ft"))
        model = self._store.models.by_job(job.id) if job else self._models.find(reference)
        if model and not job and model.job_id:
            job = self._store.jobs.find(model.job_id)
        found = self._of(job, model)
        if found is None:
            raise UnknownModel(f"There is no tuned model {reference[:200]}: list them.", model=reference)
        return found

    def list(self, offset: int, limit: int, *, oldest_first: bool = False) -> tuple[list[Tuned], int]:
        """Return so many tuned models after the first few, the newest first, and how many there are in all."""
        models = self._models.list()
        by_job = {model.job_id: model for model in models if model.job_id}
        jobs, _ = self._store.jobs.list(page_size=None)
        found = [self._of(job, by_job.get(job.id)) for job in jobs]
        found += [self._of(None, model) for model in models if not model.job_id]
        there = [tuned for tuned in found if tuned is not None]
        there.sort(key=lambda tuned: tuned.created_at, reverse=not oldest_first)
        return there[offset : offset + limit], len(there)

    def rename(self, reference: str, title: str) -> Tuned:
        """Change what a tuned model is called.

        Raises:
            UnknownModel: there is none.
            InvalidRequest: no model can be called that.
        """
        if not title.strip() or len(title) > MOST_TITLE:
            raise _invalid(["name"], f"give 1 to {MOST_TITLE} characters")
        found = self.get(reference)
        if found.job:
            self._store.jobs.change(found.job.id, when=set(Status), quiet=True, title=title)
        if found.model:
            self._models.update(found.model.id, title, None)
        return self.get(found.id)

    def delete(self, reference: str) -> None:
        """Delete a tuned model; one that is not ready is cancelled.

        Raises:
            UnknownModel: there is none.
            InUse: an alias points at it.
        """
        found = self.get(reference)
        if found.model:
            self._models.delete(found.model.id)
        if found.job is None:
            return
        if Status(found.job.status) in LIVE:
            self._jobs.cancel(found.job.id)
        metadata = {**found.job.metadata, DELETED: True}
        self._store.jobs.change(found.job.id, when=set(Status), quiet=True, metadata=metadata)

    def events(self, reference: str) -> Stages:
        """Return the stages that a tuned model went through, the first one first, and when each began.

        Raises:
            UnknownModel: there is none.
        """
        found = self.get(reference)
        if found.job is None:
            return [(Stage.READY, found.created_at)]
        told: Stages = []
        for event in self._store.jobs.events(found.job.id):
            status = event.data.get("status")  # other events have none
            stage = _STAGES.get(Status(status)) if status in set(Status) else None
            if stage is Stage.READY:
                told.append((Stage.DEPLOYING, event.created_at))
            if stage and (not told or told[-1][0] is not stage):
                told.append((stage, event.created_at))
        return told

    def checkpoints(self, reference: str) -> Checkpoints:
        """Return the figures of a training run, the first step first.

        Raises:
            UnknownModel: there is no such tuned model.
        """
        found = self.get(reference)
        return self._store.jobs.checkpoints(found.job.id)[::-1] if found.job else []

    def unready(self, job_id: str) -> str | None:
        """Return the stage of a tuned model that cannot answer yet, or no more; None where it can, or is not there."""
        try:
            found = self.get(str(UUID(job_id)))
        except (UnknownModel, ValueError):
            return None
        return None if found.stage is Stage.READY else found.stage.value

    def _of(self, job: JobRecord | None, model: ModelRecord | None) -> Tuned | None:
        if job is not None:
            shown = job.status in _STAGES and not job.metadata.get(DELETED)
            return self._of_job(job, model) if shown and (model or job.status != Status.SUCCESS) else None
        if model is None:
            return None
        stage = Stage.PAUSED if model.archived else Stage.READY
        return Tuned(model.id, model.title or f"{model.name}@{model.version}", stage, None, model, _several(model))

    def _of_job(self, job: JobRecord, model: ModelRecord | None, several: bool | None = None) -> Tuned:
        stage = _STAGES[Status(job.status)]
        if model and model.archived:
            stage = Stage.PAUSED
        if several is None and job.targets:
            several = any(target.get("loss_function") == "multi_class" for target in job.targets)
        title = job.title or (model.title if model else None) or job.name
        return Tuned(job.id, title, stage, job, model, _several(model) if model else several)


def _several(model: ModelRecord) -> bool:
    return any(target.get("kind") == Kind.MULTI_LABEL for target in model.targets)


def _invalid(place: list[str], why: str) -> InvalidRequest:
    where = ["body", *place]
    return InvalidRequest(f"{'.'.join(where)}: {why}.", loc=where)
