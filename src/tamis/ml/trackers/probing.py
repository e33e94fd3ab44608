"""Whether a tracker's server answers: asked once, with little patience, before its library is let loose."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

PATIENCE_S = 3.0
MOST_BYTES = 1_000_000


class Unanswered(Exception):
    """The server did not answer as it should; the text says how, in a few words."""


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would carry the key to another place."""

    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> None:  # noqa: ANN401  (as urllib has it)
        return None


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of HTTP's basic authentication."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def ask(url: str, headers: Mapping[str, str], body: object = None) -> tuple[int, object]:
    """Send a request, a POST where it has a body; return the status and, where that is JSON, the answer.

    Proxies are those of the environment. Redirects are not followed.

    Raises:
        Unanswered: nothing came, or nothing that is HTTP.
    """
    sent = None if body is None else json.dumps(body).encode()
    try:
        request = Request(url, sent, {"Content-Type": "application/json", **headers})
        if request.type not in ("http", "https"):
            raise Unanswered(f"{request.type}: is not http: or https:")
        with build_opener(_NoRedirects).open(request, timeout=PATIENCE_S) as answer:
            return answer.status, _json(answer.read(MOST_BYTES))
    except HTTPError as error:
        with error:
            return error.code, None
    except URLError as error:
        raise Unanswered(_why(error.reason)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise Unanswered(_why(error)) from None


def _why(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer within {PATIENCE_S:g} s"
    if isinstance(reason, OSError):
        return reason.strerror or type(reason).__name__
    return str(reason) if isinstance(reason, str) else type(reason).__name__


def _json(content: bytes) -> object:
    try:
        found: object = json.loads(content)
    except ValueError:
        return None
    return found
