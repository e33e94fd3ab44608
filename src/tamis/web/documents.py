"""The API's own documentation: the OpenAPI document, and a page that shows it and fetches nothing from elsewhere."""

from __future__ import annotations

from importlib import resources
from typing import Any, Literal

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tamis.web.routing import BODIES, RawRoute, answer_json

TAGS = [
    {"name": "Files", "description": "Training data, and the inputs and results of batch jobs."},
    {"name": "Reviews", "description": "Labelled files looked at row by row; suggestions accepted, rejected, applied."},
    {"name": "Fine-tuning", "description": "Jobs that make classifiers of labelled rows."},
    {"name": "Models", "description": "What jobs produced, and the base models that they start from."},
    {"name": "Aliases", "description": "Names for models: moved, promoted if conditions hold, rolled back."},
    {"name": "Classification", "description": "Scores of texts and chats."},
    {"name": "Moderation", "description": "The same, as yes or no a category, by your own multi-label classifiers."},
    {"name": "Batch", "description": "Many requests at once, answered in the background."},
    {"name": "Chat", "description": "Passed through to the LLM endpoint that the operator configured."},
    {"name": "Cohere", "description": "Datasets, fine-tuned models and classify, as Cohere's SDK asks for them."},
    {"name": "Gateways", "description": "Classification as vLLM and text-embeddings-inference have it."},
    {"name": "Operations", "description": "For monitors and for whoever runs the server."},
]
ABOUT = (
    "Classifiers from labelled text, on your own machine. The paths, fields and answers are those of Mistral's "
    "Classifier Factory and of Cohere's Classify, so that their SDKs work when pointed here; `/v1/models` and "
    "`/v1/moderations` answer OpenAI's SDK too.\n\nWhile the server has no API keys it serves its own machine and "
    "takes any key or none. Errors have one shape at every status; `code` is one of the documented error codes."
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

router = APIRouter(route_class=RawRoute, include_in_schema=False)

_FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon-32x32.png": "image/png"}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Tamis API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="docs/favicon-32x32.png"><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body></html>
"""
_START = """"use strict";
SwaggerUIBundle({
  url: "openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null, docExpansion: "list",
  defaultModelsExpandDepth: 0, displayRequestDuration: true, tryItOutEnabled: true,
});
"""


class DocumentedApi(FastAPI):
    """An application whose document also has keys and the bodies of raw routes."""

    _complete: dict[str, Any] | None = None

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        document = super().openapi()
        if document is not self._complete:
            _add_bodies(document)
            schemes = document["components"].setdefault("securitySchemes", {})
            schemes["key"] = {"type": "http", "scheme": "bearer", "description": "Any, or none, until keys exist."}
            document["security"] = [{"key": []}, {}]
            self._complete = document
        return document


@router.get("/openapi.json")
async def document(request: Request) -> Response:
    """Return the OpenAPI document."""
    return answer_json(request.app.openapi())


@router.get("/docs")
async def page(request: Request) -> Response:
    """Return the page that shows it."""
    return HTMLResponse(_PAGE, headers={"content-security-policy": POLICY, "referrer-policy": "no-referrer"})


@router.get("/docs/start.js")
async def start(request: Request) -> Response:
    """Return the script that starts the page."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/{name}")
async def file(request: Request) -> Response:
    """Return one of the page's files."""
    name = request.path_params["name"]
    if name not in _FILES:
        raise HTTPException(404)
    content = (resources.files("fastapi_swagger") / "resources" / name).read_bytes()
    return Response(content, media_type=_FILES[name], headers={"cache-control": "max-age=86400"})


def _add_bodies(document: dict[str, Any]) -> None:
    """Put the schemas of bodies that raw routes read themselves among the components."""
    models: list[tuple[type[BaseModel], Literal["validation"]]] = [
        (BODIES[name], "validation") for name in sorted(BODIES)
    ]
    _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")
    document.setdefault("components", {}).setdefault("schemas", {}).update(schemas.get("$defs", {}))
