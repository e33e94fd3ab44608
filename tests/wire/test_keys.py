"""A server with API keys, as the SDKs meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wire.client_process import CallFailed, Client
from wire.raw_http import RawServer
from wire.sdk_environments import COHERE, MISTRAL, OPENAI, Sdk
from wire.server_process import Server

TEXT = '{"text": "where is my parcel", "labels": {"topic": "delivery"}}\n'


def key_for(home: Path, name: str, *scopes: str) -> str:
    """Make a key with the command line."""
    options = [part for scope in scopes for part in ("--scope", scope)]
    done = subprocess.run(
        [sys.executable, "-m", "tamis", "keys", "create", name, "--json", *options],
        env=os.environ | {"TAMIS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)["key"]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server that had keys before it started."""
    home = tmp_path_factory.mktemp("keyed") / "home"
    keys = {
        name: key_for(home, name, *scopes) for name, scopes in {"all": ("infer", "train"), "infer": ("infer",)}.items()
    }
    with Server(home) as running:
        yield running, keys


@pytest.mark.parametrize("sdk", MISTRAL, ids=str)
def test_a_key_opens_the_server(keyed: tuple[Server, dict[str, str]], sdk: Sdk) -> None:
    server, keys = keyed
    with Client(sdk, server.url, keys["all"]) as client:
        file = client.call("files.upload", file={"file_name": f"{sdk}.jsonl", "content": {"$bytes": TEXT}})
        assert client.call("files.list", search=str(sdk))["data"][0]["id"] == file["id"]
        url = client.call("files.get_signed_url", file_id=file["id"])["url"]
        assert server.raw.request("GET", url.removeprefix(server.url)).body.decode() == TEXT  # brings no key
        assert server.raw.request("GET", f"/v1/files/{file['id']}/content").status == 401


@pytest.mark.parametrize("sdk", MISTRAL, ids=str)
def test_a_wrong_key_is_refused(keyed: tuple[Server, dict[str, str]], sdk: Sdk) -> None:
    server, keys = keyed
    with Client(sdk, server.url, keys["all"][:-1] + "x") as client:
        for call, arguments in (
            ("files.list", {}),
            ("models.list", {}),
            ("classifiers.classify", {"model": "m", "inputs": ["x"]}),
            ("chat.complete", {"model": "m", "messages": [{"role": "user", "content": "x"}]}),
        ):
            with pytest.raises(CallFailed) as caught:
                client.call(call, **arguments)
            assert (caught.value.type, caught.value.status) == ("SDKError", 401)
            assert "API key" in caught.value.message


@pytest.mark.parametrize("sdk", COHERE, ids=str)
def test_a_wrong_key_is_the_exception_that_cohere_s_users_know(keyed: tuple[Server, dict[str, str]], sdk: Sdk) -> None:
    server, keys = keyed
    for key, kind, status, says in (
        (keys["all"][:-1] + "x", "UnauthorizedError", 401, "API key"),
        (keys["infer"], "ForbiddenError", 403, "train"),
    ):
        with Client(sdk, server.url, key) as client:
            for call in ("datasets.list", "finetuning.list_finetuned_models"):
                with pytest.raises(CallFailed) as caught:
                    client.call(call)
                assert (caught.value.type, caught.value.status) == (kind, status)
                assert says in caught.value.body["message"]  # type: ignore[index]


def test_a_wrong_key_is_the_exception_that_openai_s_users_know(keyed: tuple[Server, dict[str, str]]) -> None:
    server, keys = keyed
    with Client(OPENAI, server.url, keys["all"][:-1] + "x") as client:
        with pytest.raises(CallFailed) as caught:
            client.call("moderations.create", input="x")
        assert (caught.value.type, caught.value.status) == ("AuthenticationError", 401)
        assert "API key" in caught.value.message


def test_a_key_is_only_for_what_it_is_for(keyed: tuple[Server, dict[str, str]]) -> None:
    server, keys = keyed
    row = {"$bytes": '{"custom_id": "0", "body": {"input": "x"}}\n'}
    with Client(MISTRAL[1], server.url, keys["infer"]) as client:
        assert client.call("models.list")["object"] == "list"
        asked = client.call("files.upload", file={"file_name": "asked.jsonl", "content": row}, purpose="batch")
        assert [file["id"] for file in client.call("files.list")["data"]] == [asked["id"]]
        with pytest.raises(CallFailed) as caught:
            client.call("files.upload", file={"file_name": "x.jsonl", "content": {"$bytes": TEXT}})
        assert caught.value.status == 403
        assert "train" in caught.value.message


def test_without_any_key(keyed: tuple[Server, dict[str, str]]) -> None:
    """1.x sends no Authorization header where no key is given."""
    server, keys = keyed
    answer = server.raw.request("GET", "/v1/models")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert RawServer(server.url, keys["infer"]).request("GET", "/v1/models").status == 200


def test_jobs_are_listed_by_who_made_them(keyed: tuple[Server, dict[str, str]]) -> None:
    server, _ = keyed
    mine, other = (key_for(server.home, name) for name in ("mine", "other"))
    with Client(MISTRAL[1], server.url, mine) as client, Client(MISTRAL[1], server.url, other) as stranger:
        file = client.call("files.upload", file={"file_name": "mine.jsonl", "content": {"$bytes": TEXT * 2}})
        asked = {"model": "ministral-3b-latest", "job_type": "classifier", "hyperparameters": {}, "auto_start": False}
        asked["training_files"] = [{"file_id": file["id"], "weight": 1}]
        job = client.call("fine_tuning.jobs.create", **asked)
        assert [found["id"] for found in client.call("fine_tuning.jobs.list", created_by_me=True)["data"]] == [
            job["id"]
        ]
        assert stranger.call("fine_tuning.jobs.list", created_by_me=True)["data"] == []
        assert stranger.call("fine_tuning.jobs.list")["total"] == 1
