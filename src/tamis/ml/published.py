"""Models on the Hugging Face hub: the folder of one, from the local cache or fetched.

Only what its manifest lists is fetched, and nothing that is larger than it says. It does not know what the files mean:
opening them is the artifact's.
"""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Any

from tamis.errors import HubFailed, MissingExtra, UnknownModel
from tamis.extras import require
from tamis.ml.artifact import CARD, MANIFEST, MAX_MANIFEST, read_manifest
from tamis.ml.hub import REPOSITORY, hub_errors
from tamis.ml.untrusted import damaged

_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_repository(reference: str | Path) -> bool:
    """Return whether this can only be a repository of the hub, `owner/name` or `owner/name@revision`.

    A path, and what is there in the file system, is not.
    """
    return isinstance(reference, str) and REPOSITORY.fullmatch(reference) is not None and not os.path.lexists(reference)


def fetch_model(reference: str) -> Path:
    """Return the folder of a model on the hub; it is to be opened as one of the hub's cache.

    The hub is asked which commit is meant; files that are in the local cache are not fetched again. A commit that is
    pinned (`owner/name@<40 hex digits>`) and cached is not asked for, and without a network, or with HF_HUB_OFFLINE,
    what is cached is used.

    Raises:
        UnknownModel: there is no such repository, or it holds no model of Tamis.
        HubFailed: the hub cannot be asked, and the model is not in the cache.
        MissingExtra: huggingface_hub is not installed.
        DamagedArtifact: the repository's files are not what its manifest says.
    """
    found = REPOSITORY.fullmatch(reference)
    if found is None:
        raise UnknownModel(f"{reference!r} is no repository of the hub: it takes owner/name.", model=reference)
    repository, revision = found["id"], found["revision"]
    hub = _library(reference)
    download = partial(hub.snapshot_download, repository, revision=revision)
    if revision and _COMMIT.fullmatch(revision) and (folder := _cached(download)):
        return folder
    try:
        with hub_errors(hub, repository, "fetched"):
            info = hub.HfApi().model_info(repository, revision=revision, files_metadata=True)
    except HubFailed as failed:
        if folder := _cached(download):
            return folder
        if isinstance(failed.__cause__, hub.errors.RepositoryNotFoundError):
            raise _unknown(reference, str(failed)) from failed
        raise
    sizes = {sibling.rfilename: sibling.size for sibling in info.siblings or ()}
    at_hand = _cached(partial(hub.snapshot_download, repository, revision=info.sha))
    return at_hand or _fetched(hub, repository, sizes, download)


def _library(reference: str) -> Any:  # noqa: ANN401  a third party's module
    try:
        return require("huggingface_hub", "hub")
    except MissingExtra as error:
        raise MissingExtra(
            f"There is no model {reference}: no such folder is here, and no model of that name. To look for it on the "
            "Hugging Face hub: pip install 'tamis[hub]'",
            module="huggingface_hub",
            extra="hub",
        ) from error


def _unknown(reference: str, why: str) -> UnknownModel:
    return UnknownModel(
        f"There is no model {reference}: no such folder is here, no model of that name, and on the hub it is not "
        f"found either. {why}",
        model=reference,
    )


def _fetched(hub: Any, repository: str, sizes: dict[str, int | None], download: partial[str]) -> Path:  # noqa: ANN401
    if MANIFEST not in sizes:
        raise UnknownModel(
            f"The repository {repository} holds no model of Tamis: it has no {MANIFEST}. If it is a model of "
            f"transformers or model2vec, train from it: tamis train FILE --base {repository}",
            model=repository,
        )
    if (sizes[MANIFEST] or 0) > MAX_MANIFEST:
        raise damaged(Path(repository, MANIFEST), f"it has {sizes[MANIFEST]:,} bytes")
    with hub_errors(hub, repository, "fetched"):
        folder = Path(download(allow_patterns=[MANIFEST]))
    files = read_manifest(folder, of_hub=True).files
    for name, entry in files.items():
        if sizes.get(name) != entry.bytes:
            has = "is not in the repository" if name not in sizes else f"has {sizes[name] or 0:,} bytes"
            raise damaged(Path(repository, name), f"it {has}, and {MANIFEST} says {entry.bytes:,}")
    with hub_errors(hub, repository, "fetched"):
        return Path(download(allow_patterns=[MANIFEST, CARD, *files]))


def _cached(download: partial[str]) -> Path | None:
    """The folder in the cache, if it has a manifest and all that this lists."""
    try:
        folder = Path(download(allow_patterns=[MANIFEST], local_files_only=True))
    except (OSError, ValueError):  # not in the cache
        return None
    if not (folder / MANIFEST).is_file():
        return None
    files = read_manifest(folder, of_hub=True).files
    return folder if all((folder / name).is_file() for name in files) else None
