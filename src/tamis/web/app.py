"""The application: what stands around the routes, in order, and the routes themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

import tamis
from tamis.endpoints import InputLimits
from tamis.settings import Settings
from tamis.web import dashboard, documents, problems
from tamis.web.api import aliases, cohere, gateways, mistral, models, ops, reviews, thresholds
from tamis.web.auth import Auth
from tamis.web.dashboard.pages import refusal
from tamis.web.inference import Shortcut, hot_routes
from tamis.web.limits import Limits
from tamis.web.paths import Paths
from tamis.web.telemetry import Figures, Telemetry

if TYPE_CHECKING:
    from tamis.workspace.workspace import Workspace


def create_app(workspace: Workspace, settings: Settings) -> FastAPI:
    """Return the application that serves a workspace."""
    figures = Figures()
    own = (gateways.router, models.router, aliases.router, thresholds.router, reviews.router, ops.router)
    routers = (*mistral.routers(), *cohere.routers(), *own)
    hot = hot_routes(route for router in routers for route in router.routes)
    app = documents.DocumentedApi(
        title="Tamis",
        version=tamis.__version__,
        description=documents.ABOUT,
        openapi_tags=documents.TAGS,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[*_around(workspace, settings, figures), Middleware(Shortcut, hot)],
        lifespan=_lifespan,
    )
    app.state.workspace, app.state.settings, app.state.figures = workspace, settings, figures
    app.state.input_limits = InputLimits.of(settings)
    problems.install(app)
    for router in routers:
        app.include_router(router, responses=problems.RESPONSES)
    for router in (documents.router, *dashboard.routers()):
        app.include_router(router)
    return app


def _around(workspace: Workspace, settings: Settings, figures: Figures) -> list[Middleware]:
    """Return what stands around the routes, outermost first."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(settings.cors_origins),
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["x-request-id", "retry-after"],
    )
    return [
        Middleware(Telemetry, figures),
        Middleware(Paths),
        *([cors] if settings.cors_origins else []),
        Middleware(Limits, settings, refusal),
        Middleware(Auth, workspace.keys, settings),
    ]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold connections to the LLM endpoint, if there is one, while the server runs; close the workspace at the end."""
    if app.state.settings.llm_base_url:
        async with httpx.AsyncClient() as client:
            app.state.llm = client
            yield
    else:
        yield
    app.state.workspace.close()
