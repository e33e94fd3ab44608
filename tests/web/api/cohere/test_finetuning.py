"""Fine-tuned models over HTTP, before a worker takes them up, and those that others made."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from tamis.jobs.states import Status
from tamis.store.records import CheckpointRecord, ModelRecord
from tamis.workspace.workspace import Workspace

MODELS = "/v1/finetuning/finetuned-models"
SINGLE = "single-label-classification-finetune-input"
WANDB_KEY = "0123456789" * 4


@pytest.fixture
def dataset(client: TestClient) -> str:
    data = b"".join(json.dumps({"text": f"text {n}", "label": "ab"[n % 2]}).encode() + b"\n" for n in range(40))
    files = {"data": ("train.jsonl", data), "eval_data": ("eval.jsonl", data)}
    found: str = client.post("/v1/datasets", params={"name": "mine", "type": SINGLE}, files=files).json()["id"]
    return found


def body(dataset: str, name: str = "My model", **settings: Any) -> dict[str, Any]:
    base = {"base_type": "BASE_TYPE_CLASSIFICATION"}
    return {"name": name, "settings": {"base_model": base, "dataset_id": dataset, **settings}}


def make(client: TestClient, dataset: str, **settings: Any) -> dict[str, Any]:
    answer = client.post(MODELS, json=body(dataset, **settings))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["finetuned_model"]
    return found


def finish(workspace: Workspace, job_id: str) -> ModelRecord:
    """Do what a worker would, without training."""
    claimed = workspace.store.jobs.claim("worker", 1.0, 60.0)
    assert claimed is not None
    assert claimed.id == job_id
    workspace.store.jobs.change(job_id, when={"VALIDATING"}, to="VALIDATED")
    workspace.store.jobs.change(job_id, when={"VALIDATED"}, to="QUEUED", quiet=True, phase="train")
    claimed = workspace.store.jobs.claim("worker", 1.0, 60.0)
    assert claimed is not None
    rates = {"valid_metric": 0.5, "valid_precision": 0.4, "valid_recall": 0.3}
    rows = [CheckpointRecord(job_id, step, 5, {"valid_loss": 1 / step, **rates}) for step in (1, 2, 3)]
    workspace.store.jobs.add_checkpoints(job_id, claimed.attempt, rows)
    target = {"name": "label", "kind": "single_label", "labels": ["a", "b"]}
    made = ModelRecord(
        id="7d3f6a52-90f0-4f2f-9b7e-3c1d5a8e7f10",
        name="My-model",
        root="english",
        base="static-en",
        place="objects:models/x",
        created_at=7,
        job_id=job_id,
        targets=(target,),
    )
    assert workspace.store.jobs.finish(job_id, claimed.attempt, "SUCCESS", made)
    return made


class TestCreate:
    def test_it_is_a_job_that_starts_by_itself(self, client: TestClient, workspace: Workspace, dataset: str) -> None:
        settings = {"hyperparameters": {"train_epochs": 3, "learning_rate": 0.02, "train_batch_size": 16}}
        made = make(client, dataset, **settings)
        assert (made["name"], made["status"], made["completed_at"]) == ("My model", "STATUS_QUEUED", None)
        assert made["settings"]["dataset_id"] == dataset
        assert made["settings"]["multi_label"] is False
        assert made["settings"]["base_model"]["base_type"] == "BASE_TYPE_CLASSIFICATION"
        assert made["settings"]["hyperparameters"] == {"train_epochs": 3, "learning_rate": 0.02}
        job = workspace.jobs.get(made["id"]).job
        assert (job.auto_start, job.name, job.title, job.model) == (True, "My-model", "My model", "english")
        assert (job.hyperparameters["learning_rate"], job.hyperparameters["epochs"]) == (2e-4, 3)
        assert len(job.training_files) == len(job.validation_files) == 1

    def test_a_weights_and_biases_project(self, client: TestClient, workspace: Workspace, dataset: str) -> None:
        made = make(client, dataset, wandb={"project": "p", "api_key": WANDB_KEY, "entity": "e"})
        (tracker,) = workspace.jobs.get(made["id"]).job.integrations
        assert (tracker["type"], tracker["project"]) == ("wandb", "p")
        assert WANDB_KEY not in client.get(f"{MODELS}/{made['id']}").text

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"name": " "}, "body.name"),
            ({"settings": {}}, "body.settings.base_model"),
            ({"base_model": {"base_type": "BASE_TYPE_CHAT"}}, "BASE_TYPE_CLASSIFICATION"),
            (
                {"base_model": {"base_type": "BASE_TYPE_CLASSIFICATION", "name": "gpt"}},
                "'gpt' cannot be fine-tuned here",
            ),
            ({"hyperparameters": {"train_epochs": 0}}, "epochs"),
            ({"hyperparameters": {"learning_rate": "fast"}}, "learning_rate"),
            ({"wandb": {"project": "p", "api_key": "short"}}, "40 characters"),
        ],
    )
    def test_what_is_wrong_is_told(self, client: TestClient, dataset: str, change: dict[str, Any], says: str) -> None:
        given = body(dataset)
        given |= {name: change.pop(name) for name in ("name", "settings") if name in change}
        given["settings"] |= change
        answer = client.post(MODELS, json=given)
        assert answer.status_code == 400
        assert says in answer.json()["message"]

    def test_datasets_that_are_not_there_or_not_good(self, client: TestClient, dataset: str) -> None:
        assert client.post(MODELS, json=body("gone")).status_code == 404
        files = {"data": ("train.jsonl", b'{"text": "a", "label": "b"}\n')}
        bad = client.post("/v1/datasets", params={"name": "bad", "type": SINGLE}, files=files).json()["id"]
        answer = client.post(MODELS, json=body(bad))
        assert answer.status_code == 400
        assert "at least 40 are needed" in answer.json()["message"]

    def test_the_same_twice_is_400_which_no_client_sends_again(self, client: TestClient, dataset: str) -> None:
        first = make(client, dataset)
        answer = client.post(MODELS, json=body(dataset, name="Another"))
        assert (answer.status_code, answer.json()["code"]) == (400, "similar_job")
        assert first["id"] in answer.json()["message"]

    def test_a_dataset_in_use_stays(self, client: TestClient, dataset: str) -> None:
        made = make(client, dataset)
        answer = client.delete(f"/v1/datasets/{dataset}")
        assert (answer.status_code, answer.json()["code"]) == (400, "in_use")
        assert made["id"] in answer.json()["message"]


class TestALife:
    def test_statuses_events_and_figures(self, client: TestClient, workspace: Workspace, dataset: str) -> None:
        made = make(client, dataset)
        model = finish(workspace, made["id"])
        ready = client.get(f"{MODELS}/{made['id']}").json()["finetuned_model"]
        assert (ready["status"], ready["id"], ready["name"]) == ("STATUS_READY", made["id"], "My model")
        assert ready["completed_at"] is not None
        for name in (model.id, f"{model.id}-ft", f"{made['id']}-ft"):
            assert client.get(f"{MODELS}/{name}").json()["finetuned_model"]["id"] == made["id"]
        told = client.get(f"{MODELS}/{made['id']}/events").json()
        stages = ["STATUS_QUEUED", "STATUS_FINETUNING", "STATUS_DEPLOYING_API", "STATUS_READY"]
        assert ([event["status"] for event in told["events"]], told["total_size"]) == (stages, 4)
        page = client.get(f"{MODELS}/{made['id']}/events?page_size=3&order_by=created_at desc").json()
        assert ([event["status"] for event in page["events"]], page["next_page_token"]) == (stages[:0:-1], "3")
        steps = client.get(f"{MODELS}/{made['id']}/training-step-metrics?page_size=2").json()
        assert [step["step_number"] for step in steps["step_metrics"]] == [1, 2]
        figures = {"cross_entropy": 0.5, "accuracy": 0.5, "precision": 0.4, "recall": 0.3}
        assert steps["step_metrics"][1]["metrics"] == figures
        rest = client.get(f"{MODELS}/{made['id']}/training-step-metrics?page_token={steps['next_page_token']}").json()
        assert ([step["step_number"] for step in rest["step_metrics"]], rest["next_page_token"]) == ([3], "")

    def test_a_rename_is_everywhere(self, client: TestClient, workspace: Workspace, dataset: str) -> None:
        made = make(client, dataset)
        model = finish(workspace, made["id"])
        answer = client.patch(f"{MODELS}/{made['id']}", json=body(dataset, name="Better"))
        assert answer.json()["finetuned_model"]["name"] == "Better"
        assert workspace.models.find(model.id).title == "Better"
        for other in (
            body("another"),
            body(dataset, base_model={"base_type": "BASE_TYPE_CHAT"}),
            body(dataset, name=""),
        ):
            assert client.patch(f"{MODELS}/{made['id']}", json=other).status_code == 400

    def test_a_failure_says_why(self, client: TestClient, workspace: Workspace, dataset: str) -> None:
        made = make(client, dataset)
        workspace.store.jobs.claim("worker", 1.0, 60.0)
        workspace.store.jobs.change(made["id"], when={"VALIDATING"}, to="FAILED_VALIDATION", error="Because.")
        failed = client.get(f"{MODELS}/{made['id']}").json()["finetuned_model"]
        assert (failed["status"], failed["error"]) == ("STATUS_FAILED", "Because.")

    @pytest.mark.parametrize("ready", [True, False])
    def test_a_delete(self, client: TestClient, workspace: Workspace, dataset: str, ready: bool) -> None:
        made = make(client, dataset)
        if ready:
            finish(workspace, made["id"])
        answer = client.delete(f"{MODELS}/{made['id']}")
        assert (answer.status_code, answer.json()) == (200, {})
        assert client.get(MODELS).json() == {"finetuned_models": [], "next_page_token": "", "total_size": 0}
        for path in ("", "/events", "/training-step-metrics"):
            assert client.get(f"{MODELS}/{made['id']}{path}").status_code == 404
        assert client.delete(f"{MODELS}/{made['id']}").status_code == 404
        assert workspace.jobs.get(made["id"]).job.status == (Status.SUCCESS if ready else Status.CANCELLED)

    def test_a_model_behind_an_alias_stays(self, client: TestClient, workspace: Workspace, dataset: str) -> None:
        made = make(client, dataset)
        finish(workspace, made["id"])
        workspace.aliases.set("prod", made["id"])
        answer = client.delete(f"{MODELS}/{made['id']}")
        assert (answer.status_code, answer.json()["code"]) == (400, "in_use")
        assert "prod" in answer.json()["message"]


class TestOfOthers:
    def test_models_without_jobs_are_listed(self, client: TestClient, models: Workspace, dataset: str) -> None:
        mine = make(client, dataset)
        seen, token = [], ""
        while True:
            page = client.get(f"{MODELS}?page_size=3&page_token={token}").json()
            seen += page["finetuned_models"]
            assert page["total_size"] == 4
            if not (token := page["next_page_token"]):
                break
        assert mine["id"] in {one["id"] for one in seen}
        assert seen[0]["created_at"] == mine["created_at"]  # others may be of the same second
        assert {one["name"] for one in seen} == {"My model", "intents@1", "flags@1", "both@1"}
        assert {one["name"]: one["settings"]["multi_label"] for one in seen if one["id"] != mine["id"]} == {
            "intents@1": False,
            "flags@1": True,
            "both@1": True,
        }
        oldest = client.get(f"{MODELS}?order_by=created_at").json()["finetuned_models"]
        times = [one["created_at"] for one in oldest]
        assert times == sorted(times)
        assert times[-1] == mine["created_at"]

    def test_one_without_a_job_has_a_life_too(self, client: TestClient, models: Workspace) -> None:
        model = models.models.find("intents")
        assert client.get(f"{MODELS}/{model.id}").json()["finetuned_model"]["status"] == "STATUS_READY"
        assert client.get(f"{MODELS}/{model.id}/training-step-metrics").json()["step_metrics"] == []
        assert client.get(f"{MODELS}/{model.id}/events").json()["events"][0]["status"] == "STATUS_READY"
        models.models.archive("intents")
        assert client.get(f"{MODELS}/{model.id}").json()["finetuned_model"]["status"] == "STATUS_PAUSED"
        assert client.delete(f"{MODELS}/{model.id}").json() == {}
        assert client.get(f"{MODELS}/{model.id}").status_code == 404

    def test_a_page_token_of_others(self, client: TestClient) -> None:
        assert client.get(f"{MODELS}?page_token=abc").status_code == 400
