"""Answers that were paid for, kept on disk so that a stopped run goes on where it was.

A file of JSON lines that is only ever appended to. Each record goes to the file in one write, between line ends of its
own: several processes may write to the same file, and one that is killed in the middle of a write spoils its own record
and no other. Records are found by a hash of all that was asked; texts and keys are not in the file, answers are.
Only places of records are held in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO

from tamis.errors import InvalidSetting, TamisError
from tamis.labelers.endpoint import Endpoint

Json = dict[str, Any]

_START = b'{"key":"'
_KEY_CHARS = 64


class Cache:
    """The answers of one file."""

    def __init__(self, path: str | Path) -> None:
        """Open the file, or begin one that its owner alone may read.

        Raises:
            InvalidSetting: it cannot be read or written.
        """
        self.path = Path(path)
        self._places: dict[bytes, int] = {}
        self._seen = 0
        self._lock = Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._out = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            self._in: BinaryIO = self.path.open("rb")
        except OSError as error:
            why = error.strerror or str(error)
            raise InvalidSetting(
                f"{path}, where answers are kept, cannot be used: {why}. Name another file."
            ) from error
        self._look()

    @classmethod
    def of(cls, folder: str | Path, endpoint: Endpoint) -> Cache:
        """Open the file of an endpoint's model in a folder that has one for each."""
        named = re.sub(r"[^\w.-]+", "-", endpoint.model).strip("-.")[:60] or "model"
        mark = hashlib.sha256(f"{endpoint.url}\0{endpoint.model}".encode()).hexdigest()[:12]
        return cls(Path(folder, f"{named}-{mark}.jsonl"))

    def __len__(self) -> int:
        """Records that can be found."""
        return len(self._places)

    def get(self, key: str) -> Json | None:
        """Return the newest record of a key, those that another process has written since included."""
        with self._lock:
            if bytes.fromhex(key) not in self._places:
                self._look()
            place = self._places.get(bytes.fromhex(key))
            if place is None:
                return None
            self._in.seek(place)
            return _record(self._in.readline(), key)

    def put(self, key: str, record: Json) -> None:
        """Keep a record.

        Raises:
            TamisError: it cannot be written.
        """
        line = json.dumps({"key": key, **record}, separators=(",", ":"))
        with self._lock:
            self._write(f"\n{line}\n".encode())

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            os.close(self._out)
        self._in.close()

    def __enter__(self) -> Cache:
        """Return this cache."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the file."""
        self.close()

    def _write(self, data: bytes) -> None:
        try:
            while data:  # one write takes it all, but where the disk is full or a signal comes
                data = data[os.write(self._out, data) :]
        except OSError as error:
            why = error.strerror or str(error)
            raise TamisError(
                f"{self.path}, where answers are kept: {why}. Make room; the same run goes on then."
            ) from error

    def _look(self) -> None:
        """Note the records behind those that are known; a line without its end is left for later."""
        if os.fstat(self._out).st_size <= self._seen:
            return
        self._in.seek(self._seen)
        for line in self._in:
            if not line.endswith(b"\n"):
                break
            if line.startswith(_START):
                with suppress(ValueError):
                    self._places[bytes.fromhex(line[len(_START) : len(_START) + _KEY_CHARS].decode("ascii"))] = (
                        self._seen
                    )
            self._seen += len(line)


def _record(line: bytes, key: str) -> Json | None:
    """The record of a line, unless it is damaged."""
    try:
        read = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) and read.get("key") == key else None


def key_of(*parts: str | bytes | int) -> str:
    """Return the hash of all that decides an answer."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
