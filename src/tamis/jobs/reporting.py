"""What a training run tells, written down: checkpoints, progress, remarks. Rows are gathered for a moment first."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from time import monotonic, time
from types import TracebackType
from typing import Any, Self

from tamis.errors import Cancelled, StorageFailed
from tamis.jobs.states import Status
from tamis.jobs.tools import Tools
from tamis.ml.model import Model
from tamis.ml.progress import Progress
from tamis.store.records import CheckpointRecord, JobRecord

FLUSH_S = 0.5
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pace:
    """How fast a run goes, from what it has told."""

    begin: float
    first_share: float = -1.0

    def seconds_left(self, share: float) -> float | None:
        if self.first_share < 0:
            self.first_share, self.begin = share, monotonic()
        done = share - self.first_share
        return None if done <= 0.02 else round((monotonic() - self.begin) / done * (1 - share), 1)


class Reporter:
    """Listens to a training run for the store. Only the attempt that has the job is written down."""

    def __init__(self, tools: Tools, job: JobRecord) -> None:
        """Begin with nothing told."""
        self._store, self._job = tools.store, job
        self._rows: list[CheckpointRecord] = []
        self._last_step = 0
        self._next = monotonic()
        self._pace = _Pace(monotonic())
        self._progress: dict[str, Any] = {}
        self._remarks: set[str] | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write down what is left, whatever happened."""
        if kind is None:
            self.flush()
        else:
            with suppress(StorageFailed, Cancelled):
                self.flush()

    def __call__(self, progress: Progress) -> None:
        """Take what is told.

        Raises:
            Cancelled: another attempt has the job.
        """
        self._progress = {
            "stage": progress.stage,
            "share": round(progress.share, 4),
            "seconds_left": self._pace.seconds_left(progress.share),
        }
        if progress.checkpoint:
            self._rows.append(self._row(progress))
        if progress.remark:
            self._note(progress.remark)
        if monotonic() >= self._next:
            self.flush()

    def _note(self, remark: str) -> None:
        """Note a remark once: an attempt after one that was killed hears all of them again."""
        if self._remarks is None:
            events = self._store.jobs.events(self._job.id)
            self._remarks = {str(event.data["remark"]) for event in events if "remark" in event.data}
        if remark not in self._remarks:
            self._remarks.add(remark)
            self._store.jobs.add_event(self._job.id, "remark", {"remark": remark}, self._job.attempt)

    def flush(self) -> None:
        """Write down what was gathered.

        Raises:
            Cancelled: another attempt has the job.
        """
        self._next = monotonic() + FLUSH_S
        rows, self._rows = self._rows, []
        store, job = self._store.jobs, self._job
        if rows and not store.add_checkpoints(job.id, job.attempt, rows):
            raise Cancelled("Another attempt has the job.")
        metadata = {**job.metadata, "progress": self._progress}
        store.change(job.id, when={Status.RUNNING}, attempt=job.attempt, quiet=True, metadata=metadata)

    def finish(self, model: Model) -> None:
        """Take the finished model: what is left to be written down is."""
        self._progress = {"stage": "storing the model", "share": 0.99, "seconds_left": None}
        self.flush()

    def _row(self, progress: Progress) -> CheckpointRecord:
        figures = {name: float(value) for name, value in progress.checkpoint.items() if isfinite(value)}
        self._last_step = max(self._last_step + 1, int(figures.get("step", 0)))
        return CheckpointRecord(self._job.id, self._last_step, int(time()), figures)
