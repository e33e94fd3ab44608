"""Files: uploads that appear only when they are whole, and what may be done with them.

Owns their rules: names, sizes, kinds, the same file once, signed links, what may not be deleted. It does not know HTTP,
nor what is in a file beyond its number of lines.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from time import time
from uuid import uuid4

from tamis.errors import Forbidden, InvalidRequest, LimitExceeded, UnknownFile
from tamis.store.opening import Store
from tamis.store.records import FileFilters, FileRecord, Json
from tamis.store.writers import Writer
from tamis.workspace.room import Room

FINE_TUNE = "fine-tune"
BATCH = "batch"
UPLOAD = "upload"
SAMPLE_TYPES = {FINE_TUNE: "instruct", BATCH: "batch_request"}
MIMETYPES = {
    "jsonl": "application/jsonl",
    "ndjson": "application/jsonl",
    "json": "application/json",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "gz": "application/gzip",
    "parquet": "application/vnd.apache.parquet",
}
PACKED = frozenset({"application/gzip", "application/vnd.apache.parquet"})
"""Kinds of files whose line breaks mean nothing."""

MAX_NAME = 255
MOST_HOURS = 24 * 365
_PURPOSE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """What is said about a file that is about to come."""

    name: str
    purpose: str | None = None
    visibility: str | None = None
    expiry_hours: int | None = None
    created_by: str | None = None
    source: str = UPLOAD
    sample_type: str | None = None
    layout: Json | None = None  # of the file that its rows were read from


class Upload:
    """A file on its way in: write, then commit or abort. Nothing is visible before the commit."""

    def __init__(self, store: Store, new: NewFile, max_bytes: int, room: Room) -> None:
        """Begin; nothing is stored yet.

        Raises:
            StorageFull: there is no room on the disk.
            LimitExceeded: there is none for any file.
        """
        self.id = str(uuid4())
        self._store, self._new, self._max_bytes, self._room = store, new, max_bytes, room
        self._left = room.require_for_file()
        self._writer: Writer = store.objects.writer(key_of(self.id))
        self._bytes = 0
        self._lines = 0
        self._last = b""

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            LimitExceeded: the file is larger than is allowed, or all are together.
            StorageFull: there is no room on the disk.
        """
        self._bytes += len(chunk)
        if self._bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        if self._left is not None and self._bytes > self._left:
            raise self._room.too_much()
        self._room.require(len(chunk))
        self._lines += chunk.count(b"\n")
        self._last = chunk[-1:] or self._last
        self._writer.write(chunk)

    def describe(self, new: NewFile) -> None:
        """Say anew what is known of the file, since clients may send its purpose after its bytes.

        Raises:
            InvalidRequest: the name, purpose, visibility or expiry is none that a file can have.
        """
        self._new = _checked(new)

    def commit(self) -> FileRecord:
        """Make the file appear, and return it; the file that is there already where name and content are the same.

        Raises:
            InvalidRequest: it is empty.
            LimitExceeded: other files came meanwhile, and all would be too large together.
            StorageFull: there is no room on the disk.
        """
        if not self._bytes:
            self.abort()
            raise InvalidRequest(f"The file {self._new.name!r} is empty.", loc=["body", "file"])
        written = self._writer.commit()
        mimetype = MIMETYPES.get(self._new.name.rpartition(".")[2].lower())
        new, files = self._new, self._store.files
        record = FileRecord(
            id=self.id,
            name=new.name,
            purpose=new.purpose or FINE_TUNE,
            source=new.source,
            sample_type=new.sample_type or SAMPLE_TYPES.get(new.purpose or FINE_TUNE, "instruct"),
            bytes=written.bytes,
            sha256=written.sha256,
            key=key_of(self.id),
            created_at=int(time()),
            num_lines=None if mimetype in PACKED else self._lines + (self._last != b"\n"),
            mimetype=mimetype,
            visibility=new.visibility or "workspace",
            expires_at=None if new.expiry_hours is None else int(time()) + 3600 * new.expiry_hours,
            created_by=new.created_by,
            layout=new.layout,
        )
        kept = None
        try:
            kept = files.add(record, self._room.most_bytes, once=new.source == UPLOAD)
        finally:
            if kept is not record:
                self._store.objects.delete(record.key)
        if kept is None:
            raise self._room.too_much()
        return kept

    def abort(self) -> None:
        """Forget what came so far."""
        self._writer.abort()


class Files:
    """The files of a workspace."""

    def __init__(self, store: Store, max_bytes: int, room: Room) -> None:
        """Take the store, the largest size of a file, and what is left for all."""
        self._store, self._max_bytes, self.room = store, max_bytes, room
        self._secret = store.sealer.derived("signed links to files")

    def begin(self, new: NewFile) -> Upload:
        """Begin an upload.

        Raises:
            InvalidRequest: the name, purpose, visibility or expiry is none that a file can have.
            LimitExceeded: all files together are as large as they may be.
            StorageFull: there is no room on the disk.
        """
        return Upload(self._store, _checked(new), self._max_bytes, self.room)

    def refuse_size(self, n_bytes: int) -> None:
        """Do nothing unless a file of so many bytes would be too large: for callers who know beforehand.

        Raises:
            LimitExceeded: it would be, or all would be together.
            StorageFull: there is no room for it on the disk.
        """
        if n_bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        self.room.require_for_file(n_bytes)

    def get(self, file_id: str) -> FileRecord:
        """Return a file.

        Raises:
            UnknownFile: there is none, or it has expired.
        """
        found = self._store.files.find(file_id)
        if found is None or (found.expires_at is not None and found.expires_at <= time()):
            raise UnknownFile(f"There is no file {file_id}: list the files, or upload it again.", file=file_id)
        return found

    def list(self, page: int, page_size: int, filters: FileFilters) -> tuple[list[FileRecord], int]:
        """Return one page of the files, the newest first, and how many there are in all."""
        return self._store.files.list(page, page_size, **filters)

    def delete(self, file_id: str) -> None:
        """Delete a file.

        Raises:
            UnknownFile: there is none.
            InUse: a job that is not finished needs it.
        """
        found = self.get(file_id)
        if self._store.files.delete(file_id):
            self._store.objects.delete(found.key)

    def read(self, file_id: str) -> Iterator[bytes]:
        """Return a file's bytes, in pieces.

        Raises:
            UnknownFile: there is none.
        """
        return self._store.objects.read(self.get(file_id).key)

    def sign(self, file_id: str, hours: int) -> dict[str, str]:
        """Return the query of a link that lets anyone read the file for so many hours.

        Raises:
            UnknownFile: there is none.
            InvalidRequest: the hours are less than 1 or more than a year.
        """
        self.get(file_id)
        if not 1 <= hours <= MOST_HOURS:
            raise InvalidRequest(f"expiry is {hours} hours: give 1 to {MOST_HOURS}.", loc=["query", "expiry"])
        expires = str(int(time()) + 3600 * hours)
        return {"expires": expires, "signature": self._signature(file_id, expires)}

    def open_signed(self, file_id: str, expires: str, signature: str) -> tuple[FileRecord, Iterator[bytes]]:
        """Return the file of a signed link and its bytes.

        Raises:
            Forbidden: the link was changed, or its time is over.
            UnknownFile: the file is no longer there.
        """
        good = hmac.compare_digest(self._signature(file_id, expires).encode(), signature.encode("utf-8", "replace"))
        if not good or not re.fullmatch(r"[0-9]{1,12}", expires):
            raise Forbidden("The link's signature is wrong: ask for a new link.")
        if int(expires) < time():
            raise Forbidden("The link has expired: ask for a new one.")
        return self.get(file_id), self.read(file_id)

    def _signature(self, file_id: str, expires: str) -> str:
        return hmac.new(self._secret, f"{file_id}\n{expires}".encode(), hashlib.sha256).hexdigest()


def key_of(file_id: str) -> str:
    """Return the key under which a file's bytes are stored."""
    return f"files/{file_id}"


def too_large(max_bytes: int) -> LimitExceeded:
    """Return what is said of a file that is larger than is allowed."""
    return LimitExceeded(
        f"The file is larger than {max_bytes:,} bytes (max_upload_bytes): split it, or pack it with gzip.",
        setting="max_upload_bytes",
        limit=max_bytes,
        bytes=True,
    )


def _checked(new: NewFile) -> NewFile:
    name = plain_name(new.name)
    _one_of(new.visibility, ("workspace", "user"), "visibility")
    if new.purpose is not None and not _PURPOSE.fullmatch(new.purpose):
        raise InvalidRequest(f"purpose is {new.purpose[:80]!r}: give fine-tune or batch.", loc=["body", "purpose"])
    if new.expiry_hours is not None and not 1 <= new.expiry_hours <= MOST_HOURS:
        raise InvalidRequest(f"expiry is {new.expiry_hours} hours: give 1 to {MOST_HOURS}.", loc=["body", "expiry"])
    return NewFile(
        name=name,
        purpose=new.purpose,
        visibility=new.visibility,
        expiry_hours=new.expiry_hours,
        created_by=new.created_by,
        source=new.source,
        sample_type=new.sample_type,
    )


def plain_name(name: str) -> str:
    """Return a file's name without folders and control characters, cut to what file systems take.

    Raises:
        InvalidRequest: nothing is left of it.
    """
    last = re.split(r"[/\\]", name)[-1]
    clean = "".join(char for char in last if char.isprintable()).strip().strip(".")
    if not clean:
        raise InvalidRequest("The file has no name: send one with it.", loc=["body", "file"])
    stem, dot, ending = clean.rpartition(".")
    return clean if len(clean) <= MAX_NAME else f"{stem[: MAX_NAME - len(ending) - 1]}{dot}{ending}"[-MAX_NAME:]


def _one_of(value: str | None, allowed: Collection[str], field: str) -> None:
    if value is not None and value not in allowed:
        raise InvalidRequest(f"{field} is {value[:80]!r}: give {' or '.join(allowed)}.", loc=["body", field])
