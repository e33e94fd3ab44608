"""One request to the dashboard: who asks, what they may see, what they sent, and how they are answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

import tamis
from tamis.web.auth import ADMIN, ANY, INFER, TRAIN, is_for
from tamis.web.dashboard import safety
from tamis.web.dashboard.rendering import rendered

if TYPE_CHECKING:
    from tamis.workspace.sessions import Session
    from tamis.workspace.workspace import Workspace

SESSION, NOTE, THEME = "tamis_session", "tamis_note", "tamis_theme"
"""Cookies: who it is; what the next page says first; light or dark."""

THEMES = ("system", "light", "dark")


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in the navigation, for those with the scope."""

    title: str
    place: str
    scope: str


NAVIGATION = (
    Entry("Home", "/ui", ANY),
    Entry("New classifier", "/ui/new", TRAIN),
    Entry("Models", "/ui/models", INFER),
    Entry("Jobs", "/ui/jobs", TRAIN),
    Entry("Files", "/ui/files", TRAIN),
    Entry("Compare", "/ui/compare", TRAIN),
    Entry("Review queue", "/ui/queue", TRAIN),
    Entry("Batch jobs", "/ui/batches", INFER),
    Entry("Keys", "/ui/keys", ADMIN),
    Entry("Settings", "/ui/settings", ADMIN),
)
"""What the header leads to: pages that exist, and no others."""


@dataclass(slots=True)
class Visit:
    """One request.

    Attributes:
        request: as it came.
        workspace: what pages are over.
        session: the browser's.
        open: whether the server has no keys yet, so that whoever reaches it may do everything.
        form: what a form sent: each field's values.
    """

    request: Request
    workspace: Workspace
    session: Session
    open: bool
    form: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def scopes(self) -> Sequence[str]:
        """What the visitor may do; on a server without keys, everything."""
        if self.open:
            return (ADMIN,)
        return self.session.key.scopes if self.session.key else ()

    @property
    def is_in(self) -> bool:
        """Whether the visitor need not sign in."""
        return self.open or self.session.key is not None

    @property
    def caller(self) -> str | None:
        """The id of the key, for what is made by this visit."""
        return self.session.key.id if self.session.key else None

    def may(self, scope: str) -> bool:
        """Return whether the visitor may do what needs this scope."""
        return is_for(self.scopes, scope)

    def asked(self, name: str, default: str = "") -> str:
        """Return a value of the address."""
        return self.request.query_params.get(name, default)

    def sent(self, name: str, default: str = "") -> str:
        """Return a field of the form."""
        values = self.form.get(name)
        return values[0] if values else default

    def page(self, template: str, *, status: int = 200, charts: bool = False, **known: object) -> Response:
        """Return a page: a template with what it is told, and what all pages know; with `charts`, plotly.js too."""
        content = rendered(template, {"visit": self, "charts": charts, **self._frame(), **known})
        answer = HTMLResponse(content, status, safety.headers(charts))
        if self.request.cookies.get(NOTE):
            answer.delete_cookie(NOTE, path=safety.HOME)
        return answer

    def go(self, place: str, note: str = "", kind: str = "ok") -> Response:
        """Send the browser on; the next page says the note."""
        answer = RedirectResponse(place, 303, safety.headers())
        if note:
            told = self.workspace.sessions.signed(json.dumps([kind, note[:500]]), "note")
            self.keep(answer, NOTE, told, 60)
        return answer

    def to_sign_in(self) -> Response:
        """Send the browser to where people sign in, and then back."""
        asked = self.request.url
        here = asked.path + (f"?{asked.query}" if asked.query else "")
        return RedirectResponse(f"/ui/login?next={quote(safety.place_of(here), safe='/')}", 303, safety.headers())

    def keep(self, answer: Response, name: str, value: str, seconds: int) -> None:
        """Have the browser keep a cookie that no script reads, and that no form of another site brings along."""
        answer.set_cookie(
            name,
            value,
            max_age=seconds,
            path=safety.HOME,
            secure=self.is_https,
            httponly=True,
            samesite="lax",
        )

    def keep_session(self, answer: Response, session: Session) -> None:
        """Have the browser keep a session."""
        token = self.workspace.sessions.token_of(session)
        self.keep(answer, SESSION, token, max(0, session.expires_at - int(time())))

    @property
    def address(self) -> str:
        """How people and programs reach this server, without a path."""
        return (self.workspace.settings.public_url or str(self.request.base_url)).rstrip("/")

    @property
    def is_https(self) -> bool:
        """Whether the browser reached the server over TLS, as far as that can be known here."""
        return self.request.url.scheme == "https" or self.workspace.settings.public_url.lower().startswith("https:")

    def _frame(self) -> dict[str, Any]:
        """What the layout needs."""
        theme = self.request.cookies.get(THEME, "")
        path = self.request.url.path
        return {
            "navigation": [entry for entry in NAVIGATION if self.is_in and self.may(entry.scope)],
            "here": path,
            "here_full": safety.place_of(path + (f"?{self.request.url.query}" if self.request.url.query else "")),
            "theme": theme if theme in THEMES else "system",
            "note": self._note(),
            "form_token": self.workspace.sessions.form_token(self.session),
            "version": tamis.__version__,
        }

    def _note(self) -> tuple[str, str] | None:
        said = self.workspace.sessions.unsigned(self.request.cookies.get(NOTE, ""), "note")
        if not said:
            return None
        kind, note = json.loads(said)
        return kind, note
