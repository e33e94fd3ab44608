"""docs/reference/commands.md has a section for each command that names each of its options, and no others.

Commands that read labelled files share the options of the section "Reading", and link to it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tamis.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")


def commands() -> dict[str, Any]:
    return dict(_below(typer.main.get_command(app), ""))


def _below(group: Any, start: str) -> Iterator[tuple[str, Any]]:
    """Yield the commands of a group, those of groups within it too, by what one types."""
    for name, command in getattr(group, "commands", {}).items():
        if getattr(command, "commands", None):
            yield from _below(command, f"{start}{name} ")
            if command.invoke_without_command:
                yield f"{start}{name}", command
        else:
            yield f"{start}{name}", command


def sections() -> dict[str, str]:
    """Return the text below each `## HEADING`."""
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented_for(name: str) -> list[str]:
    """Return the options that the command's section lists, with those of reading where it links to them."""
    text = sections()[f"tamis {name}"]
    shared = sections()["Reading"] if "(#reading)" in text else ""
    return re.findall(r"^\| `(--[a-z-]+)", text + shared, re.MULTILINE)


def options_of(command: Any) -> set[str]:
    """Return the long options of a command (the flag that turns one off counts as part of it)."""
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    names = {name for option in options for name in option.opts if name.startswith("--")}
    return names - {"--help", "--install-completion", "--show-completion"}


def test_each_command_has_its_section() -> None:
    assert {heading.removeprefix("tamis ") for heading in sections() if heading.startswith("tamis ")} == set(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_each_option_is_documented_once(name: str) -> None:
    assert sorted(documented_for(name)) == sorted(options_of(commands()[name]))


@pytest.mark.parametrize("name", sorted(commands()))
def test_each_command_explains_itself(name: str) -> None:
    command = commands()[name]
    assert (command.help or "").strip()
    silent = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert not silent, f"options and arguments without help: {silent}"
