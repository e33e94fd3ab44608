"""The page of settings shows what holds, and nothing secret."""

from typing import Any

from pydantic import SecretStr

from tamis.workspace.workspace import Workspace

SECRET = "hunter2"


def test_it_shows_what_holds_and_no_secret(make_client: Any, workspace: Workspace) -> None:
    client = make_client(llm_api_key=SecretStr(SECRET), llm_base_url=f"https://u:{SECRET}@llm.test/v1", max_labels=77)
    page = client.get("/ui/settings").text
    assert SECRET not in page
    assert "set; never shown" in page
    assert "https://llm.test/v1" in page
    assert "TAMIS_MAX_LABELS" in page
    assert "<strong" not in page
    assert ">77<" in page.replace("\n", "")


def test_it_says_that_there_is_no_room_left(make_client: Any, upload: Any) -> None:
    upload(b"x" * 200)
    page = make_client(max_storage_bytes=100, min_free_disk_bytes=2**62).get("/ui/settings").text
    assert page.count("are refused:") == 2


def test_it_is_for_who_administers(sign_in: Any) -> None:
    visitor = sign_in("train")
    assert visitor.get("/ui/settings").status_code == 403
    assert "/ui/settings" not in visitor.get("/ui").text
