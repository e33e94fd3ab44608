"""The calls that a model's page gives to copy, run as they stand: by the SDKs they are for, by a shell, by Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path

import httpx
import pytest

from tamis.store.records import ModelRecord
from tamis.workspace.snippets import Asking, snippets
from wire.client_process import Json, surroundings
from wire.sdk_environments import COHERE, MISTRAL, OPENAI, Sdk, interpreter
from wire.server_process import Server

SECONDS = 60
TEXT = 'my password doesn\'t work, "please" help 🙂'
"""Quotes of both kinds, and a character beyond all alphabets: whatever somebody has just tried."""

EXPECTED = "account"


def snippet(server: Server, model: str, id: str, **asked: str) -> str:
    """Return the code that the page has under this heading."""
    found = httpx.get(f"{server.url}/v1/models/{model}", trust_env=False).json()
    page = httpx.get(f"{server.url}/ui/models/{found['id']}/use", params={"text": TEXT} | asked, trust_env=False)
    assert page.status_code == 200, page.text
    section = page.text.partition(f'id="{id}"')[2].partition("</section>")[0]
    codes = re.findall(r"<code>(.*?)</code></pre>", section, re.S)
    return unescape(codes[-1])


def run(command: list[str | Path], **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, env=surroundings() | environment, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def downloaded(server: Server, model: str, place: Path) -> Path:
    """Download a model as people do: on its page, once it is made ready."""
    with httpx.Client(base_url=server.url, trust_env=False) as visitor:
        page = visitor.get(f"/ui/models/{model}/details").text
        token = re.search(r'name="form_token" value="([^"]+)"', page)
        assert token
        made = visitor.post(f"/ui/models/{model}/export", data={"form_token": token[1], "format": "artifact"})
        assert made.status_code == 303, made.text
        deadline = time.monotonic() + SECONDS
        while (
            link := re.search(r'href="([^"]+/model\.zip)"', visitor.get(f"/ui/models/{model}/details").text)
        ) is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        place.write_bytes(visitor.get(link[1]).content)
    return place


@pytest.mark.parametrize("asked", [{}, {"as": "chat"}], ids=["text", "chat"])
@pytest.mark.parametrize("sdk", MISTRAL, ids=str)
def test_mistralai(server: Server, topic_model: str, sdk: Sdk, asked: dict[str, str]) -> None:
    code = snippet(server, topic_model, "mistralai-1" if sdk.major == 1 else "mistralai", **asked)
    assert (topic_model in code) == topic_model.startswith("ft:")
    target, label, score = run([interpreter(sdk), "-c", code]).split()
    assert (target, label) == ("topic", EXPECTED)
    assert float(score) > 0.5


@pytest.mark.parametrize("sdk", COHERE, ids=str)
def test_cohere(server: Server, topic_model: str, sdk: Sdk) -> None:
    code = snippet(server, topic_model, "cohere")
    assert re.search(r'model="[0-9a-f-]{36}-ft"', code)
    assert run([interpreter(sdk), "-c", code]).startswith(f"['{EXPECTED}'] [0.")


def test_openai(server: Server, moderation_model: str) -> None:
    found = run([interpreter(OPENAI), "-c", snippet(server, moderation_model, "openai")])
    assert found.startswith(("True {", "False {"))
    assert "'insult'" in found


@pytest.mark.parametrize("path", [{}, {"as": "chat"}], ids=["text", "chat"])
def test_curl(server: Server, topic_model: str, path: dict[str, str]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    found = run(["sh", "-c", snippet(server, topic_model, "curl", **path)])
    assert f'"{EXPECTED}"' in found
    assert '"scores"' in found


def test_any_name_of_the_model_does(server: Server, trained: Callable[[str], Json]) -> None:
    job = trained("topics")
    model = job["fine_tuned_model"]
    found = httpx.get(f"{server.url}/v1/models/{model}", trust_env=False).json()
    page = httpx.get(f"{server.url}/ui/models/{found['id']}/use", trust_env=False).text
    names = [unescape(name) for name in re.findall(r'<option value="([^"]+)"', page.partition('id="use-as"')[0])]
    assert len(names) >= 3
    for name in names:
        code = snippet(server, model, "cohere", name=name)
        assert f'"{name}"' in code
        assert EXPECTED in run([interpreter(COHERE[-1]), "-c", code])


def test_python_without_a_server(server: Server, topic_model: str, tmp_path: Path) -> None:
    code = snippet(server, topic_model, "python", text="my password does not work")
    folder = re.search(r'tamis\.load\("([^"]+)"\)', code)
    assert folder
    found = downloaded(server, topic_model, tmp_path / "model.zip")
    shutil.unpack_archive(found, tmp_path)
    assert (tmp_path / folder[1]).is_dir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=tmp_path,
        env=dict(os.environ),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"topic \('{EXPECTED}',\) [01]\.\d+\n", done.stdout), done.stdout


@pytest.mark.parametrize("sdk", [MISTRAL[0], MISTRAL[-1], COHERE[-1], None], ids=str)
def test_a_key_comes_from_the_environment(server: Server, topic_model: str, sdk: Sdk | None) -> None:
    model = ModelRecord(id="m", name="m", root="r", base="b", place="p", created_at=1)
    made = {each.id: each.code for each in snippets(Asking(url=server.url, model=model, name=topic_model, text=TEXT))}
    if sdk is None:
        found = run(["sh", "-c", made["curl"]], TAMIS_API_KEY="k")
    else:
        id = "cohere" if sdk.name == "cohere" else "mistralai-1" if sdk.major == 1 else "mistralai"
        found = run([interpreter(sdk), "-c", made[id]], TAMIS_API_KEY="k")
    assert EXPECTED in found
