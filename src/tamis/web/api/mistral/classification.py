"""Classification of texts and chats: the scores of every label, for every target."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from tamis.endpoints import CHAT_CLASSIFICATIONS, CLASSIFICATIONS, ChatBody, TextBody
from tamis.web.inference import infer
from tamis.web.routing import HotRoute, body_docs

router = APIRouter(tags=["Classification"], route_class=HotRoute)

_MODEL = "ft:classifier:ministral-3b-latest:8e27a1b3:20250416:db22a1b3"


class TargetScores(BaseModel):
    """The scores of a target's labels, and whether the model would rather say that none applies.

    `abstained` and `evidence`, by which it decides, are there for targets that may abstain.
    """

    scores: dict[str, float] = Field(examples=[{"delivery": 0.93, "payment": 0.07}])
    abstained: bool | None = Field(default=None, examples=[False])
    evidence: float | None = Field(default=None, examples=[4.12])


class ExplainedPiece(BaseModel):
    """A word, or neighbouring words: `text` is from `start` to before `end` of the text, or of a chat's `message`."""

    text: str
    message: int | None = None
    start: int
    end: int
    weight: float = Field(description="what the log-odds of the label's score lose without it")
    score_without: float = Field(description="the label's score without it")


class ExplainedLabel(BaseModel):
    """What moves the score of a label, the strongest first."""

    label: str
    given: bool
    score: float
    score_of_nothing: float = Field(description="its score for an empty input")
    pieces: list[ExplainedPiece]


class ExplainedInput(BaseModel):
    """The labels that the model gives, or where it gives none the first, by target; what else is to be known."""

    targets: dict[str, list[ExplainedLabel]]
    notes: list[str]


class Classification(BaseModel):
    """One result an input, in their order."""

    id: str = Field(examples=["a46a4a5b2b1e4d3c9f6e7d8c9b0a1f2e"])
    model: str = Field(examples=[_MODEL])
    results: list[dict[str, TargetScores]]
    explanations: list[ExplainedInput] | None = Field(default=None, description="where the request says `explain`")


@router.post(
    CLASSIFICATIONS,
    summary="Classify texts",
    response_model=Classification,
    openapi_extra=body_docs(
        TextBody,
        one={"model": _MODEL, "input": "Where is my parcel?"},
        several={"model": "shop@2", "input": ["Where is my parcel?", "Cancel my order"]},
        explained={"model": "shop@2", "input": "Where is my parcel?", "explain": {"top": 3}},
    ),
)
async def classify(request: Request) -> Response:
    """Return the scores of one text, or of many; with `explain`, which of a few texts' words move them most."""
    return await infer(request, CLASSIFICATIONS)


@router.post(
    CHAT_CLASSIFICATIONS,
    summary="Classify chats",
    response_model=Classification,
    openapi_extra=body_docs(
        ChatBody,
        one={"model": _MODEL, "input": {"messages": [{"role": "user", "content": "Where is my parcel?"}]}},
    ),
)
async def classify_chat(request: Request) -> Response:
    """Return the scores of one chat, or of many; roles and turns matter to the model."""
    return await infer(request, CHAT_CLASSIFICATIONS)
