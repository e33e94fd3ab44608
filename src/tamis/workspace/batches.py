"""Batch jobs: many requests to one endpoint, answered in the background; what may be asked of one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from time import time
from typing import Any
from uuid import uuid4

from tamis.endpoints import ENDPOINTS
from tamis.errors import InvalidRequest, LimitExceeded, Overloaded, UnknownBatch
from tamis.jobs.ending import ask_to_cancel
from tamis.jobs.states import Status
from tamis.settings import Settings
from tamis.store.opening import Store
from tamis.store.records import BatchFilters, BatchRecord
from tamis.workspace.files import Files
from tamis.workspace.models import Models

MOST_HOURS = 168
MOST_PAIRS, MOST_NAME, MOST_VALUE = 16, 32, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A batch job as it is asked for: `input_files` (ids), or `requests` with a `custom_id` and a `body` each."""

    endpoint: str
    input_files: Sequence[str] = ()
    requests: Sequence[Mapping[str, Any]] | None = None
    model: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    timeout_hours: int = 24
    created_by: str | None = None


class Batches:
    """The batch jobs of a workspace."""

    def __init__(self, store: Store, files: Files, models: Models, settings: Settings) -> None:
        """Take the store, the files, the models that answer, and the operator's limits."""
        self._store, self._files, self._models, self._settings = store, files, models, settings

    def create(self, new: NewBatch) -> BatchRecord:
        """Make a batch job and queue it.

        Raises:
            InvalidRequest: a field is not what it should be.
            LimitExceeded: there are more requests than may come inline.
            UnknownFile: a file is not there.
            UnknownModel: the model is not there.
            Overloaded: very many are not finished.
            StorageFull: there is no room on the disk.
        """
        self._check(new)
        self._files.room.require()
        if new.model is not None:
            self._models.find(new.model)
        for file_id in new.input_files:
            self._files.get(file_id)
        if self._store.batches.live() >= self._settings.max_live_jobs:
            most = self._settings.max_live_jobs
            raise Overloaded(f"{most} batch jobs are not finished yet (max_live_jobs): wait.", retry_after=60)
        now, batch_id = int(time()), str(uuid4())
        key = None
        if new.requests is not None:
            key = f"batches/{batch_id}/requests.jsonl"
            with self._store.objects.writer(key) as writer:
                for request in new.requests:
                    writer.write(json.dumps(request).encode() + b"\n")
                writer.commit()
        record = BatchRecord(
            id=batch_id,
            endpoint=new.endpoint,
            status=Status.QUEUED.value,
            created_at=now,
            modified_at=now,
            model=new.model,
            input_files=tuple(new.input_files),
            inline=new.requests is not None,
            inline_key=key,
            metadata=dict(new.metadata),
            timeout_hours=new.timeout_hours,
            created_by=new.created_by,
        )
        try:
            self._store.batches.add(record)
        except BaseException:
            if key:
                self._store.objects.delete(key)
            raise
        return record

    def get(self, batch_id: str) -> BatchRecord:
        """Return a batch job.

        Raises:
            UnknownBatch: there is none.
        """
        found = self._store.batches.find(batch_id)
        if found is None:
            raise UnknownBatch(f"There is no batch job {batch_id}.", batch=batch_id)
        return found

    def outputs(self, batch: BatchRecord) -> Iterator[bytes]:
        """Return the answers of a finished batch job in pieces, a line each: those that succeeded, then the others.

        Raises:
            UnknownFile: its files were deleted.
        """
        file_ids = [file_id for file_id in (batch.output_file, batch.error_file) if file_id is not None]
        return chain.from_iterable([self._files.read(file_id) for file_id in file_ids])

    def list(self, page: int, page_size: int, filters: BatchFilters) -> tuple[list[BatchRecord], int]:
        """Return one page of the batch jobs, and how many there are in all."""
        return self._store.batches.list(page, page_size, **filters)

    def cancel(self, batch_id: str) -> BatchRecord:
        """Cancel a batch job: at once where no worker holds it, else within seconds.

        Raises:
            UnknownBatch: there is none.
            IllegalTransition: it is finished.
        """
        return ask_to_cancel(self._store.batches, partial(self.get, batch_id))

    def delete(self, batch_id: str) -> None:
        """Delete a finished batch job; its output and error files stay.

        Raises:
            UnknownBatch: there is none.
            InUse: it is not finished.
        """
        batch = self.get(batch_id)
        if self._store.batches.delete(batch_id) and batch.inline_key:
            self._store.objects.delete(batch.inline_key)

    def _check(self, new: NewBatch) -> None:
        if new.endpoint not in ENDPOINTS:
            raise _invalid("endpoint", f"{new.endpoint[:80]!r} is not answered in batches: use {', '.join(ENDPOINTS)}")
        if bool(new.input_files) == (new.requests is not None):
            raise _invalid("input_files", "give either files or requests")
        if new.requests is not None and not new.requests:
            raise _invalid("requests", "the list is empty")
        if len(new.requests or ()) > self._settings.max_inline_requests:
            most = self._settings.max_inline_requests
            raise LimitExceeded(
                f"body.requests: {len(new.requests or ()):,} requests, and {most:,} may come inline "
                "(max_inline_requests): send them as a file.",
                loc=["body", "requests"],
                setting="max_inline_requests",
            )
        if not 1 <= new.timeout_hours <= MOST_HOURS:
            raise _invalid("timeout_hours", f"{new.timeout_hours} is not between 1 and {MOST_HOURS}")
        if len(new.metadata) > MOST_PAIRS:
            raise _invalid("metadata", f"give at most {MOST_PAIRS} pairs")
        for name, value in new.metadata.items():
            if not 1 <= len(name) <= MOST_NAME or not 1 <= len(value) <= MOST_VALUE:
                raise _invalid("metadata", f"keys have 1 to {MOST_NAME} characters, values 1 to {MOST_VALUE}")


def _invalid(field: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"body.{field}: {why}.", loc=["body", field])
