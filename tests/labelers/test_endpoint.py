"""References to LLMs: models with slashes and colons, URLs of all kinds, and nothing secret in what is shown."""

import pytest

from tamis.errors import InvalidSetting
from tamis.labelers.endpoint import Endpoint, chat_url, is_llm, parse_llm

URL = "http://127.0.0.1:8001"


@pytest.mark.parametrize(
    ("reference", "model", "url"),
    [
        (f"llm:gpt-4o-mini@{URL}", "gpt-4o-mini", URL),
        (f"gpt-4o-mini@{URL}/v1", "gpt-4o-mini", f"{URL}/v1"),
        (f"llm:meta-llama/Llama-3.1-8B:free@{URL}/v1/", "meta-llama/Llama-3.1-8B:free", f"{URL}/v1/"),
        ("llm:a@b@https://llm.example.org", "a@b", "https://llm.example.org"),
        ("llm:a@HTTPS://llm.example.org", "a", "HTTPS://llm.example.org"),
        ("llm:qwen2.5:7b", "qwen2.5:7b", "https://default.example.org/v1"),
        ("llm:publishers/x@001", "publishers/x@001", "https://default.example.org/v1"),
    ],
)
def test_a_reference_names_a_model_and_a_url(reference: str, model: str, url: str) -> None:
    found = parse_llm(reference, default_url="https://default.example.org/v1")
    assert (found.model, found.base_url) == (model, url)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("llm:", "names no model"),
        (f"llm:@{URL}", "names no model"),
        ("llm:gpt-4o", "TAMIS_LLM_BASE_URL"),
        ("llm:gpt-4o@localhost:8000", "begin the URL with http"),
        ("llm:gpt-4o@llm.example.org/v1", "begin the URL with http"),
        ("llm:gpt-4o@http://", "is none"),
        ("llm:gpt-4o@http://host:99999", "is none"),
        ("llm:gpt-4o@http://ho st/", "is none"),
        ("llm:gpt-4o@http://host/\r\nx", "is none"),
        ("llm:gpt-4o@http://host/#x", "#"),
    ],
)
def test_what_cannot_be_asked_is_refused(reference: str, says: str) -> None:
    with pytest.raises(InvalidSetting, match=says):
        parse_llm(reference)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidSetting, match="user or password") as caught:
        parse_llm("llm:m@https://me:hunter2@llm.example.org/v1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["two words\n", "clé", " padded", "a\x00b"])
def test_a_key_that_no_header_holds_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(InvalidSetting, match="key") as caught:
        parse_llm(f"llm:m@{URL}", key=key)
    assert key.strip() not in str(caught.value)


def test_neither_key_nor_query_is_shown() -> None:
    found = parse_llm("llm:m@https://llm.example.org/v1?api-key=hidden", key="sk-secret")
    assert found.key == "sk-secret"
    assert "secret" not in repr(found)
    assert found.name == "llm:m@https://llm.example.org/v1"
    assert found.url == "https://llm.example.org/v1/chat/completions?api-key=hidden"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://a.org", "https://a.org/v1/chat/completions"),
        ("https://a.org/", "https://a.org/v1/chat/completions"),
        ("https://a.org/v1", "https://a.org/v1/chat/completions"),
        ("https://a.org/api/v3/", "https://a.org/api/v3/chat/completions"),
        ("https://a.org/v1/chat/completions", "https://a.org/v1/chat/completions"),
        ("https://a.org/v1/chat/completions/", "https://a.org/v1/chat/completions"),
    ],
)
def test_chats_go_where_the_base_url_means(base: str, url: str) -> None:
    assert chat_url(base) == url
    assert Endpoint("m", base).url == url


def test_a_reference_is_told_from_a_model_of_tamis() -> None:
    assert is_llm("llm:gpt")
    assert not is_llm("./llm-model")
