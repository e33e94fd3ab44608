"""`/v1/tamis/models/{model}/thresholds`: what thresholds give, and other ones for a purpose, without training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from tamis.web.routing import JsonRoute, answer, caller_of, workspace_of
from tamis.workspace.thresholds import NewThresholds

if TYPE_CHECKING:
    from tamis.store.records import ModelRecord
    from tamis.workspace.thresholds import Told

router = APIRouter(prefix="/v1/tamis/models", tags=["Models"], route_class=JsonRoute)

MOST = 20_000

Loss = Annotated[float, Field(ge=0, le=0.5, strict=True)]


class ThresholdsRequest(BaseModel):
    """What thresholds are to be for."""

    model_config = ConfigDict(extra="forbid")

    optimise: list[Annotated[str, Field(max_length=2000)]] | str = Field(
        default=[],
        max_length=MOST,
        description="f1, micro-f1, macro-f1, precision>=0.95, recall>=0.9, cost:fp=1,fn=5; of a label: LABEL=OBJECTIVE",
        examples=["precision>=0.95"],
    )
    set: dict[str, Annotated[float, Field(ge=0, le=1, strict=True)]] = Field(
        default={}, max_length=MOST, description="thresholds by label, by hand", examples=[{"toxic": 0.4}]
    )
    shared: bool = Field(default=False, description="one threshold for all labels of a target")
    target: str | None = Field(default=None, max_length=1000, description="of this target alone")
    abstain_loss: Loss | Annotated[dict[str, Loss], Field(max_length=MOST)] | None = Field(
        default=None,
        description="the share of answers that single-label targets may leave out where they are not sure, of all or "
        "by target; 0: they always answer",
        examples=[0.05],
    )
    dry_run: bool = Field(default=False, description="only tell what would come of it")


class LabelCard(BaseModel):
    """A label at its threshold, on the rows that were counted; null: not known, or nothing to say."""

    label: str
    threshold: float
    before: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    support: int | None
    given: float | None
    asked: str | None
    kept: bool
    bound: float | None


class CurvesCard(BaseModel):
    """Precision and recall of each label at these thresholds."""

    thresholds: list[float]
    labels: dict[str, dict[str, list[float | None]]]


class TargetCard(BaseModel):
    """A target's thresholds; `not_kept`: labels of which none is known to do what was asked, with the closest."""

    rows: int
    source: Literal["held_out", "data"] | None
    figures: dict[str, float]
    figures_before: dict[str, float] | None
    labels: list[LabelCard]
    not_kept: list[str]
    curves: CurvesCard | None = None


class RuleCard(BaseModel):
    """An abstain rule on the rows that were counted; null: not known, or nothing to say."""

    loss: float
    threshold: float | None
    coverage: float | None
    accuracy: float | None
    oos_recall: float | None


class AbstainCard(RuleCard):
    """What a single-label target's abstain rule gives; `curve`: what others would, by what they cost."""

    rows: int
    source: Literal["held_out", "data"] | None
    before: RuleCard | None
    curve: list[RuleCard] | None = None


class ThresholdsCard(BaseModel):
    """A model's thresholds by target; `model` is null where nothing was made, `parent` what it was made from."""

    object: Literal["thresholds"] = "thresholds"
    model: str | None = Field(examples=["shop@2"])
    model_id: str | None
    parent: str = Field(examples=["shop@1"])
    parent_id: str
    targets: dict[str, TargetCard]
    abstain: dict[str, AbstainCard]
    remarks: list[str]

    @classmethod
    def of(cls, told: Told) -> ThresholdsCard:
        """Return it as the wire has it."""
        return cls(
            model=None if told.model is None else _name(told.model),
            model_id=None if told.model is None else told.model.id,
            parent=_name(told.parent),
            parent_id=told.parent.id,
            targets={name: TargetCard.model_validate(target) for name, target in told.targets.items()},
            abstain={name: AbstainCard.model_validate(target) for name, target in told.abstain.items()},
            remarks=list(told.remarks),
        )


@router.get("/{model}/thresholds", summary="Show what thresholds give", response_model=ThresholdsCard)
def look(request: Request, model: str, target: Annotated[str | None, Query(max_length=1000)] = None) -> Response:
    """Return the thresholds of multi-label targets, the abstain rules of the others, and what any other would give."""
    return answer(ThresholdsCard.of(workspace_of(request).thresholds.look(model, target)))


@router.post("/{model}/thresholds", summary="Choose thresholds for a purpose", response_model=ThresholdsCard)
def change(request: Request, model: str, body: ThresholdsRequest) -> Response:
    """Keep the model with other thresholds as the next version of its name, without training; aliases do not move."""
    new = NewThresholds(
        optimise=[body.optimise] if isinstance(body.optimise, str) else body.optimise,
        fixed=body.set,
        shared=body.shared,
        target=body.target,
        abstain_loss=body.abstain_loss,
    )
    made = workspace_of(request).thresholds.change(model, new, dry_run=body.dry_run, created_by=caller_of(request))
    return answer(ThresholdsCard.of(made))


def _name(record: ModelRecord) -> str:
    return f"{record.name}@{record.version}"
