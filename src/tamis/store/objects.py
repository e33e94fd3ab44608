"""Object storage: bytes under keys, in a local folder or in a bucket of S3, Google Cloud or Azure.

An object is there whole or not at all, whenever its writer dies. In a folder it is on disk (synced) before it is
there. It does not know what the objects are.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from tamis.errors import StorageFailed, UnknownFile
from tamis.store.disk import is_full
from tamis.store.writers import BucketWriter, FolderWriter, Writer, failed, sweep, sync_folder

if TYPE_CHECKING:
    from obstore.store import ObjectStore

UNFINISHED = ".unfinished"
MANIFEST = "manifest.json"
_from_url: Any = from_url  # its options are typed one cloud at a time
CHUNK = 2**20
FETCH = 8 * 2**20  # bytes asked of a bucket at once
_SCHEMES = ("s3", "gs", "az")
_KEY = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9._@+=-]+(?:/[A-Za-z0-9._@+=-]+)*")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object in a listing."""

    key: str
    bytes: int
    modified: datetime


class Objects:
    """The objects of one folder or bucket."""

    def __init__(self, url: str) -> None:
        """Open `file:///abs/folder` (made where missing), `s3://bucket/prefix`, `gs://...` or `az://...`.

        A bucket's endpoint, region and credentials come from the usual variables of the environment (`AWS_...`), or
        from the URL's query: `?endpoint=http://...&region=...`.

        Raises:
            StorageFailed: the URL cannot be used, or the folder cannot be written to.
        """
        parts = urlsplit(url)
        self.root: Path | None = None
        if parts.scheme == "file":
            self.root = Path(unquote(parts.path))
            self._store: ObjectStore = _folder(self.root, url)
        elif parts.scheme in _SCHEMES and parts.netloc:
            self._store = _bucket(url)
        else:
            raise StorageFailed(
                f"{_shown(url)}: objects can be kept in file:///abs/folder, s3://bucket/prefix, gs://bucket/prefix or "
                "az://container/prefix."
            )
        self.url = _shown(url)

    @property
    def drafts(self) -> Path:
        """The folder on this machine where what is written begins, wherever it ends."""
        return Path(tempfile.gettempdir()) if self.root is None else self.root

    def writer(self, key: str) -> Writer:
        """Return what takes the bytes of an object; the object is there once `commit` returned.

        Raises:
            StorageFailed: nothing can be written.
        """
        _check(key)
        if self.root is None:
            return BucketWriter(self._store, key)
        return FolderWriter(self.root / UNFINISHED, self.root / key)

    def read(self, key: str, start: int = 0, chunk: int = CHUNK, end: int | None = None) -> Iterator[bytes]:
        """Return an object's bytes from `start` on, piece by piece, up to its end or to `end`.

        Raises:
            UnknownFile: it is not there; raised at once, not when the first piece is asked for.
            StorageFailed: it cannot be read.
        """
        size = self.size(key)
        return self._pieces(key, min(max(0, start), size), size if end is None else min(end, size), chunk)

    def size(self, key: str) -> int:
        """Return how many bytes an object has.

        Raises:
            UnknownFile: it is not there.
            StorageFailed: the storage cannot be used.
        """
        _check(key)
        with _told(key):
            return int(obstore.head(self._store, key)["size"])

    def exists(self, key: str) -> bool:
        """Return whether there is such an object."""
        try:
            self.size(key)
        except UnknownFile:
            return False
        return True

    def delete(self, key: str) -> None:
        """Delete an object; nothing happens where there is none."""
        _check(key)
        with suppress(UnknownFile), _told(key):
            obstore.delete(self._store, key)

    def delete_all(self, prefix: str) -> None:
        """Delete the objects `prefix/...`."""
        _check(prefix)
        if self.root is not None:
            folder = self.root / prefix
            with _told(prefix), suppress(FileNotFoundError, NotADirectoryError):
                gone = folder.rename(self.root / UNFINISHED / f"{uuid4().hex}.gone")  # all at once
                shutil.rmtree(gone, ignore_errors=True)
            return
        with _told(prefix):
            for found in obstore.list(self._store, f"{prefix}/"):
                for one in found:
                    self.delete(one["path"])

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects `prefix/...`, or all, in no order.

        Raises:
            StorageFailed: the storage cannot be used.
        """
        if prefix:
            _check(prefix)
        with _told(prefix):
            for found in obstore.list(self._store, f"{prefix}/" if prefix else None):
                for one in found:
                    if not one["path"].startswith(f"{UNFINISHED}/"):
                        yield ObjectInfo(one["path"], int(one["size"]), one["last_modified"])

    def local_path(self, key: str) -> Path | None:
        """Return the file of an object, or the folder of a prefix, that other programs may read; None in a bucket."""
        _check(key)
        path = None if self.root is None else self.root / key
        return path if path is not None and path.exists() else None

    def put_folder(self, folder: Path, prefix: str, last: str = MANIFEST) -> None:
        """Copy a folder's files to new objects `prefix/...`, in a way that tells whether all of them are there.

        In a folder they appear together. In a bucket the object `last` comes after all others, so that where it is,
        they all are. Use a prefix that is not in use: objects that are there already are replaced one by one.

        Raises:
            StorageFailed: it cannot be done; what was written then has no `last`.
        """
        _check(prefix)
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        ordered = [name for name in files if name != last] + [name for name in files if name == last]
        if self.root is not None and not (self.root / prefix).exists():
            self._put_at_once(folder, ordered, self.root / prefix)
            return
        for name in ordered:
            with self.writer(f"{prefix}/{name}") as writer, _told(name), (folder / name).open("rb") as file:
                while piece := file.read(CHUNK):
                    writer.write(piece)
                writer.commit()

    def get_folder(self, prefix: str, to: Path) -> None:
        """Copy the objects `prefix/...` into a folder, which is made where it is missing.

        Raises:
            UnknownFile: there are none.
            StorageFailed: they cannot be read or written.
        """
        found = [info.key for info in self.list(prefix)]
        if not found:
            raise UnknownFile(f"There is nothing under {prefix} in {self.url}.", key=prefix)
        for key in found:
            path = to / key.removeprefix(f"{prefix}/")
            with _told(key):
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    for piece in self.read(key):
                        file.write(piece)

    def _pieces(self, key: str, start: int, size: int, chunk: int) -> Iterator[bytes]:
        """Requests of a bounded size each, so that a slow reader keeps none open."""
        at_once = chunk if self.root is not None else max(chunk, FETCH)
        for first in range(start, size, at_once):
            with _told(key):
                block = memoryview(obstore.get_range(self._store, key, start=first, end=min(first + at_once, size)))
            for begin in range(0, len(block), chunk):
                yield bytes(block[begin : begin + chunk])

    def _put_at_once(self, folder: Path, names: Sequence[str], to: Path) -> None:
        drafts = to.parent if self.root is None else self.root / UNFINISHED
        draft = drafts / f"{uuid4().hex}.folder"
        with _told(to.name):
            try:
                for name in names:
                    writer = FolderWriter(drafts, draft / name)
                    with writer, (folder / name).open("rb") as file:
                        while piece := file.read(CHUNK):
                            writer.write(piece)
                        writer.commit()
                to.parent.mkdir(parents=True, exist_ok=True)
                draft.rename(to)
                sync_folder(to.parent)
            finally:
                shutil.rmtree(draft, ignore_errors=True)


def _folder(root: Path, url: str) -> LocalStore:
    if not root.is_absolute() or urlsplit(url).netloc not in ("", "localhost"):
        raise StorageFailed(f"{url}: give a folder by its whole path: file:///abs/folder.")
    try:
        (root / UNFINISHED).mkdir(parents=True, exist_ok=True)
        sweep(root / UNFINISHED)
    except OSError as error:
        raise StorageFailed(f"{root}: objects cannot be kept there ({error.strerror}).") from error
    return LocalStore(root)


def _bucket(url: str) -> ObjectStore:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    endpoint = options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    client: dict[str, Any] = {"connect_timeout": "10s", "timeout": "120s"}
    if endpoint and endpoint.startswith("http://"):
        client["allow_http"] = True
    try:
        opened: ObjectStore = _from_url(
            urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")),
            config=options or None,
            client_options=client,
            retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=30)},
        )
    except (BaseError, ValueError, TypeError) as error:
        raise StorageFailed(f"{_shown(url)} cannot be used: {error}") from error
    return opened


def _check(key: str) -> None:
    if not _KEY.fullmatch(key) or key.startswith(UNFINISHED):
        raise StorageFailed(f"{key!r} cannot be the key of an object.")


def _shown(url: str) -> str:
    """The URL without what may be secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextmanager
def _told(key: str) -> Iterator[None]:
    """Turn the storage's errors into ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise UnknownFile(f"There is no object {key} in the storage.", key=key) from error
    except (BaseError, OSError) as error:
        if is_full(error):
            raise failed(key, error) from error
        raise StorageFailed(f"{key}: the storage cannot be used: {error}", key=key) from error
