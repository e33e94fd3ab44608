"""A link lets a stranger try one model, so often a minute, and nothing else; it is shown once and revoked for good."""

import re
from dataclasses import replace
from html import unescape
from time import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tamis.workspace import shares
from tamis.workspace.workspace import Workspace


@pytest.fixture(autouse=True)
def _in_one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time()
    monkeypatch.setattr(shares, "time", lambda: moment)


@pytest.fixture
def model_id(models: Workspace) -> str:
    models.models.take_in()
    return models.models.find("both").id


def made(visitor: Any, model_id: str, **fields: str) -> str:
    """Make a link and return its path."""
    answer = visitor.send(f"/ui/models/{model_id}/share", **fields)
    assert answer.status_code == 200, answer.text
    found = re.search(r"<code>(http[^<]*/ui/shared/[\w-]+)</code>", answer.text)
    assert found
    return urlsplit(unescape(found[1])).path


@pytest.fixture
def stranger(models: Workspace, make_client: Any) -> Any:
    """Somebody without a key, on a server that has some."""
    models.keys.create("somebody's")
    client = make_client(host="10.0.0.7")
    client.follow_redirects = False
    return client


def ask(stranger: Any, path: str, **fields: Any) -> Any:
    page = stranger.get(path)
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert token, page.text
    return stranger.post(path, data={"form_token": unescape(token[1]), **fields})


def test_a_stranger_tries_the_model_and_nothing_else(sign_in: Any, stranger: Any, model_id: str) -> None:
    path = made(sign_in("train"), model_id, title="Try our <b>classifier")
    page = stranger.get(path)
    assert page.status_code == 200
    assert "Try our &lt;b&gt;classifier" in page.text
    assert page.headers["x-robots-tag"].startswith("noindex")
    assert page.headers["referrer-policy"] == "same-origin"  # no other site; but forms without scripts say whence
    links = {link for link in re.findall(r'(?:href|action)="([^"]+)"', page.text) if not link.startswith("/ui/assets")}
    assert {link.partition("?")[0] for link in links if not link.startswith("#")} <= {path, *_files(page.text)}
    answer = ask(stranger, path, text="where is my parcel", explain="yes")
    assert answer.status_code == 200
    assert 'class="score' in answer.text
    assert "<mark" in answer.text
    assert "This is wrong" in answer.text
    chat = ask(stranger, path, **{"as": "chat", "role": "user", "content": "where is my parcel"})
    assert 'class="score' in chat.text
    for other in ("/ui", "/ui/models", f"/ui/models/{model_id}/try"):
        assert stranger.get(other).status_code == 303
    assert stranger.get("/v1/models").status_code == 401


def test_a_stranger_says_what_is_wrong(sign_in: Any, stranger: Any, model_id: str, models: Workspace) -> None:
    path = made(sign_in("train"), model_id, per_minute="2")
    nothing = ask(stranger, path, act="correct", text="where is my parcel")
    assert nothing.status_code == 422
    assert "Choose what is right" in nothing.text
    right = str(list(models.models.find("both").targets[0]["labels"]).index("payment"))
    answer = ask(stranger, path, act="correct", text="where is my parcel", **{"right-0": right})
    assert answer.status_code == 200
    assert "Thank you" in answer.text
    (look,), _ = models.store.looks.list()
    assert look.proposed == {"topic": ["payment"]}
    assert look.source["shared"] is True
    assert ask(stranger, path, act="correct", text="another", **{"right-0": right}).status_code == 429
    assert models.store.looks.list()[1] == 1


def _files(html: str) -> set[str]:
    return set(re.findall(r'<link rel="[^"]+" href="([^"?]+)', html))


def test_a_link_takes_so_many_texts_a_minute(sign_in: Any, stranger: Any, model_id: str, models: Workspace) -> None:
    path = made(sign_in("admin"), model_id, per_minute="2")
    assert ask(stranger, path, text="one").status_code == 200
    assert ask(stranger, path, text=" ").status_code == 422
    refused = ask(stranger, path, text="two\nthree", lines="yes")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "2 texts a minute" in refused.text
    assert "two\nthree</textarea>" in refused.text
    assert 'class="score' not in refused.text
    assert models.shares.list(model_id)[0][0].uses == 1


def test_links_are_looked_for_and_paged(visitor: Any, model_id: str, models: Workspace) -> None:
    for n in range(30):
        models.shares.create(shares.NewShare(model_id=model_id, title=f"Team {n}"))
    page = visitor.get(f"/ui/models/{model_id}/share").text
    assert (page.count('data-label="Title"'), "Team 29" in page) == (25, True)
    assert f'href="/ui/models/{model_id}/share?page=2"' in page
    assert visitor.get(f"/ui/models/{model_id}/share?page=2").text.count('data-label="Title"') == 5
    assert visitor.get(f"/ui/models/{model_id}/share?search=team+7&state=active").text.count('data-label="Title"') == 1
    assert "Nothing found" in visitor.get(f"/ui/models/{model_id}/share?state=revoked").text


def test_a_revoked_link_says_so(sign_in: Any, stranger: Any, model_id: str, models: Workspace) -> None:
    visitor = sign_in("train")
    path = made(visitor, model_id)
    ((link, _),) = models.shares.list(model_id)
    assert visitor.send(f"/ui/models/{model_id}/share/{link.id}/revoke").status_code == 303
    page = stranger.get(path)
    assert page.status_code == 404
    assert "was revoked" in page.text
    assert stranger.post(path, data={"text": "x"}).status_code in (403, 404)
    assert "Revoked" in visitor.get(f"/ui/models/{model_id}/share").text


def test_a_link_whose_time_is_over_says_so(sign_in: Any, stranger: Any, model_id: str, models: Workspace) -> None:
    visitor = sign_in("train")
    path = made(visitor, model_id)
    (record,) = models.store.shares.list(model_id)
    models.store.shares.drop_of(model_id)
    models.store.shares.add(replace(record, expires_at=1))
    page = stranger.get(path)
    assert page.status_code == 404
    assert "has expired" in page.text
    assert "<textarea" not in page.text
    listed = visitor.get(f"/ui/models/{model_id}/share").text
    assert "Expired" in listed
    assert "/revoke" not in listed


def test_a_link_whose_key_was_revoked_says_so(sign_in: Any, stranger: Any, model_id: str, models: Workspace) -> None:
    path, other = made(sign_in("train"), model_id), sign_in("train", "infer")
    models.keys.revoke("for train")
    page = stranger.get(path)
    assert page.status_code == 404
    assert "the key that it was made with was revoked" in page.text
    assert "Its key has ended" in other.get(f"/ui/models/{model_id}/share").text


def test_who_may_makes_a_new_link_in_place_of_one_that_ended(
    sign_in: Any, stranger: Any, model_id: str, models: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = sign_in("train")
    path = made(visitor, model_id)
    later = shares.time() + 8 * 86_400
    monkeypatch.setattr(shares, "time", lambda: later)
    assert f'href="/ui/models/{model_id}/share"' in visitor.get(path).text
    page = stranger.get(path).text
    assert "has expired. Ask whoever sent it for a new one." in page
    assert "/ui/models" not in page


def test_what_is_no_link_is_told_apart_from_nothing(stranger: Any, models: Workspace) -> None:
    for token in ("x", "a" * 300, "%2e%2e"):
        answer = stranger.get(f"/ui/shared/{token}")
        assert answer.status_code == 404
        assert "This link does not work" in answer.text


def test_another_models_link_is_not_revoked(sign_in: Any, models: Workspace, model_id: str) -> None:
    visitor = sign_in("train")
    made(visitor, model_id)
    ((link, _),) = models.shares.list(model_id)
    other = models.models.find("intents").id
    assert visitor.send(f"/ui/models/{other}/share/{link.id}/revoke").status_code == 404
    assert models.shares.list(model_id)[0][0].revoked_at is None


@pytest.mark.parametrize("fields", [{"days": "0"}, {"days": "x"}, {"per_minute": "1000"}, {"title": "x" * 101}])
def test_what_is_wrong_is_said_at_its_field(sign_in: Any, model_id: str, models: Workspace, fields: Any) -> None:
    answer = sign_in("train").send(f"/ui/models/{model_id}/share", **fields)
    assert answer.status_code == 422
    assert 'class="why"' in answer.text
    assert models.shares.list() == []


def test_who_may_only_classify_makes_no_links(sign_in: Any, model_id: str, models: Workspace) -> None:
    visitor = sign_in("infer")
    assert visitor.get(f"/ui/models/{model_id}/share").status_code == 403
    assert visitor.send(f"/ui/models/{model_id}/share").status_code == 403
    assert f"/ui/models/{model_id}/share" not in visitor.get(f"/ui/models/{model_id}/try").text
    assert models.shares.list() == []


def test_the_log_does_not_have_the_token(visitor: Any, lines: Any, model_id: str) -> None:
    path = made(visitor, model_id)
    assert visitor.get(path).status_code == 200
    assert path.rpartition("/")[2] not in "".join(str(record.__dict__) for record in lines.records)


def test_an_address_that_others_cannot_reach_is_told(visitor: Any, model_id: str, make_client: Any) -> None:
    assert "has no keys yet" in visitor.get(f"/ui/models/{model_id}/share").text
    page = type(visitor)(make_client(public_url="http://tamis.example.org/")).send(f"/ui/models/{model_id}/share")
    assert "http://tamis.example.org/ui/shared/" in page.text
