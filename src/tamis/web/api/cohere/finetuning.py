"""Fine-tuned models: made of a dataset, they go from QUEUED to READY by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr

from tamis.errors import InvalidRequest
from tamis.web.api.cohere.wire import Deleted, iso, page_of, token_after
from tamis.web.routing import PlainRoute, answer, caller_of, workspace_of
from tamis.workspace.jobs import Integration
from tamis.workspace.tuning import NewTuned

if TYPE_CHECKING:
    from tamis.store.records import CheckpointRecord
    from tamis.workspace.tuning import Tuned

router = APIRouter(prefix="/v1/finetuning/finetuned-models", tags=["Cohere"], route_class=PlainRoute)

CLASSIFICATION = "BASE_TYPE_CLASSIFICATION"
DEFAULT_BASE = "english"
RATES = 100.0
"""How many times our learning rates are smaller: the service's default was 0.01, and ours, which means the base
model's own, is 0.0001."""

_EXAMPLE: JsonValue = {
    "name": "atis-classify-ft",
    "settings": {"base_model": {"base_type": CLASSIFICATION}, "dataset_id": "atis-5f1c2a9b7e"},
}


class BaseModelIn(BaseModel):
    """What the model starts from."""

    name: str | None = Field(default=None, description="a base model; without one the operator's default")
    version: str | None = Field(default=None, description="of no effect")
    base_type: str = Field(examples=[CLASSIFICATION])
    strategy: str | None = Field(default=None, description="of no effect")


class HyperparametersIn(BaseModel):
    """How to train; what is not named here is chosen by the server."""

    train_epochs: float | None = Field(default=None, description="above 0; an upper bound")
    learning_rate: float | None = Field(default=None, description="1e-6 to 100; 0.01 is the base model's own rate")


class WandbIn(BaseModel):
    """A Weights & Biases project that the run is reported to."""

    project: str
    api_key: SecretStr = Field(description="40 characters or more; sealed at rest, and never shown again")
    entity: str | None = None


class SettingsIn(BaseModel):
    """What the model is made of."""

    base_model: BaseModelIn
    dataset_id: str
    hyperparameters: HyperparametersIn | None = None
    wandb: WandbIn | None = None


class FinetunedModelIn(BaseModel):
    """A model to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]}, hide_input_in_errors=True)

    name: str = Field(description="1 to 200 characters")
    settings: SettingsIn


class BaseModelOut(BaseModel):
    """What the model started from."""

    name: str
    version: str = "1"
    base_type: str = CLASSIFICATION
    strategy: str = "STRATEGY_UNSPECIFIED"


class HyperparametersOut(BaseModel):
    """What is used of the hyperparameters; null: chosen by the server."""

    train_epochs: float | None
    learning_rate: float | None


class SettingsOut(BaseModel):
    """What the model is made of."""

    base_model: BaseModelOut
    dataset_id: str
    hyperparameters: HyperparametersOut | None
    multi_label: bool | None


class FinetunedModel(BaseModel):
    """A model; `id` with `-ft` is its name in classify."""

    id: str
    name: str
    creator_id: str
    organization_id: str = "tamis"
    settings: SettingsOut
    status: str = Field(examples=["STATUS_READY"])
    created_at: str
    updated_at: str
    completed_at: str | None
    last_used: str | None = Field(description="when it was last asked, to the minute; null: never")
    error: str | None = Field(description="why it is STATUS_FAILED")

    @classmethod
    def of(cls, tuned: Tuned) -> FinetunedModel:
        """Return a tuned model as the wire has it."""
        job, model = tuned.job, tuned.model
        asked = job.asked if job else {}
        rate = job.hyperparameters.get("learning_rate") if job else None
        used = HyperparametersOut(
            train_epochs=asked.get("epochs"), learning_rate=None if rate is None else round(rate * RATES, 10)
        )
        finished = job.finished_at if job else tuned.created_at
        return cls(
            id=tuned.id,
            name=tuned.title,
            creator_id=(job.created_by if job else model.created_by if model else None) or "",
            settings=SettingsOut(
                base_model=BaseModelOut(name=job.model if job else model.root if model else ""),
                dataset_id=(job.dataset_id if job else None) or "",
                hyperparameters=used if job else None,
                multi_label=tuned.several,
            ),
            status=f"STATUS_{tuned.stage}",
            created_at=iso(tuned.created_at),
            updated_at=iso(job.modified_at if job else tuned.created_at),
            completed_at=None if finished is None else iso(finished),
            last_used=iso(model.last_used_at) if model and model.last_used_at else None,
            error=job.error if job else None,
        )


class OneFinetunedModel(BaseModel):
    """A model by itself."""

    finetuned_model: FinetunedModel


class FinetunedModelList(BaseModel):
    """A page of models."""

    finetuned_models: list[FinetunedModel]
    next_page_token: str
    total_size: int


class Event(BaseModel):
    """When a status began."""

    user_id: str
    status: str = Field(examples=["STATUS_FINETUNING"])
    created_at: str = Field(examples=["2026-01-31T09:30:00Z"])


class EventList(BaseModel):
    """A page of events, the first one first."""

    events: list[Event]
    next_page_token: str
    total_size: int


class StepMetrics(BaseModel):
    """Figures of a step: on the evaluation rows cross_entropy, accuracy (of several labels: f1), precision and recall.

    The last two are averages over the labels. `train_loss` is that of the training rows.
    """

    created_at: str = Field(examples=["2026-01-31T09:30:00Z"])
    step_number: int = Field(examples=[50])
    metrics: dict[str, float] = Field(examples=[{"cross_entropy": 0.21, "accuracy": 0.94, "train_loss": 0.18}])


class StepMetricsList(BaseModel):
    """A page of figures, the first step first."""

    step_metrics: list[StepMetrics]
    next_page_token: str


PageSize = Annotated[int | None, Query(ge=0, le=1000)]
PageToken = Annotated[str | None, Query(max_length=32)]
Order = Literal["created_at", "created_at asc", "created_at desc"]


@router.post("", summary="Make a fine-tuned model", response_model=OneFinetunedModel)
def create(request: Request, given: FinetunedModelIn) -> Response:
    """Train a classifier on a validated dataset, at once."""
    _require_classification(given.settings.base_model)
    new = NewTuned(
        title=given.name,
        dataset_id=given.settings.dataset_id,
        base=given.settings.base_model.name or DEFAULT_BASE,
        hyperparameters=_hyperparameters(given.settings.hyperparameters),
        integrations=_integrations(given),
        created_by=caller_of(request),
    )
    return answer(OneFinetunedModel(finetuned_model=FinetunedModel.of(workspace_of(request).tuning.create(new))))


@router.get("", summary="List fine-tuned models", response_model=FinetunedModelList)
def list_models(
    request: Request, page_size: PageSize = None, page_token: PageToken = None, order_by: Order = "created_at desc"
) -> Response:
    """Return the models that any API, page or command made, the newest first."""
    start, size = page_of(page_size, page_token)
    found, total = workspace_of(request).tuning.list(start, size, oldest_first=not order_by.endswith("desc"))
    return answer(
        FinetunedModelList(
            finetuned_models=[FinetunedModel.of(tuned) for tuned in found],
            next_page_token=token_after(start, len(found), total),
            total_size=total,
        )
    )


@router.get("/{model_id}", summary="Get a fine-tuned model", response_model=OneFinetunedModel)
def get(request: Request, model_id: str) -> Response:
    """Return a model, with its status."""
    workspace_of(request).classifier.note_uses()
    return answer(OneFinetunedModel(finetuned_model=FinetunedModel.of(workspace_of(request).tuning.get(model_id))))


@router.patch("/{model_id}", summary="Rename a fine-tuned model", response_model=OneFinetunedModel)
def update(request: Request, model_id: str, given: FinetunedModelIn) -> Response:
    """Change what a model is called; what it is made of cannot change."""
    tuning = workspace_of(request).tuning
    there = FinetunedModel.of(tuning.get(model_id)).settings
    _require_classification(given.settings.base_model)
    same = given.settings.dataset_id in (there.dataset_id, "")
    if not same or given.settings.base_model.name not in (None, "", there.base_model.name):
        raise InvalidRequest(
            "body.settings: what a model was made of cannot be changed: make another model.", loc=["body", "settings"]
        )
    return answer(OneFinetunedModel(finetuned_model=FinetunedModel.of(tuning.rename(model_id, given.name))))


@router.delete("/{model_id}", summary="Delete a fine-tuned model", response_model=Deleted)
def delete(request: Request, model_id: str) -> Response:
    """Delete a model that no alias points at; one that is not ready is cancelled."""
    workspace_of(request).tuning.delete(model_id)
    return answer(Deleted())


@router.get("/{model_id}/events", summary="List the statuses of a fine-tuned model", response_model=EventList)
def list_events(
    request: Request,
    model_id: str,
    page_size: PageSize = None,
    page_token: PageToken = None,
    order_by: Order = "created_at",
) -> Response:
    """Return the statuses that a model went through, and when each began."""
    start, size = page_of(page_size, page_token)
    told = workspace_of(request).tuning.events(model_id)
    if order_by.endswith("desc"):
        told = told[::-1]
    shown = [
        Event(user_id="", status=f"STATUS_{stage}", created_at=iso(at)) for stage, at in told[start : start + size]
    ]
    return answer(
        EventList(events=shown, next_page_token=token_after(start, len(shown), len(told)), total_size=len(told))
    )


@router.get(
    "/{model_id}/training-step-metrics", summary="List the figures of a training run", response_model=StepMetricsList
)
def list_step_metrics(
    request: Request, model_id: str, page_size: PageSize = None, page_token: PageToken = None
) -> Response:
    """Return the figures of each checkpoint."""
    start, size = page_of(page_size, page_token)
    tuning = workspace_of(request).tuning
    several = bool(tuning.get(model_id).several)
    rows = tuning.checkpoints(model_id)
    shown = [_step(row, several) for row in rows[start : start + size]]
    return answer(StepMetricsList(step_metrics=shown, next_page_token=token_after(start, len(shown), len(rows))))


def _require_classification(base: BaseModelIn) -> None:
    if base.base_type != CLASSIFICATION:
        raise InvalidRequest(
            f"body.settings.base_model.base_type: {base.base_type[:60]!r} models are not made here: use "
            f"{CLASSIFICATION}.",
            loc=["body", "settings", "base_model", "base_type"],
        )


def _hyperparameters(given: HyperparametersIn | None) -> dict[str, Any]:
    if given is None:
        return {}
    rate = None if given.learning_rate is None else given.learning_rate / RATES
    asked = {"epochs": given.train_epochs, "learning_rate": rate}
    return {name: value for name, value in asked.items() if value is not None}


def _integrations(given: FinetunedModelIn) -> list[Integration]:
    wandb = given.settings.wandb
    if wandb is None:
        return []
    return [Integration("wandb", wandb.project, wandb.api_key.get_secret_value(), given.name)]


def _step(row: CheckpointRecord, several: bool) -> StepMetrics:
    names = {
        "valid_loss": "cross_entropy",
        "valid_metric": "f1" if several else "accuracy",
        "valid_precision": "precision",
        "valid_recall": "recall",
        "train_loss": "train_loss",
    }
    figures = {told: round(row.metrics[ours], 6) for ours, told in names.items() if row.metrics.get(ours) is not None}
    return StepMetrics(created_at=iso(row.created_at), step_number=row.step, metrics=figures)
