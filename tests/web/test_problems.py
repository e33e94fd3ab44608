"""Statuses of errors, and the one body that all SDKs parse."""

import json
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

import tamis.errors
from tamis.errors import InvalidRequest, LimitExceeded, Overloaded, StorageFailed, TamisError, Unauthorized
from tamis.web.problems import STATUS, problem, status_of, unknown_model

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")


def family(error: type[TamisError]) -> list[type[TamisError]]:
    return [error, *(below for child in error.__subclasses__() for below in family(child))]


ERRORS = [error for error in family(TamisError) if error.__module__ == tamis.errors.__name__]


def test_every_code_has_a_status_and_no_other_has() -> None:
    assert set(STATUS) == {error.code for error in ERRORS}


def test_the_page_says_the_same() -> None:
    """In the table of statuses, a line a status: | 404 | `unknown_file`, ... |."""
    told = {
        code: int(status)
        for status, codes in re.findall(r"^\| (\d{3}) \| (.+?) \|", PAGE, re.MULTILINE)
        for code in re.findall(r"`(\w+)`", codes)
    }
    assert {code: told.get(code) for code in STATUS} == dict(STATUS)


def test_too_many_bytes_are_413_and_too_much_else_422() -> None:
    assert status_of(LimitExceeded(setting="max_upload_bytes")) == 413
    assert status_of(LimitExceeded(setting="max_inputs")) == 422
    assert status_of(LimitExceeded()) == 422


def test_a_new_error_counts_as_its_parent() -> None:
    class Stranger(StorageFailed):
        """Something new."""

        code = "stranger"

    assert status_of(Stranger()) == 503


class TestBody:
    def body_of(self, client: TestClient, method: str = "GET", path: str = "/v1/files/nope", **more: object) -> dict:
        answer = client.request(method, path, **more)
        assert answer.headers["content-type"] == "application/json"
        body: dict = answer.json()
        assert body["request_id"] == answer.headers["x-request-id"]
        return body

    def test_each_sdk_finds_its_own(self, client: TestClient) -> None:
        body = self.body_of(client)
        assert {"object": "error", "param": None, "code": "unknown_file"}.items() <= body.items()
        assert body["type"] == "invalid_request_error"
        assert body["error"] == {name: body[name] for name in ("message", "type", "param", "code")}
        assert body["detail"] == [{"type": "unknown_file", "loc": [], "msg": body["message"]}]

    @pytest.mark.parametrize(
        ("path", "content"),
        [
            ("/v1/classifications", b'{"input": "x"'),
            ("/v1/classifications", b'{"model": 3, "input": {}}'),
            ("/v1/moderations", b'{"model": "m", "input": 3}'),
            ("/v1/chat/classifications", b'{"model": "m", "input": {"messages": [{"role": "user", "content": 5}]}}'),
            ("/v1/fine_tuning/jobs", b"[]"),
            ("/v1/fine_tuning/jobs", b'{"model": "m", "hyperparameters": {"epochs": NaN}}'),
            ("/v1/fine_tuning/jobs", b'{"model": "\\ud800"}'),
            ("/v1/fine_tuning/jobs", b"[" * 100_000),
            ("/v1/batch/jobs", b'{"endpoint": "\xff"}'),
            ("/v1/chat/completions", b"null"),
            ("/v1/chat/completions", b"{"),
        ],
    )
    def test_wrong_bodies_are_422_with_a_list(self, client: TestClient, path: str, content: bytes) -> None:
        answer = client.post(path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 422, answer.text
        detail = answer.json()["detail"]
        assert detail
        assert all({"type", "loc", "msg"} == one.keys() and isinstance(one["loc"], list) for one in detail)

    def test_what_was_sent_is_not_repeated(self, client: TestClient) -> None:
        canary = "canary-" + "k" * 40
        for body in ({"model": {"a": canary}}, {"model": "m", "integrations": [{"api_key": [canary], "project": 1}]}):
            answer = client.post("/v1/fine_tuning/jobs", json=body)
            assert answer.status_code == 422
            assert canary not in answer.text

    def test_more_problems_are_counted(self, client: TestClient) -> None:
        files = [{"weight": "x"}] * 100
        body = self.body_of(client, "POST", "/v1/fine_tuning/jobs", json={"model": "m", "training_files": files})
        assert len(body["detail"]) <= 20
        assert "more)" in body["message"]

    def test_nothing_there(self, client: TestClient) -> None:
        assert self.body_of(client, path="/v2/files")["code"] == "not_found"

    def test_another_method(self, client: TestClient) -> None:
        answer = client.put("/v1/files")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
        assert answer.json()["code"] == "method_not_allowed"

    def test_options(self, client: TestClient) -> None:
        answer = client.options("/v1/files/x")
        assert (answer.status_code, answer.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS")
        assert client.options("/nope").status_code == 404


class TestHeaders:
    def test_when_to_come_back(self) -> None:
        answer = problem(Overloaded("Later.", retry_after=7))
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")

    def test_what_callers_can_do(self) -> None:
        error = InvalidRequest("Use --encoding.", for_callers="Save it as UTF-8.", loc=["body", "file"])
        told = json.loads(problem(error).body)
        assert told["message"] == told["error"]["message"] == told["detail"][0]["msg"] == "Save it as UTF-8."

    def test_which_key_is_wanted(self) -> None:
        answer = problem(Unauthorized())
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")

    def test_details_of_several_faults(self) -> None:
        details = [{"type": "missing", "loc": ["body", "a"], "msg": "Field required"}]
        assert b'"loc":["body","a"]' in problem(InvalidRequest("Wrong.", details=details)).body

    def test_an_unknown_model_at_inference_is_as_the_hosted_service_says(self) -> None:
        answer = unknown_model("ft:classifier:x")
        assert answer.status_code == 400
        for part in (b'"message":"Invalid model: ft:classifier:x"', b'"type":"invalid_model"', b'"code":"1500"'):
            assert part in bytes(answer.body)


class TestUnexpected:
    @pytest.fixture
    def broken(self, app: FastAPI, client: TestClient) -> TestClient:
        async def fail(request: Request) -> None:
            raise RuntimeError("the secret of the house")

        async def seal(request: Request) -> None:
            raise tamis.errors.SecretUnreadable("the key file /home/x/secret.key")

        app.add_route("/v1/models/broken/now", fail)
        app.add_route("/v1/models/broken/seal", seal)
        return client

    def test_it_is_500_with_an_id_and_no_more(self, broken: TestClient, lines: pytest.LogCaptureFixture) -> None:
        answer = broken.get("/v1/models/broken/now", headers={"x-request-id": "abc-1"})
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert "abc-1" in answer.json()["message"]
        told = next(record for record in lines.records if record.levelname == "ERROR")
        assert told.exc_info is not None
        assert told.__dict__["request_id"] == "abc-1"

    def test_what_is_the_operators_is_not_told(self, broken: TestClient, lines: pytest.LogCaptureFixture) -> None:
        answer = broken.get("/v1/models/broken/seal")
        assert answer.status_code == 500
        assert "secret.key" not in answer.text
        assert "secret.key" in lines.text
