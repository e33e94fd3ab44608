"""Classification as gateways ask for it that know vLLM's `/classify` or text-embeddings-inference's `/predict`.

https://docs.vllm.ai (Classification API) and https://huggingface.github.io/text-embeddings-inference say what they look
like. Either answers with the model in the path (`/models/{model}/...`, so that the base URL of a gateway can name it),
in the body, or with the one that the operator chose.
"""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from tamis.endpoints import refuse_beyond
from tamis.errors import InvalidRequest
from tamis.schema import Input
from tamis.web.routing import JsonRoute, answer_json, workspace_of

if TYPE_CHECKING:
    from tamis.workspace.verdicts import Verdicts

router = APIRouter(tags=["Gateways"], route_class=JsonRoute)

DIGITS = 8
Texts = Annotated[list[str], Field(fail_fast=True)]


class VllmIn(BaseModel):
    """One text or several, as vLLM takes them; other fields of its requests are of no use here."""

    model: str | None = Field(default=None, examples=["shop@2"])
    input: str | Texts = Field(examples=[["where is my parcel", "cancel my order"]])


class VllmClass(BaseModel):
    """The label with the highest probability, and those of all labels in the order of the model's labels."""

    index: int
    label: str = Field(examples=["delivery"])
    probs: list[float] = Field(examples=[[0.97, 0.03]])
    num_classes: int = Field(examples=[2])


class VllmUsage(BaseModel):
    """Tokens are not counted."""

    prompt_tokens: int = 0
    total_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: None = None


class VllmOut(BaseModel):
    """One entry an input, in their order."""

    id: str
    object: Literal["list"] = "list"
    created: int
    model: str = Field(examples=["shop@2"])
    data: list[VllmClass]
    usage: VllmUsage


class TeiIn(BaseModel):
    """One text, or a batch of lists of one text each."""

    inputs: str | Texts | Annotated[list[Texts], Field(fail_fast=True)] = Field(examples=["where is my parcel"])
    raw_scores: bool = Field(default=False, description="not possible here: scores are calibrated probabilities")
    truncate: bool | None = Field(default=None, description="of no effect")


class TeiClass(BaseModel):
    """A label and its score."""

    label: str = Field(examples=["delivery"])
    score: float = Field(examples=[0.97])


@router.post("/classify", summary="Classify texts as vLLM does", response_model=VllmOut)
async def classify(request: Request, given: VllmIn) -> Response:
    """Answer with the model that the request names, or that of the setting `TAMIS_DEFAULT_MODEL`."""
    return await _vllm(request, given, _model(request, given.model))


@router.post(
    "/models/{model_id}/classify", summary="Classify texts as vLLM does, with this model", response_model=VllmOut
)
async def classify_with(request: Request, given: VllmIn, model_id: str) -> Response:
    """Answer with the model of the path, whatever the body names."""
    return await _vllm(request, given, model_id)


@router.post(
    "/predict",
    summary="Classify texts as text-embeddings-inference does",
    response_model=list[TeiClass] | list[list[TeiClass]],
)
async def predict(request: Request, given: TeiIn) -> Response:
    """Answer with the model of the setting `TAMIS_DEFAULT_MODEL`."""
    return await _tei(request, given, _model(request, None))


@router.post(
    "/models/{model_id}/predict",
    summary="Classify texts as text-embeddings-inference does, with this model",
    response_model=list[TeiClass] | list[list[TeiClass]],
)
async def predict_with(request: Request, given: TeiIn, model_id: str) -> Response:
    """Answer with the model of the path."""
    return await _tei(request, given, model_id)


def _model(request: Request, named: str | None) -> str:
    model: str = named or request.app.state.settings.default_model
    if not model:
        raise InvalidRequest(
            "body.model: name a model, or put it in the path (/models/NAME/...); the setting TAMIS_DEFAULT_MODEL, "
            "which would stand in, is empty.",
            loc=["body", "model"],
        )
    return model


async def _vllm(request: Request, given: VllmIn, model: str) -> Response:
    def said(found: Verdicts) -> object:
        best = found.scores.argmax(axis=1).tolist()
        data = [
            {"index": index, "label": found.names[place], "probs": row, "num_classes": len(row)}
            for index, (place, row) in enumerate(zip(best, found.rounded(DIGITS), strict=True))
        ]
        return {
            "id": f"classify-{uuid4().hex}",
            "object": "list",
            "created": int(time()),
            "model": model,
            "data": data,
            "usage": VllmUsage().model_dump(),
        }

    return await _answered(
        request, model, [given.input] if isinstance(given.input, str) else given.input, "input", said
    )


async def _tei(request: Request, given: TeiIn, model: str) -> Response:
    if given.raw_scores:
        raise InvalidRequest(
            "body.raw_scores: there are only calibrated probabilities: leave it out.", loc=["body", "raw_scores"]
        )
    batch = isinstance(given.inputs, list) and bool(given.inputs) and isinstance(given.inputs[0], list)

    def said(found: Verdicts) -> object:
        answers = [
            [
                {"label": found.names[place], "score": row[place]}
                for place in sorted(range(len(row)), key=lambda at: -row[at])
            ]
            for row in found.rounded(DIGITS)
        ]
        return answers if batch else answers[0]

    return await _answered(request, model, _texts(given.inputs), "inputs", said)


def _texts(given: str | list[str] | list[list[str]]) -> list[str]:
    """Return the texts: a list of two texts is a *pair* there, which no model here reads."""
    if isinstance(given, str):
        return [given]
    flat = [given] if not given or isinstance(given[0], str) else given
    for place, one in enumerate(flat):
        if len(one) != 1:
            raise InvalidRequest(
                f"body.inputs.{place}: {len(one)} texts that belong together; the models here read one. Write one text "
                'as a string, several as [["first"], ["second"]].',
                loc=["body", "inputs", place],
            )
    return [str(one[0]) for one in flat]


async def _answered(
    request: Request, model: str, texts: list[str], field: str, said: Callable[[Verdicts], object]
) -> Response:
    """Answer with what is said of the verdicts: large answers are written aside, too."""
    inputs: list[Input] = [*texts]
    refuse_beyond(inputs, request.app.state.input_limits, field)
    asked = workspace_of(request).answerer.ask
    return await asked(model, inputs, lambda served: answer_json(said(served.verdicts(inputs))))
