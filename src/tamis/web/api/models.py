"""`/v1/models`: one card that the SDKs of mistralai, cohere and openai all read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from tamis.errors import InvalidRequest, UnknownModel
from tamis.schema import Kind
from tamis.web.routing import JsonRoute, answer, workspace_of
from tamis.workspace.models import CONTEXT, context_of

if TYPE_CHECKING:
    from tamis.store.records import ModelRecord
    from tamis.workspace.models import Base, Models

router = APIRouter(prefix="/v1/models", tags=["Models"], route_class=JsonRoute)


class Capabilities(BaseModel):
    """What a model can do."""

    completion_chat: bool = False
    completion_fim: bool = False
    function_calling: bool = False
    fine_tuning: bool = False
    vision: bool = False
    classification: bool = False
    moderation: bool = False


class Card(BaseModel):
    """A model: the fields of mistralai, then those that cohere adds."""

    id: str = Field(examples=["ft:classifier:ministral-3b-latest:8e27a1b3:20250416:db22a1b3"])
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    capabilities: Capabilities
    type: Literal["base", "fine-tuned"]
    name: str
    description: str | None
    max_context_length: int = CONTEXT
    aliases: list[str]
    deprecation: None = None
    job: str | None
    root: str | None
    archived: bool
    endpoints: list[str]
    default_endpoints: list[str] = []
    finetuned: bool
    context_length: int = CONTEXT
    tokenizer_url: str | None = None

    @classmethod
    def of(cls, record: ModelRecord, aliases: Sequence[str]) -> Card:
        """Return a fine-tuned model's card."""
        name = record.ft or f"{record.name}@{record.version}"
        flags = any(target.get("kind") == Kind.MULTI_LABEL for target in record.targets)
        return cls(
            id=name,
            created=record.created_at,
            owned_by=record.created_by or "tamis",
            capabilities=Capabilities(classification=True, moderation=flags),
            type="fine-tuned",
            name=name,
            description=record.description or record.title,
            max_context_length=context_of(record),
            aliases=list(aliases),
            job=record.job_id or "",
            root=record.root,
            archived=record.archived,
            endpoints=["classify"],
            finetuned=True,
            context_length=context_of(record),
        )

    @classmethod
    def of_base(cls, base: Base) -> Card:
        """Return a base model's card."""
        return cls(
            id=base.name,
            created=0,
            owned_by="tamis",
            capabilities=Capabilities(fine_tuning=True),
            type="base",
            name=base.name,
            description=None if base.card is None else base.card.title,
            aliases=[],
            job=None,
            root=None,
            archived=False,
            endpoints=[],
            finetuned=False,
        )


class CardList(BaseModel):
    """All models, under the name that each SDK looks for."""

    object: Literal["list"] = "list"
    data: list[Card]
    models: list[Card]
    next_page_token: str | None = None


class DeletedModel(BaseModel):
    """What a deletion answers."""

    id: str = Field(examples=["ft:classifier:ministral-3b-latest:8e27a1b3:20250416:db22a1b3"])
    object: Literal["model"] = "model"
    deleted: bool = True


@router.get("", summary="List models", response_model=CardList)
def list_models(  # noqa: PLR0913  the query's parameters
    request: Request,
    page_size: Annotated[int | None, Query(ge=0, le=1000)] = None,
    page_token: Annotated[str | None, Query(max_length=32)] = None,
    endpoint: str | None = None,
    default_only: bool = False,
    provider: Annotated[str | None, Query(max_length=1000, description="who owns them: `owned_by`")] = None,
    model: Annotated[str | None, Query(max_length=1000, description="the one of this name, whichever of its")] = None,
) -> Response:
    """Return the fine-tuned models, the newest first, then the base models; all of them unless `page_size` is given."""
    models = workspace_of(request).models
    cards = _cards(models) if not model else _cards_of(models, model)
    cards = [card for card in cards if endpoint is None or endpoint in card.endpoints]
    if provider:
        cards = [card for card in cards if card.owned_by == provider]
    if default_only:
        cards = [card for card in cards if endpoint in card.default_endpoints]
    start = _start(page_token)
    shown = cards[start : start + page_size] if page_size else cards[start:]
    rest = start + len(shown) < len(cards)
    return answer(CardList(data=shown, models=shown, next_page_token=str(start + len(shown)) if rest else None))


@router.get("/{model_id}", summary="Retrieve a model", response_model=Card)
def retrieve(request: Request, model_id: str) -> Response:
    """Return a model by any of its names."""
    return answer(_card(workspace_of(request).models, model_id))


@router.delete("/{model_id}", summary="Delete a model", response_model=DeletedModel)
def delete(request: Request, model_id: str) -> Response:
    """Delete a fine-tuned model that no alias points at."""
    models = workspace_of(request).models
    if _base(models, model_id):
        message = f"{model_id} is a base model: only fine-tuned ones can be deleted."
        raise InvalidRequest(message, loc=["path", "model_id"])
    models.delete(model_id)
    return answer(DeletedModel(id=model_id))


def _cards(models: Models) -> list[Card]:
    tuned = [Card.of(record, models.aliases(record.id)) for record in models.list()]
    return tuned + [Card.of_base(base) for base in models.bases()]


def _cards_of(models: Models, name: str) -> list[Card]:
    try:
        return [_card(models, name)]
    except UnknownModel:
        return []


def _card(models: Models, name: str) -> Card:
    if base := _base(models, name):
        return Card.of_base(base)
    record = models.find(name)
    return Card.of(record, models.aliases(record.id))


def _base(models: Models, name: str) -> Base | None:
    return next((base for base in models.bases() if base.name == name), None)


def _start(page_token: str | None) -> int:
    if not page_token:
        return 0
    if not page_token.isascii() or not page_token.isdigit():
        raise InvalidRequest("The page token is none that this server gave.", loc=["query", "page_token"])
    return int(page_token)
