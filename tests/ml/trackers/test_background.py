"""A tracker beside a run: it has no key where others see it, never blocks, and leaves no process behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ml.trackers.wandb_stub import WandbStub
from tamis.ml.trackers import background
from tamis.ml.trackers.background import BackgroundTracker, Told
from tamis.ml.trackers.tracker import Outcome, TrackedRun

KEY = "canary5d1f0c9be7a24e3f8a6b2c4d9e0f1a2b3c4d5e6f"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbStub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    with WandbStub() as found:
        yield found


@pytest.fixture
def run(stub: WandbStub, tmp_path: Path) -> TrackedRun:
    return TrackedRun(
        tracker="wandb",
        id="job-1",
        project="shop",
        title="run",
        folder=str(tmp_path / "kept"),
        address=stub.url,
        key=KEY,
    )


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def helpers() -> list[psutil.Process]:
    """The processes of trackers below this one, and those that their libraries started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if "tamis.ml.trackers" in line or "wandb-core" in line:
            found.append(process)
    return found


def gone(processes: list[psutil.Process]) -> bool:
    """Return whether all have ended; those that nobody has looked after yet are as good as gone."""
    return all(not each.is_running() or each.status() == psutil.STATUS_ZOMBIE for each in processes)


def test_no_process_shows_the_key_or_has_the_servers_secrets(run: TrackedRun, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAMIS_SECRET_KEY", "a secret of the server")
    monkeypatch.setenv("WANDB_API_KEY", "operator" * 5)
    monkeypatch.setenv("WANDB_RUN_ID", "another-run")
    told: list[Told] = []

    def listener(said: Told) -> None:
        told.append(said)
        raise RuntimeError("what listens may fail")

    tracker = BackgroundTracker(run, listener)
    until(lambda: told)
    begun = helpers()
    assert len(begun) == 2
    for process in begun:
        shown = str(process.cmdline()) + str(process.environ())
        for secret in (KEY, "a secret of the server", "operator" * 5, "another-run"):
            assert secret not in shown
    tracker.abandon()
    until(lambda: gone(begun), 5)
    assert [each.url for each in told] == [f"{run.address}/me/shop/runs/job-1"]


def test_a_tracker_that_dies_takes_its_library_along_and_is_told(run: TrackedRun):
    told: list[Told] = []
    tracker = BackgroundTracker(run, told.append)
    until(lambda: told)
    begun = helpers()
    next(each for each in begun if "tamis.ml.trackers" in each.cmdline()).kill()
    until(lambda: len(told) == 2)
    assert "before its time" in told[1].problem
    until(lambda: gone(begun))
    tracker.log(1, {"train_loss": 1.0})
    tracker.end_soon(Outcome.FINISHED)
    tracker.wait(5)


@pytest.mark.parametrize("manner", ["garbage", "errors later"])
def test_where_the_server_misbehaves_the_run_is_kept_to_be_sent_later(run: TrackedRun, stub: WandbStub, manner: str):
    stub.manner = manner  # type: ignore[assignment]
    told: list[Told] = []
    tracker = BackgroundTracker(run, told.append)
    tracker.log(1, {"train_loss": 1.0})
    tracker.end_soon(Outcome.FAILED)
    tracker.wait(30)
    kept = Path(told[0].note.rpartition("wandb sync ")[2])
    assert (kept / "run-job-1.wandb").stat().st_size > 0
    assert all(KEY.encode() not in path.read_bytes() for path in Path(run.folder).rglob("*") if path.is_file())


def test_on_a_server_without_the_library_the_extra_is_named(
    run: TrackedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "wandb.py").write_text("raise ModuleNotFoundError(name='wandb')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told: list[Told] = []
    tracker = BackgroundTracker(run, told.append)
    tracker.log(1, {"train_loss": 1.0})
    tracker.end_soon(Outcome.FINISHED)
    tracker.wait(30)
    (said,) = told
    assert "pip install 'tamis[wandb]'" in said.problem


def test_the_librarys_own_variable_keeps_runs_here(run: TrackedRun, stub: WandbStub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    told: list[Told] = []
    tracker = BackgroundTracker(run, told.append)
    tracker.log(1, {"train_loss": 1.0})
    tracker.end_soon(Outcome.FINISHED)
    tracker.wait(30)
    (said,) = told
    assert (Path(said.note.rpartition("wandb sync ")[2]) / "run-job-1.wandb").stat().st_size > 0
    assert stub.requests == []


def test_what_a_slow_tracker_does_not_take_is_dropped(
    run: TrackedRun, stub: WandbStub, monkeypatch: pytest.MonkeyPatch
):
    stub.manner = "hangs"
    monkeypatch.setattr(background, "START_WITHIN_S", 0.2)
    told: list[Told] = []
    tracker = BackgroundTracker(run, told.append)
    for step in range(20_000):
        tracker.log(step, {f"figure {number}": 0.5 for number in range(20)})
    assert len(tracker._figures) <= background.MOST_WAITING
    tracker.end_soon(Outcome.FINISHED)
    tracker.wait(0.2)
    assert "too slow: nothing was reported" in told[0].problem
    until(lambda: not helpers())
