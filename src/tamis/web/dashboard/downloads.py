"""Files to keep, under names that may hold anything."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import StreamingResponse

from tamis.web.dashboard import safety

OCTETS = "application/octet-stream"
LONGEST = 150


def download(content: Iterable[bytes], name: str, media_type: str = OCTETS) -> Response:
    """Return an answer that browsers save, and never show as a page of this server."""
    plain = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._- ") else "_" for sign in name)[:LONGEST]
    whole = quote(name[:LONGEST].encode("utf-8", "replace"), safe="")
    told = f"attachment; filename=\"{plain or 'file'}\"; filename*=UTF-8''{whole}"
    return StreamingResponse(content, media_type=media_type, headers={**safety.headers(), "content-disposition": told})
