"""Style, scripts and plotly.js: plain files of the packages, under addresses that change with their content."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from fastapi import APIRouter, HTTPException, Request, Response

from tamis.web.dashboard.safety import HOME
from tamis.web.routing import RawRoute

router = APIRouter(route_class=RawRoute, include_in_schema=False)

PLOTLY = "plotly.js"
KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
BRIEFLY = {"cache-control": "no-cache"}


@router.get(f"{HOME}/static/{{digest}}/{{name}}")
async def asset(request: Request) -> Response:
    """Return a file; its address is good for ever where the digest is that of today's files."""
    digest, name = request.path_params["digest"], request.path_params["name"]
    content = _content(name)
    if content is None:
        raise HTTPException(404)
    kept = FOREVER if digest == _digest(name) else BRIEFLY
    return Response(content, media_type=KINDS[name.rpartition(".")[2]], headers=kept)


def address_of(name: str) -> str:
    """Return the address of a file, for a page."""
    return f"{HOME}/static/{_digest(name)}/{name}"


@cache
def _own() -> dict[str, bytes]:
    """The package's own files and those that it shares with reports; scripts import one another by name: one digest."""
    folders = resources.files(__package__) / "static", resources.files("tamis") / "design"
    files = (file for folder in folders for file in folder.iterdir())
    return {file.name: file.read_bytes() for file in sorted(files, key=lambda file: file.name)}


@cache
def _plotly() -> bytes:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).encode()


def _content(name: str) -> bytes | None:
    return _plotly() if name == PLOTLY else _own().get(name)


@cache
def _digest(name: str) -> str:
    hashed = hashlib.sha256()
    for content in (_plotly(),) if name == PLOTLY else _own().values():
        hashed.update(content)
    return hashed.hexdigest()[:16]
