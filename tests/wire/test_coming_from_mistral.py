"""The program on the page docs/how-to/coming-from-mistral.md, with the releases that the page says it is for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from wire.client_process import run_python
from wire.sdk_environments import MISTRAL_1_7, MISTRAL_1_12, MISTRAL_2_5, Sdk
from wire.server_process import Server
from wire.training_rows import Rows, topics

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "coming-from-mistral.md"


@pytest.mark.parametrize("sdk", [MISTRAL_1_7, MISTRAL_1_12, MISTRAL_2_5], ids=str)
def test_the_program_on_the_page_runs(sdk: Sdk, server: Server, tmp_path: Path) -> None:
    (program,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert program.count("http://127.0.0.1:8000") == 1
    Rows(topics(10, seed=f"page {sdk}"), topics(2, seed=f"held {sdk}"), []).write(tmp_path)
    (tmp_path / "program.py").write_text(program.replace("http://127.0.0.1:8000", server.url), encoding="utf-8")
    *_, estimate, outcome, answer = run_python(sdk, "-W", "ignore", "program.py", folder=tmp_path).splitlines()
    assert re.fullmatch(r"\d+ seconds, 0\.0 EUR", estimate)
    assert re.fullmatch(r"SUCCESS ft:classifier:ministral-3b-latest:\S+", outcome)
    scores = ast.literal_eval(answer)["results"][0]["topic"]["scores"]
    assert max(scores, key=scores.get) == "delivery"
