"""Calls to copy stand on the page as tests/wire runs them."""

import ast
import re
from html import unescape
from typing import Any

import pytest

from tamis.workspace.workspace import Workspace


def codes(html: str) -> list[str]:
    return [unescape(code) for code in re.findall(r"<code>(.*?)</code></pre>", html, re.S)]


@pytest.fixture
def place(models: Workspace) -> str:
    models.models.take_in()
    return f"/ui/models/{models.models.find('both').id}/use"


def test_the_calls_have_this_servers_address_and_a_name_of_the_model(visitor: Any, place: str) -> None:
    found = codes(visitor.get(place).text)
    assert any("curl http://127.0.0.1:8000/v1/classifications" in code for code in found)
    assert sum('"both@1"' in code for code in found) >= 3
    for code in found:
        if "import" in code:
            ast.parse(code)


def test_the_address_chooses_name_text_and_kind(visitor: Any, place: str) -> None:
    text = 'it\'s "here" & <there>'
    page = visitor.client.get(place, params={"name": "both", "text": text, "as": "chat"})
    assert any('MODEL = "both"' in code for code in codes(page.text))
    assert any("classify_chat" in code for code in codes(page.text))
    assert "<there>" not in page.text
    assert "asks about texts only" in page.text


def test_a_name_that_is_not_the_models_is_not_taken(visitor: Any, place: str) -> None:
    assert "evil" not in "".join(codes(visitor.get(place + "?name=evil%22").text))


def test_keys_are_told_where_they_are_needed(sign_in: Any, place: str) -> None:
    admin, caller = sign_in("admin").get(place).text, sign_in("infer").get(place).text
    assert 'os.environ["TAMIS_API_KEY"]' in "".join(codes(caller))
    assert "Ask whoever runs this server" in caller
    assert 'href="/ui/keys">Make a key' in admin


def test_a_public_address_is_the_one_to_copy(make_client: Any, visitor: Any, place: str) -> None:
    page = type(visitor)(make_client(public_url="https://tamis.example.org")).get(place)
    assert any("https://tamis.example.org/v1" in code for code in codes(page.text))
