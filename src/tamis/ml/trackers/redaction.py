"""Keys taken out of texts, in each form in which libraries and servers write them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"
SHORTEST = 4


class Redactor:
    """Hides secrets: as they are, quoted for URLs and JSON, and in base64 (as HTTP's basic authentication has them)."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Take the secrets; what is shorter than four characters cannot be told from words."""
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without them."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text


def _forms(secret: str) -> Iterable[str]:
    import json

    yield from (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1])
    data = secret.encode("utf-8", "surrogatepass")
    for before in (b"", b"x", b"xx", b"api:", b":"):
        # of a secret inside other text, base64 has three forms, by its place; bits shared with neighbours are cut off
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(before + data).decode()
            middle = coded[-(-len(before) * 8 // 6) : (len(before) + len(data)) * 8 // 6]
            yield middle if len(middle) >= SHORTEST else coded
