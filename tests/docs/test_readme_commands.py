"""README's two commands are there, CI runs these very lines, and what they name exists."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pattern(number: int) -> str:
    """Return the expression by which CI finds the command in README."""
    found = re.search(rf'^command_{number}=\$\(grep -xE "(.+)" README\.md\)$', CI, re.MULTILINE)
    assert found, f".ci/run does not take command {number} out of README"
    return found[1]


@pytest.mark.parametrize("number", [1, 2])
def test_ci_runs_the_one_line_that_readme_has(number: int) -> None:
    lines = [line for line in README.splitlines() if re.fullmatch(pattern(number), line)]
    assert len(lines) == 1, f"README must have command {number} once, on a line of its own: {lines}"
    assert f'-c "$command_{number}"' in CI


def test_what_the_commands_install_is_declared() -> None:
    command = next(line for line in README.splitlines() if re.fullmatch(pattern(2), line))
    extras = re.findall(r"'\.\[(\w+)\]'", command)
    assert extras
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    for file in re.findall(r"-[cr] (\S+)", command):
        assert (ROOT / file).is_file(), file


@pytest.mark.parametrize("tool", ["ruff check .", "ruff format --check .", "mypy", "lint-imports"])
def test_ci_runs_each_check(tool: str) -> None:
    assert re.search(rf"^\s*{re.escape(tool)}$", CI, re.MULTILINE)


def test_every_tamis_command_in_readme_exists() -> None:
    import typer.main

    from tamis.cli.app import app

    group = typer.main.get_command(app)
    used = set(re.findall(r"^(?:\$ )?(?:.* && )?tamis ([a-z]+)", README, re.MULTILINE))
    assert used, "README shows no command of tamis"
    known = set(getattr(group, "commands", {}))
    assert used <= known, f"README uses commands that do not exist: {used - known}"
