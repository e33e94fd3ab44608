"""Encryption at rest: the key, what is sealed with it, and the secrets that jobs need later."""

from __future__ import annotations

import base64
import errno
import hmac
import os
import re
import time
from pathlib import Path
from uuid import uuid4

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from sqlalchemy import delete, insert, select

from tamis.errors import SecretUnreadable, StorageFailed
from tamis.store.database import Database
from tamis.store.tables import jobs, secrets

SHORTEST_KEY = 16
_FERNET_KEY = re.compile("[A-Za-z0-9_-]{43}=")  # 32 bytes


class Sealer:
    """Seals bytes so that only who has the key can read or change them: Fernet, AES-128-CBC with HMAC-SHA256."""

    def __init__(self, secret: str | Path) -> None:
        """Take the key, or the file that holds it; a file that is missing is made, readable for its owner alone.

        A key of any form of 16 characters or more will do: a key of Fernet's own form is taken as it is.

        Raises:
            StorageFailed: the file cannot be read or made, or the key is too short.
        """
        where = str(secret) if isinstance(secret, Path) else "the secret key"
        text = _from_file(secret) if isinstance(secret, Path) else secret
        if len(text.strip()) < SHORTEST_KEY:
            raise StorageFailed(f"{where} holds no key: {SHORTEST_KEY} characters are the least.")
        self._key = _fernet_key(text.strip())
        self._fernet = Fernet(self._key)

    def derived(self, purpose: str) -> bytes:
        """Return 32 bytes for a purpose of its own, such as signing; the same wherever the key is the same."""
        return hmac.digest(self._key, purpose.encode(), "sha256")

    def seal(self, plain: bytes) -> bytes:
        """Return the bytes, sealed."""
        return self._fernet.encrypt(plain)

    def unseal(self, sealed: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            SecretUnreadable: it was sealed with another key, or is damaged.
        """
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise SecretUnreadable(
                "A stored secret cannot be opened: it was sealed with another secret key. "
                "Give the former key back, or send the secret again."
            ) from None


class Secrets:
    """Secrets of jobs, sealed, in the database. They go when their job ends."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        """Keep them in this database."""
        self._database = database
        self._sealer = sealer

    def put(self, owner_id: str, name: str, value: str) -> None:
        """Keep a secret, in the place of an earlier one of the name."""
        sealed = self._sealer.seal(value.encode("utf-8", "surrogatepass"))
        with self._database.writing() as connection:
            connection.execute(delete(secrets).where(secrets.c.owner_id == owner_id, secrets.c.name == name))
            connection.execute(insert(secrets).values(owner_id=owner_id, name=name, sealed=sealed))

    def get(self, owner_id: str, name: str) -> str | None:
        """Return a secret; None where there is none.

        Raises:
            SecretUnreadable: it was sealed with another key.
        """
        query = select(secrets.c.sealed).where(secrets.c.owner_id == owner_id, secrets.c.name == name)
        with self._database.reading() as connection:
            sealed = connection.execute(query).scalar()
        return None if sealed is None else self._sealer.unseal(bytes(sealed)).decode("utf-8", "surrogatepass")

    def drop(self, owner_id: str) -> None:
        """Delete all secrets of an owner."""
        with self._database.writing() as connection:
            connection.execute(delete(secrets).where(secrets.c.owner_id == owner_id))

    def drop_forsaken(self, before: float) -> int:
        """Delete secrets sealed before then whose job is not there: it never got its row. Return how many."""
        lonely = select(secrets).where(secrets.c.owner_id.not_in(select(jobs.c.id)))
        with self._database.writing() as connection:
            rows = connection.execute(lonely).mappings().all()
            old = {row["owner_id"] for row in rows if sealed_at(bytes(row["sealed"])) < before}
            done = connection.execute(delete(secrets).where(secrets.c.owner_id.in_(sorted(old)))) if old else None
            return 0 if done is None else done.rowcount


def sealed_at(sealed: bytes) -> int:
    """Return when something was sealed, in seconds since 1970, as a Fernet token says in the open; 0 for no token."""
    try:
        return int.from_bytes(base64.urlsafe_b64decode(sealed)[1:9], "big")
    except ValueError:
        return 0


def _fernet_key(text: str) -> bytes:
    if _FERNET_KEY.fullmatch(text):
        return text.encode()
    stretched = Scrypt(salt=b"tamis secret key", length=32, n=2**14, r=8, p=1).derive(text.encode("utf-8", "replace"))
    return base64.urlsafe_b64encode(stretched)


def _from_file(path: Path) -> str:
    """Return what the key file holds; make it first where it is missing."""
    try:
        if not path.exists():
            _make(path)
        if os.name != "nt" and path.stat().st_mode & 0o077:
            path.chmod(0o600)
        for _ in range(20):
            if found := path.read_text(encoding="ascii"):
                return found
            time.sleep(0.05)  # another process makes it, on a file system without links
        return ""
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise StorageFailed(f"The key file {path} cannot be read or made: {why}.") from error


def _make(path: Path) -> None:
    """Write a new key whole under another name, then link it: of several processes, the first gives the key to all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise
            _without_links(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _without_links(draft: Path, path: Path) -> None:
    """The same on a file system that has no hard links."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(draft.read_bytes())
    except FileExistsError:
        return
