"""What killed processes left behind, removed: objects that no row names, folders of jobs that are over, expired files.

An object without a row may be one that is about to get its row, so only what has been there for a day is removed.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

from tamis.jobs.tools import Tools
from tamis.store.opening import Store
from tamis.store.records import FINISHED

EVERY_S = 3600.0
"""Seconds between two sweeps."""

OLD = timedelta(days=1)

_OWNED = re.compile(r"(files|models|jobs|batches|reviews)/([^/]+)")

log = logging.getLogger(__name__)


def sweep(tools: Tools, old: timedelta = OLD) -> int:
    """Remove what nobody needs any more, and return how many things that was.

    Raises:
        StorageFailed: database or storage cannot be used.
    """
    gone = expired_files(tools.store) + _orphans(tools, old) + _folders(tools, old)
    if gone:
        log.info("swept: %d things that nobody needs any more", gone)
    return gone


def expired_files(store: Store) -> int:
    """Remove files whose time is over, unless a job needs them, and return how many."""
    gone = 0
    for record in store.files.expired(int(time())):
        if not store.files.uses(record.id) and store.files.delete(record.id):
            store.objects.delete(record.key)
            gone += 1
    return gone


def _orphans(tools: Tools, old: timedelta) -> int:
    """Objects whose file, model, job or batch is not there."""
    store, before = tools.store, datetime.now(UTC) - old
    finders: dict[str, Callable[[str], object]] = {
        "files": store.files.find,
        "models": store.models.find,
        "jobs": store.jobs.find,
        "batches": store.batches.find,
        "reviews": store.reviews.find,
    }
    kept: dict[str, bool] = {}
    orphans = []
    for info in store.objects.list():
        owned = _OWNED.match(info.key)
        if owned is None or info.modified > before:
            continue
        kind, owner = owned[1], owned[2]
        if owned[0] not in kept:
            kept[owned[0]] = finders[kind](owner) is not None
        if not kept[owned[0]]:
            orphans.append(info.key)
    for key in orphans:
        store.objects.delete(key)
    return len(orphans)


def _folders(tools: Tools, old: timedelta) -> int:
    """Working folders of jobs that are over, and old ones of jobs that were never there: of dry runs."""
    gone, before = 0, time() - old.total_seconds()
    for folder in tools.choices.work.glob("*"):
        job = tools.store.jobs.find(folder.name)
        if job.status in FINISHED if job is not None else _made(folder) < before:
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
    return gone


def _made(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # it has gone since
        return time()
