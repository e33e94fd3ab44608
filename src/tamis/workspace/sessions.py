"""Sessions of people with a browser: who signed in with which key, until when.

A session is nothing but a signed text that the browser keeps, so that any process of the server knows it, and a restart
ends none. The key is looked up each time: when it is revoked, the session is over. It does not know HTTP.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from time import time

from tamis.store.opening import Store
from tamis.store.records import KeyRecord
from tamis.workspace.keys import Keys

LASTS_S = 12 * 3600
"""Seconds after which people sign in again."""

LONGEST = 8192
"""Characters of a signed text; browsers keep no longer cookies."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser's visits: `key` is what it signed in with, if it did."""

    nonce: str
    expires_at: int
    key: KeyRecord | None = None


class Sessions:
    """Begins sessions and knows them again."""

    def __init__(self, store: Store, keys: Keys) -> None:
        """Sign with the store's secret, and ask `keys`."""
        self._keys = keys
        self._secret = store.sealer.derived("sessions of people with a browser")

    def begin(self) -> Session:
        """Return the session of somebody who has not signed in."""
        return Session(secrets.token_urlsafe(18), int(time()) + LASTS_S)

    def sign_in(self, secret: str) -> Session:
        """Return a new session with a key.

        Raises:
            Unauthorized: it is none, or it was revoked, or its time is over.
        """
        key = self._keys.check(secret)
        return Session(secrets.token_urlsafe(18), int(time()) + LASTS_S, key)

    def token_of(self, session: Session) -> str:
        """Return what the browser keeps of a session."""
        key_id = session.key.id if session.key else ""
        return self.signed(f"{session.nonce} {session.expires_at} {key_id}", "session")

    def find(self, token: str) -> Session | None:
        """Return the session of a token; None where it was changed, its time is over, or its key is no longer good."""
        said = self.unsigned(token, "session")
        if said is None:
            return None
        nonce, expires_at, key_id = said.split(" ")
        if int(expires_at) <= time():
            return None
        key = self._keys.live(key_id) if key_id else None
        return Session(nonce, int(expires_at), key) if key or not key_id else None

    def form_token(self, session: Session) -> str:
        """Return what a form of this session carries, which no other page can know."""
        return self._signature(session.nonce, "form")

    def made_form(self, session: Session, token: str) -> bool:
        """Return whether a form with this token was made for the session."""
        return hmac.compare_digest(self.form_token(session).encode(), token.encode("utf-8", "replace"))

    def signed(self, text: str, purpose: str) -> str:
        """Return a text that a browser may keep, so signed that it is known again, in characters of a cookie."""
        packed = urlsafe_b64encode(text.encode("utf-8", "replace")).decode()
        return f"{packed}.{self._signature(packed, purpose)}"

    def unsigned(self, token: str, purpose: str) -> str | None:
        """Return the text that was signed for this purpose; None where it was not."""
        packed, _, signature = token.partition(".")
        good = self._signature(packed, purpose).encode()
        if len(token) > LONGEST or not hmac.compare_digest(good, signature.encode("utf-8", "replace")):
            return None
        return urlsafe_b64decode(packed).decode("utf-8", "replace")

    def _signature(self, text: str, purpose: str) -> str:
        content = f"{purpose}\n{text}".encode("utf-8", "replace")
        return urlsafe_b64encode(hmac.digest(self._secret, content, "sha256")).decode().rstrip("=")
