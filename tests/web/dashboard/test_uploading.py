"""Files that a page's form brings are stored whole or not at all, and never for another site."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

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
