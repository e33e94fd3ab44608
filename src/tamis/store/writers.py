"""Writers of objects: bytes in, counted and hashed on the way; nothing is to be seen before `commit`."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError

from tamis.errors import StorageFailed, StorageFull
from tamis.store.disk import is_full

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PART = 8 * 2**20  # bytes of a part of an upload to a bucket
PARTS_AT_ONCE = 2
YOUNG_S = 60  # a file may be so old before its writer has locked it
ABANDONED_S = 24 * 3600  # where files cannot be locked, one without a write for so long has no writer


@dataclass(frozen=True, slots=True)
class Written:
    """What was written."""

    bytes: int
    sha256: str


class Writer(ABC):
    """Takes the bytes of one object. As a context manager, it aborts what was not committed."""

    def __init__(self, key: str, file: IO[bytes]) -> None:
        """Write to `file` first."""
        self._key = key
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0
        self._open = True

    @property
    def size(self) -> int:
        """How many bytes were written so far."""
        return self._size

    def write(self, piece: bytes) -> None:
        """Write more.

        Raises:
            StorageFailed: the disk is full, or cannot be written; or the writer is closed.
        """
        if not self._open:
            raise StorageFailed(f"{self._key}: the writer is closed.")
        try:
            self._file.write(piece)
        except OSError as error:
            raise failed(self._key, error) from error
        self._hash.update(piece)
        self._size += len(piece)

    def commit(self) -> Written:
        """Make the object: it is there, whole and safe on disk, when this returns. One of the key is replaced.

        Raises:
            StorageFailed: it cannot be made; there is none then, or still the former.
        """
        if not self._open:
            raise StorageFailed(f"{self._key}: the writer is closed.")
        try:
            self._file.flush()
            self._finish()
        except (OSError, BaseError) as error:
            raise failed(self._key, error) from error
        finally:
            self.abort()
        return Written(self._size, self._hash.hexdigest())

    def abort(self) -> None:
        """Forget what was written, unless it was committed."""
        if self._open:
            self._open = False
            self._discard()

    def __enter__(self) -> Self:
        """The writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Abort."""
        self.abort()

    @abstractmethod
    def _finish(self) -> None:
        """Make the object of the file."""

    @abstractmethod
    def _discard(self) -> None:
        """Close the file, and delete it where it still is."""


class FolderWriter(Writer):
    """Writes a file beside the folder's objects, syncs it, and then gives it its name in one step."""

    def __init__(self, drafts: Path, path: Path) -> None:
        """Write to a file in `drafts`, locked as long as its writer lives; `path` is the object's."""
        self._path = path
        self._draft = drafts / uuid4().hex
        try:
            file = self._draft.open("xb")
            _lock(file)
        except OSError as error:
            raise failed(path.name, error) from error
        super().__init__(path.name, file)

    def _finish(self) -> None:
        os.fsync(self._file.fileno())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if os.name == "nt":
            self._file.close()
        self._draft.replace(self._path)
        sync_folder(self._path.parent)

    def _discard(self) -> None:
        with suppress(OSError):  # what was buffered does not fit on the disk
            self._file.close()
        self._draft.unlink(missing_ok=True)


class BucketWriter(Writer):
    """Writes to a file that has no name, so that it goes with the process, and sends it when it is whole."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        """Write an object of a bucket."""
        self._store = store
        try:
            file = tempfile.TemporaryFile(prefix="tamis-")  # noqa: SIM115  (closed by abort)
        except OSError as error:
            raise failed(key, error) from error
        super().__init__(key, file)

    def _finish(self) -> None:
        self._file.seek(0)
        obstore.put(
            self._store,
            self._key,
            self._file,
            use_multipart=self._size > PART,
            chunk_size=PART,
            max_concurrency=PARTS_AT_ONCE,
        )

    def _discard(self) -> None:
        with suppress(OSError):
            self._file.close()


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to disk."""
    if os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(drafts: Path) -> None:
    """Delete what writers left that died."""
    for path in drafts.iterdir():
        if path.is_dir() and _age(path) > ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file() and _is_abandoned(path):
            path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    """Seconds since the last write; 0 where it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _is_abandoned(path: Path) -> bool:
    if _age(path) < YOUNG_S:
        return False
    try:
        with path.open("rb") as file:
            return _lock(file) or _age(path) > ABANDONED_S
    except OSError:  # gone, or another's
        return False


def _lock(file: IO[bytes]) -> bool:
    """Lock a file for as long as it is open, and return True; False where another has it, or where it cannot be."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def failed(key: str, error: Exception) -> StorageFailed:
    """Return what is said where an object cannot be written."""
    if is_full(error):
        return StorageFull(
            f"The server's disk is full: there is no room for {key}, and nothing of it is kept.", key=key
        )
    why = getattr(error, "strerror", None) or str(error)
    return StorageFailed(f"{key}: the object cannot be written: {why}. Nothing of it is kept.", key=key)
