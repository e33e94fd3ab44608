"""The job worker is kept running, and stopped with the server."""

import threading
import time

from tamis.cli import job_worker
from tamis.cli.job_worker import kept_running


class Dying:
    """A process that dies as often as it is told to."""

    def __init__(self, deaths: int) -> None:
        self.deaths = deaths
        self.starts = 0
        self.stopped = 0
        self.started_often = threading.Event()

    def ensure(self) -> bool:
        if self.starts > self.deaths:
            self.started_often.set()
            return False
        self.starts += 1
        return True

    def stop(self) -> None:
        self.stopped += 1


def test_it_is_started_at_once_and_stopped_at_the_end() -> None:
    process = Dying(0)
    with kept_running(process):
        assert (process.starts, process.stopped) == (1, 0)
    assert process.stopped == 1


def test_it_is_started_again(monkeypatch) -> None:
    monkeypatch.setattr(job_worker, "LOOK_S", 0.01)
    process = Dying(3)
    with kept_running(process):
        assert process.started_often.wait(5)
    assert process.starts == 4


def test_one_that_keeps_dying_is_waited_for_longer_and_longer(monkeypatch) -> None:
    monkeypatch.setattr(job_worker, "LOOK_S", 0.02)
    process = Dying(10**9)
    with kept_running(process):
        time.sleep(0.5)
    assert process.starts <= 7


def test_it_is_stopped_when_the_server_fails() -> None:
    process = Dying(0)
    try:
        with kept_running(process):
            raise RuntimeError
    except RuntimeError:
        pass
    assert process.stopped == 1
