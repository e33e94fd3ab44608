"""What a child works with: the store, the operator's choices, and files where libraries can read them."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tamis.data.formats import ReadOptions
from tamis.data.review.versions import log_of
from tamis.endpoints import InputLimits
from tamis.errors import StorageFull, UnknownFile
from tamis.store.opening import Store

LONGEST_NAME = 200
"""Bytes of a file's name: file systems take 255, and a log beside it has a longer one."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the operator chose, as far as jobs go.

    Attributes:
        work: folder for what is needed while a job runs, on this machine.
        home: the home, where models of the registry are.
        memory_mb: most memory of a job, in MB of 10^6 bytes.
        cost_per_million_tokens: what metadata calls the cost.
        cost_currency: and in which currency.
        max_labels: most labels of all targets.
        max_batch_requests: most requests of a batch job.
        limits: of one request in a batch.
        trackers: settings of trackers, by name.
        reading: how data files are read.
        review_days: after so many days without a change, a review's report is deleted; 0: never.
        operation_days: after so many days an operation and its result are deleted; 0: never.
        min_free_disk_bytes: room on the disk that operations leave free; 0: none.
        llm_base_url: the endpoint of LLMs that are compared with models; empty: there is none.
        llm_key: the key for it.
    """

    work: Path
    home: Path
    memory_mb: float
    cost_per_million_tokens: float = 0.0
    cost_currency: str = "EUR"
    max_labels: int = 20_000
    max_batch_requests: int = 1_000_000
    limits: InputLimits = field(default_factory=InputLimits)
    trackers: Mapping[str, str] = field(default_factory=dict)
    reading: ReadOptions = field(default_factory=ReadOptions)
    review_days: int = 0
    operation_days: int = 0
    min_free_disk_bytes: int = 0
    llm_base_url: str = ""
    llm_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Tools:
    """The store, and the operator's choices."""

    store: Store
    choices: Choices


def require_disk(choices: Choices, n_bytes: int = 0) -> None:
    """Do nothing where so many bytes can be written beside what is at work, and enough stays free.

    Raises:
        StorageFull: they cannot.
    """
    if not choices.min_free_disk_bytes:
        return
    with suppress(OSError):  # no disk that could be asked: writing will tell
        left = shutil.disk_usage(choices.work).free - n_bytes
        if left < choices.min_free_disk_bytes:
            raise StorageFull(
                f"The server's disk has {left + n_bytes:,} bytes left, and {choices.min_free_disk_bytes:,} are to stay "
                "free (min_free_disk_bytes). Give fewer rows, or ask the operator to make room."
            )


@contextmanager
def files_here(store: Store, file_ids: Sequence[str], work: Path) -> Iterator[dict[str, Path]]:
    """Yield the paths of files under their own names, by id: links into a folder storage, copies out of a bucket.

    Raises:
        UnknownFile: one is gone.
        StorageFailed: one cannot be fetched.
    """
    folder = work / f"files-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        paths = {}
        for number, file_id in enumerate(dict.fromkeys(file_ids)):
            record = store.files.find(file_id)
            if record is None:
                raise UnknownFile(f"The file {file_id} is gone: upload it again, and make the job again.")
            place = folder / str(number) / name_on_disk(record.name)
            place.parent.mkdir(parents=True)
            local = store.objects.local_path(record.key)
            if local is not None:
                place.symlink_to(local)
            else:
                with place.open("wb") as out:
                    out.writelines(store.objects.read(record.key))
            if (version := store.reviews.version_of(file_id)) is not None:
                log_of(place).write_text(json.dumps({"version": version}), encoding="utf-8")
            paths[file_id] = place
        yield paths
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def name_on_disk(name: str) -> str:
    """Return a file's name as file systems take it: not too long, and no hidden file's."""
    plain = re.sub(r"[^\w.+@ -]", "_", name).lstrip(". ")
    return plain.encode()[-LONGEST_NAME:].decode("utf-8", "ignore").lstrip(". ") or "file"
