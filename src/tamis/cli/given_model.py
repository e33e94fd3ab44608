"""MODEL as a command takes it: a folder, any name by which a model is known in the home, or a repository of the hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.errors import InvalidSetting, UnknownModel

if TYPE_CHECKING:
    from tamis.ml.model import Model
    from tamis.settings import Settings
    from tamis.store.records import ModelRecord
    from tamis.workspace.workspace import Workspace

MODEL_HELP = "The folder that training wrote; a name: NAME, NAME@3, an alias, an id, ft:...; or OWNER/NAME on the hub."
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)]


def load_model(given: str) -> Model:
    """Load the model.

    Raises:
        UnknownModel: there is none.
        ModelError: it is damaged, or does not compute as it did.
        HubFailed: it can only be on the hub, and that cannot be asked.
    """
    from tamis.ml.model import load
    from tamis.ml.published import is_repository
    from tamis.ml.registry import folder_at
    from tamis.settings import load_settings

    settings = load_settings()
    if folder_at(given) or not settings.has_database:  # then only the home's folders have names, and no SQL is needed
        return load(given, home=settings.home)
    with opened(settings) as workspace:
        try:
            find(workspace, given)
        except UnknownModel:
            if is_repository(given):
                return load(given)
            raise
        folder = workspace.models.folder(workspace.models.answering(given))
    return load(folder)


def find(workspace: Workspace, given: str) -> ModelRecord:
    """Return the model of a name.

    Raises:
        UnknownModel: there is none; the message helps to find what there is.
    """
    from tamis.ml.registry import unknown_model

    workspace.models.take_in()  # what stands in the home since the database last looked
    try:
        return workspace.models.find(given)
    except UnknownModel:
        names = dict.fromkeys(record.name for record in workspace.models.list())
        raise unknown_model(given, list(names), workspace.settings.home, could_be_name="/" not in given) from None


def find_in_home(workspace: Workspace, given: str) -> ModelRecord:
    """Return the model of a name, for an alias: nothing but models of the home can be behind one.

    Raises:
        UnknownModel: there is none.
        InvalidSetting: it is a folder.
    """
    from tamis.ml.registry import folder_at

    try:
        return find(workspace, given)
    except UnknownModel:
        if folder_at(given) is None:
            raise
    raise InvalidSetting(
        f"{given} is a folder, and an alias points at models of the home: train it with --name NAME.", setting="model"
    )


@contextmanager
def opened(settings: Settings | None = None) -> Iterator[Workspace]:
    """Yield the home's workspace, whether or not a server runs on it."""
    from tamis.settings import load_settings
    from tamis.workspace.workspace import open_workspace

    with open_workspace(settings or load_settings()) as workspace:
        yield workspace
