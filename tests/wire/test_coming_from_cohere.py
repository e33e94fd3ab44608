"""The program on the page docs/how-to/coming-from-cohere.md, with the releases that the page says it is for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wire.client_process import run_python
from wire.sdk_environments import COHERE, Sdk
from wire.server_process import Server
from wire.training_rows import topics, write_rows

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "coming-from-cohere.md"
URL = "http://127.0.0.1:8000"


@pytest.mark.parametrize("sdk", COHERE[1:2], ids=str)
def test_the_program_on_the_page_runs(sdk: Sdk, server: Server, tmp_path: Path) -> None:
    (program,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert program.count(URL) == 1
    for name, copies in (("train", 10), ("test", 2)):
        rows = [{"text": row["text"], "label": row["labels"]["topic"]} for row in topics(copies, f"page {sdk} {name}")]
        write_rows(tmp_path / f"{name}.jsonl", rows)
    (tmp_path / "program.py").write_text(program.replace(URL, server.url), encoding="utf-8")
    looked, ready, right = run_python(sdk, "-W", "ignore", "program.py", folder=tmp_path).splitlines()
    assert (looked, ready) == ("validated []", "STATUS_READY")
    assert re.fullmatch(r"2[2-4] of 24 right", right)


def test_the_page_names_the_releases_that_are_tested() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(sdk.version in text for sdk in COHERE)
    assert f'-co = cohere.Client("COHERE_API_KEY")\n+co = cohere.Client("anything", base_url="{URL}")' in text
