"""What Cohere's answers have in common: times as ISO 8601, pages by token, an object for a deletion."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from tamis.errors import InvalidRequest

PAGE = 50


class Deleted(BaseModel):
    """What a deletion answers: the SDK takes an empty body for an error."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


def iso(at: int) -> str:
    """Return a time as the wire has it."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def page_of(page_size: int | None, page_token: str | None) -> tuple[int, int]:
    """Return where a page begins, and how much is on it; no size, and 0, mean the usual one.

    Raises:
        InvalidRequest: the token is none that was given.
    """
    token = page_token or "0"
    if not token.isascii() or not token.isdigit() or len(token) > 12:
        raise InvalidRequest("query.page_token: none that this server gave: leave it out.", loc=["query", "page_token"])
    return int(token), page_size or PAGE


def token_after(start: int, shown: int, total: int) -> str:
    """Return the token of the next page; nothing where there is none."""
    return str(start + shown) if start + shown < total else ""
