"""One suite over every tracker, each in its own process as jobs have it."""

from __future__ import annotations

import base64
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ml.trackers.mlflow_stub import MlflowStub
from ml.trackers.wandb_stub import WandbStub
from tamis.errors import MissingExtra
from tamis.ml.trackers.background import BackgroundTracker, Told
from tamis.ml.trackers.builtin import TITLES, TRACKERS
from tamis.ml.trackers.tracker import Outcome, Results, Table, TrackedRun

KEY = "canary5d1f0c9be7a24e3f8a6b2c4d9e0f1a2b3c4d5e6f"
CELLS = (("yes", "yes", 3), ("no", "yes", 1))
RESULTS = Results(
    {"held_out/topic/accuracy": 0.75},
    (Table("topic", ("actual", "given", "rows"), CELLS, ("yes", "no"), True),),
    {"data_sha256": "abcd"},
)


@dataclass
class Reported:
    """What a tracker's server was told, in words that they share."""

    steps: dict[int, float] = field(default_factory=dict)
    text: str = ""
    outcomes: list[str] = field(default_factory=list)
    begun: int = 0


@dataclass
class Case:
    """A tracker with a server of its kind."""

    run: TrackedRun
    told: list[Told]
    look: Callable[[], Reported]

    def report(self, run: TrackedRun | None = None, outcome: Outcome = Outcome.FINISHED) -> None:
        tracker = BackgroundTracker(run or self.run, self.told.append)
        for step in range(1, 6):
            tracker.log(step, {"train_loss": 1 / step})
        tracker.report(RESULTS)
        tracker.end_soon(outcome)
        tracker.wait(30)

    def said(self) -> str:
        return " ".join(f"{told.note} {told.problem}" for told in self.told).strip()


def wandb_case(stub: WandbStub, run: TrackedRun) -> Case:
    def look() -> Reported:
        steps = {row["_step"]: row["train_loss"] for row in stub.history() if "train_loss" in row}
        outcomes = [{0: "finished", 1: "failed", 255: "killed"}[code] for code in stub.exit_codes()]
        begun = len({each["name"] for each in stub.variables("UpsertBucket") if each.get("name")})
        return Reported(steps, json.dumps(stub.requests), outcomes, begun)

    return Case(replace(run, key=KEY, address=stub.url), [], look)


def mlflow_case(stub: MlflowStub, run: TrackedRun) -> Case:
    def look() -> Reported:
        steps = {step: value for name, value, step in stub.metrics if name == "train_loss"}
        text = json.dumps([stub.runs, stub.params, stub.files, stub.metrics])
        return Reported(steps, text, [each.lower() for each in stub.statuses if each != "RUNNING"], len(stub.runs))

    return Case(replace(run, address=f"http://operator:{KEY}@127.0.0.1:{stub.port}"), [], look)


CASES: dict[str, tuple[type[Any], Callable[[Any, TrackedRun], Case]]] = {
    "wandb": (WandbStub, wandb_case),
    "mlflow": (MlflowStub, mlflow_case),
}


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is meant for another machine comes here, and nothing may."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{listening.getsockname()[1]}")
        yield
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.fixture(params=list(TRACKERS))
def case(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: None
) -> Iterator[Case]:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    kind, case_of = CASES[request.param]
    config = {"job": "job-1", "hyperparameters": {"epochs": 2.0, "seq_len": None}, "rows": 40}
    run = TrackedRun(
        tracker=request.param,
        id="job-1",
        project="shop",
        title="my run",
        folder=str(tmp_path / "kept/one"),
        config=config,
    )
    with kind() as stub:
        yield case_of(stub, run)


def test_each_tracker_has_a_title_and_a_case() -> None:
    assert set(TRACKERS) == set(TITLES) == set(CASES)


def test_a_run_is_reported_from_its_settings_to_its_end(case: Case, tmp_path: Path) -> None:
    case.report()
    reported = case.look()
    assert case.said() == ""
    assert [told.url for told in case.told if told.url]
    assert reported.steps == pytest.approx({step: 1 / step for step in range(1, 6)})
    assert reported.outcomes == ["finished"]
    for fact in ("job-1", "my run", "epochs", "data_sha256", "abcd", "held_out/topic/accuracy", "confusion/topic"):
        assert fact in reported.text, fact
    assert not Path(case.run.folder).exists()
    assert KEY not in "".join(told.url or "" for told in case.told)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_who_begins_a_run_again_goes_on_with_it(case: Case) -> None:
    case.report(outcome=Outcome.HANDED_BACK)
    case.report(outcome=Outcome.KILLED)
    until = time.monotonic() + 10
    while "killed" not in (reported := case.look()).outcomes and time.monotonic() < until:
        time.sleep(0.05)
    assert reported.outcomes[-1] == "killed"
    assert "finished" not in reported.outcomes
    assert reported.begun == 1
    assert case.said() == ""


def test_a_server_that_is_gone_is_told_with_a_cure_and_without_the_key(case: Case, tmp_path: Path) -> None:
    gone = case.run.address.rpartition(":")[0] + ":9"
    case.report(replace(case.run, address=gone))
    assert "127.0.0.1:9" in case.said()
    assert any(cure in case.said() for cure in ("wandb sync", "mlflow_tracking_uri"))
    coded = [base64.b64encode(b"x" * shift + KEY.encode())[4:-4].decode() for shift in range(3)]
    for form in (KEY, *coded):
        assert form not in case.said()
        assert [path for path in tmp_path.rglob("*") if path.is_file() and form.encode() in path.read_bytes()] == []


def test_a_library_that_is_not_installed_is_named_with_its_extra(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG_DIR", "CACHE_DIR", "DATA_DIR", "ARTIFACT_DIR", "ERROR_REPORTING"):
        monkeypatch.setenv(f"WANDB_{name}", "as it was")  # so that it is put back
    for name in ("NETRC", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_ALLOW_FILE_STORE", "GIT_PYTHON_REFRESH"):
        monkeypatch.setenv(name, "as it was")
    for name in ("MAX_RETRIES", "TIMEOUT", "BACKOFF_FACTOR"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "1")
    monkeypatch.setitem(sys.modules, case.run.tracker, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'tamis\[{case.run.tracker}\]'"):
        TRACKERS[case.run.tracker](case.run).start()
