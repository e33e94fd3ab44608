"""`/v1/tamis/aliases`: names for models that are moved, promoted, rolled back, each move in their history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from tamis.web.routing import JsonRoute, answer, caller_of, unless_left, workspace_of
from tamis.workspace.promotions import Asked, name_of

if TYPE_CHECKING:
    from tamis.store.records import AliasMove
    from tamis.workspace.aliases import Alias, History
    from tamis.workspace.promotions import Outcome

router = APIRouter(prefix="/v1/tamis/aliases", tags=["Aliases"], route_class=JsonRoute)

MODEL = "ft:classifier:ministral-3b-latest:8e27a1b3:20250416:db22a1b3"
Why = Literal["set", "promote", "roll back", "drop"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AliasRequest(_Body):
    """Where an alias is to point: any of a model's names."""

    model: str = Field(max_length=1000, examples=[MODEL])


class PromotionRequest(_Body):
    """The candidate, an uploaded file of labelled rows, and what must hold."""

    model: str = Field(max_length=1000, examples=[MODEL])
    file: str = Field(max_length=200, examples=["5f0c2d5e-7a9b-4a53-9c3c-0f6f8e1c2b3a"])
    conditions: list[Annotated[str, Field(max_length=2000)]] = Field(
        min_length=1, max_length=100, examples=[["accuracy >= current - 0.5pp"]]
    )
    first: bool = False
    allow_label_changes: bool = False
    allow_unmeasured: bool = False
    dry_run: bool = False
    max_bad_share: float = 0.0


class AliasCard(BaseModel):
    """An alias, and its last move; `number` 0 and nulls: it was made before moves were noted."""

    object: Literal["alias"] = "alias"
    alias: str = Field(examples=["production"])
    model: str = Field(examples=[MODEL])
    model_id: str
    number: int = Field(examples=[3])
    why: Why | None
    moved_at: int | None
    moved_by: str | None

    @classmethod
    def of(cls, alias: Alias) -> AliasCard:
        """Return what is told of an alias."""
        last = alias.last
        return cls(
            alias=alias.name,
            model=name_of(alias.model),
            model_id=alias.model.id,
            number=0 if last is None else last.number,
            why=None if last is None else last.why,  # type: ignore[arg-type]
            moved_at=None if last is None else last.moved_at,
            moved_by=None if last is None else last.moved_by,
        )


class AliasList(BaseModel):
    """All aliases, by name."""

    object: Literal["list"] = "list"
    data: list[AliasCard]


class EndCard(BaseModel):
    """A model that an alias moved from or to, as it was called then, and whether it was deleted since."""

    model: str | None
    model_id: str
    gone: bool


class MoveCard(BaseModel):
    """A move of an alias; from or to null: from or to nothing. `figures` is what a promotion measured."""

    number: int
    why: Why
    from_model: EndCard | None
    to_model: EndCard | None
    moved_at: int
    moved_by: str | None
    figures: dict[str, Any] | None

    @classmethod
    def of(cls, move: AliasMove, history: History) -> MoveCard:
        """Return a move of a history."""
        return cls(
            number=move.number,
            why=move.why,  # type: ignore[arg-type]
            from_model=_end(move.from_id, move.from_name, history),
            to_model=_end(move.to_id, move.to_name, history),
            moved_at=move.moved_at,
            moved_by=move.moved_by,
            figures=move.figures or None,
        )


class HistoryCard(BaseModel):
    """A page of the moves of an alias, the newest first."""

    object: Literal["list"] = "list"
    alias: str = Field(examples=["production"])
    data: list[MoveCard]
    total: int


class PromotionCard(BaseModel):
    """What came of a promotion: `report` has the figures and the conditions, null where nothing was measured."""

    object: Literal["promotion"] = "promotion"
    alias: str = Field(examples=["production"])
    candidate: str = Field(examples=[MODEL])
    former: str | None = Field(examples=["shop@1"])
    passed: bool
    moved: bool
    why: str
    report: dict[str, Any] | None

    @classmethod
    def of(cls, outcome: Outcome) -> PromotionCard:
        """Return what is told of it."""
        return cls(
            alias=outcome.alias,
            candidate=name_of(outcome.candidate),
            former=None if outcome.former is None else name_of(outcome.former),
            passed=outcome.passed,
            moved=outcome.moved,
            why=outcome.why,
            report=None if outcome.report is None else outcome.report.model_dump(mode="json"),
        )


class DroppedAlias(BaseModel):
    """What dropping an alias answers."""

    object: Literal["alias"] = "alias"
    alias: str = Field(examples=["production"])
    deleted: bool = True


@router.get("", summary="List aliases", response_model=AliasList)
def list_aliases(request: Request) -> Response:
    """Return what each alias points at, and its last move."""
    return answer(AliasList(data=[AliasCard.of(alias) for alias in workspace_of(request).aliases.list()]))


@router.get("/{alias}", summary="Retrieve an alias", response_model=AliasCard)
def retrieve(request: Request, alias: str) -> Response:
    """Return what an alias points at, and its last move."""
    return answer(AliasCard.of(workspace_of(request).aliases.get(alias)))


@router.get("/{alias}/history", summary="Retrieve the history of an alias", response_model=HistoryCard)
def history(
    request: Request,
    alias: str,
    page: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Return the moves of an alias, the newest first, also of one that was dropped."""
    found = workspace_of(request).aliases.history(alias, page, page_size)
    data = [MoveCard.of(move, found) for move in found.moves]
    return answer(HistoryCard(alias=alias, data=data, total=found.total))


@router.put("/{alias}", summary="Point an alias at a model", response_model=AliasCard)
def point(request: Request, alias: str, body: AliasRequest) -> Response:
    """Point an alias, new or not, at a model. No request that names the alias fails meanwhile."""
    return answer(AliasCard.of(workspace_of(request).aliases.set(alias, body.model, by=caller_of(request))))


@router.delete("/{alias}", summary="Drop an alias", response_model=DroppedAlias)
def drop(request: Request, alias: str) -> Response:
    """Delete an alias; its model and its history stay, and rolling back brings it back."""
    workspace_of(request).aliases.drop(alias, by=caller_of(request))
    return answer(DroppedAlias(alias=alias))


@router.post("/{alias}/rollback", summary="Roll an alias back", response_model=AliasCard)
def roll_back(request: Request, alias: str) -> Response:
    """Point an alias at the model before; again, at the one before that. A dropped alias comes back."""
    return answer(AliasCard.of(workspace_of(request).aliases.roll_back(alias, by=caller_of(request))))


@router.post("/{alias}/promote", summary="Promote a model", response_model=PromotionCard)
def promote(request: Request, alias: str, body: PromotionRequest) -> Response:
    """Measure a model against the one behind the alias on the same rows, and move the alias if all conditions hold."""
    asked = Asked(
        alias=alias,
        model=body.model,
        conditions=body.conditions,
        data=body.file,
        first=body.first,
        allow_label_changes=body.allow_label_changes,
        allow_unmeasured=body.allow_unmeasured,
        dry_run=body.dry_run,
        by=caller_of(request),
    )
    promotions = workspace_of(request).promotions
    return answer(
        PromotionCard.of(promotions.promote_by_file(asked, body.file, body.max_bad_share, unless_left(request)))
    )


def _end(model_id: str | None, name: str | None, history: History) -> EndCard | None:
    return None if model_id is None else EndCard(model=name, model_id=model_id, gone=model_id in history.gone)
