"""Share links: whoever has one may ask one model, so often a minute, until it expires or is revoked.

A link's token is random and shown once; a hash is kept. It opens nothing but its model, and no longer than the key that
it was made with is good. How often one is used is counted in the store, for all servers. It does not know HTTP.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from time import time
from uuid import uuid4

from tamis.errors import InvalidSetting, Overloaded, UnknownModel, UnknownShare
from tamis.store.opening import Store
from tamis.store.records import ModelRecord, ShareRecord
from tamis.workspace.keys import Keys, hash_of, is_good
from tamis.workspace.models import Models

DAYS, MOST_DAYS = 7, 365
PER_MINUTE, MOST_PER_MINUTE = 30, 600
MOST_TITLE = 100
MOST_LINKS = 100
"""Links to one model that are good at the same time."""

ACTIVE, REVOKED, EXPIRED, KEYLESS = STATES = ("active", "revoked", "expired", "keyless")
"""States of a link; the last is that of one whose key is no longer good."""

MINUTE_S = 60

_AGAIN = "Ask whoever sent it for a new one."
_ASK = "Ask whoever sent it whether there is another."
_ENDED = {
    REVOKED: "was revoked by whoever made it",
    EXPIRED: "has expired",
    KEYLESS: "no longer works: the key that it was made with was revoked, or its time is over",
}

Found = list[tuple[ShareRecord, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShare:
    """A link as it is asked for.

    Attributes:
        model_id: which model may be asked.
        title: what the page is called; empty: as the model is.
        days: until it expires.
        per_minute: inputs a minute, of all who have the link.
        created_by: the key it came with.
    """

    model_id: str
    title: str = ""
    days: int = DAYS
    per_minute: int = PER_MINUTE
    created_by: str | None = None


class Shares:
    """The share links of a workspace."""

    def __init__(self, store: Store, models: Models, keys: Keys) -> None:
        """Keep them in the store; those to a model go with it."""
        self._store, self._models, self._keys = store, models, keys
        models.tell_when_gone(self.forget_model)

    def create(self, new: NewShare) -> tuple[ShareRecord, str]:
        """Make a link; the second is its token, which nobody can find out again.

        Raises:
            UnknownModel: there is no such model, or it is archived.
            InvalidSetting: the title, days or inputs a minute are none that a link can have, or there are very many.
        """
        model = self._models.answering(new.model_id)
        title = new.title.strip() or (model.title or model.name)[:MOST_TITLE]
        if len(title) > MOST_TITLE or not title.isprintable():
            raise InvalidSetting(f"A title has {MOST_TITLE} characters at most, on one line.", setting="title")
        if not 1 <= new.days <= MOST_DAYS:
            raise InvalidSetting(f"Give a whole number of days from 1 to {MOST_DAYS}.", setting="days")
        if not 1 <= new.per_minute <= MOST_PER_MINUTE:
            raise InvalidSetting(f"Give a whole number from 1 to {MOST_PER_MINUTE}.", setting="per_minute")
        if sum(state == ACTIVE for _, state in self.list(model.id)) >= MOST_LINKS:
            raise InvalidSetting(
                f"{MOST_LINKS} links to this model are good already: revoke some first.", setting="title"
            )
        token, now = secrets.token_urlsafe(32), int(time())
        record = ShareRecord(
            id=str(uuid4()),
            model_id=model.id,
            token_hash=hash_of(token),
            title=title,
            per_minute=new.per_minute,
            created_at=now,
            expires_at=now + 86_400 * new.days,
            created_by=new.created_by,
        )
        self._store.shares.add(record)
        return record, token

    def list(self, model_id: str | None = None, search: str = "", state: str = "") -> Found:
        """Return the links to a model, or to all, the newest first, those that are no longer good too; with states.

        Those alone with this in their title, and in this state, where they are given.
        """
        good = {key.id for key in self._keys.list() if is_good(key)}
        found = ((share, state_of(share, good)) for share in self._store.shares.list(model_id))
        wanted = search.lower()
        return [(share, its) for share, its in found if wanted in share.title.lower() and state in ("", its)]

    def get(self, share_id: str) -> ShareRecord:
        """Return a link by its id.

        Raises:
            UnknownShare: there is none.
        """
        found = self._store.shares.find(share_id)
        if found is None:
            raise UnknownShare(f"There is no share link {share_id[:80]}.", share=share_id)
        return found

    def revoke(self, share_id: str) -> ShareRecord:
        """Make a link useless at once, and for good.

        Raises:
            UnknownShare: there is none.
        """
        self._store.shares.revoke(self.get(share_id).id)
        return self.get(share_id)

    def open(self, token: str) -> tuple[ShareRecord, ModelRecord]:
        """Return the link of a token, and its model.

        Raises:
            UnknownShare: there is none, it was revoked, its time is over, or its model does not answer any more.
        """
        found = self._store.shares.find_by_hash(hash_of(token))
        if found is None:
            raise UnknownShare(f"This link is not complete, or was never good. {_AGAIN}")
        key = self._keys.live(found.created_by) if found.created_by else None
        state = state_of(found, {key.id} if key else ())
        if state != ACTIVE:
            raise UnknownShare(f"This link {_ENDED[state]}. {_AGAIN}", model=found.model_id)
        try:
            return found, self._models.answering(found.model_id)
        except UnknownModel:
            raise UnknownShare(f"The classifier behind this link was put away. {_ASK}") from None

    def take(self, share: ShareRecord, n_inputs: int) -> None:
        """Count that so many inputs are asked through a link.

        Raises:
            Overloaded: that is more than it allows a minute.
        """
        now = int(time())
        if self._store.shares.count_use(share.id, n_inputs, now):
            return
        if n_inputs > share.per_minute:
            raise Overloaded(f"This link takes {share.per_minute} texts a minute: give fewer.", retry_after=MINUTE_S)
        wait = MINUTE_S - now % MINUTE_S
        raise Overloaded(
            f"This link takes {share.per_minute} texts a minute, of all who have it: wait {wait} seconds.",
            retry_after=wait,
        )

    def forget_model(self, model_id: str) -> None:
        """Delete the links to a model that was deleted; those to one that was archived wait for it."""
        if self._store.models.find(model_id) is None:
            self._store.shares.drop_of(model_id)


def state_of(share: ShareRecord, good_keys: Collection[str]) -> str:
    """Return whether a link is ACTIVE, REVOKED, EXPIRED or KEYLESS, given the ids of keys that are good."""
    if share.revoked_at is not None:
        return REVOKED
    if share.expires_at is not None and share.expires_at <= time():
        return EXPIRED
    return ACTIVE if share.created_by is None or share.created_by in good_keys else KEYLESS
