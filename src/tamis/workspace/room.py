"""Room: how much may still be stored, by the operator's quota and on the disk. It knows neither files nor jobs."""

from __future__ import annotations

import shutil
from contextlib import suppress

from tamis.errors import LimitExceeded, StorageFull
from tamis.settings import Settings
from tamis.store.opening import Store


class Room:
    """What is left of the disk and of the quota."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Look at the disks of the home and of what is written to the storage."""
        self._store = store
        self._places = (settings.home, store.objects.drafts)
        self._free, self.most_bytes = settings.min_free_disk_bytes, settings.max_storage_bytes or None

    def require(self, n_bytes: int = 0) -> None:
        """Do nothing where so many bytes can be written, and enough stays free.

        Raises:
            StorageFull: they cannot.
        """
        left = self._left()
        if self._free and left - n_bytes < self._free:
            raise StorageFull(
                f"The server's disk has {left:,} bytes left, and {self._free:,} are to stay free "
                "(min_free_disk_bytes). Delete files or models, or ask the operator to make room."
            )

    def require_for_file(self, n_bytes: int = 0) -> int | None:
        """Do nothing where a file of so many bytes can come; return how many it may have, None for any number.

        Raises:
            StorageFull: there is no room on the disk.
            LimitExceeded: all files together would be larger than is allowed.
        """
        self.require(n_bytes)
        if self.most_bytes is None:
            return None
        left = self.most_bytes - self._store.files.stored_bytes()
        if left <= 0 or n_bytes > left:
            raise self.too_much()
        return left

    def too_much(self) -> LimitExceeded:
        """Return what is said of a file that does not fit into the quota."""
        return LimitExceeded(
            f"With this file all files together would have more than {self.most_bytes:,} bytes (max_storage_bytes): "
            "delete some first.",
            setting="max_storage_bytes",
            limit=self.most_bytes,
        )

    def _left(self) -> int:
        """Bytes that are free where there are fewest."""
        free = []
        for place in self._places:
            with suppress(OSError):  # gone, or no disk that could be asked: writing will tell
                free.append(shutil.disk_usage(place).free)
        return min(free, default=2**63)
