"""The dashboard: pages over the workspace, rendered here, without a build step. docs/decisions/0005-dashboard.md.

It knows no provider's API, and the API knows nothing of it.
"""

from __future__ import annotations

from fastapi import APIRouter

from tamis.web.dashboard import (
    assets,
    comparing,
    creating,
    entrance,
    gallery,
    home,
    jobs,
    keys,
    labelling,
    lists,
    model,
    model_quality,
    model_thresholds,
    model_versions,
    queue,
    reviewing,
    settings,
    sharing,
    training,
    trying,
    using,
)
from tamis.web.dashboard.pages import unknown_page

SECTIONS = (
    home,
    creating,
    reviewing,
    training,
    lists,
    model,
    model_quality,
    model_thresholds,
    model_versions,
    trying,
    labelling,
    sharing,
    using,
    jobs,
    comparing,
    keys,
    settings,
    queue,
    entrance,
    gallery,
)
"""The modules whose `pages` there are."""


def routers() -> tuple[APIRouter, ...]:
    """Return the routers of all pages; the last one answers for what is not there."""
    return (assets.router, *(section.pages.router for section in SECTIONS), unknown_page())
