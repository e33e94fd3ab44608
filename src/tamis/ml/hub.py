"""Where folders of models come from: a local folder, the cache of the Hugging Face hub, the hub itself.

It does not know what is in them: which files are needed is said by who asks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tamis.errors import UnknownBaseModel
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
    hub = require("huggingface_hub", "data")
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
        trouble = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnknownBaseModel(
            f"There is no base model {repository!r}: no such folder here, nothing in the Hugging Face cache, and it "
            f"cannot be fetched from the hub ({trouble}). Without a network, give a folder with its safetensors, "
            f"tokenizer.json and config.json, or a base model that is known here: {', '.join(CARDS)}.",
            name=repository,
        ) from error


def _place(repository: str, folder: Path) -> Place:
    return Place(folder, repository, f"https://huggingface.co/{repository}", folder.name)


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
