"""Chat completions, passed through to the LLM endpoint that the operator configured.

What the caller sends goes on as it is but for the model's name; the caller's key stays here. What comes back is
relayed, streams piece by piece; when the caller leaves, the endpoint is let go.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from tamis.errors import InvalidRequest, InvalidSetting, UpstreamFailed
from tamis.labelers.endpoint import chat_url
from tamis.settings import Settings
from tamis.web.problems import described, id_of, upstream_problem
from tamis.web.routing import JSON, RawRoute, body_docs

router = APIRouter(tags=["Chat"], route_class=RawRoute)

PATH = "/v1/chat/completions"
MOST_ERROR_BYTES = 64 * 1024
CONNECT_S = 10.0

_ANSWER = {
    "id": "cmpl-5f0b7a5e",
    "object": "chat.completion",
    "created": 1744814706,
    "model": "mistral-small-latest",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
}

_log = logging.getLogger("tamis.web")


class ChatRequest(BaseModel):
    """What the LLM endpoint takes; only these fields are looked at here."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(min_length=1, max_length=512, examples=["mistral-small-latest"])
    messages: list[dict[str, Any]] = Field(min_length=1, examples=[[{"role": "user", "content": "Hello!"}]])
    stream: bool | None = False


@router.post(
    PATH,
    summary="Complete a chat",
    response_class=Response,
    responses={
        200: {
            "content": {
                JSON: {"schema": {"type": "object"}, "example": _ANSWER},
                "text/event-stream": {"schema": {"type": "string"}, "example": "data: {...}\n\ndata: [DONE]\n\n"},
            },
            "description": "What the LLM endpoint answers",
        },
        502: described(502),
    },
    openapi_extra=body_docs(
        ChatRequest, one={"model": "mistral-small-latest", "messages": [{"role": "user", "content": "Hello!"}]}
    ),
)
async def complete(request: Request) -> Response:
    """Pass a chat to the configured LLM, and its answer back, streamed where that was asked for."""
    settings: Settings = request.app.state.settings
    body = _read(await request.body())
    if not settings.llm_base_url:
        message = (
            "This server has no LLM to pass the chat to: the operator sets TAMIS_LLM_BASE_URL to an OpenAI-compatible "
            "endpoint (and TAMIS_LLM_API_KEY where it needs a key)."
        )
        raise InvalidSetting(message, setting="llm_base_url")
    body["model"] = settings.llm_models.get(body["model"], body["model"])
    client: httpx.AsyncClient = request.app.state.llm
    outgoing = client.build_request(
        "POST",
        chat_url(settings.llm_base_url),
        content=orjson.dumps(body),
        headers=_headers(settings, streams=bool(body.get("stream"))),
        timeout=httpx.Timeout(settings.request_timeout_s, connect=min(CONNECT_S, settings.request_timeout_s)),
    )
    try:
        incoming = await client.send(outgoing, stream=True)
    except httpx.HTTPError as error:
        raise _failed(error) from error
    return await _relayed(request, incoming)


def _read(content: bytes) -> dict[str, Any]:
    """Return the body as it came, once it is sure that it is a chat."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not JSON: {error}.", loc=["body"]) from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body is not a JSON object.", loc=["body"])
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise InvalidRequest("body.model: name a model of the LLM endpoint.", loc=["body", "model"])
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise InvalidRequest("body.messages: give at least one message.", loc=["body", "messages"])
    return body


def _headers(settings: Settings, *, streams: bool) -> dict[str, str]:
    headers = {"content-type": JSON, "accept": "text/event-stream" if streams else JSON, "user-agent": "tamis"}
    if key := settings.llm_api_key.get_secret_value():
        headers["authorization"] = f"Bearer {key}"
    return headers


async def _relayed(request: Request, incoming: httpx.Response) -> Response:
    kind = incoming.headers.get("content-type", JSON)
    if incoming.status_code >= 300:
        try:
            said = await _error_text(incoming)
            if key := request.app.state.settings.llm_api_key.get_secret_value():
                said = said.replace(key, "***")  # some repeat a key that they refuse
            return upstream_problem(incoming.status_code, said, id_of(request), incoming.headers)
        finally:
            await incoming.aclose()
    if kind.startswith("text/event-stream"):
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        return StreamingResponse(
            _pieces(incoming), 200, headers, media_type=kind, background=BackgroundTask(incoming.aclose)
        )
    try:
        return Response(await incoming.aread(), media_type=kind)
    except httpx.HTTPError as error:
        raise _failed(error) from error
    finally:
        await incoming.aclose()


async def _pieces(incoming: httpx.Response) -> AsyncIterator[bytes]:
    """Yield a stream as it comes; one that breaks off ends with an error event, since its status is long sent."""
    try:
        async for piece in incoming.aiter_bytes():
            yield piece
    except httpx.HTTPError as error:
        _log.warning("the LLM endpoint broke off: %s", type(error).__name__)
        message = "The LLM endpoint broke off its answer."
        event = {"object": "error", "message": message, "error": {"message": message, "code": UpstreamFailed.code}}
        yield b"data: " + orjson.dumps(event) + b"\n\n"
    finally:
        await incoming.aclose()


async def _error_text(incoming: httpx.Response) -> str:
    """Return what the endpoint says of its refusal: the message in its JSON, or the beginning of its text."""
    content = b""
    try:
        async for piece in incoming.aiter_bytes():
            content += piece
            if len(content) > MOST_ERROR_BYTES:
                break
        said = orjson.loads(content)
    except (httpx.HTTPError, orjson.JSONDecodeError):
        return content[:500].decode("utf-8", "replace")
    error = said.get("error", said) if isinstance(said, dict) else said
    message = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return message if isinstance(message, str) else orjson.dumps(message).decode()[:2000]


def _failed(error: httpx.HTTPError) -> UpstreamFailed:
    why = "took too long" if isinstance(error, httpx.TimeoutException) else f"failed ({type(error).__name__})"
    return UpstreamFailed(f"The LLM endpoint {why}. The setting TAMIS_LLM_BASE_URL says where it is.")
