"""What goes wrong, as HTTP: the only place that knows status codes, and the one error body that all SDKs read.

docs/reference/errors.md says the same for people. It does not know what the errors are about.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from tamis.errors import TamisError, UnknownModel, UpstreamFailed

STATUS: Mapping[str, int] = {
    "error": 500,
    "data_error": 422,
    "unreadable_file": 422,
    "unknown_format": 422,
    "missing_column": 422,
    "too_many_bad_rows": 422,
    "no_rows": 422,
    "nothing_to_learn": 422,
    "undeclared_label": 422,
    "invalid_setting": 422,
    "missing_extra": 501,
    "refused": 400,
    "invalid_request": 422,
    "limit_exceeded": 422,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "unknown_file": 404,
    "unknown_job": 404,
    "unknown_batch": 404,
    "unknown_dataset": 404,
    "unknown_review": 404,
    "unknown_operation": 404,
    "unknown_alias": 404,
    "unknown_share": 404,
    "unknown_key": 404,
    "conflict": 409,
    "in_use": 409,
    "alias_moved": 409,
    "similar_job": 409,
    "illegal_transition": 409,
    "too_slow": 408,
    "overloaded": 429,
    "service_failed": 503,
    "storage_failed": 503,
    "storage_full": 507,
    "upstream_failed": 502,
    "hub_failed": 502,
    "secret_unreadable": 500,
    "model_error": 500,
    "unknown_model": 404,
    "unknown_base_model": 422,
    "damaged_artifact": 500,
    "unsupported_artifact": 500,
    "golden_rows_drift": 500,
    "output_exists": 409,
    "cancelled": 409,
}
"""The status of each error code; too many *bytes* are 413."""

PLAIN: Mapping[int, int] = {409: 400, 422: 400}
"""Statuses of one hosted service that says 400 to whatever cannot be done; its SDK would send a 409 again, twice."""

TOO_LARGE = 413
UNKNOWN_AT_INFERENCE = 400
CLIENT_LEFT = 499
"""What logs and metrics call a request whose client went away; it is never sent."""

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {400: "refused", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}
_SHOWN_PROBLEMS = 20


class Detail(BaseModel):
    """One thing that is wrong, and where in the request."""

    type: str
    loc: list[str | int]
    msg: str


class Cause(BaseModel):
    """The error as OpenAI's SDK reads it."""

    message: str
    type: str
    param: str | None = None
    code: str


class Problem(BaseModel):
    """The answer to a request that failed, whatever its status."""

    object: Literal["error"] = "error"
    message: str = Field(examples=["There is no file with this id."])
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = None
    code: str = Field(examples=["unknown_file"])
    detail: list[Detail]
    error: Cause
    request_id: str


_DESCRIBED: Mapping[int, tuple[str, str, str]] = {
    400: ("Not possible, or no such model at inference", "1500", "Invalid model: ft:classifier:gone"),
    401: ("A valid API key is needed", "unauthorized", "The API key is not valid."),
    403: ("The key is not for this", "forbidden", "The key lacks the scope train."),
    404: ("No such thing", "unknown_file", "There is no file x: list the files, or upload it again."),
    408: ("The body did not come in time", "too_slow", "Nothing more of the body came for 60 seconds."),
    409: ("Not in the present state", "similar_job", "The job x is the same and is not finished yet."),
    413: ("Too many bytes", "limit_exceeded", "The file is larger than 536,870,912 bytes (max_upload_bytes)."),
    422: ("A field is not what it should be", "invalid_request", "body.input: Field required."),
    429: ("Too much at a time: see Retry-After", "overloaded", "64 requests are at work (max_concurrent_requests)."),
    500: ("The server's fault: its log has the request id", "error", "Something unexpected happened in the server."),
    502: ("The LLM endpoint failed", "upstream_failed", "The LLM endpoint answered 500: it is being restarted"),
    503: ("Database or storage cannot be used now", "storage_failed", "The database cannot be used."),
}
"""Each status: what it means, and an example's code and message."""

_log = logging.getLogger("tamis.web")


def status_of(error: TamisError) -> int:
    """Return the status of an answer that tells of the error; a code without one counts as its parent's."""
    if error.code == "limit_exceeded" and str(error.context.get("setting", "")).endswith("_bytes"):
        return TOO_LARGE
    codes = (getattr(kind, "code", "") for kind in type(error).__mro__)
    return next((STATUS[code] for code in codes if code in STATUS), 500)


def problem(error: TamisError, request_id: str = "", statuses: Mapping[int, int] | None = None) -> Response:
    """Return the answer that tells of an error raised on purpose; `statuses` are used in place of others."""
    status = status_of(error)
    status = (statuses or {}).get(status, status)
    detail = error.context.get("details")
    if detail is None and isinstance(loc := error.context.get("loc"), list):
        detail = [{"type": error.code, "loc": loc, "msg": error.for_callers}]
    headers = {}
    if status == STATUS["overloaded"]:
        headers["retry-after"] = str(error.context.get("retry_after", 1))
    if status == STATUS["unauthorized"]:
        headers["www-authenticate"] = "Bearer"
    return _answer(status, body(status, error.for_callers, error.code, request_id, _listed(detail)), headers)


def unknown_model(model: str, request_id: str = "") -> Response:
    """Return the hosted service's answer to inference with a model that is not there: 400, not 404."""
    content = body(UNKNOWN_AT_INFERENCE, f"Invalid model: {model[:200]}", UnknownModel.code, request_id)
    content |= {"type": "invalid_model", "code": "1500"}
    return _answer(UNKNOWN_AT_INFERENCE, content)


def invalid(problems: Sequence[Mapping[str, Any]], request_id: str = "", status: int = 422) -> Response:
    """Return the answer to a request whose fields are not what they should be, without what was sent.

    Args:
        problems: as pydantic lists them, at least one.
        request_id: of the request.
        status: of the answer.
    """
    detail = [
        {"type": found["type"], "loc": list(found["loc"]), "msg": found["msg"]} for found in problems[:_SHOWN_PROBLEMS]
    ]
    first = detail[0]
    message = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    more = len(problems) - 1
    message += f" (and {more} more)" if more else ""
    return _answer(status, body(status, message, "invalid_request", request_id, detail))


def upstream_problem(status: int, said: str, request_id: str, headers: Mapping[str, str]) -> Response:
    """Return what the LLM endpoint refused, with its status; that *our* key is none to it is not the caller's fault."""
    told = 502 if status < 400 or status in (401, 403) else status
    content = body(told, f"The LLM endpoint answered {status}: {said}", UpstreamFailed.code, request_id)
    kept = {name: headers[name] for name in ("retry-after",) if name in headers}
    return _answer(told, content, kept)


def failure(error: TamisError, request_id: str, statuses: Mapping[int, int] | None = None) -> Response:
    """Return the answer to a request that a route gave up, and log what is the server's fault."""
    status = status_of(error)
    if status >= 500:
        _log.error("%s: %s", error.code, error, exc_info=error, extra={"request_id": request_id})
    if status == STATUS["error"] and error.code in ("error", "secret_unreadable"):
        return unexpected(request_id)
    return problem(error, request_id, statuses)


def unexpected(request_id: str = "") -> Response:
    """Return the answer where Tamis itself is at fault: it says nothing but where to look."""
    message = f"Something unexpected happened in the server. Its log has the details under request id {request_id}."
    return _answer(500, body(500, message, "error", request_id))


def body(
    status: int, message: str, code: str, request_id: str, detail: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the error body that mistralai, cohere and openai parse; `detail` is a list whatever the status."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {
        "object": "error",
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
        "detail": detail or [{"type": code, "loc": [], "msg": message}],
        "error": {"message": message, "type": kind, "param": None, "code": code},
        "request_id": request_id,
    }


def described(status: int) -> dict[str, Any]:
    """Return what OpenAPI says of a status, with an example of its body."""
    means, code, message = _DESCRIBED[status]
    example = body(status, message, code, "0d8b4c6d2b3f4d0a8f1e3c5b7a9d1e2f")
    return {"model": Problem, "description": means, "content": {"application/json": {"example": example}}}


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: described(status) for status in _DESCRIBED if status != STATUS["upstream_failed"]
}
"""What OpenAPI says of errors, for every route that asks no other service."""


def install(app: FastAPI) -> None:
    """Have the application answer its errors with the one body."""
    app.add_exception_handler(TamisError, _on_tamis_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)


def id_of(request: Request) -> str:
    """Return the request's id, as the telemetry gave it."""
    return str(request.scope.get("request_id", ""))


async def _on_tamis_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TamisError)  # what it is registered for
    return failure(error, id_of(request))


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    return invalid(error.errors() if isinstance(error, RequestValidationError) else [], id_of(request))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = {name.lower(): value for name, value in (getattr(error, "headers", None) or {}).items()}
    if status == 405:
        allowed = _methods(request)
        headers["allow"] = ", ".join(allowed)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
    messages = {
        404: f"There is nothing at {request.url.path}. See /docs for what there is.",
        405: f"{request.method} is not possible here, but {headers.get('allow', 'another method')} is.",
    }
    message = messages.get(status, str(getattr(error, "detail", error)))
    return _answer(status, body(status, message, _CODES.get(status, "refused"), id_of(request)), headers)


async def _on_disconnect(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)


def _methods(request: Request) -> list[str]:
    """Return what may be done at the request's path."""
    found = {"OPTIONS"}
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            found |= {method, "HEAD"} if method == "GET" else {method}
    return sorted(found)


def _listed(detail: object) -> list[dict[str, Any]] | None:
    return detail if isinstance(detail, list) else None


def _answer(status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content, default=str), status, dict(headers or {}), "application/json")
