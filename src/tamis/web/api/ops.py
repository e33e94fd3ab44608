"""For monitors and for whoever runs the server: is it alive, is it ready, how busy is it."""

from __future__ import annotations

import logging
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from pydantic import BaseModel, Field

import tamis
from tamis.errors import TamisError
from tamis.web.routing import RawRoute, answer_json, workspace_of

router = APIRouter(tags=["Operations"])
_raw = APIRouter(tags=["Operations"], route_class=RawRoute)
_METRICS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The figures", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
_log = logging.getLogger("tamis.web")


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]
    version: str = Field(examples=["0.1.0"])


class Readiness(BaseModel):
    """What keeps requests from being served, by name; nothing where the server is ready."""

    status: Literal["ready", "not ready"]
    missing: dict[str, str] = Field(examples=[{}])


@_raw.get("/healthz", summary="Whether the process answers", response_model=Health)
async def healthz(request: Request) -> Response:
    """Answer at once, whatever the state of database and storage."""
    return answer_json({"status": "ok", "version": tamis.__version__})


@router.get(
    "/readyz",
    summary="Whether requests can be served",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "They cannot be served now"}},
)
def readyz(request: Request) -> Response:
    """Look at database and storage; 503 says what is missing."""
    try:
        missing = dict(workspace_of(request).missing())
    except TamisError as error:
        missing = {error.code: error.message}
    response = answer_json({"status": "not ready" if missing else "ready", "missing": missing})
    response.status_code = 503 if missing else 200
    return response


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response, responses=_METRICS)
def metrics(request: Request) -> Response:
    """Return requests, their times, queues and models in memory, in Prometheus' text format."""
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # several processes serve: their figures are added up
        requests = generate_latest(registry)
    except ValueError:
        requests = generate_latest(request.app.state.figures.registry)
    state = CollectorRegistry()
    state.register(_State(request))
    return Response(requests + generate_latest(state), media_type=CONTENT_TYPE_LATEST)


@_raw.get("/", include_in_schema=False)
async def root(request: Request) -> Response:
    """Say what this is and where to go on; browsers are led to the dashboard."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/ui", 303, {"vary": "accept"})
    return answer_json({"name": "tamis", "version": tamis.__version__, "docs": "/docs", "openapi": "/openapi.json"})


class _State:
    """What the workspace tells of itself, as gauges."""

    def __init__(self, request: Request) -> None:
        self._workspace = workspace_of(request)

    def collect(self) -> Any:  # noqa: ANN401  families of gauges
        """Return the gauges; those that cannot be had now are left out."""
        try:
            queues = self._workspace.queue_lengths()
            loaded = self._workspace.classifier.figures()
        except TamisError as error:
            _log.warning("metrics without queues: %s", error)
            return
        waiting = GaugeMetricFamily("tamis_jobs", "Jobs and batch jobs that are not finished.", labels=["status"])
        for status, count in queues.items():
            waiting.add_metric([status], count)
        yield waiting
        yield GaugeMetricFamily("tamis_models_loaded", "Models in this process' memory.", value=loaded.models)
        yield GaugeMetricFamily("tamis_models_bytes", "Memory that they are counted with.", value=loaded.bytes)
        yield CounterMetricFamily("tamis_model_loads", "Models loaded so far by this process.", value=loaded.loads)
        yield CounterMetricFamily("tamis_model_evictions", "Models let go of to make room.", value=loaded.evictions)


router.include_router(_raw)
