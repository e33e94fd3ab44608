"""Signing in with a key, signing out, and light or dark."""

from __future__ import annotations

from fastapi import Response

from tamis.errors import Unauthorized
from tamis.web.dashboard import safety
from tamis.web.dashboard.pages import NOBODY, Pages
from tamis.web.dashboard.visits import SESSION, THEME, THEMES, Visit

YEAR_S = 365 * 24 * 3600

pages = Pages()
_attempts = safety.Attempts()


@pages.get("/login", NOBODY)
def login(visit: Visit) -> Response:
    """Show the form, to those who need it."""
    following = safety.place_of(visit.asked("next"))
    return visit.go(following) if visit.is_in else visit.page("login.html", following=following, wrong="")


@pages.post("/login", NOBODY)
def sign_in(visit: Visit) -> Response:
    """Begin a session with the key that was sent, a new one whatever there was before."""
    client = visit.request.client
    _attempts.note(client.host if client else "")
    following = safety.place_of(visit.sent("next"))
    try:
        session = visit.workspace.sessions.sign_in(visit.sent("key").strip())
    except Unauthorized as error:
        return visit.page("login.html", status=401, following=following, wrong=error.for_callers)
    answer = visit.go(following)
    visit.keep_session(answer, session)
    return answer


@pages.post("/logout", NOBODY)
def sign_out(visit: Visit) -> Response:
    """End the session."""
    answer = visit.go("/ui/login")
    answer.delete_cookie(SESSION, path=safety.HOME)
    return answer


@pages.post("/theme", NOBODY)
def theme(visit: Visit) -> Response:
    """Keep whether pages are light, dark, or as the system is."""
    chosen = visit.sent("theme")
    answer = visit.go(safety.place_of(visit.sent("next")))
    visit.keep(answer, THEME, chosen if chosen in THEMES else THEMES[0], YEAR_S)
    return answer
