"""What nobody needs any more, removed: what killed processes left behind, and what has had its time.

The former are objects that no row names, folders of jobs that are over and sealed secrets of jobs that never were; the
latter expired files, reviews that nobody has touched for long, old results of operations, and old links to models.
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

FORSAKEN = timedelta(hours=1)
"""Age of a sealed secret that still has no job: its job's row follows within a moment."""

_OWNED = re.compile(r"(files|models|jobs|batches|reviews|operations)/([^/]+)")

log = logging.getLogger(__name__)


def sweep(tools: Tools, old: timedelta = OLD) -> int:
    """Remove what nobody needs any more, and return how many things that was.

    Raises:
        StorageFailed: database or storage cannot be used.
    """
    gone = expired_files(tools.store) + _old_reviews(tools) + _old_operations(tools) + _old_links(tools)
    gone += _orphans(tools, old) + _folders(tools, old)
    gone += tools.store.secrets.drop_forsaken(time() - FORSAKEN.total_seconds())
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


def _old_reviews(tools: Tools) -> int:
    """Remove reviews that nobody has touched for long; of one that a file was made by, its report alone.

    Such a file's version is in the review.
    """
    days, store, gone = tools.choices.review_days, tools.store, 0
    for record in store.reviews.untouched(int(time() - days * 86400)) if days else ():
        if record.output_file and store.files.find(record.output_file):
            changed = store.reviews.change(record.id, when=record.status, result_key=None, bytes=0) is not None
        else:
            changed = store.reviews.delete(record.id)
        if changed and record.result_key:
            store.objects.delete(record.result_key)
        gone += changed
    return gone


def _old_operations(tools: Tools) -> int:
    """Remove operations that are long over, with their results."""
    days, store, gone = tools.choices.operation_days, tools.store, 0
    for record in store.operations.untouched(int(time() - days * 86400)) if days else ():
        if store.operations.delete(record.id):
            gone += 1
            if record.result_key:
                store.objects.delete(record.result_key)
    return gone


def _old_links(tools: Tools) -> int:
    """Remove links that were revoked, or expired, long ago: until then, their page says so."""
    days = tools.choices.operation_days
    return tools.store.shares.drop_ended(int(time() - days * 86400)) if days else 0


def _orphans(tools: Tools, old: timedelta) -> int:
    """Objects whose file, model, job or batch is not there."""
    store, before = tools.store, datetime.now(UTC) - old
    finders: dict[str, Callable[[str], object]] = {
        "files": store.files.find,
        "models": store.models.find,
        "jobs": store.jobs.find,
        "batches": store.batches.find,
        "reviews": store.reviews.find,
        "operations": store.operations.find,
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
