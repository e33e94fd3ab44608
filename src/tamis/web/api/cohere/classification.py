"""Classify: with a tuned model, or with a few labelled examples and no model at all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tamis.endpoints import InputLimits, refuse_beyond
from tamis.errors import InvalidRequest, UnknownModel
from tamis.schema import Ending, Input
from tamis.web.routing import PlainRoute, answer_json, workspace_of

if TYPE_CHECKING:
    from tamis.workspace.verdicts import Verdicts
    from tamis.workspace.workspace import Workspace

router = APIRouter(tags=["Cohere"], route_class=PlainRoute)

MOST_INPUTS = 96
"""Inputs of a call, as the SDK's users know it: their batches are made for it."""

DIGITS = 8
TUNED = "-ft"

_EXAMPLE: JsonValue = {"model": "b2c94ac3-7a74-4de7-a11a-9808a3b8ef59-ft", "inputs": ["where is my parcel"]}


class LabelledText(BaseModel):
    """An example: both are needed."""

    text: str | None = None
    label: str | None = None


class ClassifyIn(BaseModel):
    """What is to be classified, and by what: a model, or examples."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    inputs: Annotated[list[str], Field(fail_fast=True)]
    model: str | None = Field(default=None, description="any name of a model, `<id>-ft` among them")
    examples: Annotated[list[LabelledText], Field(fail_fast=True)] | None = None
    preset: str | None = Field(default=None, description="not possible here")
    truncate: Literal["NONE", "START", "END"] | None = Field(
        default="END",
        description="what is left out of a text that is longer than the model reads: its start or end; NONE refuses "
        "such a text. Static models read texts whole",
    )


class LabelConfidence(BaseModel):
    """A label's score."""

    confidence: float = Field(examples=[0.97])


class Classified(BaseModel):
    """What is said of an input; `prediction` and `confidence` are null where an input may have several labels."""

    id: str
    input: str = Field(examples=["where is my parcel"])
    prediction: str | None = Field(examples=["delivery"])
    predictions: list[str] = Field(examples=[["delivery"]])
    confidence: float | None = Field(examples=[0.97])
    confidences: list[float] = Field(examples=[[0.97]])
    labels: dict[str, LabelConfidence] = Field(
        examples=[{"delivery": {"confidence": 0.97}, "payment": {"confidence": 0.03}}]
    )
    classification_type: Literal["single-label", "multi-label"]


class Classifications(BaseModel):
    """One classification an input, in their order."""

    id: str
    classifications: list[Classified]
    meta: dict[str, JsonValue] = Field(
        examples=[{"api_version": {"version": "1"}, "billed_units": {"classifications": 1}}]
    )


@router.post("/v1/classify", summary="Classify texts", response_model=Classifications)
async def classify(request: Request, given: ClassifyIn) -> Response:
    """Classify texts with a tuned model, or after a few labelled examples with no model but the base.

    A single-label model always names its best label, whatever its score.
    """
    _check(given, request.app.state.input_limits)
    workspace = workspace_of(request)
    inputs: list[Input] = [*(map(Ending, given.inputs) if given.truncate == "START" else given.inputs)]
    if given.examples and workspace.few_shot.is_for(given.model):
        examples = [(example.text, example.label) for example in given.examples]
        work = partial(workspace.few_shot.verdicts, examples, given.inputs, given.model)
        return await workspace.answerer.aside(lambda: answer_json(_classified(given.inputs, work())))
    model = _model(given)
    try:
        if given.truncate == "NONE":
            await workspace.answerer.aside(partial(_refuse_cut, workspace, model, inputs))
        return await workspace.answerer.ask(
            model, inputs, lambda served: answer_json(_classified(given.inputs, served.verdicts(inputs)))
        )
    except UnknownModel as error:
        await workspace.answerer.aside(partial(_explain, workspace, model, error))
        raise


def _check(given: ClassifyIn, limits: InputLimits) -> None:
    if not given.inputs:
        raise InvalidRequest("body.inputs: the list is empty: give at least one text.", loc=["body", "inputs"])
    if len(given.inputs) > MOST_INPUTS:
        raise InvalidRequest(
            f"body.inputs: {len(given.inputs):,} inputs, and {MOST_INPUTS} are allowed: send several batches.",
            loc=["body", "inputs"],
        )
    for place, text in enumerate(given.inputs):
        if not text.strip():
            raise InvalidRequest(
                f"body.inputs.{place}: the text at index {place} is empty: leave it out.", loc=["body", "inputs", place]
            )
    refuse_beyond([*given.inputs], limits, "inputs")
    if given.preset is not None:
        raise InvalidRequest("body.preset: there are no presets here: name a model.", loc=["body", "preset"])


def _model(given: ClassifyIn) -> str:
    """Return the model that is to answer."""
    if given.model is None:
        raise InvalidRequest(
            "body.model: name a model (`co.models.list(endpoint='classify')` lists them), or give examples.",
            loc=["body", "model"],
        )
    if given.examples:
        raise InvalidRequest(
            f"body.examples: {given.model[:200]} is a tuned model, or none that is here, and takes no examples: leave "
            "out either.",
            loc=["body", "examples"],
        )
    return given.model


def _refuse_cut(workspace: Workspace, model: str, inputs: list[Input]) -> None:
    """Refuse texts of which the model would read only a part.

    Raises:
        InvalidRequest: there is one.
    """
    if cut := workspace.classifier.served(model).too_long(inputs):
        raise InvalidRequest(
            f"body.inputs.{cut[0]}: the text at index {cut[0]} is longer than the model reads, and truncate is NONE: "
            "shorten it, or send truncate START or END.",
            loc=["body", "inputs", cut[0]],
        )


def _explain(workspace: Workspace, model: str, error: UnknownModel) -> None:
    """Raise what says more than that the model is not there, if there is more to say.

    Raises:
        InvalidRequest: it is being trained, is a base model, or the name cannot be that of a tuned model.
        UnknownModel: it is archived.
    """
    if workspace.few_shot.is_for(model):
        raise InvalidRequest(
            f"body.examples: {model[:200]} is a base model: give examples, or name a tuned model.",
            loc=["body", "examples"],
        ) from None
    plain = model.removesuffix(TUNED)
    if plain == model:
        return
    try:
        UUID(plain)
    except ValueError:
        raise InvalidRequest(
            f"body.model: {model[:200]!r} is not a tuned model's id: that is a UUID followed by {TUNED}.",
            loc=["body", "model"],
        ) from None
    if status := workspace.tuning.unready(plain):
        raise InvalidRequest(
            f"body.model: {model} cannot answer: it is {status}. Wait until it is STATUS_READY.", loc=["body", "model"]
        ) from error


def _classified(inputs: list[str], found: Verdicts) -> dict[str, object]:
    kind = "single-label" if found.one else "multi-label"
    rows = zip(inputs, found.rounded(DIGITS), found.given, strict=True)
    return {
        "id": str(uuid4()),
        "classifications": [_one(text, row, given, found, kind) for text, row, given in rows],
        "meta": {"api_version": {"version": "1"}, "billed_units": {"classifications": len(inputs)}},
    }


def _one(text: str, row: list[float], given: list[int], found: Verdicts, kind: str) -> dict[str, object]:
    names, scores = [found.names[place] for place in given], [row[place] for place in given]
    return {
        "id": str(uuid4()),
        "input": text,
        "prediction": names[0] if found.one else None,
        "predictions": names,
        "confidence": scores[0] if found.one else None,
        "confidences": scores,
        "labels": {name: {"confidence": score} for name, score in zip(found.names, row, strict=True)},
        "classification_type": kind,
    }
