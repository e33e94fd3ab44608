"""What routes share: how they find the workspace, read JSON strictly, and answer it.

Cold routes are plain functions: the framework runs them in its thread pool, where the synchronous workspace belongs.
Hot ones are coroutines on `RawRoute`, which spends nothing between the socket and them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson
from anyio import from_thread, to_thread
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from tamis.endpoints import HEAVY, refuse_crowded
from tamis.errors import TamisError
from tamis.web.auth import TRAIN, is_for, require_scope
from tamis.web.limits import BodyRefused
from tamis.web.paths import HEAD_ASKED
from tamis.web.problems import PLAIN, failure, id_of, invalid
from tamis.workspace.files import BATCH

if TYPE_CHECKING:
    from tamis.workspace.workspace import Workspace

Handler = Callable[[Request], Awaitable[Response]]

JSON = "application/json"
BINARY = "application/octet-stream"
FILE_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The bytes", "content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}
}
"""What OpenAPI says of answers that are a file's content."""

BODIES: dict[str, type[BaseModel]] = {}
"""Models of the bodies that raw routes read themselves."""


class StrictRequest(Request):
    """A request whose JSON is what the standard says: no NaN, no half characters, no bottomless nesting."""

    async def json(self) -> Any:  # noqa: ANN401  whatever the client sent
        """Return the body, parsed; a large one in a thread."""
        body = await self.body()
        return orjson.loads(body) if len(body) < HEAVY else await to_thread.run_sync(orjson.loads, body)


class JsonRoute(APIRoute):
    """Reads the body before the framework does, which would call every trouble with it a bad request.

    One that is crowded with values is refused before it is parsed.
    """

    def get_route_handler(self) -> Any:  # noqa: ANN401  the framework's own signature
        """Return what handles a request."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            checked = StrictRequest(request.scope, request.receive)
            if request.method not in ("GET", "DELETE"):
                body = await checked.body()
                if len(body) >= HEAVY:
                    await to_thread.run_sync(refuse_crowded, body)
            return await handle(checked)

        return strict


class PlainUploadRoute(APIRoute):
    """Answers what cannot be done with the statuses of `problems.PLAIN`, and leaves the body to the endpoint."""

    def get_route_handler(self) -> Any:  # noqa: ANN401  the framework's own signature
        """Return what handles a request."""
        handle = super().get_route_handler()

        async def plainly(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return invalid(error.errors(), id_of(request), PLAIN[422])
            except TamisError as error:
                return failure(error, id_of(request), PLAIN)
            except BodyRefused as refused:
                refused.statuses = PLAIN
                raise

        return plainly


class PlainRoute(PlainUploadRoute, JsonRoute):
    """Answers with these statuses too, and reads JSON strictly."""


class RawRoute(APIRoute):
    """Gives the request to the endpoint as it is; its documentation comes by `openapi_extra`."""

    def get_route_handler(self) -> Any:  # noqa: ANN401  the framework's own signature
        """Return the endpoint itself."""
        return self.endpoint


class HotRoute(RawRoute):
    """A raw route that is asked so often that it is not even looked for: `inference.Shortcut` leads to it."""


def workspace_of(request: Request) -> Workspace:
    """Return the workspace that the application serves."""
    found: Workspace = request.app.state.workspace
    return found


def caller_of(request: Request) -> str | None:
    """Return the id of the caller's key, or None on a server without keys."""
    return request.scope.get("key_id")


def may_train(request: Request) -> bool:
    """Return whether the caller's key is for training; on a server without keys, all are."""
    scopes = request.scope.get("key_scopes")
    return scopes is None or is_for(scopes, TRAIN)


def require_purpose(request: Request, purpose: str) -> None:
    """Do nothing where the caller may have to do with files of this purpose: with those of batch jobs, everybody.

    Raises:
        Forbidden: they are for keys that may train.
    """
    if purpose != BATCH and not may_train(request):
        require_scope(request.scope["key_scopes"], TRAIN, f"A file whose purpose is not {BATCH}")


def unless_left(request: Request) -> Callable[[], None]:
    """Return what raises once the caller has left: for threads that do long work for one."""

    def check() -> None:
        if from_thread.run(request.is_disconnected):
            raise ClientDisconnect

    return check


def seconds_of(moment: datetime | None) -> int | None:
    """Return a moment of a query in seconds since 1970; one without a time zone is in UTC, wherever the server is."""
    if moment is None:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def answer(content: BaseModel) -> Response:
    """Return a wire model as the answer: always status 200, which is all that mistralai takes for success."""
    return Response(content.model_dump_json(), media_type=JSON)


def answer_json(content: object) -> Response:
    """Return plain data as the answer."""
    return Response(orjson.dumps(content), media_type=JSON)


def answer_file(request: Request, pieces: Iterator[bytes], name: str, size: int) -> Response:
    """Return a file's content, piece by piece; the first is read at once, so that a lost one is an error."""
    first = next(pieces, b"")
    headers = {"content-disposition": f"attachment; filename*=utf-8''{quote(name)}", "content-length": str(size)}
    if request.scope.get(HEAD_ASKED):
        return Response(b"", headers=headers, media_type=BINARY)
    return StreamingResponse(_all_of(first, pieces), headers=headers, media_type=BINARY)


def link_to_file(request: Request, file_id: str, hours: int) -> str:
    """Return a link to a file's content that works for so many hours without a key."""
    workspace = workspace_of(request)
    place = workspace.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    return f"{place}/signed/files/{quote(file_id)}?{urlencode(workspace.files.sign(file_id, hours))}"


def body_docs(model: type[BaseModel], media_type: str = JSON, **examples: object) -> dict[str, Any]:
    """Return the OpenAPI description of a body that a raw route reads itself.

    Args:
        model: of the body; `documents` adds its schema to the document, by way of `BODIES`.
        media_type: of the body.
        examples: by name.
    """
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    BODIES[model.__name__] = model
    return {"requestBody": {"required": True, "content": {media_type: content}}}


def _all_of(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    return chain((first,), rest)
