"""The program on the page docs/how-to/coming-from-mistral.md, with the releases that the page says it is for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from wire.client_process import PROGRAMS, run_python
from wire.sdk_environments import MISTRAL, MISTRAL_WITH_JOBS, Sdk
from wire.server_process import Server
from wire.training_rows import Rows, topics

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "coming-from-mistral.md"


@pytest.mark.parametrize("sdk", MISTRAL_WITH_JOBS, ids=str)
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


LOOK = """
import inspect
from connect import Mistral
client = Mistral(api_key="k", server_url="http://127.0.0.1:1")
jobs = client.batch.jobs
print(Mistral.__module__.partition(".sdk")[0], hasattr(client, "fine_tuning"),
      "requests" in inspect.signature(jobs.create).parameters, hasattr(jobs, "delete"))
"""


@pytest.mark.parametrize(
    ("sdk", "row"),
    list(zip(MISTRAL, ["1.7.0", "1.12.4", "2.0.0 to 2.5.1", "2.5.2 and later, 3.x"], strict=True)),
    ids=str,
)
def test_the_table_says_what_each_release_can_do(sdk: Sdk, row: str) -> None:
    (line,) = re.findall(rf"^\| {re.escape(row)} \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    form, _, trains, inline, delete = (cell.strip() for cell in line.split("|"))
    module, *can = run_python(sdk, "-W", "ignore", "-c", LOOK, folder=PROGRAMS).split()
    assert form == f"`from {module} import Mistral`"
    said = [not cell.startswith(("no", "**no")) for cell in (trains, inline, delete)]
    assert said == [word == "True" for word in can]
