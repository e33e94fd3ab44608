"""Signing in and out; where one is led afterwards; how often one may try."""

from collections.abc import Callable
from typing import Any

from tamis.workspace.workspace import Workspace


def test_a_key_opens_a_session_that_ends_when_it_is_revoked(sign_in: Any, workspace: Workspace) -> None:
    visitor = sign_in("infer")
    assert visitor.get("/ui/models").status_code == 200
    workspace.keys.revoke("for infer")
    assert visitor.get("/ui/models").headers["location"].startswith("/ui/login")


def test_the_cookie_is_kept_from_scripts_and_other_sites(visitor: Any, make_client: Callable[..., Any]) -> None:
    cookie = visitor.get("/ui").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/ui" in cookie
    assert "Secure" not in cookie
    behind = make_client(public_url="https://tamis.example")
    assert "Secure" in behind.get("/ui").headers["set-cookie"]


def test_a_session_from_before_is_not_taken_over(visitor: Any, workspace: Workspace) -> None:
    _, secret = workspace.keys.create("one")
    visitor.get("/ui/login")
    before = visitor.client.cookies["tamis_session"]
    visitor.send("/ui/login", on="/ui/login", key=secret)
    assert visitor.client.cookies["tamis_session"] != before
    visitor.client.cookies.set("tamis_session", before + "x", path="/ui")


def test_a_wrong_key_says_so_and_is_not_shown(visitor: Any, workspace: Workspace) -> None:
    workspace.keys.create("one")
    answer = visitor.send("/ui/login", on="/ui/login", key="tamis_wrong<")
    assert answer.status_code == 401
    assert "not known here" in answer.text
    assert "tamis_wrong" not in answer.text


def test_signing_out_ends_it(sign_in: Any) -> None:
    visitor = sign_in("admin")
    assert visitor.send("/ui/logout").headers["location"] == "/ui/login"
    assert visitor.get("/ui").headers["location"].startswith("/ui/login")


LED = {
    "/ui/jobs?page=2&state=FAILED": "/ui/jobs?page=2&state=FAILED",
    "//evil.example": "/ui",
    "https://evil.example/ui": "/ui",
    "/ui//evil.example": "/ui",
    "/ui\\evil": "/ui",
    "/uieu.example": "/ui",
    "/v1/models": "/ui",
    "/ui/x\r\nset-cookie: a=b": "/ui",
    "javascript:alert(1)": "/ui",
    "": "/ui",
}


def test_one_is_led_to_the_dashboard_only(visitor: Any, workspace: Workspace) -> None:
    _, secret = workspace.keys.create("one")
    for asked, led in LED.items():
        answer = visitor.send("/ui/login", key=secret, next=asked, on="/ui/login")
        assert answer.headers["location"] == led, asked
        visitor.client.cookies.clear()


def test_who_tries_too_often_waits(visitor: Any, workspace: Workspace) -> None:
    workspace.keys.create("one")
    answers = [visitor.send("/ui/login", on="/ui/login", key="tamis_x") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


def test_light_and_dark_are_remembered(visitor: Any) -> None:
    assert 'data-theme="system"' in visitor.get("/ui").text
    answer = visitor.send("/ui/theme", theme="dark", next="/ui/models")
    assert answer.headers["location"] == "/ui/models"
    assert 'data-theme="dark"' in visitor.get("/ui").text
    visitor.send("/ui/theme", theme='"><b>')
    assert 'data-theme="system"' in visitor.get("/ui").text


def test_no_page_leads_to_what_only_developers_need(visitor: Any) -> None:
    assert "/ui/components" not in visitor.get("/ui").text
