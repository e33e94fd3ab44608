"""What stands around the routes."""

from collections.abc import Callable

from starlette.testclient import TestClient

MakeClient = Callable[..., TestClient]
PREFLIGHT = {"origin": "https://app.example", "access-control-request-method": "POST"}


class TestCors:
    def test_off_by_default(self, client: TestClient) -> None:
        answer = client.options("/v1/classifications", headers=PREFLIGHT)
        assert not [name for name in answer.headers if name.startswith("access-control")]

    def test_for_named_origins(self, make_client: MakeClient) -> None:
        client = make_client(cors_origins=("https://app.example",))
        answer = client.options("/v1/classifications", headers=PREFLIGHT)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://app.example")
        other = client.options("/v1/classifications", headers=PREFLIGHT | {"origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers

    def test_before_keys(self, make_client: MakeClient, workspace: object) -> None:
        """A browser sends no key with its first question."""
        workspace.keys.create("k")  # type: ignore[attr-defined]
        client = make_client(cors_origins=("https://app.example",))
        assert client.options("/v1/classifications", headers=PREFLIGHT).status_code == 200


def test_all_answers_have_an_id_and_no_guessing_of_types(client: TestClient) -> None:
    for path in ("/", "/nope", "/v1/files", "/docs"):
        headers = client.get(path).headers
        assert headers["x-request-id"]
        assert headers["x-content-type-options"] == "nosniff"


def test_two_applications_in_a_process_do_not_meet(make_client: MakeClient) -> None:
    first, second = make_client(), make_client(max_concurrent_requests=1)
    first.get("/v1/files")
    assert 'route="/v1/files"' in first.get("/metrics").text
    assert 'route="/v1/files"' not in second.get("/metrics").text
