"""Keys: listed, made, revoked. A key is shown once, on the page that answers its making."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from fastapi import Response

from tamis.errors import InvalidSetting
from tamis.web.auth import ADMIN, INFER, TRAIN
from tamis.web.dashboard.listing import ON_A_PAGE, Asked, Listing
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit

if TYPE_CHECKING:
    from tamis.store.records import KeyRecord

SCOPES = (
    (INFER, "Classify", "ask models, and run batch jobs"),
    (TRAIN, "Train", "files, jobs, models and reviews"),
    (ADMIN, "Administer", "all of this, keys and figures"),
)

pages = Pages()


@pages.get("/keys", ADMIN)
def keys(visit: Visit) -> Response:
    """Show the keys."""
    return _keys(visit)


@pages.post("/keys", ADMIN)
def create(visit: Visit) -> Response:
    """Make a key and show it, this once; who makes the first one is signed in with it."""
    scopes, days = list(visit.form.get("scopes", ())), visit.sent("days").strip()
    if visit.open and ADMIN not in scopes:
        wrong = "The first key needs Administer: once there is a key, only such a one makes others here."
        return _keys(visit, {"scopes": wrong})
    if days and not (days.isascii() and days.isdigit() and len(days) < 7):
        return _keys(visit, {"days": "Give a whole number of days, or leave it empty."})
    try:
        made, secret = visit.workspace.keys.create(visit.sent("name").strip(), scopes, int(days) if days else None)
    except InvalidSetting as error:
        return _keys(visit, {str(error.context.get("setting", "name")): error.for_callers})
    first = visit.open
    if first:
        visit.session, visit.open = visit.workspace.sessions.sign_in(secret), False
    answer = visit.page("key.html", made=made, secret=secret, first=first)
    if first:
        visit.keep_session(answer, visit.session)
    return answer


@pages.post("/keys/{key_id}/revoke", ADMIN)
def revoke(visit: Visit) -> Response:
    """Make a key useless."""
    revoked = visit.workspace.keys.revoke(visit.request.path_params["key_id"])
    return visit.go("/ui/keys", f"The key {revoked.name} is revoked.")


def state_of(key: KeyRecord) -> str:
    """Return whether a key is good."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= time() else "active"


def _keys(visit: Visit, wrong: dict[str, str] | None = None) -> Response:
    asked = Asked.of(visit)
    text = asked.search.casefold()
    found = [key for key in visit.workspace.keys.list() if text in key.name.casefold() or key.prefix.startswith(text)]
    rows = [(key, state_of(key)) for key in found[(asked.page - 1) * ON_A_PAGE : asked.page * ON_A_PAGE]]
    return visit.page(
        "keys.html",
        status=422 if wrong else 200,
        listing=Listing(asked, rows, len(found)),
        scopes=SCOPES,
        wrong=wrong or {},
    )
