"""How many requests go out at a time, and when: fewer and later where the endpoint says that it is too much."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from random import Random
from time import monotonic

LONGEST_WAIT_S = 60.0
"""The longest wait that is chosen here; an endpoint may ask for a longer one."""

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Pace:
    """Lets requests through: at first as many at a time as are allowed, half of it after each refusal for a limit."""

    def __init__(self, most: int, backoff_s: float, seed: int | None = None) -> None:
        """Take how many at most, and the first wait where the endpoint names none."""
        self._most, self._backoff_s = most, backoff_s
        self._limit = float(most)
        self._active = self._refusals = self._epoch = 0
        self._resume = 0.0
        self._freed = asyncio.Event()
        self._random = Random(seed)
        self.since_answer = monotonic()

    @property
    def limit(self) -> int:
        """How many may be under way now."""
        return max(1, int(self._limit))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[int]:
        """Wait for a turn, and yield in which epoch it came: after how many slow-downs."""
        while True:
            pause = self._resume - monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            elif self._active < self.limit:
                break
            else:
                self._freed.clear()
                await self._freed.wait()
        self._active += 1
        try:
            yield self._epoch
        finally:
            self._active -= 1
            self._freed.set()

    def answered(self) -> None:
        """Note an answer: a little more may be under way."""
        self._refusals = 0
        self._limit = min(self._most, self._limit + 1 / self._limit)
        self.since_answer = monotonic()
        self._freed.set()

    def refused(self, epoch: int, wait_s: float | None) -> float:
        """Note a refusal for a limit, and return for how long nothing is sent.

        Of several requests that were under way together only the first slows down. What an endpoint asks for is kept
        to, and more where it goes on refusing: one that asks for no wait at all would be asked without end.
        """
        if epoch == self._epoch:
            self._epoch += 1
            self._limit = max(1.0, self._limit / 2)
            self._refusals += 1
        wait = max(self.backoff(self._refusals), (wait_s or 0.0) * (1 + 0.1 * self._random.random()))
        self._resume = max(self._resume, monotonic() + wait)
        return wait

    def backoff(self, times: int) -> float:
        """Return how long to wait before the n-th time again: twice as long each time, jittered."""
        longest = min(LONGEST_WAIT_S, self._backoff_s * 2.0 ** min(times - 1, 16))
        return longest * (0.5 + 0.5 * self._random.random())


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds an endpoint asks to be left alone; None where it does not say.

    `Retry-After` (seconds, or a date), `retry-after-ms`, or else the longest of OpenAI's `x-ratelimit-reset-*` of a
    limit of which nothing remains.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    if "retry-after" in headers:
        return _after(headers["retry-after"])
    spans = [
        _span(headers.get(f"x-ratelimit-reset-{what}", ""))
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}") == "0"
    ]
    return max((span for span in spans if span is not None), default=None)


def _after(given: str) -> float | None:
    seconds = _number(given)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(given)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _number(given: str | None) -> float | None:
    try:
        value = float(given or "")
    except ValueError:
        return None
    return value if isfinite(value) and value >= 0 else None


def _span(given: str) -> float | None:
    """Seconds of a span like 6m0s, 1.5s, 20ms."""
    parts = _SPAN.findall(given)
    if not parts or "".join(number + unit for number, unit in parts) != given:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
