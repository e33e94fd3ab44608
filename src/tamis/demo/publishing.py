"""Putting the demo of a model on the Hugging Face hub, as a Space."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tamis.demo.hosted import MODEL
from tamis.demo.space import APP, is_own, write_space
from tamis.errors import OutputExists
from tamis.extras import require
from tamis.ml.hub import hub_errors
from tamis.ml.model import Model
from tamis.ml.publishing import DONE, Published, require_repository
from tamis.schema import Input

KIND = "space"
ATTRIBUTES = ".gitattributes"


def publish_space(
    model: Model, repository: str, *, private: bool = False, examples: tuple[Input, ...] = ()
) -> Published:
    """Put the demo of a model on the hub, in one commit; the Space is made where there is none, and starts there.

    Args:
        model: what the Space shows.
        repository: `owner/name`.
        private: others are not to see it.
        examples: inputs to start from, which everybody who sees the Space can read.

    Raises:
        InvalidSetting: the Space cannot be called so, or Tamis is not installed.
        OutputExists: there is a Space of that name with something else in it, or a public one that was to be private.
        HubFailed: no token, a token that may not, no network; the message says what to do.
        MissingExtra: huggingface_hub or Gradio is not installed.
    """
    require_repository(repository)
    hub = require("huggingface_hub", "hub")
    api = hub.HfApi(library_name="tamis")
    with tempfile.TemporaryDirectory(prefix="tamis-") as place:
        folder = write_space(model, Path(place) / KIND, examples=examples)
        with hub_errors(hub, repository, DONE):
            made = api.create_repo(repository, repo_type=KIND, space_sdk="gradio", private=private, exist_ok=True)
            info = api.space_info(repository)
            there = {sibling.rfilename for sibling in info.siblings or ()}
            refuse_repository(repository, there, private=private and not info.private)
            commit = api.create_commit(
                repository,
                repo_type=KIND,
                operations=_operations(hub, folder, there),
                commit_message=f"The demo of {model.name}, made with Tamis {model.manifest.tamis_version}",
            )
    return Published(repository, str(made), str(commit.oid), bool(info.private))


def refuse_repository(repository: str, there: Collection[str], *, private: bool) -> None:
    """Do nothing where a demo may be put into a Space with these files.

    Raises:
        OutputExists: they are something else than the demo of a model; or `private`: it was to be, and is not.
    """
    foreign = sorted(name for name in there if name != ATTRIBUTES and not is_own(name.partition("/")[0]))
    if APP in there and f"{MODEL}/manifest.json" not in there:
        foreign.insert(0, APP)
    if foreign:
        raise OutputExists(
            f"The Space {repository} holds something else than the demo of a model ({', '.join(foreign[:3])}): choose "
            "another name, so that nothing of yours is lost.",
            repository=repository,
        )
    if private:
        raise OutputExists(
            f"The Space {repository} is there already, and public: make it private in its settings, or choose another "
            "name. Nothing was pushed.",
            repository=repository,
        )


def _operations(hub: Any, folder: Path, there: Collection[str]) -> list[Any]:  # noqa: ANN401
    """What is to be done to the repository: all files of the folder, and away with what an earlier one had besides."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    stale = sorted(set(there) - files.keys() - {ATTRIBUTES})
    return [
        *(hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(path)) for name, path in files.items()),
        *(hub.CommitOperationDelete(path_in_repo=name) for name in stale),
    ]
