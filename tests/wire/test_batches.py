"""Batch jobs through every release of the SDK."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from wire.client_process import CallFailed, Client, Json
from wire.polling import wait_for
from wire.sdk_environments import MISTRAL
from wire.training_rows import TOPICS, write_rows

SINCE_1_12 = MISTRAL[1:]  # inline requests
ONE_RELEASE = MISTRAL[1:2]  # enough where all send the same
SINCE_2_2 = MISTRAL[2:]  # delete
ENDED = ("SUCCESS", "FAILED", "TIMEOUT_EXCEEDED", "CANCELLED")
EXPECTED = {text: topic for topic, said in TOPICS.items() for text in said}


class Batches:
    """The calls of these tests, in the words of the SDK."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client, self._folder = client, folder

    def upload(self, requests: list[Json], raw: str = "") -> str:
        path = write_rows(self._folder / f"{uuid.uuid4().hex}.jsonl", requests)
        path.write_text(path.read_text() + raw)
        content = {"file_name": path.name, "content": {"$open": str(path)}}
        return self.client.call("files.upload", file=content, purpose="batch")["id"]

    def create(self, **more: Any) -> Json:
        if self.client.sdk == MISTRAL[0]:
            more.setdefault("input_files", [])
        return self.client.call("batch.jobs.create", **more)

    def ended(self, job: Json, **more: Any) -> Json:
        def look() -> Json | None:
            now = self.client.call("batch.jobs.get", job_id=job["id"], **more)
            return now if now["status"] in ENDED else None

        return wait_for(look, 60)

    def lines(self, file_id: str) -> list[Json]:
        text = self.client.call("files.download", file_id=file_id)["text"]
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def batches(client: Client, tmp_path: Path) -> Batches:
    return Batches(client, tmp_path)


def classifications() -> list[Json]:
    """Return one request a text."""
    return [{"custom_id": str(n), "body": {"input": [text]}} for n, text in enumerate(EXPECTED)]


def best(body: Json, target: str = "topic") -> str:
    scores = body["results"][0][target]["scores"]
    return max(scores, key=scores.get)


@pytest.fixture(scope="module")
def done(client: Client, topic_model: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Batches, Json, Json]:
    """A batch of twelve good requests and two that are not."""
    batches = Batches(client, tmp_path_factory.mktemp("batch"))
    bad = [{"custom_id": "no-input", "body": {}}, {"custom_id": "number", "body": {"input": [42]}}]
    file = batches.upload([*classifications(), *bad])
    metadata = {"case": uuid.uuid4().hex}
    created = batches.create(input_files=[file], endpoint="/v1/classifications", model=topic_model, metadata=metadata)
    return batches, created, batches.ended(created)


class TestFromAFile:
    """Requests in an uploaded file."""

    def test_as_it_is_created(self, done: tuple[Batches, Json, Json], topic_model: str) -> None:
        _, created, _ = done
        assert (created["object"], created["status"], created["model"]) == ("batch", "QUEUED", topic_model)
        assert (created["endpoint"], created["errors"]) == ("/v1/classifications", [])
        counts = [created[f"{name}_requests"] for name in ("total", "completed", "succeeded", "failed")]
        assert counts[1:] == [0, 0, 0]
        assert len(created["input_files"]) == 1
        assert (created.get("output_file"), created.get("completed_at")) == (None, None)

    def test_as_it_ends(self, done: tuple[Batches, Json, Json]) -> None:
        _, created, job = done
        assert job["status"] == "SUCCESS"  # requests that fail do not fail the job
        counts = [job[f"{name}_requests"] for name in ("total", "completed", "succeeded", "failed")]
        assert counts == [14, 14, 12, 2]
        assert created["created_at"] <= job["started_at"] <= job["completed_at"]
        assert job["metadata"] == created["metadata"]

    def test_the_output_has_the_answers(self, done: tuple[Batches, Json, Json], topic_model: str) -> None:
        batches, _, job = done
        lines = {line["custom_id"]: line for line in batches.lines(job["output_file"])}
        assert sorted(lines) == sorted(str(n) for n in range(12))
        assert {line["response"]["status_code"] for line in lines.values()} == {200}
        assert {line["error"] for line in lines.values()} == {None}
        assert len({line["id"] for line in lines.values()}) == 12
        assert [best(lines[str(n)]["response"]["body"]) for n in range(12)] == list(EXPECTED.values())
        direct = batches.client.call("classifiers.classify", model=topic_model, inputs=[next(iter(EXPECTED))])
        body = lines["0"]["response"]["body"]
        assert body["model"] == topic_model
        assert body["results"][0]["topic"]["scores"] == pytest.approx(direct["results"][0]["topic"]["scores"], abs=1e-5)

    def test_the_error_file_has_the_others(self, done: tuple[Batches, Json, Json]) -> None:
        batches, _, job = done
        lines = {line["custom_id"]: line for line in batches.lines(job["error_file"])}
        assert sorted(lines) == ["no-input", "number"]
        for line in lines.values():
            assert line["error"] is not None or line["response"]["status_code"] == 422
            assert "input" in json.dumps(line)

    def test_both_are_files_of_the_service(self, done: tuple[Batches, Json, Json]) -> None:
        batches, _, job = done
        output = batches.client.call("files.retrieve", file_id=job["output_file"])
        errors = batches.client.call("files.retrieve", file_id=job["error_file"])
        assert (output["source"], output["sample_type"], output["num_lines"]) == ("mistral", "batch_result", 12)
        assert (errors["source"], errors["sample_type"], errors["num_lines"]) == ("mistral", "batch_error", 2)

    def test_filters_of_the_list(self, done: tuple[Batches, Json, Json], topic_model: str) -> None:
        batches, created, _ = done

        def ids(**filters: Any) -> list[str]:
            answer = batches.client.call("batch.jobs.list", metadata=created["metadata"], **filters)
            assert answer["total"] == len(answer["data"])
            return [job["id"] for job in answer["data"]]

        assert ids() == [created["id"]]
        assert ids(model=topic_model) == [created["id"]]
        assert ids(model="other") == []
        assert ids(status=["SUCCESS", "RUNNING"]) == [created["id"]]
        assert ids(status=["FAILED", "CANCELLED"]) == []
        stamp = [time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(created["created_at"] + by)) for by in (-5, 5)]
        assert ids(created_after={"$time": stamp[0]}) == [created["id"]]
        assert ids(created_after={"$time": stamp[1]}) == []
        assert ids(created_by_me=True) == [created["id"]]
        other = {name: uuid.uuid4().hex for name in created["metadata"]}
        assert batches.client.call("batch.jobs.list", metadata=other)["data"] == []

    def test_pages_of_the_list(self, done: tuple[Batches, Json, Json]) -> None:
        batches, _, _ = done
        first = batches.client.call("batch.jobs.list", page_size=1)
        assert len(first["data"]) == 1
        assert first["total"] >= 1
        assert batches.client.call("batch.jobs.list", page_size=1, page=first["total"] + 50)["data"] == []


@pytest.mark.parametrize("client", ONE_RELEASE, ids=str, indirect=True)
def test_several_files_are_one_job(batches: Batches, topic_model: str) -> None:
    requests = classifications()
    files = [batches.upload(requests[:5]), batches.upload(requests[5:])]
    job = batches.ended(batches.create(input_files=files, endpoint="/v1/classifications", model=topic_model))
    assert (job["status"], job["succeeded_requests"], job["input_files"]) == ("SUCCESS", 12, files)
    assert len(batches.lines(job["output_file"])) == 12
    assert job.get("error_file") is None


def test_the_model_may_stand_in_the_requests(batches: Batches, topic_model: str) -> None:
    requests = [{"custom_id": "a", "body": {"model": topic_model, "input": "where is my parcel"}}]
    more = {"model": topic_model} if batches.client.sdk == MISTRAL[0] else {}  # 1.7.0 demands it
    job = batches.ended(batches.create(input_files=[batches.upload(requests)], endpoint="/v1/classifications", **more))
    (line,) = batches.lines(job["output_file"])
    assert best(line["response"]["body"]) == "delivery"


@pytest.mark.parametrize("client", ONE_RELEASE, ids=str, indirect=True)
def test_other_endpoints(batches: Batches, moderation_model: str, chat_model: str) -> None:
    rude = [{"role": "user", "content": "you are an idiot"}]
    asks = [{"role": "assistant", "content": "one moment"}, {"role": "user", "content": "the money back"}]
    cases = {
        "/v1/moderations": (moderation_model, {"input": ["you are an idiot"]}),
        "/v1/chat/moderations": (moderation_model, {"input": [rude]}),
        "/v1/chat/classifications": (chat_model, {"input": [{"messages": asks}]}),
    }
    jobs = {
        endpoint: batches.create(
            input_files=[batches.upload([{"custom_id": "x", "body": body}])], endpoint=endpoint, model=model
        )
        for endpoint, (model, body) in cases.items()
    }
    bodies = {}
    for endpoint, job in jobs.items():
        (line,) = batches.lines(batches.ended(job)["output_file"])
        bodies[endpoint] = line["response"]["body"]
    assert bodies["/v1/moderations"]["results"][0]["categories"]["insult"] is True
    assert bodies["/v1/chat/moderations"]["results"][0]["categories"]["insult"] is True
    assert best(bodies["/v1/chat/classifications"], "who") == "customer"


@pytest.mark.parametrize("client", SINCE_1_12, ids=str, indirect=True)
class TestInline:
    """Requests in the call itself."""

    def test_results_come_with_the_job(self, batches: Batches, topic_model: str) -> None:
        job = batches.create(requests=classifications(), endpoint="/v1/classifications", model=topic_model)
        assert job["input_files"] == []
        done = batches.ended(job, inline=True)
        assert (done["status"], done["total_requests"]) == ("SUCCESS", 12)
        outputs = {line["custom_id"]: line["response"]["body"] for line in done["outputs"]}
        assert [best(outputs[str(n)]) for n in range(12)] == list(EXPECTED.values())

    def test_without_asking_for_them_they_stay_away(self, batches: Batches, topic_model: str) -> None:
        job = batches.create(requests=classifications()[:1], endpoint="/v1/classifications", model=topic_model)
        batches.ended(job)
        assert not batches.client.call("batch.jobs.get", job_id=job["id"]).get("outputs")

    def test_order_of_the_list(self, batches: Batches, topic_model: str) -> None:
        mark = {"mark": uuid.uuid4().hex}
        made = []
        for _ in range(2):
            made.append(
                batches.create(
                    requests=classifications()[:1], endpoint="/v1/classifications", model=topic_model, metadata=mark
                )["id"]
            )
            time.sleep(1.05)  # times are whole seconds

        def ids(order: str) -> list[str]:
            found = batches.client.call("batch.jobs.list", metadata=mark, order_by=order)["data"]
            return [job["id"] for job in found]

        assert ids("created") == made
        assert ids("-created") == made[::-1]

    def test_neither_files_nor_requests(self, batches: Batches, topic_model: str) -> None:
        with pytest.raises(CallFailed) as caught:
            batches.create(endpoint="/v1/classifications", model=topic_model)
        assert caught.value.status == 422


@pytest.mark.parametrize("client", SINCE_2_2, ids=str, indirect=True)
def test_a_batch_can_be_deleted(batches: Batches, topic_model: str) -> None:
    job = batches.ended(batches.create(requests=classifications(), endpoint="/v1/classifications", model=topic_model))
    found = batches.client.call("batch.jobs.delete", job_id=job["id"])
    assert (found["id"], found["object"], found["deleted"]) == (job["id"], "batch", True)
    with pytest.raises(CallFailed) as caught:
        batches.client.call("batch.jobs.get", job_id=job["id"])
    assert caught.value.status == 404


def test_cancel(batches: Batches, topic_model: str) -> None:
    request = {"body": {"input": list(EXPECTED) * 40}}
    file = batches.upload([{"custom_id": str(n)} | request for n in range(300)])  # 144,000 texts
    job = batches.create(input_files=[file], endpoint="/v1/classifications", model=topic_model)
    answer = batches.client.call("batch.jobs.cancel", job_id=job["id"])
    assert answer["status"] in ("CANCELLATION_REQUESTED", "CANCELLED")
    assert batches.ended(job)["status"] == "CANCELLED"
    with pytest.raises(CallFailed) as caught:
        batches.client.call("batch.jobs.cancel", job_id=job["id"])
    assert caught.value.status == 409


class TestWrongUses:
    """Each is refused at once, or told in the job."""

    def refused(self, batches: Batches, status: int, said: str, **asked: Any) -> None:
        with pytest.raises(CallFailed) as caught:
            batches.create(**asked)
        assert (caught.value.type, caught.value.status) == ("SDKError", status)
        assert said in caught.value.body

    def test_an_unknown_file(self, batches: Batches, topic_model: str) -> None:
        unknown = str(uuid.uuid4())
        asked = {"input_files": [unknown], "endpoint": "/v1/classifications", "model": topic_model}
        self.refused(batches, 404, unknown, **asked)

    def test_an_unknown_model(self, batches: Batches) -> None:
        file = batches.upload(classifications())
        asked = {"input_files": [file], "endpoint": "/v1/classifications", "model": "no-such-model"}
        self.refused(batches, 404, "no-such-model", **asked)

    def test_an_endpoint_that_is_not_served(self, batches: Batches, topic_model: str) -> None:
        file = batches.upload(classifications())
        asked = {"input_files": [file], "endpoint": "/v1/embeddings", "model": topic_model}
        self.refused(batches, 422, "/v1/classifications", **asked)  # says which ones are

    @pytest.mark.parametrize("hours", [0, 169])
    def test_a_timeout_out_of_range(self, batches: Batches, topic_model: str, hours: int) -> None:
        file = batches.upload(classifications())
        asked = {"input_files": [file], "endpoint": "/v1/classifications", "model": topic_model}
        self.refused(batches, 422, "timeout_hours", timeout_hours=hours, **asked)

    def test_metadata_that_is_too_long(self, batches: Batches, topic_model: str) -> None:
        file = batches.upload(classifications())
        asked = {"input_files": [file], "endpoint": "/v1/classifications", "model": topic_model}
        self.refused(batches, 422, "metadata", metadata={"k" * 33: "v"}, **asked)
        self.refused(batches, 422, "metadata", metadata={"k": "v" * 513}, **asked)

    def test_an_unknown_job(self, batches: Batches) -> None:
        for method in ("get", "cancel"):
            unknown = str(uuid.uuid4())
            with pytest.raises(CallFailed) as caught:
                batches.client.call(f"batch.jobs.{method}", job_id=unknown)
            assert (caught.value.type, caught.value.status) == ("SDKError", 404)
            assert unknown in caught.value.body

    @pytest.mark.parametrize("client", ONE_RELEASE, ids=str, indirect=True)
    def test_lines_that_are_no_requests(self, batches: Batches, topic_model: str) -> None:
        file = batches.upload(classifications(), raw='not json\n{"custom_id": "n"}\n')
        job = batches.ended(batches.create(input_files=[file], endpoint="/v1/classifications", model=topic_model))
        assert (job["status"], job["succeeded_requests"], job["failed_requests"]) == ("SUCCESS", 12, 2)
        assert len(batches.lines(job["error_file"])) == 2


def test_the_async_methods(client: Client, batches: Batches, topic_model: str) -> None:
    file = batches.upload(classifications())
    job = client.call("batch.jobs.create_async", input_files=[file], endpoint="/v1/classifications", model=topic_model)
    assert wait_for(lambda: client.call("batch.jobs.get_async", job_id=job["id"])["status"] == "SUCCESS")
    assert job["id"] in [found["id"] for found in client.call("batch.jobs.list_async")["data"]]
