"""Models by name: the versions that stand in the home, each a copy of an artifact that nothing changes any more.

    HOME/models/NAME/1/manifest.json, ...
    HOME/models/NAME/2/...

`name@2` is one version, `name` the newest. It does not know where the home is, nor how a model computes.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from tamis.errors import InvalidSetting, ModelError, UnknownModel
from tamis.ml.artifact import MANIFEST, open_artifact
from tamis.ml.folder_swap import sync

FOLDER = "models"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REFERENCE = re.compile(rf"(?P<name>{NAME.pattern})(@(?P<version>[1-9][0-9]{{0,8}}))?")
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a model in the home."""

    name: str
    number: int
    folder: Path

    def __str__(self) -> str:
        """`name@3`."""
        return f"{self.name}@{self.number}"


def require_name(name: str) -> None:
    """Do nothing where a model may have this name: call it before hours of work.

    Raises:
        InvalidSetting: it may not.
    """
    if not NAME.fullmatch(name):
        raise InvalidSetting(
            f"{name!r} cannot be a model's name: use up to 64 letters, digits, dots, dashes and underscores, "
            "and begin with a letter or digit.",
            setting="name",
        )


def register(home: Path, name: str, folder: Path, *, after: int = 0) -> Version:
    """Copy an artifact to the home as the next version of `name`: whole or not at all, and checked there.

    `after` is the highest number that models of this name have elsewhere.

    Raises:
        InvalidSetting: a model cannot have this name.
        ModelError: the folder is not a sound artifact, or the home cannot be written.
    """
    require_name(name)
    place = home / FOLDER / name
    partial = place / f".{secrets.token_hex(6)}.partial"
    try:
        partial.mkdir(parents=True)
        for path in folder.iterdir():
            if not path.name.startswith("."):
                shutil.copyfile(path, partial / path.name)
        open_artifact(partial)
        sync(partial)
        return _take_number(name, place, partial, after)
    except OSError as error:
        raise ModelError(
            f"The model could not be registered in {place}: {error.strerror or error}. Make room, or choose another "
            f"home (TAMIS_HOME); the model itself is in {folder}.",
            folder=str(place),
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def resolve(home: Path, reference: str | Path) -> Path:
    """Return the folder of a model: a folder of the file system, or else `name` or `name@3` in the home.

    A folder that is there but holds no model does not hide a name.

    Raises:
        UnknownModel: there is neither; the message names those that are there.
    """
    if (folder := folder_at(reference)) is not None:
        return folder
    asked = _REFERENCE.fullmatch(str(reference))
    if asked:
        numbers = _numbers(home / FOLDER / asked["name"])
        wanted = int(asked["version"]) if asked["version"] else max(numbers, default=0)
        if wanted in numbers:
            return home / FOLDER / asked["name"] / str(wanted)
        if numbers:
            there = ", ".join(f"{asked['name']}@{number}" for number in numbers[-5:])
            raise UnknownModel(f"There is no {reference}: the home has {there}.", model=str(reference))
    names = list(dict.fromkeys(version.name for version in versions(home)))
    raise unknown_model(str(reference), names, home, could_be_name=asked is not None)


def folder_at(reference: str | Path) -> Path | None:
    """Return the folder of the file system that a reference is, if it holds a model."""
    folder = Path(os.path.expanduser(reference))
    try:
        return folder if (folder / MANIFEST).exists() else None
    except (OSError, ValueError):  # too long, or a character that no path has
        return None


def unknown_model(reference: str, names: Sequence[str], home: Path, *, could_be_name: bool = True) -> UnknownModel:
    """Return what to raise where nothing is called `reference`, in words that help to find what is: one of `names`."""
    what = f"it has no {MANIFEST}" if os.path.isdir(os.path.expanduser(reference) or ".") else "there is no such folder"
    if not could_be_name:
        why = f"There is no model at {reference}: {what}. Give the folder that `tamis train` wrote."
        return UnknownModel(why, model=reference)
    alike = get_close_matches(reference.partition("@")[0], names, n=1)
    if alike:
        there = f"did you mean {alike[0]}?"
    else:
        there = f"the home {home} has {', '.join(names[:10])}." if names else f"the home {home} has no models yet."
    why = f"There is no model {reference}: {what} here, and no model of that name; {there}"
    return UnknownModel(why, model=reference)


def versions(home: Path) -> list[Version]:
    """Return all versions in the home, by name, the newest of a name first."""
    root = home / FOLDER
    names = sorted(path.name for path in _folders(root) if NAME.fullmatch(path.name))
    return [
        Version(name, number, root / name / str(number)) for name in names for number in reversed(_numbers(root / name))
    ]


def _take_number(name: str, place: Path, partial: Path, after: int) -> Version:
    """Move the copy to the first free number; another process may take one at the same time."""
    while True:
        number = max(*_numbers(place), after, 0) + 1
        folder = place / str(number)
        try:
            partial.rename(folder)
        except OSError as error:
            if error.errno not in _TAKEN or not folder.exists():
                raise
            continue
        return Version(name, number, folder)


def _numbers(place: Path) -> list[int]:
    """The numbers of a name's versions, ascending."""
    return sorted(int(path.name) for path in _folders(place) if re.fullmatch(r"[1-9][0-9]{0,8}", path.name))


def _folders(place: Path) -> Iterator[Path]:
    try:
        with os.scandir(place) as entries:
            yield from (Path(entry.path) for entry in entries if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return
