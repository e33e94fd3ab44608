"""Every page has a scope and headers, every form is looked at; errors are pages that say what the API says."""

import re
import threading
from html.parser import HTMLParser
from typing import Any

import pytest

from tamis.errors import StorageFailed
from tamis.web.dashboard import jobs, pages
from tamis.workspace.workspace import Workspace

WIDER = {
    "infer": {"infer", "admin"},
    "train": {"train", "admin"},
    "admin": {"admin"},
    "any": {"infer", "train", "admin"},
}


NAMELESS = {f"/ui/{page}" for page in ("keys", "settings", "queue", "login", "components")}
"""Pages on which none of the names stands that `fill` brings."""


def test_every_page_answers_and_lets_nothing_foreign_in(visitor: Any, filled: Workspace, routes: Any) -> None:
    for path, _ in routes("GET"):
        answer = visitor.get(path)
        assert answer.status_code == (303 if path == "/ui/login" else 200), answer.text
        policy = answer.headers["content-security-policy"]
        styles = "'self' 'unsafe-inline'" if 'plotly.js"></script>' in answer.text else "'self'"
        assert f"default-src 'none'; script-src 'self'; style-src {styles};" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


class Tags(HTMLParser):
    """The tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_what_people_brought_is_text(visitor: Any, filled: Workspace, routes: Any) -> None:
    plain = set()
    for path, _ in routes("GET"):
        answer = visitor.get(path)
        if "content-disposition" in answer.headers:
            continue
        html = answer.text
        if "&lt;script&gt;alert(1)" not in html:
            plain.add(path)
        assert "\x00" not in html
        for tag, attributes in Tags(html).found:
            assert tag != "img", path
            assert tag != "script" or attributes.get("type") == "application/json" or attributes["src"], path
            assert not [name for name in attributes if name.startswith("on") or name == "style"], path
    assert plain == NAMELESS


@pytest.mark.parametrize("held", ["infer", "train", "admin"])
def test_pages_need_their_scope(sign_in: Any, filled: Workspace, routes: Any, held: str) -> None:
    visitor = sign_in(held)
    for path, scope in routes("GET"):
        if scope:
            assert visitor.get(path).status_code == (200 if held in WIDER[scope] else 403), path


def test_strangers_sign_in_first_and_are_led_back(visitor: Any, filled: Workspace, routes: Any) -> None:
    filled.keys.create("one")
    for path, scope in routes("GET"):
        answer = visitor.get(path)
        assert answer.headers.get("location") == (f"/ui/login?next={path}" if scope else None), path
        assert "alert" not in answer.text or path.startswith("/ui/shared/")


def test_forms_need_their_scope_and_a_session(sign_in: Any, filled: Workspace, routes: Any) -> None:
    visitor = sign_in("infer")
    forms = [path for path, scope in routes("POST") if scope and "infer" not in WIDER[scope]]
    assert forms
    assert {visitor.send(path).status_code for path in forms} == {403}
    visitor.client.cookies.clear()
    assert {visitor.client.post(path, data={"form_token": "x"}).status_code for path in forms} == {401}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_forms_of_other_sites_are_refused(sign_in: Any, headers: dict[str, str]) -> None:
    answer = sign_in("admin").send("/ui/keys", headers=headers, name="mine", scopes="admin")
    assert answer.status_code == 403
    assert "not sent by a page of this server" in answer.text


def test_forms_without_this_sessions_token_do_nothing(sign_in: Any, filled: Workspace, routes: Any) -> None:
    visitor, before = sign_in("admin"), len(filled.keys.list())
    for path, _ in routes("POST"):
        for token in ("", "A" * 43, filled.sessions.form_token(filled.sessions.begin())):
            assert visitor.client.post(path, data={"form_token": token}).status_code == 403, path
        assert visitor.client.post(path, json={"form_token": visitor.token()}).status_code == 422, path
    assert len(filled.keys.list()) == before
    assert filled.jobs.get("00000000-0000-4000-8000-000000000002").job.status == "RUNNING"


def test_a_script_may_send_the_token_as_a_header(sign_in: Any, workspace: Workspace) -> None:
    visitor = sign_in("admin")
    answer = visitor.client.post(
        "/ui/keys", data={"name": "n", "scopes": "infer"}, headers={"x-form-token": visitor.token()}
    )
    assert answer.status_code == 200


def test_strangers_send_small_forms_and_long_ones_hold_nobody_up(
    sign_in: Any, make_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    member, threads = sign_in("admin"), list[str]()
    parse = pages._fields

    def noted(body: bytes) -> dict[str, list[str]]:
        threads.append(threading.current_thread().name)
        return parse(body)

    monkeypatch.setattr(pages, "_fields", noted)
    stranger = make_client()
    for path in ("/ui/login", "/ui/shared/x", "/ui/theme", "/ui/nope"):
        answer = stranger.post(path, data={"key": "x" * pages.MOST_OF_STRANGERS})
        assert answer.status_code == 413, path
        assert "larger than 1,048,576 bytes" in answer.text
    assert not threads
    assert member.send("/ui/keys", name="n", scopes="infer", other="x").status_code == 200
    assert member.send("/ui/keys", name="n", scopes="infer", other="x" * pages.MOST_OF_STRANGERS).status_code == 200
    short, long = threads
    assert short != long
    assert "worker" in long.lower()


def test_errors_are_pages_that_say_what_the_api_says(visitor: Any) -> None:
    missing = visitor.get("/ui/jobs/nope")
    assert missing.status_code == 404
    assert "There is no job nope." in missing.text
    assert "unknown_job" in missing.text
    assert missing.headers["x-request-id"] in missing.text
    assert visitor.get("/ui/nope").status_code == 404
    assert visitor.send("/ui/nope").status_code == 404


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("http://testserver/ui/files?search=a&page=2", "/ui/files?search=a&amp;page=2"),
        ("http://testserver/ui/jobs/none", ""),
        ("http://elsewhere/ui/files", ""),
        ("http://testserver/v1/files", ""),
        ("http://testserver/ui//elsewhere", ""),
        ("http://[", ""),
    ],
)
def test_errors_lead_back_to_where_one_was(visitor: Any, referer: str, back: str) -> None:
    page = visitor.get(
        "/ui/jobs/none", referer=referer.replace("testserver", visitor.client.base_url.netloc.decode())
    ).text
    assert re.findall(r'href="([^"]+)">Back', page) == ([back] if back else [])
    assert 'href="/ui">Home' in page


def test_what_cannot_be_now_is_said(visitor: Any, filled: Workspace) -> None:
    answer = visitor.send("/ui/jobs/00000000-0000-4000-8000-000000000012/cancel")
    assert answer.status_code == 409
    assert "Not now" in answer.text


def test_a_fault_of_ours_says_nothing_of_it(visitor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.Asked, "of", lambda *_: 1 / 0)
    answer = visitor.get("/ui/jobs")
    assert answer.status_code == 500
    assert "division" not in answer.text
    assert "request id" in answer.text


def test_without_a_database_there_is_a_page(
    visitor: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise StorageFailed("The database cannot be used.")

    monkeypatch.setattr(workspace.store.jobs, "list", gone)
    answer = visitor.get("/ui/jobs")
    assert answer.status_code == 503
    assert "The database cannot be used." in answer.text


def test_what_may_work_later_can_be_asked_for_again(visitor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.Asked, "of", lambda *_: 1 / 0)
    assert 'href="/ui/jobs?page=2">Try again' in visitor.get("/ui/jobs?page=2").text
    assert "Try again" not in visitor.get("/ui/jobs/none").text


def test_a_cookie_opens_no_route_of_the_api(sign_in: Any) -> None:
    visitor = sign_in("admin")
    cookie = visitor.client.cookies.get("tamis_session", path="/ui")
    answer = visitor.get("/v1/models", cookie=f"tamis_session={cookie}")
    assert answer.status_code == 401


def test_without_keys_only_this_machine_by_its_own_name(make_client: Any, visitor: Any) -> None:
    assert visitor.get("/ui", host="evil.example").status_code == 403
    assert make_client(host="10.0.0.7").get("/ui").status_code == 401


def test_browsers_are_led_from_the_root(visitor: Any) -> None:
    assert visitor.get("/", accept="text/html,*/*").headers["location"] == "/ui"
    assert visitor.get("/", accept="*/*").json()["name"] == "tamis"
