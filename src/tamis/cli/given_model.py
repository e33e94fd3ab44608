"""MODEL as a command takes it: a folder, or a name in the home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tamis.ml.model import Model

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="The folder that training wrote, or a name in the home: NAME, NAME@3.")
]


def load_model(given: str) -> Model:
    """Load the model.

    Raises:
        UnknownModel: there is none.
        ModelError: it is damaged, or does not compute as it did.
    """
    from tamis.ml.model import load
    from tamis.settings import load_settings

    return load(given, home=load_settings().home)
