"""Where an LLM is: `llm:MODEL@URL`, and the address that chats go to. It asks nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from tamis.errors import InvalidSetting

PREFIX = "llm:"
PATH = "/v1/chat/completions"

_WITH_URL = re.compile(r"(?P<model>.+)@(?P<url>https?://.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(localhost|[\w-]+(\.[\w-]+)+|\[[0-9a-f:.]+\])(:\d+)?(/\S*)?", re.IGNORECASE)
_UNSAFE = re.compile(r"[\s\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model of one endpoint; `key` goes there and nowhere else, and is never shown."""

    model: str
    base_url: str
    key: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """Where chats are sent."""
        return chat_url(self.base_url)

    @property
    def name(self) -> str:
        """`llm:MODEL@URL` without what may be secret in the URL."""
        return f"{PREFIX}{self.model}@{self.shown}"

    @property
    def shown(self) -> str:
        """The base URL as people may see it: without a query."""
        parts = urlsplit(self.base_url)
        return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def chat_url(base_url: str) -> str:
    """Return where chats go: the base URL may end in `/v1`, in nothing, or name the whole path."""
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/")
    if not path.endswith("/chat/completions"):
        path = f"{path}/chat/completions" if path.strip("/") else PATH
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def is_llm(reference: str) -> bool:
    """Whether a reference names an LLM, and no model of Tamis."""
    return reference.startswith(PREFIX)


def parse_llm(reference: str, *, key: str = "", default_url: str = "") -> Endpoint:
    """Return the endpoint of `llm:MODEL@URL`, of `MODEL@URL`, or of `MODEL` alone at the default URL.

    The model may hold slashes, colons and @; the URL begins behind the last `@http`.

    Raises:
        InvalidSetting: there is no model or no URL, or the URL is none that can be asked.
    """
    given = reference.removeprefix(PREFIX)
    found = _WITH_URL.fullmatch(given)
    model, url = (found["model"], found["url"]) if found else (given, default_url)
    if found is None and _HOST.fullmatch(given.rpartition("@")[2]) and "@" in given:
        raise InvalidSetting(f"{_shown(reference)}: begin the URL with http:// or https://.", setting="llm")
    if not model.strip() or model.strip() != model or model.lower().startswith("@http"):
        raise InvalidSetting(f"{_shown(reference)} names no model: write llm:MODEL@URL.", setting="llm")
    if not url:
        raise InvalidSetting(
            f"{_shown(reference)} has no URL: write llm:{model}@https://…, or set TAMIS_LLM_BASE_URL to that of an "
            "OpenAI-compatible endpoint.",
            setting="llm",
        )
    return Endpoint(model, _checked(url), _checked_key(key))


def _checked(url: str) -> str:
    """Refuse a URL that cannot be asked, or that would show a secret; no message repeats it."""
    wrong = "The URL of the LLM endpoint"
    try:
        parts = urlsplit(url)
        port_is_one = parts.port is None or 0 < parts.port < 65_536
    except ValueError:
        port_is_one, parts = False, urlsplit("")
    if not port_is_one or not parts.hostname or parts.scheme.lower() not in ("http", "https") or _UNSAFE.search(url):
        raise InvalidSetting(f"{wrong} is none: write it like https://llm.example.org/v1.", setting="llm_base_url")
    if parts.username is not None or parts.password is not None:
        raise InvalidSetting(
            f"{wrong} holds a user or password: leave them out, and give the key as TAMIS_LLM_API_KEY.",
            setting="llm_base_url",
        )
    if parts.fragment:
        raise InvalidSetting(f"{wrong} holds a #: leave out what begins there.", setting="llm_base_url")
    return url


def _checked_key(key: str) -> str:
    """Refuse a key that no header can hold; the message does not repeat it."""
    if not key.isascii() or not key.isprintable() or key.strip() != key:
        raise InvalidSetting(
            "The key of the LLM endpoint holds blanks, line ends or characters that no key has: copy it again.",
            setting="llm_api_key",
        )
    return key


def _shown(reference: str) -> str:
    """The reference without what stands between `//` and `@`, and behind `?`."""
    return re.sub(r"//[^/@]*@", "//…@", reference).partition("?")[0][:200]
