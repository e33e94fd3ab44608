"""Who may do what: API keys with scopes; without any key, this machine alone.

Where there are no keys, a web page that the user looks at must not reach the server through the browser either: the
Host header must name this machine (or the name of another could be pointed here), and pages of other sites may not
change anything. It does not know how keys are kept.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import anyio.to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from tamis.errors import Forbidden, Unauthorized
from tamis.settings import Settings

if TYPE_CHECKING:
    from tamis.store.records import KeyRecord

REMEMBERED_S = 3.0
"""Seconds for which an answer about a key is good; so long may a revoked one still work."""

MOST_REMEMBERED = 1024
REMEMBERED_HOSTS = 256

LONGEST_HOST = 300
"""Characters of a Host header: a name has 253 at most, then a port."""

PUBLIC = frozenset({"/", "/healthz", "/readyz", "/openapi.json", "/favicon.ico", "/ui"})
PUBLIC_BELOW = ("/docs", "/signed/", "/ui/")
"""Paths that need no key: they hold nothing of the user's, bring a signature, or ask who it is themselves."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})
INFER, TRAIN, ADMIN = "infer", "train", "admin"
ANY = "any"
"""Either of the first two: what such a key may do there depends on more than the path, and the routes look at it."""

_RULES: Sequence[tuple[str, str, str]] = (  # where, scope to look, scope to change
    ("/v1/classifications", INFER, INFER),
    ("/v1/chat/", INFER, INFER),
    ("/v1/moderations", INFER, INFER),
    ("/v1/batch/", INFER, INFER),
    ("/v1/models", INFER, TRAIN),
    ("/v1/classify", INFER, INFER),
    ("/v1/tokenize", INFER, INFER),
    ("/v1/check-api-key", ANY, ANY),
    ("/v1/datasets", TRAIN, TRAIN),
    ("/v1/tamis/aliases", INFER, TRAIN),
    ("/v1/tamis/models", INFER, TRAIN),
    ("/v1/tamis/reviews", TRAIN, TRAIN),
    ("/v1/finetuning/", TRAIN, TRAIN),
    ("/classify", INFER, INFER),
    ("/predict", INFER, INFER),
    ("/models/", INFER, INFER),
    ("/v1/files", ANY, ANY),
    ("/v1/fine_tuning/", TRAIN, TRAIN),
    ("/metrics", INFER, ADMIN),
)
_WIDER: Mapping[str, frozenset[str]] = {
    INFER: frozenset({INFER, ADMIN}),
    TRAIN: frozenset({TRAIN, ADMIN}),
    ADMIN: frozenset({ADMIN}),
    ANY: frozenset({INFER, TRAIN, ADMIN}),
}
_MAKE_ONE = "`tamis keys create NAME` makes one"


class Keys(Protocol):
    """What is asked of the workspace's keys."""

    def any(self) -> bool:
        """Whether the server has keys."""

    def check(self, secret: str) -> KeyRecord:
        """Return the key, or raise `Unauthorized`."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out about a key, and until when that is good."""

    key: KeyRecord | None
    until: float


class KeyRing:
    """The workspace's keys, asked for off the event loop and remembered for a few seconds."""

    def __init__(self, keys: Keys) -> None:
        """Ask `keys`."""
        self._keys = keys
        self._known: dict[bytes, _Known] = {}
        self._needed = True
        self._needed_until = 0.0

    async def needed(self) -> bool:
        """Whether there are keys, so that callers must bring one."""
        if monotonic() > self._needed_until:
            self._needed = await anyio.to_thread.run_sync(self._keys.any)
            self._needed_until = monotonic() + REMEMBERED_S
        return self._needed

    async def find(self, secret: str) -> KeyRecord | None:
        """Return the key that a secret opens, or None."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is None or monotonic() > known.until:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            known = _Known(await anyio.to_thread.run_sync(self._look, secret), monotonic() + REMEMBERED_S)
            self._known[digest] = known
        return known.key

    def _look(self, secret: str) -> KeyRecord | None:
        try:
            return self._keys.check(secret)
        except Unauthorized:
            return None


class Auth:
    """Lets a request through to the application, or raises what it lacks."""

    def __init__(self, app: ASGIApp, keys: Keys, settings: Settings) -> None:
        """Stand around `app`."""
        self._app = app
        self._ring = KeyRing(keys)
        self._cors_origins = frozenset(origin.lower() for origin in settings.cors_origins)
        self._public_host = urlsplit(settings.public_url).hostname or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request.

        Raises:
            Unauthorized: it brings no key that is known.
            Forbidden: its key is not for this, or it comes through a page of another site.
        """
        if scope["type"] == "http":
            if await self._ring.needed():
                if not is_public(scope["path"]):
                    await self._by_key(scope)
            else:
                self._by_place(scope)
                scope["open"] = True  # for the dashboard: whoever comes this far may do everything
        await self._app(scope, receive, send)

    async def _by_key(self, scope: Scope) -> None:
        secret = bearer(scope)
        key = await self._ring.find(secret) if secret else None
        if key is None:
            raise Unauthorized(f"A valid API key is needed: send it as `Authorization: Bearer KEY`. {_MAKE_ONE}.")
        scope["key_id"], scope["key_scopes"] = key.id, key.scopes
        require_scope(key.scopes, scope_for(scope["method"], scope["path"]))

    def _by_place(self, scope: Scope) -> None:
        """Refuse what does not come from this machine, or comes through a web page of somebody else's."""
        client = scope.get("client")
        if client and not is_loopback(client[0]):
            raise Unauthorized(f"The server has no API keys yet, and serves only its own machine. {_MAKE_ONE}.")
        headers = dict(reversed(scope["headers"]))  # of several of a name, the first
        host = host_of(headers.get(b"host", b"").decode("latin-1"))
        if not self._is_mine(host, scope):
            why = f"The Host header names {host or 'no host'}, which is not this server"
            raise Forbidden(f"{why}. Use 127.0.0.1 or localhost, set TAMIS_PUBLIC_URL, or make a key: {_MAKE_ONE}.")
        if scope["method"] not in READING and self._is_cross_site(headers):
            why = "A web page of another site may not do this on a server without API keys"
            raise Forbidden(f"{why}. {_MAKE_ONE}; TAMIS_CORS_ORIGINS names pages that may.")

    def _is_mine(self, host: str, scope: Scope) -> bool:
        if host == "localhost" or host.endswith(".localhost") or is_loopback(host):
            return True
        bound = scope.get("server") or ("", None)
        return bool(host) and host in (bound[0], self._public_host)

    def _is_cross_site(self, headers: Mapping[bytes, bytes]) -> bool:
        if b"origin" in headers:
            origin, host = (headers[name].decode("latin-1").lower() for name in (b"origin", b"host"))
            return origin not in self._cors_origins and origin not in (f"http://{host}", f"https://{host}")
        return headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin")


def scope_for(method: str, path: str) -> str:
    """Return the scope that a request needs; what no rule names is for admins."""
    for start, looking, changing in _RULES:
        if path.startswith(start):
            return looking if method in READING else changing
    return ADMIN


def is_for(scopes: Collection[str], needed: str) -> bool:
    """Return whether a key with these scopes may do what needs that one."""
    return bool(_WIDER[needed].intersection(scopes))


def require_scope(scopes: Collection[str], needed: str, what: str = "This") -> None:
    """Do nothing where a key with these scopes may do what needs that one.

    Raises:
        Forbidden: it may not; the message says that `what` needs it.
    """
    if not is_for(scopes, needed):
        has = ", ".join(scopes) or "none"
        raise Forbidden(f"{what} needs a key with the scope {needed}; this one has: {has}.", scope=needed)


def is_public(path: str) -> bool:
    """Return whether no key is needed."""
    return path in PUBLIC or path.startswith(PUBLIC_BELOW)


def bearer(scope: Scope) -> str:
    """Return the key that a request brings, or nothing."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, secret = value.decode("latin-1").partition(" ")
            return secret.strip() if kind.lower() == "bearer" else ""
    return ""


@lru_cache(maxsize=REMEMBERED_HOSTS)
def host_of(header: str) -> str:
    """Return the host of a Host header, without its port."""
    if len(header) > LONGEST_HOST:
        return ""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


@lru_cache(maxsize=REMEMBERED_HOSTS)
def is_loopback(host: str) -> bool:
    """Return whether an address is one of this machine alone; a name is not an address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
