"""Fine-tuning jobs through every release of the SDK that has them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wire.client_process import CallFailed, Client, Json
from wire.polling import wait_for
from wire.sdk_environments import MISTRAL_1_12
from wire.server_process import Server
from wire.training_rows import long_work, topics, two_moderations, write_rows

MODEL = "ministral-3b-latest"
KEY = "f" * 40
ONE_LABEL = '{"text": "x", "labels": {"topic": "a"}}\n'
ONE_RELEASE = [MISTRAL_1_12]  # enough where all send the same, and only the server could differ
ENDED = ("SUCCESS", "FAILED", "FAILED_VALIDATION", "CANCELLED")


class Jobs:
    """The calls of these tests, in the words of the SDK."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client, self._folder = client, folder

    def upload(self, rows: list[Json], raw: str = "") -> str:
        """Upload rows, and lines that are none, as a file of its own."""
        path = write_rows(self._folder / f"{uuid.uuid4().hex}.jsonl", rows)
        path.write_text(path.read_text() + raw)
        file = self.client.call("files.upload", file={"file_name": path.name, "content": {"$open": str(path)}})
        return file["id"]

    def create(self, *files: str, **more: Any) -> Json:
        asked = {"model": MODEL, "job_type": "classifier", "hyperparameters": {"training_steps": 20}}
        asked |= {"training_files": [{"file_id": file, "weight": 1} for file in files], "auto_start": False}
        return self.client.call("fine_tuning.jobs.create", **(asked | more))

    def get(self, job: Json) -> Json:
        return self.client.call("fine_tuning.jobs.get", job_id=job["id"])

    def start(self, job: Json) -> Json:
        return self.client.call("fine_tuning.jobs.start", job_id=job["id"])

    def cancel(self, job: Json) -> Json:
        return self.client.call("fine_tuning.jobs.cancel", job_id=job["id"])

    def until(self, job: Json, *statuses: str, seconds: float = 60) -> Json:
        """Return the job once it is in one of the statuses; any other end is a failure."""

        def look() -> Json | None:
            now = self.get(job)
            assert now["status"] in statuses or now["status"] not in ENDED, now
            return now if now["status"] in statuses else None

        return wait_for(look, seconds)

    def done(self, *files: str, **more: Any) -> Json:
        """Return a job that was run to its success."""
        return self.until(self.create(*files, **(more | {"auto_start": True})), "SUCCESS")

    def validated(self, *files: str, **more: Any) -> Json:
        return self.until(self.create(*files, **more), "VALIDATED")


@pytest.fixture
def jobs(job_client: Client, tmp_path: Path) -> Jobs:
    return Jobs(job_client, tmp_path)


@pytest.fixture
def file(jobs: Jobs) -> str:
    """A file that no other job has."""
    return jobs.upload(topics(6, seed=uuid.uuid4().hex))


def refusal(status: int, call: Callable[[], Any]) -> str:
    """Return the body of the answer with which a call is refused."""
    with pytest.raises(CallFailed) as caught:
        call()
    assert caught.value.type == "SDKError"
    assert caught.value.status == status, caught.value
    return caught.value.body


class TestCreate:
    """What a job is asked to do."""

    def test_auto_start_goes_to_the_end(self, jobs: Jobs, file: str) -> None:
        job = jobs.create(file, auto_start=True)
        assert job["auto_start"] is True
        done = jobs.until(job, "SUCCESS")
        said = [event["data"]["status"] for event in done["events"] if event["name"] == "status-updated"]
        assert said == ["QUEUED", "VALIDATING", "VALIDATED", "RUNNING", "SUCCESS"]
        scores = jobs.client.call(
            "classifiers.classify", model=done["fine_tuned_model"], inputs=["where is my parcel please"]
        )["results"][0]["topic"]["scores"]
        assert max(scores, key=scores.get) == "delivery"

    @pytest.mark.parametrize("job_client", ONE_RELEASE, ids=str, indirect=True)
    def test_without_auto_start_it_waits(self, jobs: Jobs, file: str) -> None:
        job = jobs.validated(file)
        assert (job["status"], job["fine_tuned_model"], job["checkpoints"]) == ("VALIDATED", None, [])
        time.sleep(0.5)
        assert jobs.get(job)["status"] == "VALIDATED"

    def test_every_hyperparameter_is_echoed(self, jobs: Jobs, file: str) -> None:
        asked = {"learning_rate": 0.0002, "weight_decay": 0.2, "warmup_fraction": 0.1, "epochs": 2.5, "seq_len": 128}
        job = jobs.create(file, hyperparameters=asked)
        assert {name: job["hyperparameters"][name] for name in asked} == asked
        validated = jobs.until(job, "VALIDATED")
        assert validated["hyperparameters"]["epochs"] == 2.5
        data = validated["metadata"]["data_tokens"]
        assert abs(validated["metadata"]["train_tokens"] - 2.5 * data) <= 65536  # in whole steps

    @pytest.mark.parametrize("job_client", ONE_RELEASE, ids=str, indirect=True)
    def test_neither_steps_nor_epochs(self, jobs: Jobs, file: str) -> None:
        job = jobs.validated(file, hyperparameters={})
        assert job["hyperparameters"]["learning_rate"] == 0.0001  # every SDK sends the service's default
        assert job["metadata"]["train_tokens"] > 0
        assert job["metadata"]["expected_duration_seconds"] > 0

    def test_a_suffix_is_part_of_the_name(self, jobs: Jobs, file: str) -> None:
        job = jobs.done(file, suffix="my-great-model")
        assert job["suffix"] == "my-great-model"
        assert ":my-great-model:" in job["fine_tuned_model"]

    def test_trackers_are_listed_without_their_key(self, jobs: Jobs, file: str) -> None:
        tracker = {"project": "p1", "name": "n1", "run_name": "r1", "api_key": KEY}
        job = jobs.create(file, integrations=[tracker])
        (found,) = job["integrations"]
        assert (found["type"], found["project"], found["name"], found["run_name"]) == ("wandb", "p1", "n1", "r1")
        assert KEY not in json.dumps([job, jobs.get(job)])

    def test_a_wrong_tracker_key_does_not_fail_a_job(self, jobs: Jobs, file: str) -> None:
        job = jobs.done(file, integrations=[{"project": "p2", "api_key": KEY}])
        assert job["status"] == "SUCCESS"
        said = [event["data"] for event in job["events"] if event["name"] == "integration"]
        assert "wandb" in json.dumps(said).lower()  # what became of the tracker
        assert KEY not in json.dumps(job)

    @pytest.mark.parametrize("job_client", ONE_RELEASE, ids=str, indirect=True)
    def test_several_files_keep_their_order(self, jobs: Jobs, file: str) -> None:
        other = jobs.upload([{"text": f"more words {n}", "labels": {"topic": "other"}} for n in range(20)])
        job = jobs.validated(file, other)
        assert job["training_files"] == [file, other]
        assert "other" in job["classifier_targets"][0]["labels"]

    @pytest.mark.parametrize("heavy", ["left", "right"])
    @pytest.mark.parametrize("job_client", ONE_RELEASE, ids=str, indirect=True)
    def test_weights_of_files_are_honoured(self, jobs: Jobs, heavy: str) -> None:
        """Two files say the opposite of the same texts: the heavier one is believed."""
        words = ["gizmo", "widget", "gadget", "doohickey"]
        weights = {side: 20.0 if side == heavy else 1.0 for side in ("left", "right")}
        files = [
            {
                "file_id": jobs.upload(
                    [{"text": f"{w} {n}", "labels": {"side": side}} for w in words for n in range(8)]
                ),
                "weight": weight,
            }
            for side, weight in weights.items()
        ]
        job = jobs.done(training_files=files)
        answer = jobs.client.call("classifiers.classify", model=job["fine_tuned_model"], inputs=words)
        best = [max(r["side"]["scores"], key=r["side"]["scores"].get) for r in answer["results"]]
        assert best == [heavy] * len(words)

    def test_declared_targets_are_the_ones_of_the_model(self, jobs: Jobs) -> None:
        file = jobs.upload(two_moderations(4))
        labels = ["threat", "safe", "insult"]  # in an order that no sorting gives
        target = {"name": "abuse", "labels": labels, "weight": 1.0, "loss_function": "multi_class"}
        job = jobs.done(file, classifier_targets=[target])
        assert job["classifier_targets"] == [target]
        answer = jobs.client.call("classifiers.classify", model=job["fine_tuned_model"], inputs=["you are an idiot"])
        (result,) = answer["results"]
        assert list(result) == ["abuse"]
        assert list(result["abuse"]["scores"]) == labels
        assert max(result["abuse"]["scores"], key=result["abuse"]["scores"].get) == "insult"

    def test_targets_that_the_sdk_drops_are_inferred(self, jobs: Jobs) -> None:
        """Without a weight in it, no release sends a target at all."""
        file = jobs.upload(two_moderations(4))
        job = jobs.validated(file, classifier_targets=[{"name": "abuse", "labels": ["safe", "insult", "threat"]}])
        assert [target["name"] for target in job["classifier_targets"]] == ["abuse", "adverts"]

    @pytest.mark.parametrize("job_client", ONE_RELEASE, ids=str, indirect=True)
    def test_bad_rows_are_refused_or_skipped(self, jobs: Jobs) -> None:
        file = jobs.upload(topics(3), raw='{"text": "no labels"}\nnot json\n')  # 2 of 38 rows
        refused = jobs.until(jobs.create(file), "FAILED_VALIDATION")
        assert "37" in json.dumps(refused["events"])  # the line of the first bad row
        allowed = jobs.create(file, invalid_sample_skip_percentage=0.1)
        assert jobs.until(allowed, "VALIDATED")["classifier_targets"][0]["name"] == "topic"

    @pytest.mark.parametrize("job_client", ONE_RELEASE, ids=str, indirect=True)
    @pytest.mark.parametrize("raw", ["\n\n", "garbage\n", ONE_LABEL * 3], ids=["blank", "garbage", "one label"])
    def test_files_that_nothing_can_be_learnt_from(self, jobs: Jobs, raw: str) -> None:
        job = jobs.until(jobs.create(jobs.upload([], raw=raw)), "FAILED_VALIDATION")
        assert len(json.dumps(job["events"][-1]["data"])) > 60  # a sentence, not only a status

    @pytest.mark.parametrize("job_client", ONE_RELEASE, ids=str, indirect=True)
    def test_a_file_of_validation_data_alone_is_checked_too(self, jobs: Jobs, file: str) -> None:
        job = jobs.create(file, validation_files=[jobs.upload([], raw="garbage\n")])
        assert jobs.until(job, "FAILED_VALIDATION")["fine_tuned_model"] is None


class TestWrongUses:
    """Each says what is wrong, where a user of the SDK sees it."""

    def test_no_files(self, jobs: Jobs) -> None:
        assert "training_files" in refusal(422, lambda: jobs.create())

    def test_an_unknown_training_file(self, jobs: Jobs) -> None:
        unknown = str(uuid.uuid4())
        assert unknown in refusal(404, lambda: jobs.create(unknown))

    def test_an_unknown_file_beside_a_known_one(self, jobs: Jobs, file: str) -> None:
        unknown = str(uuid.uuid4())
        assert unknown in refusal(404, lambda: jobs.create(file, unknown))

    def test_an_unknown_validation_file(self, jobs: Jobs, file: str) -> None:
        unknown = str(uuid.uuid4())
        assert unknown in refusal(404, lambda: jobs.create(file, validation_files=[unknown]))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("suffix", "x" * 19),
            ("hyperparameters", {"training_steps": 0}),
            ("hyperparameters", {"learning_rate": 2.0}),
            ("hyperparameters", {"learning_rate": 1e-9}),
            ("hyperparameters", {"weight_decay": 1.5}),
            ("hyperparameters", {"warmup_fraction": -0.1}),
            ("hyperparameters", {"epochs": 0}),
            ("hyperparameters", {"seq_len": 99}),
            ("invalid_sample_skip_percentage", 0.51),
            ("integrations", [{"project": "p", "api_key": "too-short"}]),
            ("repositories", [{"name": "n", "owner": "o", "token": "t", "weight": 1.0}]),
            ("job_type", "completion"),
            ("model", "no-such-base-model"),
        ],
        ids=lambda value: value if isinstance(value, str) else str(value)[:30],
    )
    def test_what_is_not_allowed_is_named(self, jobs: Jobs, file: str, field: str, value: Any) -> None:
        said = refusal(422, lambda: jobs.create(file, **{field: value}))
        assert (next(iter(value)) if isinstance(value, dict) else field) in said

    def test_a_weight_that_is_none(self, jobs: Jobs, file: str) -> None:
        asked = [{"file_id": file, "weight": 0}]
        assert "weight" in refusal(422, lambda: jobs.create(training_files=asked))

    @pytest.mark.parametrize("method", ["get", "start", "cancel"])
    def test_an_unknown_job(self, jobs: Jobs, method: str) -> None:
        unknown = {"id": str(uuid.uuid4())}
        assert unknown["id"] in refusal(404, lambda: getattr(jobs, method)(unknown))

    def test_a_similar_job_that_is_not_finished(self, jobs: Jobs, file: str) -> None:
        first = jobs.validated(file)
        assert first["id"] in refusal(409, lambda: jobs.create(file))
        other = jobs.create(file, hyperparameters={"training_steps": 21})
        assert other["id"] != first["id"]
        jobs.cancel(first)
        assert jobs.create(file)["id"] != first["id"]


@pytest.fixture
def busy(server: Server, jsonl: Callable[..., Path]) -> Iterator[Json]:
    """A job that keeps the only worker busy for longer than a test takes."""
    rows = jsonl(long_work(), "long.jsonl")
    file = server.raw.upload(rows)["id"]
    body = {"model": MODEL, "job_type": "classifier", "training_files": [file], "auto_start": True}
    answer = server.raw.post("/v1/fine_tuning/jobs", body | {"hyperparameters": {"training_steps": 5000}})
    job = server.raw.reaches(answer.json["id"], "RUNNING")
    yield job
    server.raw.post(f"/v1/fine_tuning/jobs/{job['id']}/cancel")


class TestStartAndCancel:
    """From every state."""

    def test_a_validated_job(self, jobs: Jobs, file: str) -> None:
        job = jobs.validated(file)
        assert jobs.cancel(job)["status"] == "CANCELLED"
        assert jobs.get(job)["status"] == "CANCELLED"
        refusal(409, lambda: jobs.start(job))

    @pytest.mark.parametrize("job_client", ONE_RELEASE, ids=str, indirect=True)
    def test_a_running_job(self, jobs: Jobs, tmp_path: Path) -> None:
        file = jobs.upload(long_work(16_000))
        job = jobs.until(jobs.create(file, auto_start=True, hyperparameters={"training_steps": 5000}), "RUNNING")
        assert jobs.cancel(job)["status"] in ("CANCELLATION_REQUESTED", "CANCELLED")
        cancelled = jobs.until(job, "CANCELLED", seconds=4)
        assert cancelled["fine_tuned_model"] is None
        statuses = [event["data"].get("status") for event in cancelled["events"]]
        assert statuses[-1] == "CANCELLED"
        refusal(409, lambda: jobs.cancel(job))

    def test_a_finished_job(self, jobs: Jobs, file: str) -> None:
        job = jobs.done(file)
        assert "SUCCESS" in refusal(409, lambda: jobs.cancel(job))
        assert "SUCCESS" in refusal(409, lambda: jobs.start(job))
        assert jobs.get(job)["status"] == "SUCCESS"

    def test_a_job_is_started_once(self, jobs: Jobs, file: str) -> None:
        job = jobs.validated(file)
        assert jobs.start(job)["status"] == "QUEUED"
        refusal(409, lambda: jobs.start(job))
        assert jobs.until(job, "SUCCESS")["fine_tuned_model"]

    @pytest.mark.parametrize("job_client", ONE_RELEASE, ids=str, indirect=True)
    def test_a_queued_job(self, jobs: Jobs, file: str, busy: Json) -> None:
        """The worker is busy: what is behind it waits, and can be cancelled at once."""
        job = jobs.create(file, auto_start=True)
        assert job["status"] == "QUEUED"
        end = time.monotonic() + 60
        while True:  # it is validated beside what trains, and waits then
            now = jobs.get(job)
            if now["hyperparameters"]["epochs"] is not None and now["status"] == "QUEUED":
                break
            assert time.monotonic() < end, now
            time.sleep(0.1)
        assert jobs.cancel(job)["status"] == "CANCELLED"
        assert jobs.get(busy)["status"] == "RUNNING"


@pytest.fixture(scope="module")
def listed(job_client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Json]]:
    """Three jobs with a mark of their own."""
    jobs = Jobs(job_client, tmp_path_factory.mktemp("list"))
    mark = uuid.uuid4().hex[:10]
    made = {}
    for number in range(3):
        file = jobs.upload(topics(4, seed=f"{mark}{number}"))
        tracker = [{"project": f"{mark}-{number}", "run_name": f"run-{mark}", "name": f"name-{mark}", "api_key": KEY}]
        made[str(number)] = jobs.validated(file, suffix=mark, integrations=tracker)
    jobs.cancel(made["2"])
    yield {"mark": mark, **made}
    for number in ("0", "1"):
        jobs.cancel(made[number])


class TestList:
    """Every filter."""

    def ids(self, client: Client, **filters: Any) -> list[str]:
        answer = client.call("fine_tuning.jobs.list", **filters)
        assert answer["object"] == "list"
        assert answer["total"] >= len(answer["data"])
        return [job["id"] for job in answer["data"]]

    def test_suffix(self, job_client: Client, listed: dict[str, Any]) -> None:
        found = self.ids(job_client, suffix=listed["mark"])
        assert sorted(found) == sorted(listed[n]["id"] for n in "012")
        assert self.ids(job_client, suffix=uuid.uuid4().hex[:10]) == []

    def test_pages(self, job_client: Client, listed: dict[str, Any]) -> None:
        pages = [self.ids(job_client, suffix=listed["mark"], page=page, page_size=2) for page in range(3)]
        assert [len(page) for page in pages] == [2, 1, 0]
        assert len({*pages[0], *pages[1]}) == 3
        answer = job_client.call("fine_tuning.jobs.list", suffix=listed["mark"], page_size=1)
        assert answer["total"] == 3

    def test_status(self, job_client: Client, listed: dict[str, Any]) -> None:
        assert self.ids(job_client, suffix=listed["mark"], status="CANCELLED") == [listed["2"]["id"]]
        assert len(self.ids(job_client, suffix=listed["mark"], status="VALIDATED")) == 2
        assert self.ids(job_client, suffix=listed["mark"], status="SUCCESS") == []

    def test_model(self, job_client: Client, listed: dict[str, Any]) -> None:
        assert len(self.ids(job_client, suffix=listed["mark"], model=MODEL)) == 3
        assert self.ids(job_client, suffix=listed["mark"], model="english") == []

    def test_times(self, job_client: Client, listed: dict[str, Any]) -> None:
        created = [listed[n]["created_at"] for n in "012"]
        before, after = (
            time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(t)) for t in (created[0] - 5, created[2] + 5)
        )
        mark = listed["mark"]
        assert len(self.ids(job_client, suffix=mark, created_after={"$time": before})) == 3
        assert self.ids(job_client, suffix=mark, created_after={"$time": after}) == []
        assert self.ids(job_client, suffix=mark, created_before={"$time": before}) == []
        assert len(self.ids(job_client, suffix=mark, created_before={"$time": after})) == 3

    def test_trackers(self, job_client: Client, listed: dict[str, Any]) -> None:
        mark = listed["mark"]
        assert self.ids(job_client, wandb_project=f"{mark}-1") == [listed["1"]["id"]]
        found = {*self.ids(job_client, wandb_name=f"run-{mark}"), *self.ids(job_client, wandb_name=f"name-{mark}")}
        assert found == {listed[n]["id"] for n in "012"}

    def test_created_by_me(self, job_client: Client, listed: dict[str, Any]) -> None:
        assert len(self.ids(job_client, suffix=listed["mark"], created_by_me=True)) == 3

    def test_the_newest_comes_first(self, job_client: Client, listed: dict[str, Any]) -> None:
        answer = job_client.call("fine_tuning.jobs.list", suffix=listed["mark"])
        times = [job["created_at"] for job in answer["data"]]
        assert times == sorted(times, reverse=True)

    def test_async(self, job_client: Client, listed: dict[str, Any]) -> None:
        answer = job_client.call("fine_tuning.jobs.list_async", suffix=listed["mark"])
        assert answer["total"] == 3
        found = job_client.call("fine_tuning.jobs.get_async", job_id=listed["0"]["id"])
        assert found["status"] == "VALIDATED"


def test_a_dry_run_makes_no_job(server: Server, jsonl: Callable[..., Path]) -> None:
    """No SDK can send it."""
    file = server.raw.upload(jsonl(topics(5, seed="dry")))["id"]
    before = server.raw.get("/v1/fine_tuning/jobs")["total"]
    body = {"model": MODEL, "job_type": "classifier", "training_files": [file]}
    answer = server.raw.post("/v1/fine_tuning/jobs?dry_run=true", body | {"hyperparameters": {"training_steps": 10}})
    assert answer.status == 200
    found = answer.json
    assert (found["object"], found["deprecated"], found["training_steps"]) == ("job.metadata", True, 10)
    assert (found["train_tokens"], found["train_tokens_per_step"]) == (655360, 65536)
    assert found["epochs"] == pytest.approx(655360 / found["data_tokens"], rel=1e-3)
    assert isinstance(found["details"], str)
    assert server.raw.get("/v1/fine_tuning/jobs")["total"] == before


def test_the_form_of_the_service_s_own_curl(server: Server, jsonl: Callable[..., Path]) -> None:
    """Bare ids in `training_files`, as the service's documentation had it; unknown keys do no harm."""
    job = server.raw.train(jsonl(topics(4, seed="curl")), unknown_key={"a": [1]})
    file = job["training_files"][0]
    body = {
        "model": MODEL,
        "training_files": [file],
        "hyperparameters": {"training_steps": 3},
        "job_type": "classifier",
    }
    answer = server.raw.post("/v1/fine_tuning/jobs", body)
    assert (answer.status, answer.json["training_files"]) == (200, [file])
    server.raw.post(f"/v1/fine_tuning/jobs/{answer.json['id']}/cancel")
