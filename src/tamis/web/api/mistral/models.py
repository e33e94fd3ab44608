"""What Mistral's API does with fine-tuned models beyond listing them: rename, archive, bring back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from tamis.schema import Kind
from tamis.web.routing import JsonRoute, answer, workspace_of
from tamis.workspace.models import CONTEXT, context_of

if TYPE_CHECKING:
    from tamis.store.records import ModelRecord

router = APIRouter(prefix="/v1/fine_tuning/models", tags=["Models"], route_class=JsonRoute)

_MODEL = "ft:classifier:ministral-3b-latest:8e27a1b3:20250416:db22a1b3"


class Capabilities(BaseModel):
    """What the model can do."""

    completion_chat: bool = False
    completion_fim: bool = False
    function_calling: bool = False
    fine_tuning: bool = False
    vision: bool = False
    classification: bool = True
    moderation: bool = False


class Target(BaseModel):
    """A question that the model answers."""

    name: str
    labels: list[str]
    weight: float = 1.0
    loss_function: Literal["single_class", "multi_class"] = "single_class"

    @classmethod
    def of(cls, target: Mapping[str, Any]) -> Target:
        """Return a target as the wire has it."""
        several = target.get("kind") == Kind.MULTI_LABEL
        loss: Literal["single_class", "multi_class"] = "multi_class" if several else "single_class"
        weight = float(target.get("weight", 1.0))
        return cls(name=target["name"], labels=list(target["labels"]), weight=weight, loss_function=loss)


class TunedModel(BaseModel):
    """A fine-tuned model, as its changes answer."""

    id: str = Field(examples=[_MODEL])
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    workspace_id: str
    root: str
    root_version: str
    archived: bool
    name: str | None
    description: str | None
    capabilities: Capabilities
    max_context_length: int = CONTEXT
    aliases: list[str] = []
    job: str
    classifier_targets: list[Target]
    model_type: Literal["classifier"] = "classifier"

    @classmethod
    def of(cls, record: ModelRecord, aliases: Sequence[str]) -> TunedModel:
        """Return a record as the wire has it."""
        targets = [Target.of(target) for target in record.targets]
        return cls(
            id=record.ft or f"{record.name}@{record.version}",
            created=record.created_at,
            owned_by=record.created_by or "tamis",
            workspace_id="tamis",
            root=record.root,
            root_version="1",
            archived=record.archived,
            name=record.title,
            description=record.description,
            capabilities=Capabilities(moderation=any(target.loss_function == "multi_class" for target in targets)),
            max_context_length=context_of(record),
            aliases=list(aliases),
            job=record.job_id or "",
            classifier_targets=targets,
        )


class Archived(BaseModel):
    """Whether the model is archived now."""

    id: str = Field(examples=[_MODEL])
    object: Literal["model"] = "model"
    archived: bool


class ModelChanges(BaseModel):
    """What to call the model; what is absent stays."""

    name: str | None = Field(default=None, examples=["Intents of our shop"])
    description: str | None = None


@router.patch("/{model_id}", summary="Rename a model, or describe it", response_model=TunedModel)
def update(request: Request, model_id: str, changes: ModelChanges) -> Response:
    """Give a model a title and a description."""
    models = workspace_of(request).models
    record = models.update(model_id, changes.name, changes.description)
    return answer(TunedModel.of(record, models.aliases(record.id)))


@router.post("/{model_id}/archive", summary="Archive a model", response_model=Archived)
def archive(request: Request, model_id: str) -> Response:
    """Take a model out of use; it is kept."""
    workspace_of(request).models.archive(model_id)
    return answer(Archived(id=model_id, archived=True))


@router.delete("/{model_id}/archive", summary="Bring an archived model back", response_model=Archived)
def unarchive(request: Request, model_id: str) -> Response:
    """Bring an archived model back into use."""
    workspace_of(request).models.unarchive(model_id)
    return answer(Archived(id=model_id, archived=False))
