"""Versions of a data file: what it was made from and what was changed on the way, kept beside it.

`tamis fix` writes `NEW.changes.jsonl` beside the new file: first a line that says what version it is, then a line a
change. A version is known by the hash of its file, so a file that was edited by hand since then has no version.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tamis.errors import InvalidSetting

SUFFIX = ".changes.jsonl"
LONGEST_HEAD = 1 << 20
MOST_STEPS = 100

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Step(BaseModel):
    """One version: its file's hash, that of the file it was made from (None: the first), and what was changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Sha256
    parent: Sha256 | None = None
    applied: tuple[Annotated[str, Field(max_length=400)], ...] = ()
    rows: Annotated[int, Field(ge=0)] = 0


class Version(BaseModel):
    """A version of a data file, with those it came from, the first of them first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: Annotated[int, Field(ge=1)] = 1
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_STEPS)]

    @property
    def sha256(self) -> str:
        """The hash of its file."""
        return self.steps[-1].sha256

    @classmethod
    def first(cls, sha256: str, rows: int) -> Self:
        """Return the version of a file that was not made from another."""
        return cls(steps=(Step(sha256=sha256, rows=rows),))

    def after(self, sha256: str, applied: Iterable[str], rows: int) -> Version:
        """Return the version that changes lead to: this one where the file is the same. The latest steps are kept."""
        if sha256 == self.sha256:
            return self
        step = Step(sha256=sha256, parent=self.sha256, applied=tuple(applied), rows=rows)
        return Version(number=self.number + 1, steps=(*self.steps, step)[-MOST_STEPS:])


def file_hash(path: Path) -> str:
    """Return sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def log_of(path: Path) -> Path:
    """Return where the changes that led to a file are written."""
    return path.with_name(path.name + SUFFIX)


def version_of(path: Path) -> Version | None:
    """Return the version that a file is, if it has a log beside it that fits."""
    log = log_of(path)
    try:
        with log.open("rb") as stream:
            head = stream.readline(LONGEST_HEAD)
        version = Version.model_validate(json.loads(head)["version"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError, RecursionError):
        return None
    return version if version.sha256 == file_hash(path) else None


def write_log(path: Path, head: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]) -> None:
    """Write a log: its head, then a line a change; it appears when it is whole.

    Raises:
        InvalidSetting: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with temporary.open("x", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(json.dumps(dict(head), ensure_ascii=False) + "\n")
            stream.writelines(json.dumps(dict(change), ensure_ascii=False) + "\n" for change in changes)
        os.replace(temporary, path)
    except OSError as error:
        message = f"The log {path} cannot be written: {error.strerror}. Name another with --log."
        raise InvalidSetting(message, path=str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
