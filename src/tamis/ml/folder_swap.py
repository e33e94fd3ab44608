"""Putting a finished folder in the place of another, so that a reader finds the old one or the new one, never neither.

It does not know what is in the folders.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def sync(folder: Path) -> None:
    """Flush the files in a flat folder, and the folder, to disk."""
    for path in folder.iterdir():
        _sync_one(path)
    _sync_one(folder)


@contextmanager
def written_beside(folder: Path) -> Iterator[Path]:
    """Yield a folder to write to, which takes the place of `folder` at the end; after an error all is as it was.

    Raises:
        OSError: it could not be made, or put in place.
    """
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        put_in_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def put_in_place(new: Path, folder: Path) -> None:
    """Move `new` to `folder`, and delete the folder that was there.

    On Linux the two are exchanged in one step. Where the system cannot do that, there is an instant between two
    renames in which only the old folder's other name, `.NAME.old`, is there.

    Raises:
        OSError: it could not be done; the old folder is where it was.
    """
    if not folder.exists() or not any(folder.iterdir()):
        if os.name == "nt" and folder.exists():
            folder.rmdir()
        new.rename(folder)  # takes the place of an empty folder
        _sync_one(folder.parent)
    elif _exchange(new, folder):
        _sync_one(folder.parent)
        shutil.rmtree(new, ignore_errors=True)
    else:
        _replace_in_two_steps(new, folder)


def _replace_in_two_steps(new: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    _sync_one(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two folders in one step: renameat2(2). Return whether the system could."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:  # a C library without it
        return False
    done: int = renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return done == 0


def _sync_one(path: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, nor flush a file opened for reading
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
