"""Files that a page's form brings are stored whole or not at all, and never for another site."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from tamis.errors import StorageFull
from tamis.workspace.workspace import Workspace

CSV = b"message,topic\nwhere is my parcel,delivery\nI want my money,refund\n"
FILES = {"training": ("tickets.csv", CSV, "text/csv")}


def send(visitor: Any, files: Any = FILES, headers: dict[str, str] | None = None, **fields: str) -> Any:
    given = {"form_token": visitor.token(), **fields}
    return visitor.client.post("/ui/new/upload", data=given, files=files, headers=headers)


def test_files_come_and_their_columns_are_next(visitor: Any, workspace: Workspace) -> None:
    answer = send(visitor, {**FILES, "test": ("test.csv", CSV, "text/csv"), "validation": ("", b"", "text/csv")})
    stored = {file.name: file.id for file in workspace.files.list(0, 9, {})[0]}
    assert set(stored) == {"tickets.csv", "test.csv"}
    place = f"/ui/new/columns?training={stored['tickets.csv']}&test={stored['test.csv']}"
    assert (answer.status_code, answer.headers["location"]) == (303, place)
    assert visitor.get(place).status_code == 200


def test_a_script_is_told_where_to_go(visitor: Any) -> None:
    answer = send(visitor, headers={"accept": "application/json"})
    assert answer.json()["place"].startswith("/ui/new/columns?training=")


@pytest.mark.parametrize("fields", [{"form_token": "wrong"}, {"form_token": ""}])
def test_nothing_is_stored_without_the_token(visitor: Any, workspace: Workspace, fields: dict[str, str]) -> None:
    visitor.token()
    assert visitor.client.post("/ui/new/upload", data=fields, files=FILES).status_code == 403
    assert workspace.files.list(0, 9, {})[1] == 0
    assert not list(workspace.store.objects.list("files"))


def test_the_token_may_be_a_header(visitor: Any) -> None:
    answer = visitor.client.post("/ui/new/upload", files=FILES, headers={"x-form-token": visitor.token()})
    assert answer.status_code == 303


def test_another_site_stores_nothing(visitor: Any, workspace: Workspace) -> None:
    assert send(visitor, headers={"origin": "http://evil.example"}).status_code == 403
    assert workspace.files.list(0, 9, {})[1] == 0


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"training": ("", b"", "text/csv")}, "No file was chosen"),
        ({"training": ("a.csv", b"", "text/csv")}, "is empty"),
        ({"validation": ("a.csv", CSV, "text/csv")}, "No file was chosen"),
        ({"other": ("a.csv", CSV, "text/csv")}, "No file was chosen"),
    ],
)
def test_what_is_no_file_is_said(visitor: Any, workspace: Workspace, files: Any, why: str) -> None:
    answer = send(visitor, files)
    assert answer.status_code == 422
    assert why in answer.text
    assert workspace.files.list(0, 9, {})[1] == 0


def test_of_two_files_both_are_stored_or_none(visitor: Any, workspace: Workspace) -> None:
    assert send(visitor, {**FILES, "test": ("test.csv", b"", "text/csv")}).status_code == 422
    assert workspace.files.list(0, 9, {})[1] == 0
    assert send(visitor).status_code == 303
    assert send(visitor, {**FILES, "test": ("test.csv", b"", "text/csv")}).status_code == 422
    assert workspace.files.list(0, 9, {})[1] == 1  # it was there before


def test_a_file_beyond_the_limit_is_refused(make_client: Callable[..., TestClient], workspace: Workspace) -> None:
    from web.dashboard.conftest import Visitor

    visitor = Visitor(make_client(max_upload_bytes=50))
    answer = send(visitor)
    assert answer.status_code == 413
    assert "50 bytes" in answer.text
    assert workspace.files.list(0, 9, {})[1] == 0
    large = {"training": ("a.csv", b"x" * (2**20 + 100), "text/csv")}
    assert send(visitor, large).status_code == 413


def test_names_are_names_and_no_places(visitor: Any, workspace: Workspace) -> None:
    assert send(visitor, {"training": ("../../etc/passwd.csv", CSV, "text/csv")}).status_code in (303, 422)
    assert not [file for file in workspace.files.list(0, 9, {})[0] if "/" in file.name]


LARGE = {"training": ("a.csv", b"x" * (2**20 + 100), "text/csv")}


@pytest.mark.parametrize("named", [True, False])
def test_a_refusal_before_the_body_was_read_is_a_page(
    make_client: Callable[..., TestClient], workspace: Workspace, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """By its length as it is told, or by what came: with cause and cure, for those whose browser runs no script."""
    from web.dashboard.conftest import Visitor

    visitor = Visitor(make_client(max_upload_bytes=50))
    if not named:
        monkeypatch.setattr("tamis.web.limits._Body.declared", lambda body, scope: None)
    answer = send(visitor, LARGE)
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"]
    assert re.search('<p class="lead">[^<]* 50 bytes[^<]*max_upload_bytes', answer.text)
    assert "Sign in" not in answer.text
    told = send(visitor, LARGE, headers={"accept": "application/json"})
    assert "50 bytes" in told.json()["message"]


def test_no_room_no_session_and_no_token_are_told_on_a_page(
    make_client: Callable[..., TestClient], sign_in: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from web.dashboard.conftest import Visitor

    def full(n_bytes: int) -> None:
        raise StorageFull("The disk is full: delete files that nobody needs.")

    visitor = sign_in("admin")
    forged = visitor.client.post("/ui/new/upload", data={"form_token": "wrong"}, files=LARGE)
    nobody = Visitor(make_client()).client.post("/ui/new/upload", files=LARGE)
    monkeypatch.setattr(workspace.files, "refuse_size", full)
    answers = ((send(visitor), 507, "delete files"), (forged, 403, "open it again"), (nobody, 401, "sign in"))
    for answer, status, why in answers:
        assert answer.status_code == status
        assert why in answer.text
        assert '<main id="content"' in answer.text
        assert ('class="who"' in answer.text) == (status != 401)


def test_who_may_not_be_here_at_all_reads_so_on_a_page(visitor: Any) -> None:
    """Programs read what they always did."""
    page, told = (visitor.get(path, host="evil.example") for path in ("/ui/models", "/v1/models"))
    assert page.status_code == told.status_code == 403
    assert "which is not this server" in told.json()["message"]
    assert "which is not this server" in page.text
    assert page.text.startswith("<!doctype html>")
