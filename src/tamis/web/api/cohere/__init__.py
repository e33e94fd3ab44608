"""Cohere's API as its SDK speaks it, from 5.11 to 7.3: datasets, fine-tuned models, classify, tokens, keys."""

from __future__ import annotations

from fastapi import APIRouter

from tamis.web.api.cohere import account, classification, datasets, finetuning


def routers() -> list[APIRouter]:
    """Return the routers, the busiest first: routes are tried in order."""
    return [classification.router, account.router, datasets.uploads, datasets.router, finetuning.router]
