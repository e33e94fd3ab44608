"""Reading what strangers wrote: plain files of a bounded size, and JSON without surprises.

It does not know what the files mean.
"""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue, ValidationError

from tamis.errors import DamagedArtifact

MAX_DEPTH = 32
"""Nesting of JSON beyond which a file is refused; a manifest needs 7."""

Bytes = NDArray[np.uint8]


def damaged(path: Path, cause: str) -> DamagedArtifact:
    """Return the error for a file that must not be used."""
    return DamagedArtifact(
        f"{path} is damaged: {cause}. Get the whole folder again from where it was made.", path=str(path), cause=cause
    )


def misfit(path: Path, error: ValidationError, *above: str) -> DamagedArtifact:
    """Return the error for facts of a file that pydantic refused; `above` are the keys that they lie under."""
    first = error.errors(include_url=False)[0]
    place = ".".join([*above, *map(str, first["loc"])])
    return damaged(path, f"{place}: {first['msg'].lower()}")


def map_file(path: Path, *, limit: int | None = None, follow_links: bool = False) -> Bytes:
    """Return the bytes of a plain file, read-only and memory-mapped: (size,) uint8.

    Args:
        path: where it should be.
        limit: the most bytes it may have.
        follow_links: whether it may be a symbolic link, as files in a cache are.

    Raises:
        DamagedArtifact: it is not there, not a plain file, unreadable or over the limit.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a named pipe must not block
    if not follow_links:
        if path.is_symlink():
            raise damaged(path, "it is a symbolic link, and a model's files must be plain files")
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise damaged(path, "it is not a plain file")
            if limit is not None and status.st_size > limit:
                raise damaged(path, f"it has {status.st_size:,} bytes, and {limit:,} are allowed")
            if status.st_size == 0:
                return np.zeros(0, dtype=np.uint8)
            return np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))
    except OSError as error:
        raise damaged(path, f"it cannot be read ({error.strerror or error})") from error


def refuse_links(folder: Path) -> None:
    """Refuse a folder with a link to a file elsewhere: a stranger's could lead to what is nobody else's business.

    Links within the folder are good, and those to the blobs of a repository that the folder is a snapshot of, as in the
    cache of the Hugging Face hub. Of files that a model consists of, here and one folder below.

    Raises:
        DamagedArtifact: there is one.
    """
    inside = Path(os.path.realpath(folder))
    allowed = [inside, *(place.with_name("blobs") for place in inside.parents[:1] if place.name == "snapshots")]
    for path in (path for pattern in _MODEL_FILES for path in folder.glob(pattern)):
        target = Path(os.path.realpath(path))
        if not any(target.is_relative_to(os.path.realpath(place)) for place in allowed):
            cause = "it is a link to a file outside of its folder"
            raise DamagedArtifact(
                f"{path} is not read: {cause}. Put the file itself there, if you trust where the link leads.",
                path=str(path),
                cause=cause,
            )


_MODEL_FILES = tuple(f"{above}*.{kind}" for above in ("", "*/") for kind in ("json", "safetensors", "jinja", "md"))


def parse_object(raw: bytes, path: Path) -> dict[str, JsonValue]:
    """Return a JSON object.

    Raises:
        DamagedArtifact: `raw` (the content of `path`, or a part of it) is not UTF-8, not JSON, or not an object; it is
            nested too deep, repeats a key, or holds NaN, an infinity or half a surrogate pair.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_constant=_no_constant,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # fails for half a surrogate pair
    except (ValueError, RecursionError) as error:
        cause = "is nested too deep" if isinstance(error, RecursionError) else f"is not valid JSON ({error})"
        raise damaged(path, f"its content {cause}") from error
    if not isinstance(value, dict):
        raise damaged(path, "its content is JSON, but not an object")
    if _is_deep(value):
        raise damaged(path, "its content is nested too deep")
    return cast("dict[str, JsonValue]", value)


def render_json(value: JsonValue, indent: int = 0) -> str:
    """Return JSON that a person can read: an entry a line, lists of plain values on one line."""
    inner = " " * (indent + 2)
    if isinstance(value, dict) and value:
        rows = [
            f"{json.dumps(key, ensure_ascii=False)}: {render_json(item, indent + 2)}" for key, item in value.items()
        ]
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        rows = [render_json(item, indent + 2) for item in value]
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + "\n" + ",\n".join(inner + row for row in rows) + "\n" + " " * indent + closing


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a key is there twice")
    return entries


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _is_deep(value: object) -> bool:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else cast("list[object]", container))
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True
