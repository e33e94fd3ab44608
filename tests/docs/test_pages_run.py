"""The commands on the tutorial and how-to pages run, in order, in a folder with the packaged examples.

What follows the language of a block: a file name makes the block that file, `exit 1` expects a command to end so.
Blocks of `bash`, `console` (its lines after `$ `) and `python` are run; others are for reading.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tamis.examples import EXAMPLES, example_path

ROOT = Path(__file__).parents[2]
PAGES = [
    page for page in (ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))) if page.exists()
]
RUN = {kind: ["bash", "-euo", "pipefail", "-c"] for kind in ("bash", "console")} | {"python": [sys.executable, "-c"]}
BLOCK = re.compile(r"^```(\w+)(?: +([^\n]+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def walk_through(page: str, folder: Path) -> int:
    """Make the files and run the commands of a page; return how many blocks ran."""
    ran = 0
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    surroundings = {
        **os.environ,
        "PATH": path,
        "HOME": str(folder),
        "TAMIS_HOME": str(folder / "home"),
        "COLUMNS": "100",
    }
    for kind, more, text in BLOCK.findall(page):
        if kind in RUN:
            shown = "\n".join(re.findall(r"^\$ (.+)$", text, re.MULTILINE)) if kind == "console" else text
            command = [*RUN[kind], shown]
            done = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
            expected = int(more.removeprefix("exit ")) if more else 0
            assert done.returncode == expected, f"{shown}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr, done.stderr
            ran += 1
        elif more:
            (folder / more).write_text(text, encoding="utf-8")
    return ran


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_the_page_run(page: Path, tmp_path: Path) -> None:
    for example in EXAMPLES:
        shutil.copy(example_path(example), tmp_path)
    assert walk_through(page.read_text(encoding="utf-8"), tmp_path), "the page has no command"


def test_a_command_that_fails_is_seen(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ended with 3"):
        walk_through("```bash\nexit 3\n```\n", tmp_path)
    assert walk_through("```csv a.csv\nx\n```\n```bash exit 1\ngrep y a.csv\n```\n", tmp_path) == 1
    assert walk_through("```console\n$ grep x a.csv\nx\n```\n", tmp_path) == 1
