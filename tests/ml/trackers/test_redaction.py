"""Keys do not get past, in whatever form a library writes them."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.ml.trackers.redaction import HIDDEN, Redactor


@settings(max_examples=100)
@given(st.text(min_size=8, max_size=60), st.binary(max_size=5), st.binary(max_size=5))
def test_no_form_of_a_key_gets_past(key: str, before: bytes, after: bytes):
    hide = Redactor([key])
    data = key.encode("utf-8", "surrogatepass")
    for form in (key, quote(data, safe=""), json.dumps(key)):
        assert form not in hide(f"it says {form}!")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        coded = encode(before + data + after).decode()
        assert HIDDEN in hide(f"Authorization: Basic {coded}")


def test_what_is_no_secret_stays():
    assert Redactor(["", "abc"])("abc is too short to be one") == "abc is too short to be one"
    assert Redactor(["secret-key"])("nothing here") == "nothing here"
