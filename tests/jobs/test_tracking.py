"""Jobs that report to trackers, in real processes, against a server that misbehaves: they train all the same."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from ml.trackers.mlflow_stub import MlflowStub
from ml.trackers.wandb_stub import WandbStub
from tamis.jobs.tools import Choices, Tools
from tamis.jobs.tracking import Tracking
from tamis.ml.progress import Progress
from tamis.ml.trackers import background
from tamis.ml.trackers.tracker import Outcome
from tamis.settings import Settings
from tamis.store.opening import Store
from tamis.store.records import JobRecord
from tamis.web.api.mistral.jobs import DetailedJob
from tamis.workspace.files import NewFile
from tamis.workspace.jobs import Integration, JobDetail, NewJob
from tamis.workspace.workspace import Workspace, open_workspace

CANARY = "canary5d1f0c9be7a24e3f8a6b2c4d9e0f1a2b3c4d5e6f"
FINAL = ("SUCCESS", "FAILED", "FAILED_VALIDATION", "CANCELLED")
WORDS = {"delivery": ["parcel", "courier", "late", "depot"], "payment": ["card", "invoice", "refund", "bank"]}


def rows(n: int, salt: str = "") -> bytes:
    labels = list(WORDS)
    texts = (
        f"my {WORDS[labels[i % 2]][i // 2 % 4]} and {WORDS[labels[i % 2]][i * 3 // 2 % 4]} {salt} {i}" for i in range(n)
    )
    return "\n".join(
        f'{{"text": "{text}", "labels": {{"topic": "{labels[i % 2]}"}}}}' for i, text in enumerate(texts)
    ).encode()


def forms(key: str) -> set[bytes]:
    """The key as it may be written somewhere; of base64, what is the same at every place in other data."""
    coded = {base64.b64encode(b"x" * shift + key.encode())[4:-4] for shift in range(3)}
    return {key.encode(), quote(key).encode(), *coded, base64.b64encode(f"api:{key}".encode())[4:-4]}


@dataclass
class Place:
    """A home with a worker, and the tracker's server that its jobs report to."""

    root: Path
    workspace: Workspace
    stub: WandbStub
    worker: subprocess.Popen[bytes]
    made: int = 0

    def begin(self, n: int = 120, keys: tuple[str, ...] = (CANARY,), **hyperparameters: float) -> str:
        self.made += 1
        coming = self.workspace.files.begin(NewFile(name=f"topics-{self.made}.jsonl"))
        coming.write(rows(n, f"set{self.made}"))
        trackers = [Integration("wandb", f"shop-{place}", key, "my run") for place, key in enumerate(keys)]
        new = NewJob(
            model="ministral-3b-latest",
            training_files=[(coming.commit().id, 1.0)],
            auto_start=True,
            integrations=trackers,
            hyperparameters=hyperparameters,
        )
        return self.workspace.jobs.create(new).id

    def wait(self, job_id: str, *statuses: str, seconds: float = 120) -> JobDetail:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.workspace.jobs.get(job_id)
            if found.job.status in statuses:
                return found
            assert found.job.status not in FINAL, found.job
            time.sleep(0.02)
        raise AssertionError(f"still {self.workspace.jobs.get(job_id).job}")

    def quiet(self, seconds: float = 60) -> None:
        """Wait until no tracker is at work any more."""
        self.until(lambda: not self.trackers(), "a tracker's process still runs", seconds)

    def trackers(self) -> list[psutil.Process]:
        """The processes of trackers, and those that their libraries started."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get("TMPDIR") == str(self.root / "tmp")
                if ours and process.status() != psutil.STATUS_ZOMBIE and is_tracker(process):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def until(self, holds: Callable[[], bool], why: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"{why}: {self.log()[-3000:]}"
            time.sleep(0.02)

    def log(self) -> str:
        return (self.root / "log").read_text(encoding="utf-8", errors="replace")

    def messages(self, job_id: str) -> list[str]:
        events = self.workspace.jobs.get(job_id).events
        return [event.data["message"] for event in events if event.name == "integration" and "message" in event.data]

    def assert_no_canary(self, job_id: str) -> None:
        """Nobody who reads the disk, the log or an answer finds the key."""
        answer = DetailedJob.of_detail(self.workspace.jobs.get(job_id)).model_dump_json().encode()
        files = [path for path in self.root.rglob("*") if path.is_file()]
        assert any(path.name == "tamis.db" for path in files)
        for form in forms(CANARY):
            assert form not in answer
            assert [path for path in files if path.is_file() and form in path.read_bytes()] == []
        assert self.workspace.store.secrets.get(job_id, "wandb") is None


def is_tracker(process: psutil.Process) -> bool:
    line = process.cmdline()
    return "tamis.ml.trackers" in line or any("wandb-core" in part for part in line[:1])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("tracked")
    for name in ("tmp", "user"):
        (root / name).mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAMIS_", "WANDB_", "MLFLOW_"))}
    with WandbStub() as stub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAMIS_HOME", str(root / "home"))
        chosen = {"TAMIS_HOME": str(root / "home"), "TAMIS_WANDB_BASE_URL": stub.url, "TAMIS_LOG_LEVEL": "debug"}
        own = {"TMPDIR": str(root / "tmp"), "HOME": str(root / "user"), "NO_PROXY": "127.0.0.1"}
        with open_workspace(Settings()) as workspace, (root / "log").open("ab") as log:
            command = [sys.executable, "-m", "tamis.jobs", "work", "--with-parent"]
            worker = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, env=kept | own | chosen)
            yield Place(root, workspace, stub, worker)
            worker.send_signal(signal.SIGTERM)
            worker.wait(20)
            worker.stdin.close()


@pytest.fixture(autouse=True)
def _fresh(place: Place) -> Iterator[None]:
    place.stub.manner = "well"
    place.stub.requests.clear()
    yield
    place.quiet()


def test_a_job_is_reported_from_its_settings_to_its_end(place: Place):
    job_id = place.begin()
    place.wait(job_id, "SUCCESS")
    place.until(lambda: place.stub.exit_codes() == [0], "the run did not end")
    job = place.workspace.jobs.get(job_id)
    assert job.job.integrations[0]["url"] == f"{place.stub.url}/me/shop-0/runs/{job_id}"
    assert DetailedJob.of_detail(job).integrations[0].url == job.job.integrations[0]["url"]
    told = place.stub.history()
    assert {row.step for row in job.checkpoints} <= {row["_step"] for row in told}
    assert {"train_loss", "valid_loss", "learning_rate", "tokens_per_second", "topic.accuracy"} <= set(told[0])
    begun = place.stub.variables("UpsertBucket")[0]
    assert (begun["name"], begun["project"], begun["displayName"], begun["tags"]) == (
        job_id,
        "shop-0",
        "my run",
        [job_id],
    )
    for fact in ('"rows"', '"sha256"', '"training_steps"', "static-en", "ministral-3b-latest", '"topic"'):
        assert fact in begun["config"], fact
    sent = "".join(body for _, _, body in place.stub.requests)
    assert "confusion/topic" in sent
    assert "data_sha256" in sent
    assert "held_out/topic/accuracy" in sent
    assert "parcel and" not in sent
    assert begun.get("host") in (None, "")
    place.quiet()
    assert list((place.root / "home" / "trackers").iterdir()) == []
    assert list((place.root / "user").rglob("*netrc*")) == []
    place.assert_no_canary(job_id)


@pytest.mark.parametrize(("manner", "said"), [("unauthorized", "does not know the key"), ("hangs", "wandb sync")])
def test_a_server_that_misbehaves_costs_nothing_but_an_event(place: Place, manner: str, said: str):
    place.stub.manner = manner
    job_id = place.begin()
    done = place.wait(job_id, "SUCCESS")
    place.until(lambda: place.messages(job_id) != [], "no event")
    assert said in place.messages(job_id)[0]
    assert done.job.attempt == 2  # one to validate, one to train
    assert place.workspace.jobs.get(job_id).job.integrations[0]["url"] is None
    place.quiet()
    place.assert_no_canary(job_id)


def test_a_killed_child_takes_its_tracker_along_and_the_next_one_goes_on_with_the_run(place: Place):
    job_id = place.begin(900)
    place.wait(job_id, "RUNNING")
    place.until(lambda: any("wandb-core" in (each.cmdline() or [""])[0] for each in place.trackers()), "no tracker")
    children = [each for each in psutil.Process(place.worker.pid).children() if each.children()]
    begun = place.trackers()
    assert children
    children[0].kill()
    _, alive = psutil.wait_procs(begun, timeout=5)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    done = place.wait(job_id, "SUCCESS")
    assert done.job.deaths <= 1  # 0 if it had just ended
    place.until(lambda: 0 in place.stub.exit_codes(), "the run did not end")
    assert {each["name"] for each in place.stub.variables("UpsertBucket") if each.get("name")} == {job_id}
    place.quiet()
    place.assert_no_canary(job_id)


def test_a_cancelled_job_is_cancelled_at_once_and_its_run_is_killed(place: Place):
    job_id = place.begin(3000, epochs=300.0)
    place.wait(job_id, "RUNNING")
    place.until(lambda: place.workspace.jobs.get(job_id).job.integrations[0]["url"] is not None, "no run")
    asked = time.monotonic()
    place.workspace.jobs.cancel(job_id)
    place.wait(job_id, "CANCELLED")
    assert time.monotonic() - asked < 10  # two seconds where nothing else runs
    place.quiet()
    assert place.stub.exit_codes() in ([255], [])  # none where it is killed before it has said so
    place.assert_no_canary(job_id)


def test_several_trackers_of_a_job_have_each_its_own_key(place: Place):
    second = "second" + "0" * 40
    job_id = place.begin(keys=(CANARY, second))
    place.wait(job_id, "SUCCESS")
    place.until(lambda: place.stub.exit_codes() == [0, 0], "both runs end")
    used = {base64.b64decode(key.removeprefix("Basic ")).decode() for _, key, _ in place.stub.requests if key}
    assert used == {f"api:{CANARY}", f"api:{second}"}
    urls = [each["url"] for each in place.workspace.jobs.get(job_id).job.integrations]
    assert urls == [f"{place.stub.url}/me/shop-0/runs/{job_id}", f"{place.stub.url}/me/shop-1/runs/{job_id}-1"]
    assert place.workspace.store.secrets.get(job_id, "wandb 1") is None


def test_a_key_that_cannot_be_opened_is_an_event(place: Place):
    job_id = place.begin()
    with place.workspace.store.jobs._database.writing() as connection:
        connection.exec_driver_sql("UPDATE secrets SET sealed = ? WHERE owner_id = ?", (b"damaged", job_id))
    place.wait(job_id, "SUCCESS")
    assert "cannot be opened" in place.messages(job_id)[0]
    assert place.stub.requests == []


@pytest.fixture
def running(store: Store, add_job: Callable[..., JobRecord], add_file: Callable[[str, bytes], str]) -> JobRecord:
    """A job that an attempt of this process has."""
    file_id = add_file("topics.jsonl", b"{}")
    return add_job(status="RUNNING", phase="train", attempt=2, training_files=((file_id, 1.0),))


def tools_of(store: Store, home: Path, **trackers: str) -> Tools:
    return Tools(store, Choices(work=home / "work", home=home, memory_mb=1000, trackers=trackers))


def test_the_operators_mlflow_gets_every_job(store: Store, running: JobRecord, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(background, "START_WITHIN_S", 60.0)
    with MlflowStub() as stub:
        tracking = Tracking(tools_of(store, tmp_path, mlflow_tracking_uri=stub.url), running)
        for step in (1, 2, 2):
            tracking(Progress("training", 0.5, {"step": step, "train_loss": 0.5, "valid_loss": float("nan")}))
        store.jobs.change(running.id, when={"RUNNING"}, to="FAILED", error="x", error_code="y")
        tracking.end()
        assert [step for name, _, step in stub.metrics if name == "train_loss"] == [1, 2, 3]
        assert stub.statuses == ["FAILED"]
        assert stub.params["job"] == running.id
        assert next(value for name, value in stub.params.items() if name.endswith(".sha256")) != "None"
        told = [event.data for event in store.jobs.events(running.id) if event.name == "integration"]
        assert told == [{"type": "mlflow", "tracker": "MLflow", "url": f"{stub.url}/#/experiments/7/runs/abc"}]


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"to": "SUCCESS"}, Outcome.FINISHED),
        ({"to": "FAILED"}, Outcome.FAILED),
        ({"to": "CANCELLED"}, Outcome.KILLED),
        ({"to": "QUEUED"}, Outcome.HANDED_BACK),
        ({}, None),
    ],
)
def test_a_run_ends_as_its_job_did(store: Store, running: JobRecord, tmp_path: Path, change, outcome):
    ends: list[Outcome | None] = []

    class Recorder:
        def end_soon(self, how: Outcome) -> None:
            ends.append(how)

        def wait(self, seconds: float, *, start_counts: bool) -> None:
            assert seconds <= 5

        def abandon(self) -> None:
            ends.append(None)

    tracking = Tracking(tools_of(store, tmp_path), running)
    tracking._trackers = [Recorder()]
    if change:
        store.jobs.change(running.id, when={"RUNNING"}, **change)
    tracking.end()
    assert ends == [outcome]


def test_a_job_that_another_attempt_has_is_left(store: Store, running: JobRecord, tmp_path: Path):
    tracking = Tracking(tools_of(store, tmp_path), replace(running, attempt=1))
    assert tracking._outcome() is None


def test_jobs_wishes_are_ignored_where_the_operator_says_so(store: Store, add_job, tmp_path: Path):
    job = add_job(status="RUNNING", attempt=1, integrations=({"type": "wandb", "project": "shop", "url": None},))
    tracking = Tracking(tools_of(store, tmp_path, wandb_mode="disabled"), job)
    assert tracking._trackers == []
    events = [event.data for event in store.jobs.events(job.id) if event.name == "integration"]
    assert "wandb_mode" in events[0]["message"]
