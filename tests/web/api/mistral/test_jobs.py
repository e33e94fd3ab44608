"""Fine-tuning jobs as the SDKs send and read them; what a job does is tested with the jobs."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from tamis.store.records import CheckpointRecord
from tamis.workspace.workspace import Workspace

Upload = Callable[..., dict[str, Any]]
PATH = "/v1/fine_tuning/jobs"
STRICT = {
    *("id", "model", "auto_start", "status", "created_at", "modified_at", "training_files", "hyperparameters"),
    *("job_type", "object", "validation_files", "integrations", "metadata", "fine_tuned_model", "suffix"),
    "trained_tokens",
}


@pytest.fixture
def create(client: TestClient, upload: Upload) -> Callable[..., Any]:
    """Create a job as the notebooks do, with changes."""

    def send(**changes: Any) -> Any:
        body = {
            "model": "ministral-3b-latest",
            "job_type": "classifier",
            "training_files": [{"file_id": upload()["id"], "weight": 1}],
            "validation_files": [upload(name="validation.jsonl")["id"]],
            "hyperparameters": {"training_steps": 250, "learning_rate": 0.00007},
            "auto_start": False,
            "invalid_sample_skip_percentage": 0.0,
        }
        return client.post(PATH, json={**body, **changes})

    return send


class TestCreate:
    def test_the_notebooks_job(self, create: Any) -> None:
        answer = create(integrations=[{"type": "wandb", "project": "p", "api_key": "k" * 40, "run_name": "r"}])
        assert answer.status_code == 200, answer.text
        job = answer.json()
        assert job.keys() >= STRICT
        assert (job["job_type"], job["object"], job["status"]) == ("classifier", "job", "QUEUED")
        assert job["model"] == "ministral-3b-latest"
        assert all(isinstance(file, str) for file in [*job["training_files"], *job["validation_files"]])
        assert isinstance(job["created_at"], int)
        assert job["hyperparameters"]["training_steps"] == 250
        assert job["hyperparameters"]["learning_rate"] == 0.00007
        assert job["hyperparameters"]["epochs"] is None
        assert job["integrations"] == [{"type": "wandb", "project": "p", "name": None, "run_name": "r", "url": None}]
        assert job["metadata"]["cost"] == 0.0
        assert job["metadata"]["train_tokens"] is None

    def test_what_thresholds_are_for_is_echoed(self, create: Any) -> None:
        asked = {"optimise": ["precision>=0.9", "safe=recall>=0.95"]}
        assert create(hyperparameters=asked).json()["hyperparameters"]["optimise"] == asked["optimise"]
        one = create(hyperparameters={"optimise": "macro-f1"}).json()["hyperparameters"]
        assert one["optimise"] == ["macro-f1"]
        refused = create(hyperparameters={"optimise": "precision>0.9"}).json()
        assert "precision>=0.95" in refused["message"]
        assert "--" not in refused["message"]

    def test_bare_file_ids(self, create: Any, upload: Upload) -> None:
        file = upload()["id"]
        assert create(training_files=[file]).json()["training_files"] == [file]

    def test_what_sdks_leave_out_or_null(self, client: TestClient, upload: Upload) -> None:
        body: dict[str, Any] = {"model": "english", "training_files": [upload()["id"]], "hyperparameters": {}}
        body |= dict.fromkeys(("suffix", "integrations", "repositories", "classifier_targets", "validation_files"))
        job = client.post(PATH, json=body).json()
        assert (job["auto_start"], job["integrations"], job["validation_files"]) == (False, [], [])

    @pytest.mark.parametrize(
        ("changes", "loc"),
        [
            ({"training_files": []}, ["body", "training_files"]),
            ({"training_files": [{"file_id": "x", "weight": 0}]}, ["body", "training_files"]),
            ({"training_files": [{"file_id": "x", "weight": 1e308}]}, ["body", "training_files"]),
            ({"repositories": [{"type": "github", "name": "a", "owner": "b", "token": "c"}]}, ["body", "repositories"]),
            ({"job_type": "completion"}, ["body", "job_type"]),
            ({"suffix": "x" * 19}, ["body", "suffix"]),
            ({"invalid_sample_skip_percentage": 0.6}, ["body", "invalid_sample_skip_percentage"]),
            ({"integrations": [{"project": "p", "api_key": "short"}]}, ["body", "integrations"]),
            ({"model": "gpt-4"}, ["body", "model"]),
            ({"hyperparameters": {"training_steps": 0}}, ["body", "hyperparameters", "training_steps"]),
            ({"hyperparameters": {"optimise": "precision=0.9"}}, ["body", "hyperparameters", "optimise"]),
            ({"hyperparameters": {"training_steps": 1.5}}, ["body", "hyperparameters", "training_steps"]),
            ({"classifier_targets": [{"name": "a", "loss_function": "z"}]}, ["body", "classifier_targets"]),
        ],
    )  # fmt: skip
    def test_wrong_fields_are_named(self, create: Any, changes: dict[str, Any], loc: list[str]) -> None:
        answer = create(**changes)
        assert answer.status_code == 422, answer.text
        assert answer.json()["detail"][0]["loc"][: len(loc)] == loc

    def test_an_unknown_file_is_404(self, create: Any) -> None:
        assert create(training_files=["5f0b7a5e-0000-4000-8000-000000000000"]).status_code == 404

    def test_a_similar_job_is_409(self, create: Any) -> None:
        first = create().json()
        answer = create()
        assert (answer.status_code, answer.json()["code"]) == (409, "similar_job")
        assert first["id"] in answer.json()["message"]
        assert create(suffix="other").status_code == 200


class TestDetail:
    def test_it_has_what_notebooks_look_at(self, client: TestClient, create: Any) -> None:
        job = client.get(f"{PATH}/{create().json()['id']}").json()
        assert job.keys() >= STRICT | {"classifier_targets", "events", "checkpoints"}
        assert (job["classifier_targets"], job["checkpoints"]) == ([], [])
        (event,) = job["events"]
        assert (event["name"], event["data"]) == ("status-updated", {"status": "QUEUED"})

    def test_targets_checkpoints_and_events(self, client: TestClient, create: Any, workspace: Workspace) -> None:
        job_id = create().json()["id"]
        jobs = workspace.store.jobs
        target = {"name": "topic", "labels": ["b", "a"], "weight": 1.0, "loss_function": "single_class", "kind": "x"}
        for status in ("VALIDATING", "VALIDATED", "QUEUED", "RUNNING"):
            changed = jobs.change(job_id, when={"QUEUED", "VALIDATING", "VALIDATED"}, to=status, targets=(target,))
            assert changed is not None
        rows = [
            CheckpointRecord(job_id, 1, 10, {"train_loss": 0.123456789}),
            CheckpointRecord(job_id, 2, 20, {"train_loss": 0.1, "valid_loss": 0.2, "valid_mean_token_accuracy": 0.9}),
        ]
        assert jobs.add_checkpoints(job_id, 0, rows)
        job = client.get(f"{PATH}/{job_id}").json()
        del target["kind"]
        assert job["classifier_targets"] == [target]
        assert [row["step_number"] for row in job["checkpoints"]] == [2, 1]
        assert job["checkpoints"][1]["metrics"] == {
            "train_loss": 0.123457,
            "valid_loss": 0.0,
            "valid_mean_token_accuracy": 0.0,
        }
        told = [event["data"]["status"] for event in job["events"]]
        assert told == ["QUEUED", "VALIDATING", "VALIDATED", "RUNNING"]

    @pytest.mark.parametrize(("method", "end"), [("GET", ""), ("POST", "/start"), ("POST", "/cancel")])
    def test_an_unknown_job(self, client: TestClient, method: str, end: str) -> None:
        answer = client.request(method, f"{PATH}/nope{end}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_job")


class TestStartAndCancel:
    def test_only_what_is_validated_starts(self, client: TestClient, create: Any, workspace: Workspace) -> None:
        job_id = create().json()["id"]
        assert client.post(f"{PATH}/{job_id}/start").status_code == 409
        for before, after in (("QUEUED", "VALIDATING"), ("VALIDATING", "VALIDATED")):
            workspace.store.jobs.change(job_id, when={before}, to=after)
        started = client.post(f"{PATH}/{job_id}/start").json()
        assert started["status"] == "QUEUED"
        assert started["classifier_targets"] == []
        assert client.post(f"{PATH}/{job_id}/start").status_code == 409

    def test_cancel(self, client: TestClient, create: Any) -> None:
        job_id = create().json()["id"]
        answer = client.post(f"{PATH}/{job_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "CANCELLED")
        assert {"classifier_targets", "events", "checkpoints"} <= answer.json().keys()
        assert client.post(f"{PATH}/{job_id}/cancel").status_code == 409


class TestList:
    def test_filters(self, client: TestClient, create: Any) -> None:
        key = {"project": "birds", "api_key": "k" * 40, "name": "owl"}
        one = create(suffix="one", integrations=[key]).json()
        two = create(model="english").json()
        client.post(f"{PATH}/{two['id']}/cancel")

        def ids(query: str = "") -> list[str]:
            answer = client.get(f"{PATH}?{query}")
            assert answer.status_code == 200, answer.text
            assert answer.json()["total"] == len(answer.json()["data"])
            assert answer.json()["object"] == "list"
            return [job["id"] for job in answer.json()["data"]]

        assert set(ids()) == {one["id"], two["id"]}
        for query in (
            "status=QUEUED",
            "suffix=one",
            "wandb_project=birds",
            "wandb_name=owl",
            "model=ministral-3b-latest",
        ):
            assert ids(query) == [one["id"]]
        assert ids("status=CANCELLED") == [two["id"]]
        assert ids("created_after=2100-01-01T00:00:00Z") == []
        assert len(ids("created_after=2020-01-01T00:00:00Z&created_before=2100-01-01T00:00:00Z")) == 2
        assert len(ids("created_after=0001-01-01T00:00:00&created_before=9999-12-31T23:59:59")) == 2
        assert len(ids("created_by_me=false")) == 2

    @pytest.mark.parametrize(
        "query", ["page=-1", "page_size=0", "page_size=x", "created_after=soon", "created_by_me=2"]
    )
    def test_wrong_queries(self, client: TestClient, query: str) -> None:
        answer = client.get(f"{PATH}?{query}")
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"][0] == "query"


def test_a_dry_run_makes_no_job(client: TestClient, upload: Upload) -> None:
    rows = b"".join(
        b'{"text": "%s number %d", "labels": {"topic": "%s"}}\n' % (text, n, topic)
        for n in range(20)
        for topic, text in ((b"delivery", b"where is my parcel"), (b"payment", b"you charge my card"))
    )
    body = {
        "model": "ministral-3b-latest",
        "training_files": [upload(content=rows)["id"]],
        "hyperparameters": {"training_steps": 10},
    }
    answer = client.post(f"{PATH}?dry_run=true", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["object"], told["deprecated"], told["training_steps"]) == ("job.metadata", True, 10)
    assert told["train_tokens"] > 0
    assert told["details"]
    assert client.get(PATH).json()["total"] == 0
