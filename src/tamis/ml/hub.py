"""Where folders of models come from: a local folder, the cache of the Hugging Face hub, the hub itself.

It owns what can go wrong on the way to the hub, in words. It does not know what is in the folders: which files are
needed is said by who asks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tamis.errors import HubFailed, TamisError, UnknownBaseModel
from tamis.extras import require
from tamis.ml.cards import CARDS
from tamis.ml.untrusted import map_file

REPOSITORY = re.compile(r"(?P<id>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?", re.ASCII)
"""`owner/name`, or `owner/name@revision`."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a model's files, and what it is known as; `revision` pins what came from a repository."""

    folder: Path
    name: str
    source: str
    revision: str | None = None


def local_place(folder: str) -> Place | None:
    """Return the place of a local folder, or None where there is none."""
    if not os.path.isdir(folder):
        return None
    return Place(Path(folder), Path(folder).resolve().name, "a local folder")


def fetched(
    repository: str, revision: str | None, patterns: Sequence[str], whole: Callable[[Path], bool] = lambda _: True
) -> Place:
    """Return the place of a repository's files: from the local cache if they are whole there, else downloaded.

    Args:
        repository: `owner/name`.
        revision: a commit, a tag or a branch.
        patterns: the files that are needed.
        whole: whether a folder of the cache has them.

    Raises:
        UnknownBaseModel: it is in neither; the message says where was looked, and how to do without.
        MissingExtra: huggingface_hub is not installed.
    """
    hub = require("huggingface_hub", "hub")
    download = partial(hub.snapshot_download, repository, revision=revision, allow_patterns=[*patterns])
    try:
        folder = Path(download(local_files_only=True))
        if whole(folder):
            return _place(repository, folder)
    except (OSError, ValueError):  # not in the cache
        pass
    try:
        return _place(repository, Path(download()))
    except Exception as error:  # the HTTP client's own errors, which differ between versions of the package
        trouble = _first_line(hub, error)
        raise UnknownBaseModel(
            f"There is no base model {repository!r}: no such folder here, nothing in the Hugging Face cache, and it "
            f"cannot be fetched from the hub ({trouble}). Without a network, give a folder with its safetensors, "
            f"tokenizer.json and config.json, or a base model that is known here: {', '.join(CARDS)}.",
            name=repository,
        ) from error


def _place(repository: str, folder: Path) -> Place:
    return Place(folder, repository, f"https://huggingface.co/{repository}", folder.name)


@contextmanager
def hub_errors(hub: Any, repository: str, done: str) -> Iterator[None]:  # noqa: ANN401  a third party's module
    """Turn whatever goes wrong on the way to the hub into a `HubFailed` that says what to do.

    Args:
        hub: the module huggingface_hub.
        repository: `owner/name`.
        done: what is being done with it, as in "cannot be `pushed to`".
    """
    try:
        yield
    except TamisError:
        raise
    except Exception as error:  # the HTTP client's own errors, which differ between versions of the package
        raise HubFailed(_told(hub, error, repository, done), repository=repository) from error


def _told(hub: Any, error: Exception, repository: str, done: str) -> str:  # noqa: ANN401
    errors = hub.errors
    start = f"The repository {repository} cannot be {done} ({_without_secrets(hub, hub.constants.ENDPOINT)}): "
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):  # of one of many uploads
        error = error.__cause__
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{start}the hub is not to be asked here (HF_HUB_OFFLINE)."
    if isinstance(error, errors.GatedRepoError):
        return f"{start}it asks for permission. Accept its terms on its page, then log in: hf auth login"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{start}it has no such revision."
    if isinstance(error, errors.LocalTokenNotFoundError) or (status == 401 and not hub.get_token()):
        return f"{start}the hub wants a token, and there is none here. Log in (hf auth login), or set HF_TOKEN."
    if status in _STATUSES:
        return f"{start}{_STATUSES[status]} The hub said: {_first_line(hub, error)}"
    if status:
        return f"{start}the hub answered {status}. Try again later. It said: {_first_line(hub, error)}"
    return f"{start}{_first_line(hub, error)}. Check the network, and HF_ENDPOINT if it is set."


_STATUSES = {
    400: "it does not take what was sent.",
    401: "it does not know the token that is here. Make one on its page of settings, and log in: hf auth login",
    403: "the token that is here may not do this: it needs the permission to write, and the owner must be you or an "
    "organisation that you belong to.",
    404: "there is no such repository, or it is private and the token that is here may not see it.",
    409: "somebody else is changing it. Try again.",
    413: "the files are larger than it takes.",
    429: "too much was asked of it. Try again later.",
}
_SECRETS = (
    (re.compile(r"\bhf_\w+"), "hf_..."),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s'\"]+", re.IGNORECASE), r"\1 ..."),
    (re.compile(r"//[^/@\s]+@"), "//...@"),
)
"""Tokens, and names and passwords in addresses."""


def _first_line(hub: Any, error: Exception) -> str:  # noqa: ANN401
    """What an error says, in one line; a secret in it is not repeated."""
    said = getattr(error, "server_message", None) or str(error).strip() or type(error).__name__
    return _without_secrets(hub, said.splitlines()[0])[:300]


def _without_secrets(hub: Any, text: str) -> str:  # noqa: ANN401
    if token := hub.get_token():
        text = text.replace(str(token), "...")
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    return text


def front_matter(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the licence and the languages that a README names in its front matter."""
    if not path.is_file():
        return "unknown", ()
    text = map_file(path, limit=4 << 20, follow_links=True).tobytes().decode("utf-8", "replace")
    head = text.split("\n---", 1)[0] if text.startswith("---\n") else ""
    licence = re.search(r"^license:[ \t]*['\"]?([\w.-]+)", head, re.MULTILINE)
    languages = re.search(r"^language:(.*(?:\n[ \t]*-.*)*)", head, re.MULTILINE)
    codes = re.findall(r"[a-z]{2,3}\b", languages[1]) if languages else []
    return licence[1] if licence else "unknown", tuple(codes)
