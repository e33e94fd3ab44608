"""What routes share."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tamis.web.routing import seconds_of


@pytest.fixture
def _far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server whose clock is half a day ahead."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "UTC-12")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_far_east")
@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        (None, None),
        (datetime(1970, 1, 2, tzinfo=UTC), 86_400),
        (datetime(1970, 1, 2, tzinfo=timezone(timedelta(hours=1))), 82_800),
        (datetime(1970, 1, 2), 86_400),
        (datetime(1, 1, 1), -62_135_596_800),
        (datetime(9999, 12, 31), 253_402_214_400),
    ],
)
def test_moments_of_queries_are_in_utc_unless_they_say_otherwise(moment: datetime | None, seconds: int | None) -> None:
    assert seconds_of(moment) == seconds
