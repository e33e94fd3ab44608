"""A job as it goes on, as a stream of events: how far it is, its curves, and that the page is to be asked for again.

A stream holds one of the requests that the server does at a time, so that there are few of them, each for a while: a
browser asks again, where it left off, and pages without a stream ask for themselves every few seconds. What is shown
comes from the database alone: the job may run anywhere, and go on after a restart.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from fastapi.responses import StreamingResponse

from tamis.errors import Overloaded, UnknownJob
from tamis.web.connections import CLOSING
from tamis.web.dashboard import safety
from tamis.web.dashboard.curves import Progress, curves_of

if TYPE_CHECKING:
    from tamis.store.records import JobRecord
    from tamis.web.dashboard.visits import Visit
    from tamis.workspace.jobs import JobDetail, Jobs

EVENTS = "text/event-stream"
LOOK_S = 0.7
FULL_LOOK_S = 5.0
"""Seconds between looks at a job, and between those at all that is known of it."""

LASTS_S = 30.0
"""Seconds that a stream lasts; whether the session is still good is looked at when the browser asks again."""

AGAIN_MS, LATER_MS = 1000, 10_000
MOST = 16
SHARE = 4
"""Streams of a process at most, and no more than one in so many of the requests that it does at a time."""


class Streams:
    """How many streams there are in this process."""

    def __init__(self) -> None:
        """Start without any."""
        self.at_work = 0

    def require(self, most_requests: int) -> None:
        """Do nothing where one more may be.

        Raises:
            Overloaded: there are as many as may be.
        """
        most = most_of(most_requests)
        if self.at_work >= most:
            raise Overloaded(f"The server shows {most} jobs as they go on, the most at a time.", retry_after=10)


streams = Streams()


def most_of(most_requests: int) -> int:
    """Return how many streams there may be on a server that does so many requests at a time."""
    return min(MOST, most_requests // SHARE)


def is_asked_for(visit: Visit) -> bool:
    """Return whether a script asks for events, not a person for a page."""
    return EVENTS in visit.request.headers.get("accept", "")


def streamed(visit: Visit, job_id: str) -> StreamingResponse:
    """Return the stream of a job.

    Raises:
        UnknownJob: there is no such job.
        Overloaded: there are as many streams as may be.
    """
    jobs, scope = visit.workspace.jobs, visit.request.scope
    jobs.record(job_id)
    most_requests = visit.workspace.settings.max_concurrent_requests
    streams.require(most_requests)
    seen = visit.request.headers.get("last-event-id") or visit.asked("seen")
    watch = Watch(jobs, job_id, seen)
    headers = {**safety.headers(), "x-accel-buffering": "no"}
    events = _events(watch, lambda: bool(scope.get(CLOSING)), most_of(most_requests))
    return StreamingResponse(events, media_type=EVENTS, headers=headers)


async def _events(watch: Watch, is_closing: Callable[[], bool], most: int) -> AsyncIterator[bytes]:
    """Look at the job until it is over, the server stops, or the stream has lasted long enough."""
    if streams.at_work >= most:  # others came at the same moment
        yield f"retry: {LATER_MS}\n\n".encode()
        return
    streams.at_work += 1
    try:
        yield f"retry: {AGAIN_MS}\n\n".encode()
        until = monotonic() + LASTS_S
        while monotonic() < until and not is_closing():
            yield await anyio.to_thread.run_sync(watch.look)
            if watch.is_over:
                return
            await anyio.sleep(LOOK_S)
    finally:
        streams.at_work -= 1


def seen_of(detail: JobDetail) -> str:
    """Return what tells whether a page still shows a job as it is."""
    return f"{detail.job.status}.{detail.job.attempt}.{len(detail.events)}"


class Watch:
    """What has been told of a job, so that only news are told."""

    def __init__(self, jobs: Jobs, job_id: str, seen: str) -> None:
        """Watch a job, of which the page shows what `seen` says."""
        self._jobs, self._job_id, self._seen = jobs, job_id, seen
        self._record: JobRecord | None = None
        self._points: tuple[int, ...] = ()
        self._told = ""
        self._next_full = 0.0
        self.is_over = False

    def look(self) -> bytes:
        """Return the events that there are; a comment, which keeps the connection, where nothing is new."""
        try:
            record = self._jobs.record(self._job_id)
        except UnknownJob:  # deleted meanwhile
            self.is_over = True
            return _event("changed", {}) + _event("over", {})
        if not self._is_news(record):
            return b": \n\n"
        self._record, self._next_full = record, monotonic() + FULL_LOOK_S
        return b"".join(self._news(self._jobs.get(self._job_id))) or b": \n\n"

    def _is_news(self, record: JobRecord) -> bool:
        before = self._record
        return before is None or before.modified_at != record.modified_at or before.metadata != record.metadata or (
            (before.status, before.attempt) != (record.status, record.attempt) or monotonic() >= self._next_full
        )  # fmt: skip

    def _news(self, detail: JobDetail) -> list[bytes]:
        found, job = [], detail.job
        points = tuple(row.step for row in detail.checkpoints)
        curves = curves_of(detail.checkpoints)
        if points != self._points:
            self._points = points
            found.append(_event("curves", curves.to_json()))
        progress = Progress.of(job.metadata)
        told = progress.told(curves.rate)
        if job.status == "RUNNING" and told != self._told:
            self._told = told
            found.append(_event("progress", {"share": progress.share, "told": told}))
        seen = seen_of(detail)
        if seen != self._seen:
            self._seen = seen
            found.append(_event("changed", {}, seen))
        self.is_over = job.finished_at is not None
        return [*found, _event("over", {})] if self.is_over else found


def _event(name: str, told: dict[str, Any], id: str = "") -> bytes:
    """Return an event; JSON has no line breaks of its own."""
    named = f"id: {id}\n" if id else ""
    return f"event: {name}\n{named}data: {json.dumps(told)}\n\n".encode()
