"""The store: everything that survives a restart, opened by URLs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tamis.store.aliases import Aliases
from tamis.store.batches import Batches
from tamis.store.database import Database
from tamis.store.datasets import Datasets
from tamis.store.files import Files
from tamis.store.jobs import Jobs
from tamis.store.keys import Keys
from tamis.store.looks import Looks
from tamis.store.models import Models
from tamis.store.objects import Objects
from tamis.store.operations import Operations
from tamis.store.reviews import Reviews
from tamis.store.sealing import Sealer, Secrets
from tamis.store.shares import Shares
from tamis.store.upgrading import upgrade


class Store:
    """One database and one object storage. Threads may share it; processes open their own."""

    def __init__(self, database: Database, objects: Objects, sealer: Sealer) -> None:
        """Join them."""
        self.database = database
        self.objects = objects
        self.sealer = sealer
        self.files = Files(database)
        self.jobs = Jobs(database)
        self.models = Models(database)
        self.aliases = Aliases(database)
        self.keys = Keys(database)
        self.batches = Batches(database)
        self.datasets = Datasets(database)
        self.reviews = Reviews(database)
        self.operations = Operations(database)
        self.shares = Shares(database)
        self.looks = Looks(database)
        self.secrets = Secrets(database, sealer)

    def close(self) -> None:
        """Close the database's connections."""
        self.database.close()

    def __enter__(self) -> Self:
        """The store."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close."""
        self.close()


def open_store(
    database_url: str, storage_url: str, secret: str | Path, *, clock: Callable[[], float] = time.time
) -> Store:
    """Open the store, and bring the database's tables up to date; several processes may do so at once.

    Raises:
        StorageFailed: database, storage or key file cannot be used, or the database is of a newer Tamis.
    """
    database = Database(database_url, clock)
    try:
        upgrade(database)
        return Store(database, Objects(storage_url), Sealer(secret))
    except BaseException:
        database.close()
        raise
