"""From a request to a model's answer, with nothing in between: the hot path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from fastapi import Request, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from tamis.endpoints import CHAT_MODERATIONS, HEAVY, MODERATIONS, read_question
from tamis.errors import InvalidRequest, TamisError, UnknownModel
from tamis.settings import Settings
from tamis.web.problems import failure, id_of, unknown_model
from tamis.web.routing import JSON, HotRoute

if TYPE_CHECKING:
    from tamis.workspace.workspace import Workspace


class Shortcut:
    """Leads the busiest requests straight to their routes.

    The framework's routing and its layers of clean-up cost about as much as a short text's classification does. All
    other requests, and other methods on the same paths, go through the framework.
    """

    def __init__(self, app: ASGIApp, routes: Mapping[str, HotRoute]) -> None:
        """Stand before `app`; the routes by their paths take POST."""
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive)
        try:
            response = await route.endpoint(request)
        except TamisError as error:
            response = failure(error, id_of(request))
        await response(scope, receive, send)


def hot_routes(routes: Iterable[BaseRoute]) -> dict[str, HotRoute]:
    """Return by path those of the routes that a shortcut leads to."""
    return {route.path: route for route in routes if isinstance(route, HotRoute)}


async def infer(request: Request, endpoint: str) -> Response:
    """Answer a classification or moderation.

    Raises:
        InvalidRequest: the body is not what the endpoint takes, or no model is named.
        LimitExceeded: it holds more than a limit allows.
    """
    state = request.app.state
    workspace: Workspace = state.workspace
    body = await request.body()
    if len(body) < HEAVY:
        question = read_question(endpoint, body, state.input_limits)
    else:
        question = await workspace.answerer.read(partial(read_question, endpoint, body, state.input_limits))
    model = _answering(endpoint, question.model, state.settings)
    name, inputs, classifier = question.model or model, question.inputs, workspace.classifier
    try:
        if question.explain is None:
            content = await workspace.answerer.ask(model, inputs, partial(classifier.answer, endpoint, name, inputs))
        else:
            work = partial(classifier.answer_explained, endpoint, name, inputs, question.explain)
            content = await workspace.answerer.ask_long(model, work)
    except UnknownModel:
        return unknown_model(model, id_of(request))
    return Response(content, media_type=JSON)


def _answering(endpoint: str, named: str | None, settings: Settings) -> str:
    """Return the model that answers: OpenAI's SDK need not name one to moderate, or names the hosted one."""
    if endpoint in (MODERATIONS, CHAT_MODERATIONS):
        if model := settings.resolve_moderator(named):
            return model
        message = "body.model: name a model; the setting TAMIS_MODERATION_MODEL, which would stand in, is empty."
        raise InvalidRequest(message, loc=["body", "model"])
    if named:
        return named
    raise InvalidRequest("body.model: name a model; `GET /v1/models` lists them.", loc=["body", "model"])
