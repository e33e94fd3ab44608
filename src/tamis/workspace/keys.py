"""API keys: made here, shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from time import time
from uuid import uuid4

from tamis.errors import InvalidSetting, Unauthorized, UnknownKey
from tamis.store.opening import Store
from tamis.store.records import KeyRecord

SCOPES = ("infer", "train", "admin")
START = "tamis_"
SHOWN = len(START) + 6
"""Characters of a key that stay known, to tell keys apart by."""

TOUCH_S = 60
"""A key's last use is noted at most so often."""

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")


class Keys:
    """The API keys of a workspace."""

    def __init__(self, store: Store) -> None:
        """Keep them in the store."""
        self._store = store

    def create(self, name: str, scopes: Collection[str] = SCOPES, days: int | None = None) -> tuple[KeyRecord, str]:
        """Make a key; the second is the key itself, which nobody can find out again.

        Raises:
            InvalidSetting: a scope does not exist, or the name or the days are none that a key can have.
        """
        if not _NAME.fullmatch(name):
            raise InvalidSetting("A key's name has 1 to 100 characters.", setting="name")
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            raise InvalidSetting(
                f"There is no scope {', '.join(unknown) or '(none given)'}: choose from {', '.join(SCOPES)}.",
                setting="scopes",
            )
        if days is not None and not 1 <= days <= 36_500:
            raise InvalidSetting(f"days = {days}: give 1 to 36500.", setting="days")
        secret = START + secrets.token_urlsafe(32)
        now = int(time())
        record = KeyRecord(
            id=str(uuid4()),
            name=name,
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            prefix=secret[:SHOWN],
            created_at=now,
            expires_at=None if days is None else now + days * 86_400,
        )
        self._store.keys.add(record, hash_of(secret))
        return record, secret

    def any(self) -> bool:
        """Whether there is a key at all: without one, the server serves its own machine only."""
        return self._store.keys.any()

    def check(self, secret: str) -> KeyRecord:
        """Return the key.

        Raises:
            Unauthorized: it is none, or it was revoked, or its time is over.
        """
        found = self._store.keys.find_by_hash(hash_of(secret))
        now = int(time())
        if found is None or found.revoked_at is not None:
            raise Unauthorized("The API key is not known here, or was revoked.")
        if found.expires_at is not None and found.expires_at <= now:
            raise Unauthorized("The API key's time is over: have a new one made.")
        if found.last_used_at is None or found.last_used_at < now - TOUCH_S:
            self._store.keys.touch(found.id, now)
        return found

    def live(self, key_id: str) -> KeyRecord | None:
        """Return the key of an id while it is good; None once it is revoked, or its time is over."""
        found = self._store.keys.find(key_id)
        return found if found is not None and is_good(found) else None

    def list(self) -> list[KeyRecord]:
        """Return all keys, revoked ones too."""
        return self._store.keys.list()

    def revoke(self, reference: str) -> KeyRecord:
        """Make a key useless; it is found by its id, its name, or how it begins.

        Raises:
            UnknownKey: there is no such key, or several.
        """
        live = [key for key in self.list() if key.revoked_at is None]
        found = [key for key in live if reference in (key.id, key.name, key.prefix)]
        if len(found) != 1:
            many = f"{len(found)} keys are called {reference}: give the id" if found else f"There is no key {reference}"
            raise UnknownKey(f"{many}; `tamis keys list` shows them.", key=reference)
        self._store.keys.revoke(found[0].id)
        return found[0]


def is_good(key: KeyRecord) -> bool:
    """Return whether a key was not revoked, and its time is not over."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > time())


def hash_of(secret: str) -> str:
    """Return what is kept of a key; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
