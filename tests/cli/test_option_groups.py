"""Groups of options: the terminal sees each option, the command one value."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from tamis.cli.option_groups import grouped

Colours = Annotated[list[str] | None, typer.Option("--colour", metavar="NAME")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """How it is painted."""

    coats: Annotated[int, typer.Option(min=1)] = 2
    colour: Colours = None
    gloss: Annotated[bool, typer.Option("--gloss/--matt")] = True


@pytest.fixture
def program() -> typer.Typer:
    app = typer.Typer(add_completion=False)

    @app.command()
    @grouped
    def paint(what: Annotated[str, typer.Argument()], *, paint: Paint, twice: bool = False) -> None:
        """Paint something."""
        typer.echo(f"{what} {twice} {paint}")

    return app


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["door"], f"door False {Paint()}"),
        (
            ["door", "--coats", "3", "--colour", "red", "--colour", "blue", "--matt", "--twice"],
            f"door True {Paint(coats=3, colour=['red', 'blue'], gloss=False)}",
        ),
    ],
)
def test_the_command_gets_one_value_of_a_group(program: typer.Typer, typed: list[str], said: str) -> None:
    done = CliRunner().invoke(program, typed)
    assert (done.exit_code, done.output.strip()) == (0, said)


def test_the_terminal_sees_each_option_in_its_place(program: typer.Typer) -> None:
    command = typer.main.get_command(program)
    assert [option.name for option in command.params] == ["what", "coats", "colour", "gloss", "twice"]
    assert command.help == "Paint something."
    assert CliRunner().invoke(program, ["door", "--coats", "0"]).exit_code == 2
