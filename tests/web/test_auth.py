"""Keys and scopes; without keys, this machine only, and no page of another site."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

import tamis.web.auth as auth
from tamis.errors import StorageFailed
from tamis.web.auth import host_of, is_loopback, scope_for
from tamis.workspace.workspace import Workspace

MakeClient = Callable[..., TestClient]
FILES = "/v1/files"


def code(client: TestClient, method: str = "GET", path: str = FILES, **headers: str) -> int:
    return client.request(
        method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    ).status_code


class TestWithoutKeys:
    @pytest.mark.parametrize("key", [None, "any", "x" * 500])
    def test_any_key_or_none_will_do(self, client: TestClient, key: str | None) -> None:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        assert client.get(FILES, headers=headers).status_code == 200

    @pytest.mark.parametrize("host", ["203.0.113.9", "192.168.1.5", "::ffff:192.168.1.5", "testclient"])
    def test_other_machines_are_refused(self, make_client: MakeClient, host: str) -> None:
        answer = make_client(host=host).get(FILES)
        assert answer.status_code == 401
        assert "tamis keys create" in answer.json()["message"]

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
    def test_this_machine_is_served(self, make_client: MakeClient, host: str) -> None:
        assert make_client(host=host).get(FILES).status_code == 200

    @pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "app.localhost", "LOCALHOST."])
    def test_names_of_this_machine(self, client: TestClient, host: str) -> None:
        assert code(client, host=host) == 200

    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "", "[", "10.0.0.1"]
    )
    def test_a_name_that_was_pointed_here_is_refused(self, client: TestClient, host: str) -> None:
        assert code(client, host=host) == 403

    def test_the_public_name_is_its_own(self, make_client: MakeClient) -> None:
        client = make_client(public_url="https://tamis.example/x")
        assert code(client, host="tamis.example") == 200
        assert code(client, host="other.example") == 403

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": ""},
            {"origin": "http://["},
            {"origin": "ftp://127.0.0.1:8000"},
            {"origin": "http://127.0.0.1:3000"},
            {"sec_fetch_site": "cross-site"},
            {"sec_fetch_site": "same-site"},
        ],
    )
    def test_pages_of_other_sites_change_nothing(self, client: TestClient, headers: dict[str, str]) -> None:
        for method, path in (
            ("POST", "/v1/classifications"),
            ("DELETE", "/v1/files/x"),
            ("PATCH", "/v1/fine_tuning/models/x"),
        ):
            assert code(client, method, path, **headers) == 403
        assert (
            "access-control-allow-origin" not in client.get(FILES, headers={"origin": "https://evil.example"}).headers
        )

    @pytest.mark.parametrize(
        "headers",
        [{}, {"origin": "http://127.0.0.1:8000"}, {"sec_fetch_site": "same-origin"}, {"sec_fetch_site": "none"}],
    )
    def test_programs_and_pages_of_its_own_may(self, client: TestClient, headers: dict[str, str]) -> None:
        assert code(client, "DELETE", "/v1/files/x", **headers) == 404

    def test_pages_that_the_operator_named_may(self, make_client: MakeClient) -> None:
        client = make_client(cors_origins=("https://app.example",))
        assert code(client, "DELETE", "/v1/files/x", origin="https://app.example") == 404
        assert code(client, "DELETE", "/v1/files/x", origin="https://other.example") == 403


class TestKeys:
    @pytest.fixture
    def key(self, workspace: Workspace) -> Callable[..., str]:
        return lambda *scopes, **more: workspace.keys.create("k", scopes or ("infer", "train"), **more)[1]

    @pytest.mark.parametrize("header", [None, "Bearer", "Bearer x", "Basic x", "Bearer \xe9", "Bearer " + "x" * 10_000])
    def test_without_a_good_one_nothing_is_told(self, make_client: MakeClient, key: Any, header: str | None) -> None:
        key()
        client = make_client()
        headers = {} if header is None else {"authorization": header.encode("latin-1")}
        for path in (FILES, "/v1/models", "/v1/classifications", "/metrics", "/nope", "/v1/v1/files/"):
            answer = client.get(path, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert answer.json()["code"] == "unauthorized"

    def test_what_is_open_to_all(self, make_client: MakeClient, key: Any) -> None:
        key()
        client = make_client(host="203.0.113.9")
        for path in ("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/docs/start.js"):
            assert client.get(path).status_code == 200

    @pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "Bearer   {} "])
    def test_a_good_one_opens_from_anywhere(self, make_client: MakeClient, key: Any, header: str) -> None:
        client = make_client(host="203.0.113.9")
        assert (
            client.get(FILES, headers={"authorization": header.format(key()), "host": "tamis.example"}).status_code
            == 200
        )

    def test_scopes(self, make_client: MakeClient, key: Any) -> None:
        infer, train, admin = key("infer"), key("train"), key("admin")
        client = make_client()

        def may(secret: str, method: str, path: str) -> bool:
            return code(client, method, path, authorization=f"Bearer {secret}") not in (401, 403)

        for method, path, allowed in (
            ("POST", "/v1/classifications", {infer, admin}),
            ("POST", "/v1/chat/completions", {infer, admin}),
            ("GET", "/v1/models", {infer, admin}),
            ("GET", "/metrics", {infer, admin}),
            ("POST", "/v1/batch/jobs", {infer, admin}),
            ("DELETE", "/v1/models/x", {train, admin}),
            ("GET", "/v1/files", {infer, train, admin}),
            ("POST", "/v1/fine_tuning/jobs", {train, admin}),
            ("GET", "/v1/nope", {admin}),
        ):
            assert {secret for secret in (infer, train, admin) if may(secret, method, path)} == allowed, path

    def test_a_refusal_names_the_scope(self, make_client: MakeClient, key: Any) -> None:
        path = "/v1/fine_tuning/jobs"
        answer = make_client().get(path, headers={"authorization": f"Bearer {key('infer')}"})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "train" in answer.json()["message"]

    def test_a_revoked_one_ends_within_seconds(
        self, make_client: MakeClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record, secret = workspace.keys.create("k")
        client = make_client()
        assert code(client, authorization=f"Bearer {secret}") == 200
        workspace.keys.revoke(record.id)
        now = auth.monotonic()
        monkeypatch.setattr(auth, "monotonic", lambda: now + auth.REMEMBERED_S + 1)
        assert code(client, authorization=f"Bearer {secret}") == 401

    def test_revoking_the_last_one_opens_nothing(self, make_client: MakeClient, workspace: Workspace) -> None:
        workspace.keys.revoke(workspace.keys.create("k")[0].id)
        assert code(make_client()) == 401

    def test_the_database_is_asked_once_in_a_while(
        self, make_client: MakeClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        secret = workspace.keys.create("k")[1]
        asked: list[str] = []
        check = workspace.keys.check
        monkeypatch.setattr(workspace.keys, "check", lambda given: asked.append(given) or check(given))
        client = make_client()
        for _ in range(5):
            assert code(client, authorization=f"Bearer {secret}") == 200
            assert code(client, authorization="Bearer wrong") == 401
        assert sorted(asked) == sorted([secret, "wrong"])

    def test_a_database_that_is_down_is_503(
        self, make_client: MakeClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> bool:
            raise StorageFailed("The database cannot be reached.")

        monkeypatch.setattr(workspace.keys, "any", fail)
        answer = make_client().get(FILES)
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_failed")

    def test_many_wrong_ones_take_no_memory(self) -> None:
        import anyio

        from tamis.errors import Unauthorized

        class Nobody:
            def any(self) -> bool:
                return True

            def check(self, secret: str) -> Any:
                raise Unauthorized

        ring = auth.KeyRing(Nobody())

        async def guess() -> None:
            for n in range(auth.MOST_REMEMBERED + 10):
                assert await ring.find(str(n)) is None

        anyio.run(guess)
        assert len(ring._known) <= auth.MOST_REMEMBERED


def test_what_no_rule_names_is_for_admins() -> None:
    assert scope_for("GET", "/something/new") == "admin"
    assert scope_for("POST", "/metrics") == "admin"


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("1.2.3.4", False),
        ("x", False),
    ],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@pytest.mark.parametrize(("header", "host"), [("A.b:80", "a.b"), ("[::1]:80", "::1"), ("[::1", ""), ("", "")])
def test_host_headers(header: str, host: str) -> None:
    assert host_of(header) == host
