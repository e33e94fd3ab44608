"""How a page is asked for: every route says what scope it needs, and every form is looked at before it does anything.

A page is a plain function of a `Visit`, run in the thread pool, where the synchronous workspace belongs.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import parse_qs

import anyio.to_thread
import orjson
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from tamis.errors import (
    Forbidden,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Overloaded,
    Refused,
    ServiceFailed,
    TamisError,
    Unauthorized,
)
from tamis.web import problems
from tamis.web.auth import require_scope
from tamis.web.dashboard import safety
from tamis.web.dashboard.visits import SESSION, Visit
from tamis.web.limits import BodyRefused
from tamis.web.routing import RawRoute, workspace_of

Handler = Callable[[Visit], Response]
Taker = Callable[[Visit], Awaitable[Response]]

NOBODY = ""
"""In place of a scope: a page for people who have not signed in."""

FORM_TOKEN = "form_token"
FORM_HEADER = "x-form-token"
"""Where scripts put the token that forms carry as a field."""

MOST_FIELDS = 10_000
MOST_OF_STRANGERS = 2**20
"""Bytes of a form on a page that needs nobody to sign in: more than anything that is asked there has."""

LONG = 2**16
"""Bytes from which a form is read in a thread: a full one takes seconds, in which nobody else would be answered."""

TITLES = {401: "Sign in first", 403: "Not with this key", 404: "There is nothing here", 409: "Not now"}

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_log = logging.getLogger("tamis.web")


class Pages:
    """Some pages: a router whose routes cannot forget their scope."""

    def __init__(self) -> None:
        """Start without any."""
        self.router = APIRouter(route_class=RawRoute, include_in_schema=False)
        self.scopes: dict[tuple[str, str], str] = {}
        """By method and path: the scope that is needed."""

    def get(self, path: str, scope: str) -> Callable[[Handler], Handler]:
        """Have a function answer for a path below `/ui`, to visitors with this scope."""
        return self._route("GET", path, scope)

    def post(self, path: str, scope: str) -> Callable[[Handler], Handler]:
        """Have a function take a form."""
        return self._route("POST", path, scope)

    def upload(self, path: str, scope: str) -> Callable[[Taker], Taker]:
        """Have a coroutine take a form with files: it reads the body, and calls `require_token` before it acts."""

        def add(taker: Taker) -> Taker:
            async def checked(visit: Visit) -> Response:
                if _kind_of(visit.request) == MULTIPART:
                    _refuse_foreign(visit)
                else:
                    await _take_form(visit)
                return await taker(visit)

            self._add("POST", path, scope, checked)
            return taker

        return add

    def _route(self, method: str, path: str, scope: str) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            async def aside(visit: Visit) -> Response:
                if method == "POST":
                    await _take_form(visit, MOST_OF_STRANGERS if scope == NOBODY else None)
                return await anyio.to_thread.run_sync(handler, visit)

            self._add(method, path, scope, aside)
            return handler

        return add

    def _add(self, method: str, path: str, scope: str, taker: Taker) -> None:
        async def endpoint(request: Request) -> Response:
            return await _answer(request, taker, scope)

        self.scopes[method, safety.HOME + path] = scope
        self.router.add_api_route(safety.HOME + path, endpoint, methods=[method])


def unknown_page() -> APIRouter:
    """Return the router that answers for pages that are not there."""
    pages = Pages()

    def unknown(visit: Visit) -> Response:
        raise NotFound(f"There is no page {visit.request.url.path[:200]}.")

    pages.get("/{path:path}", NOBODY)(unknown)
    pages.post("/{path:path}", NOBODY)(unknown)
    return pages.router


async def refusal(scope: Scope, error: Refused | ServiceFailed) -> Response | None:
    """Return the page that says why a request was refused before it came to its own; None where no person asks."""
    request = Request(scope)
    is_page = f"{scope['path']}/".startswith(f"{safety.HOME}/")
    if not is_page or "application/json" in request.headers.get("accept", ""):
        return None
    visit = _visit(request)
    if not isinstance(error, Overloaded):  # then nothing more is asked of anybody
        with suppress(TamisError):
            await _find_out(visit)
    return _told(visit, problems.failure(error, problems.id_of(request)))


def _visit(request: Request) -> Visit:
    workspace = workspace_of(request)
    return Visit(request, workspace, workspace.sessions.begin(), bool(request.scope.get("open")))


async def _answer(request: Request, taker: Taker, scope: str) -> Response:
    """Return a page, whatever goes wrong."""
    visit = _visit(request)
    began = visit.session
    try:
        answer = await _received(visit, taker, scope)
    except (BodyRefused, ClientDisconnect):
        raise
    except TamisError as error:
        answer = _told(visit, problems.failure(error, problems.id_of(request)))
    except Exception as error:  # noqa: BLE001  people get a page, not the API's answer
        _log.error("a page failed: %s", error, exc_info=error, extra={"request_id": problems.id_of(request)})
        answer = _told(visit, problems.unexpected(problems.id_of(request)))
    if visit.session is began and answer.media_type == "text/html":
        visit.keep_session(answer, visit.session)
    return answer


async def _received(visit: Visit, taker: Taker, scope: str) -> Response:
    """Find out who it is and what they may do, then let the page answer."""
    await _find_out(visit)
    if scope != NOBODY and not visit.is_in:
        if visit.request.method == "GET":
            return visit.to_sign_in()
        raise Unauthorized("Your session is over, or its key was revoked: sign in, then send this again.")
    if scope != NOBODY:
        require_scope(visit.scopes, scope, "This page")
    return await taker(visit)


async def _find_out(visit: Visit) -> None:
    """Find out who it is."""
    if token := visit.request.cookies.get(SESSION):
        found = await anyio.to_thread.run_sync(visit.workspace.sessions.find, token)
        visit.session = found or visit.session
    visit.open = visit.open and visit.session.key is None  # that there are keys now is noticed after seconds
    visit.request.scope["key_id"] = visit.caller


async def _take_form(visit: Visit, most: int | None = None) -> None:
    """Read the form, unless another site, or an older session, sent it.

    Raises:
        Forbidden: it was.
        InvalidRequest: it is no form.
        LimitExceeded: it has very many fields.
        BodyRefused: it has more bytes than `most`.
    """
    _refuse_foreign(visit)
    if _kind_of(visit.request) != FORM:
        raise InvalidRequest(f"The body is not a form ({FORM}).", loc=["body"])
    body = await _body(visit.request, most)
    visit.form = _fields(body) if len(body) < LONG else await anyio.to_thread.run_sync(_fields, body)
    require_token(visit, visit.sent(FORM_TOKEN))


async def _body(request: Request, most: int | None) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if most is not None and len(body) > most:
            why = f"The form is larger than {most:,} bytes: send less."
            raise BodyRefused(LimitExceeded(why, limit=most, setting="form_bytes"))
    return bytes(body)


def _fields(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise LimitExceeded(f"The form has more than {MOST_FIELDS:,} fields.", limit=MOST_FIELDS) from None


def require_token(visit: Visit, sent: str) -> None:
    """Do nothing where the form comes from a page of this session, by its field or its header.

    Raises:
        Forbidden: it does not.
    """
    token = visit.request.headers.get(FORM_HEADER) or sent
    if not visit.workspace.sessions.made_form(visit.session, token):
        raise Forbidden("The page was open for too long, or cookies are off: open it again, then repeat this.")


def _refuse_foreign(visit: Visit) -> None:
    if not safety.is_from_here(visit.request.headers, visit.workspace.settings.public_url):
        raise Forbidden("This form was not sent by a page of this server.")


def _kind_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _told(visit: Visit, answer: Response) -> Response:
    """Return the page that says what the API's answer to an error says."""
    problem, status = orjson.loads(bytes(answer.body)), answer.status_code
    title = TITLES.get(status, "This did not work" if status < 500 else "The server could not do this")
    signs_in = status in (401, 403, 404) and not visit.is_in
    request = visit.request
    back = safety.came_from(request.headers, visit.workspace.settings.public_url)
    is_get = request.method == "GET"
    page = visit.page(
        "error.html",
        status=status,
        title=title,
        problem=problem,
        signs_in=signs_in,
        back="" if is_get and back.partition("?")[0] == request.url.path else back,
        may_help=is_get and (status >= 500 or status == problems.STATUS["overloaded"]),
    )
    if "retry-after" in answer.headers:
        page.headers["retry-after"] = answer.headers["retry-after"]
    return page
