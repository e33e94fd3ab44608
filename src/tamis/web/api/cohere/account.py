"""Whether a key is good, and texts as tokens."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from tamis.web.routing import PlainRoute, answer, caller_of, workspace_of

router = APIRouter(prefix="/v1", tags=["Cohere"], route_class=PlainRoute)

MOST_CHARACTERS = 65_536


class KeyCheck(BaseModel):
    """Whose key it is: one that is not good gets 401 instead."""

    valid: bool = True
    organization_id: str = Field(examples=["tamis"])
    owner_id: str = Field(examples=["anyone"])


class TokenizeIn(BaseModel):
    """A text, and whose tokens it is to be cut into."""

    text: str = Field(min_length=1, max_length=MOST_CHARACTERS, examples=["where is my parcel"])
    model: str = Field(default="english", description="any name of a model or base model")


class Tokens(BaseModel):
    """The tokens of a text."""

    tokens: list[int] = Field(examples=[[2073, 2003, 2026, 20463]])
    token_strings: list[str] = Field(examples=[["where", "is", "my", "parcel"]])
    meta: dict[str, dict[str, str]] = {"api_version": {"version": "1"}}


@router.post("/check-api-key", summary="Check a key", response_model=KeyCheck)
def check_key(request: Request) -> Response:
    """Say whose key it is; on a server without keys, every key is good."""
    return answer(KeyCheck(organization_id="tamis", owner_id=caller_of(request) or "anyone"))


@router.post("/tokenize", summary="Cut a text into tokens", response_model=Tokens)
async def tokenize(request: Request, given: TokenizeIn) -> Response:
    """Return the tokens of a text as a model's base sees them."""
    workspace = workspace_of(request)
    tokens = await workspace.answerer.aside(partial(workspace.tokenizers.tokens, given.model, given.text))
    return answer(Tokens(tokens=[token for token, _ in tokens], token_strings=[string for _, string in tokens]))
