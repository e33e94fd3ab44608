"""What keeps other sites out: headers of every page, where a form may come from, where one may be led to."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from time import monotonic
from urllib.parse import urlsplit

from tamis.errors import Overloaded

HOME = "/ui"

_PLACE = re.compile(r"/ui(?:[/?#][\x21-\x5b\x5d-\x7e]*)?")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{styles}; img-src 'self' data:{images}; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

ATTEMPTS, WINDOW_S = 10, 60.0
"""So many times may one address try to sign in, in so many seconds."""
MOST_ADDRESSES = 10_000


def headers(charts: bool = False) -> dict[str, str]:
    """Return the headers of a page; one with charts may have inline styles, which plotly writes."""
    policy = _POLICY.format(styles=" 'unsafe-inline'" if charts else "", images=" blob:" if charts else "")
    return {
        "content-security-policy": policy,
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store",
    }


def place_of(asked: str) -> str:
    """Return where to go on to: a place in the dashboard as it was asked for, else its home."""
    return asked if len(asked) <= 2000 and _PLACE.fullmatch(asked) and "//" not in asked else HOME


def came_from(told: Mapping[str, str], public_url: str) -> str:
    """Return the page of this dashboard that a request came from; empty where it came from none."""
    try:
        said = urlsplit(told.get("referer", ""))
    except ValueError:
        return ""
    asked = said.path + (f"?{said.query}" if said.query else "")
    is_mine = said.netloc.lower() in _mine(told, public_url)
    return asked if is_mine and place_of(asked) == asked else ""


def is_from_here(told: Mapping[str, str], public_url: str) -> bool:
    """Return whether a form's headers say that a page of this server sent it; a browser that says nothing may.

    Behind a proxy the server does not see how it is asked, so that origins are compared by host and port.
    """
    if told.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = told.get("origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc.lower() in _mine(told, public_url)


def _mine(told: Mapping[str, str], public_url: str) -> set[str]:
    """The hosts, with their ports, by which this server is known."""
    return {told.get("host", "").lower(), urlsplit(public_url).netloc.lower()} - {""}


class Attempts:
    """Counts what each address tries, so that nobody can guess fast."""

    def __init__(self) -> None:
        """Start without any."""
        self._tried: dict[str, deque[float]] = {}

    def note(self, address: str) -> None:
        """Note an attempt.

        Raises:
            Overloaded: there were too many.
        """
        now = monotonic()
        if len(self._tried) >= MOST_ADDRESSES:
            self._tried.clear()
        tried = self._tried.setdefault(address, deque())
        while tried and tried[0] < now - WINDOW_S:
            tried.popleft()
        if len(tried) >= ATTEMPTS:
            wait = int(tried[0] + WINDOW_S - now) + 1
            raise Overloaded(f"Too many attempts to sign in: wait {wait} seconds.", retry_after=wait)
        tried.append(now)
