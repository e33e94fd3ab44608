"""Fine-tuning jobs: create, list, get, start, cancel, and what a job would take (dry run)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr

from tamis.web.routing import JsonRoute, answer, caller_of, seconds_of, unless_left, workspace_of
from tamis.workspace.jobs import Integration as NewIntegration
from tamis.workspace.jobs import JobDetail, Measured, NewJob

if TYPE_CHECKING:
    from tamis.store.records import CheckpointRecord, EventRecord, JobRecord

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["Fine-tuning"], route_class=JsonRoute)

_EXAMPLE: JsonValue = {
    "model": "ministral-3b-latest",
    "job_type": "classifier",
    "training_files": [{"file_id": "497f6eca-6276-4993-bfeb-53cbbbba6f09", "weight": 1}],
    "validation_files": ["1cb9ea07-0fa1-4d1d-8c6f-5ac5f1d1c6b5"],
    "hyperparameters": {"training_steps": 250, "learning_rate": 0.00007},
    "auto_start": False,
}


class TrainingFile(BaseModel):
    """A file to learn from, and how much its rows count."""

    file_id: str
    weight: float = Field(default=1.0, description="above 0, up to 1,000,000; only proportions matter")


class HyperparametersIn(BaseModel):
    """How to train; what is absent, or null, is chosen by the server."""

    training_steps: int | None = Field(default=None, description="1 or more; an upper bound")
    learning_rate: float | None = Field(
        default=None, ge=1e-8, le=1, description="1e-8 to 1; 1e-4 is the base model's own rate"
    )
    weight_decay: float | None = Field(default=None, description="0 to 1")
    warmup_fraction: float | None = Field(default=None, description="0 to 1")
    epochs: float | None = Field(default=None, description="above 0; an upper bound")
    seq_len: int | None = Field(default=None, description="100 or more")
    optimise: list[Annotated[str, Field(max_length=2000)]] | str | None = Field(
        default=None,
        max_length=10_000,
        description="what thresholds of multi-label targets are for, such as precision>=0.95; f1 where it is absent",
        examples=["precision>=0.95"],
    )
    abstain_loss: float | None = Field(
        default=None, description="0 to 0.5; the share of in-scope answers that abstaining may cost, 0.03 where absent"
    )
    oos_label: str | None = Field(
        default=None, max_length=1000, description="the label of rows out of scope: none of the model's labels"
    )


class IntegrationIn(BaseModel):
    """A tracker that the run is reported to."""

    type: str = "wandb"
    project: str
    api_key: SecretStr = Field(description="40 characters or more; sealed at rest, and never shown again")
    name: str | None = None
    run_name: str | None = None


class TargetIn(BaseModel):
    """A question that the rows answer; given, it must fit the rows."""

    name: str
    labels: list[str] = Field(default=[], fail_fast=True)
    weight: float = 1.0
    loss_function: str | None = Field(default=None, description="single_class or multi_class")


class JobIn(BaseModel):
    """What a new job is made of."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]}, hide_input_in_errors=True)

    model: str = Field(description="a base model, or a hosted product's name for one")
    training_files: list[str | TrainingFile] = Field(default=[], max_length=10_000)
    validation_files: list[str] | None = Field(default=None, max_length=10_000)
    hyperparameters: HyperparametersIn = HyperparametersIn()
    suffix: str | None = Field(default=None, description="18 characters at most; part of the model's name")
    integrations: list[IntegrationIn] | None = Field(default=None, max_length=8)
    auto_start: bool | None = None
    invalid_sample_skip_percentage: float = Field(default=0, description="0 to 0.5: the share of bad rows left out")
    job_type: str | None = Field(default=None, description="`classifier`, whether it is given or not")
    repositories: list[Any] | None = Field(default=None, description="not possible here: upload files")
    classifier_targets: list[TargetIn] | None = Field(default=None, max_length=10_000)


class Hyperparameters(BaseModel):
    """What the job trains with; null: not chosen yet."""

    training_steps: int | None = None
    learning_rate: float = 1e-4
    weight_decay: float | None = None
    warmup_fraction: float | None = None
    epochs: float | None = None
    seq_len: int | None = None
    optimise: list[str] | None = None
    abstain_loss: float | None = None
    oos_label: str | None = None


class Integration(BaseModel):
    """A tracker, without its key."""

    type: Literal["wandb"] = "wandb"
    project: str
    name: str | None = None
    run_name: str | None = None
    url: str | None = None


class JobMetadata(BaseModel):
    """What the job takes, known once it is validated."""

    expected_duration_seconds: int | None = None
    cost: float | None = 0.0
    cost_currency: str | None = None
    train_tokens_per_step: int | None = None
    train_tokens: int | None = None
    data_tokens: int | None = None
    estimated_start_time: int | None = None


class Job(BaseModel):
    """A job; every field that the SDKs demand is there, and nulls are said."""

    id: str
    object: Literal["job"] = "job"
    job_type: Literal["classifier"] = "classifier"
    model: str
    status: str = Field(examples=["VALIDATED"])
    auto_start: bool
    created_at: int
    modified_at: int
    training_files: list[str]
    validation_files: list[str]
    hyperparameters: Hyperparameters
    fine_tuned_model: str | None
    suffix: str | None
    integrations: list[Integration]
    trained_tokens: int | None
    metadata: JobMetadata

    @classmethod
    def of(cls, job: JobRecord) -> Job:
        """Return a record as the wire has it."""
        return cls(**_fields(job))


class Target(BaseModel):
    """A question that the model answers."""

    name: str
    labels: list[str]
    weight: float = 1.0
    loss_function: Literal["single_class", "multi_class"] = "single_class"


class EventData(BaseModel):
    """What an event says."""

    model_config = ConfigDict(extra="allow")

    status: str | None = None


class Event(BaseModel):
    """Something that happened to the job."""

    name: str
    created_at: int
    data: dict[str, Any] | None


class Metrics(BaseModel):
    """Figures at a step; 0.0 where there was no validation at that step. The last one is accuracy or micro-F1."""

    train_loss: float
    valid_loss: float
    valid_mean_token_accuracy: float


class Checkpoint(BaseModel):
    """Figures of a step."""

    metrics: Metrics
    step_number: int
    created_at: int


class DetailedJob(Job):
    """A job with its targets, events (oldest first) and checkpoints (last step first)."""

    classifier_targets: list[Target]
    events: list[Event]
    checkpoints: list[Checkpoint]

    @classmethod
    def of_detail(cls, detail: JobDetail) -> DetailedJob:
        """Return a job with all that is known of it as the wire has it."""
        return cls(
            **_fields(detail.job),
            classifier_targets=[Target(**_known(Target, target)) for target in detail.job.targets],
            events=_events(detail.events),
            checkpoints=[_checkpoint(row) for row in detail.checkpoints],
        )


class JobList(BaseModel):
    """A page of jobs, the newest first."""

    data: list[Job]
    object: Literal["list"] = "list"
    total: int


class DryRun(JobMetadata):
    """What a job would take, without making it."""

    object: Literal["job.metadata"] = "job.metadata"
    details: str
    epochs: float | None = None
    training_steps: int | None = None
    deprecated: bool = True


@router.post("", summary="Create a job", response_model=Job | DryRun)
def create(request: Request, job_in: JobIn, dry_run: bool = False) -> Response:
    """Create a job, which is validated at once, and trains when it is started (or then, with `auto_start`)."""
    jobs = workspace_of(request).jobs
    new = _new_job(job_in, caller_of(request))
    if dry_run:
        return answer(_dry_run(jobs.dry_run(new, unless_left(request))))
    return answer(Job.of(jobs.create(new)))


@router.get("", summary="List jobs", response_model=JobList)
def list_jobs(  # noqa: PLR0913  the query's parameters
    request: Request,
    page: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
    model: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    created_by_me: bool = False,
    status: str | None = None,
    wandb_project: str | None = None,
    wandb_name: str | None = None,
    suffix: str | None = None,
) -> Response:
    """Return a page of the jobs that match all filters, the newest first."""
    found, total = workspace_of(request).jobs.list(
        page,
        page_size,
        {
            "model": model,
            "created_after": seconds_of(created_after),
            "created_before": seconds_of(created_before),
            "created_by": caller_of(request) if created_by_me else None,
            "status": status,
            "wandb_project": wandb_project,
            "wandb_name": wandb_name,
            "suffix": suffix,
        },
    )
    return answer(JobList(data=[Job.of(job) for job in found], total=total))


@router.get("/{job_id}", summary="Get a job", response_model=DetailedJob)
def get(request: Request, job_id: str) -> Response:
    """Return a job with its targets, events and checkpoints."""
    return answer(DetailedJob.of_detail(workspace_of(request).jobs.get(job_id)))


@router.post("/{job_id}/start", summary="Start a validated job", response_model=DetailedJob)
def start(request: Request, job_id: str) -> Response:
    """Queue a validated job for training."""
    return answer(DetailedJob.of_detail(workspace_of(request).jobs.start(job_id)))


@router.post("/{job_id}/cancel", summary="Cancel a job", response_model=DetailedJob)
def cancel(request: Request, job_id: str) -> Response:
    """Cancel a job that is not finished; what it trained so far is dropped."""
    return answer(DetailedJob.of_detail(workspace_of(request).jobs.cancel(job_id)))


def _new_job(given: JobIn, caller: str | None) -> NewJob:
    files = [TrainingFile(file_id=file) if isinstance(file, str) else file for file in given.training_files]
    return NewJob(
        model=given.model,
        training_files=[(file.file_id, file.weight) for file in files],
        validation_files=given.validation_files or (),
        hyperparameters=given.hyperparameters.model_dump(exclude_none=True),
        suffix=given.suffix or None,
        integrations=[_integration(tracker) for tracker in given.integrations or ()],
        auto_start=bool(given.auto_start),
        max_bad_share=given.invalid_sample_skip_percentage,
        targets=[target.model_dump() for target in given.classifier_targets] if given.classifier_targets else None,
        job_type=given.job_type,
        repositories=bool(given.repositories),
        created_by=caller,
    )


def _integration(given: IntegrationIn) -> NewIntegration:
    return NewIntegration(given.type, given.project, given.api_key.get_secret_value(), given.name, given.run_name)


def _fields(job: JobRecord) -> dict[str, Any]:
    return {
        "id": job.id,
        "model": job.model,
        "status": job.status,
        "auto_start": job.auto_start,
        "created_at": job.created_at,
        "modified_at": job.modified_at,
        "training_files": [file_id for file_id, _ in job.training_files],
        "validation_files": list(job.validation_files),
        "hyperparameters": Hyperparameters(**_known(Hyperparameters, job.hyperparameters)),
        "fine_tuned_model": job.fine_tuned_model,
        "suffix": job.suffix,
        "integrations": [Integration(**_known(Integration, tracker)) for tracker in job.integrations],
        "trained_tokens": job.trained_tokens,
        "metadata": JobMetadata(**_known(JobMetadata, job.metadata)),
    }


def _known(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the wire model has of the given values; where there is none, its default holds."""
    return {name: value for name, value in given.items() if name in model.model_fields and value is not None}


def _events(events: Sequence[EventRecord]) -> list[Event]:
    """Return the events as clients expect them: that a validated job is queued again shows in its status alone."""
    told, queued = [], False
    for event in events:
        is_queued = event.data.get("status") == "QUEUED"
        if not (is_queued and queued):
            told.append(Event(name=event.name, created_at=event.created_at, data=event.data or None))
        queued = queued or is_queued
    return told


def _checkpoint(row: CheckpointRecord) -> Checkpoint:
    names = {**dict.fromkeys(Metrics.model_fields), "valid_mean_token_accuracy": "valid_metric"}
    figures = {name: round(row.metrics.get(ours or name) or 0.0, 6) for name, ours in names.items()}
    return Checkpoint(metrics=Metrics(**figures), step_number=row.step, created_at=row.created_at)


def _dry_run(measured: Measured) -> DryRun:
    known = _known(DryRun, {**measured.hyperparameters, **measured.metadata})
    return DryRun(**known, details=measured.details)
