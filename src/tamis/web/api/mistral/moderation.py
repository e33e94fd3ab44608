"""Moderation by the user's own multi-label classifiers, as Mistral's and OpenAI's SDKs ask for it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from tamis.endpoints import CHAT_MODERATIONS, MODERATIONS, MessagesBody, ModerationBody
from tamis.web.inference import infer
from tamis.web.routing import HotRoute, body_docs

router = APIRouter(tags=["Moderation"], route_class=HotRoute)


class Verdict(BaseModel):
    """What is said of an input: a category is `label`, or `target/label` where several targets are multi-label."""

    flagged: bool
    categories: dict[str, bool] = Field(examples=[{"insult": True, "safe": False}])
    category_scores: dict[str, float] = Field(examples=[{"insult": 0.97, "safe": 0.02}])
    category_applied_input_types: dict[str, list[str]] = Field(examples=[{"insult": ["text"], "safe": ["text"]}])


class Moderation(BaseModel):
    """One verdict an input, in their order."""

    id: str
    model: str
    results: list[Verdict]


@router.post(
    MODERATIONS,
    summary="Moderate texts",
    response_model=Moderation,
    openapi_extra=body_docs(ModerationBody, one={"model": "moderation-prod", "input": "You are all idiots"}),
)
async def moderate(request: Request) -> Response:
    """Return which categories apply to each text: a label at or above its fitted threshold; none labels never do.

    Without `model`, or with a hosted one's name, that of the setting `TAMIS_MODERATION_MODEL` answers. A list of parts
    is one text.
    """
    return await infer(request, MODERATIONS)


@router.post(
    CHAT_MODERATIONS,
    summary="Moderate chats",
    response_model=Moderation,
    openapi_extra=body_docs(
        MessagesBody,
        one={"model": "moderation-prod", "input": [{"role": "user", "content": "You are all idiots"}]},
    ),
)
async def moderate_chat(request: Request) -> Response:
    """Return which categories apply to each chat."""
    return await infer(request, CHAT_MODERATIONS)
