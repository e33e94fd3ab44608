"""Mistral's API as its SDKs speak it, from 1.7.0 to 3.7.0."""

from __future__ import annotations

from fastapi import APIRouter

from tamis.web.api.mistral import batch, chat, classification, files, jobs, models, moderation


def routers() -> list[APIRouter]:
    """Return the routers, the busiest first: routes are tried in order."""
    return [
        classification.router,
        moderation.router,
        chat.router,
        files.router,
        files.streams,
        files.signed,
        jobs.router,
        models.router,
        batch.router,
    ]
