"""Putting a model on the Hugging Face hub: an artifact as a repository, with a card that the hub reads.

The client of the hub, huggingface_hub, finds the token and sends large files its own way. It does not know how a model
computes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamis.errors import InvalidSetting, OutputExists
from tamis.extras import require
from tamis.ml.artifact import CARD, MANIFEST, Artifact, names_in, open_artifact
from tamis.ml.hub import REPOSITORY, hub_errors
from tamis.ml.model_card import model_card

OWN = frozenset({".gitattributes", ".gitignore", CARD, "LICENSE"})
"""Files that a new repository may have, and that are no model's."""

DONE = "pushed to"
LONGEST_NAME = 96

_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")


@dataclass(frozen=True, slots=True)
class Published:
    """Where a model is on the hub: the repository, its address, and the commit."""

    repository: str
    url: str
    commit: str
    private: bool


def publish(folder: Path, repository: str, *, private: bool = False, licence: str | None = None) -> Published:
    """Put a model's folder on the hub, in one commit; the repository is made where there is none.

    Args:
        folder: a model's folder.
        repository: `owner/name`.
        private: others are not to see it.
        licence: of the model, by the hub's name for it; None takes the base model's, where that is known.

    Raises:
        InvalidSetting: the repository cannot be called so.
        OutputExists: it holds something else than a model of Tamis, or is public and was to be private.
        HubFailed: no token, a token that may not, no network; the message says what to do.
        MissingExtra: huggingface_hub is not installed.
        ModelError: the folder is no sound model.
    """
    require_repository(repository)
    _require_licence(licence)
    hub = require("huggingface_hub", "hub")
    artifact = open_artifact(folder, of_hub=True)
    api = hub.HfApi(library_name="tamis")
    with hub_errors(hub, repository, DONE):
        url = str(api.create_repo(repository, private=private, exist_ok=True))
        info = api.model_info(repository)
        there = {sibling.rfilename for sibling in info.siblings or ()}
        refuse_repository(repository, there, private=private and not info.private)
        stale = _stale(hub, repository, there, artifact) if MANIFEST in there else ()
        commit = api.create_commit(
            repository,
            operations=_operations(hub, artifact, stale, model_card(artifact.manifest, repository, licence)),
            commit_message=f"{artifact.manifest.name}, made with Tamis {artifact.manifest.tamis_version}",
        )
    return Published(repository, url, str(commit.oid), bool(info.private))


def require_repository(repository: str) -> None:
    """Do nothing where a repository may be called so.

    Raises:
        InvalidSetting: it may not.
    """
    found = REPOSITORY.fullmatch(repository)
    if found is None or found["revision"] is not None:
        raise InvalidSetting(
            f"{repository!r} is no name of a repository: give owner/name, such as me/support-intents.",
            setting="repository",
        )
    name = found["id"].partition("/")[2]
    if "--" in repository or ".." in repository or name.endswith((".git", "-", ".")) or len(repository) > LONGEST_NAME:
        raise InvalidSetting(
            f"{repository!r} cannot be the name of a repository: on the hub it has no -- and no .., ends with neither "
            f".git, - nor a point, and has at most {LONGEST_NAME} characters.",
            setting="repository",
        )


def _require_licence(licence: str | None) -> None:
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise InvalidSetting(
            f"{licence!r} is no licence by a name of the hub: these are like mit, apache-2.0 or other.",
            setting="licence",
        )


def refuse_repository(repository: str, there: Iterable[str], *, private: bool) -> None:
    """Do nothing where a model may be put into a repository with these files.

    Raises:
        OutputExists: they are something else than a model of Tamis; or `private`: it was to be, and is not.
    """
    foreign = sorted(set(there) - OWN)
    if foreign and MANIFEST not in foreign:
        raise OutputExists(
            f"The repository {repository} holds something else than a model of Tamis ({', '.join(foreign[:3])}): "
            "choose another name, so that nothing of yours is lost.",
            repository=repository,
        )
    if private:
        raise OutputExists(
            f"The repository {repository} is there already, and public: make it private in its settings, or choose "
            "another name. Nothing was pushed.",
            repository=repository,
        )


def _stale(hub: Any, repository: str, there: set[str], artifact: Artifact) -> list[str]:  # noqa: ANN401
    """The files of the model that was there before which the new one does not have."""
    before = Path(hub.snapshot_download(repository, allow_patterns=[MANIFEST]))
    return sorted(names_in(before, of_hub=True) & there - {*artifact.manifest.files, MANIFEST, CARD})


def _operations(hub: Any, artifact: Artifact, stale: Iterable[str], card: str) -> list[Any]:  # noqa: ANN401
    """What is to be done to the repository."""
    names = [MANIFEST, *artifact.manifest.files]
    added = [hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(artifact.folder / name)) for name in names]
    return [
        *added,
        hub.CommitOperationAdd(path_in_repo=CARD, path_or_fileobj=card.encode("utf-8")),
        *(hub.CommitOperationDelete(path_in_repo=name) for name in stale),
    ]
