"""Doubled prefixes, slashes at the end, HEAD."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tamis.web.paths import plain_path


@pytest.mark.parametrize("path", ["/v1/files", "/v1/v1/files", "/v1/files/", "/v1/v1/v1/files//"])
def test_all_of_these_are_the_same(client: TestClient, path: str) -> None:
    answer = client.get(path, follow_redirects=False)
    assert answer.status_code == 200
    assert answer.json()["object"] == "list"


@pytest.mark.parametrize("path", ["/v1/v1/files", "/v1/files/"])
def test_uploads_too(client: TestClient, path: str) -> None:
    assert client.post(path, files={"file": ("a.jsonl", b"{}")}, follow_redirects=False).status_code == 200


def test_v1_alone_is_nothing(client: TestClient) -> None:
    assert client.get("/v1/v1").status_code == 404


@pytest.mark.parametrize("path", ["/healthz", "/v1/files", "/docs", "/nope"])
def test_head_is_get_without_the_body(client: TestClient, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert head.content == b""
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]


@given(st.lists(st.sampled_from(["v1", "files", "", "x"]), max_size=8))
def test_a_plain_path_is_settled(parts: list[str]) -> None:
    path = plain_path("/" + "/".join(parts))
    assert plain_path(path) == path
    assert path == "/" or not path.endswith("/")
    assert not path.startswith("/v1/v1/")
