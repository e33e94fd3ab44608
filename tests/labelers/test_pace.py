"""Fewer requests, later, where the endpoint says that it is too much."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic

import pytest

from tamis.labelers.pace import LONGEST_WAIT_S, Pace, asked_wait


def test_no_more_than_the_limit_are_under_way() -> None:
    async def run() -> int:
        pace, now, most = Pace(3, 0.01), 0, 0

        async def one() -> None:
            nonlocal now, most
            async with pace.turn():
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.001)
                now -= 1
            pace.answered()

        await asyncio.gather(*(one() for _ in range(20)))
        return most

    assert asyncio.run(run()) == 3


def test_a_refusal_halves_the_limit_once_for_all_that_were_under_way() -> None:
    async def run() -> None:
        pace = Pace(8, 0.001)
        async with pace.turn() as first, pace.turn() as second:
            pace.refused(first, None)
            pace.refused(second, None)
        assert pace.limit == 4
        async with pace.turn() as later:
            pace.refused(later, None)
        assert pace.limit == 2
        for _ in range(100):
            pace.answered()
        assert pace.limit == 8

    asyncio.run(run())


def test_nothing_is_sent_before_the_endpoint_wants_it() -> None:
    async def run() -> float:
        pace, begin = Pace(2, 0.001), monotonic()
        async with pace.turn() as epoch:
            pace.refused(epoch, 0.05)
        async with pace.turn():
            return monotonic() - begin

    assert asyncio.run(run()) >= 0.05


def test_an_endpoint_that_asks_for_no_wait_and_goes_on_refusing_is_asked_less_and_less() -> None:
    async def run() -> list[float]:
        pace = Pace(1, 0.5, seed=1)
        return [pace.refused(epoch, 0.0) for epoch in range(4)]

    waits = asyncio.run(run())
    assert waits == sorted(waits)
    assert waits[0] >= 0.25
    assert waits[-1] >= 2.0


def test_waits_grow_and_are_bounded() -> None:
    async def run() -> list[float]:
        pace = Pace(1, 0.5, seed=1)
        return [pace.backoff(times) for times in range(1, 60)]

    waits = asyncio.run(run())
    assert 0.25 <= waits[0] <= 0.5
    assert 0.5 <= waits[1] <= 1.0
    assert max(waits) <= LONGEST_WAIT_S
    assert min(waits[10:]) >= LONGEST_WAIT_S / 2


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-7"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"}, 62.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "9s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9 parsecs"}, None),
    ],
)
def test_how_long_an_endpoint_asks_to_wait(headers: dict[str, str], wait: float | None) -> None:
    assert asked_wait(headers) == (None if wait is None else pytest.approx(wait))


def test_a_date_is_a_wait_too() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    wait = asked_wait({"retry-after": in_a_minute})
    assert wait is not None
    assert 50 < wait <= 60
