"""API keys: shown once, known by their hash, useless once revoked or over."""

from __future__ import annotations

import time

import pytest

from tamis.errors import InvalidSetting, Unauthorized, UnknownKey
from tamis.workspace import keys as module
from tamis.workspace.workspace import Workspace


def test_a_key_is_good_until_it_is_revoked(workspace: Workspace):
    assert not workspace.keys.any()
    record, secret = workspace.keys.create("ci", ["infer", "train"])
    assert workspace.keys.any()
    assert secret.startswith(record.prefix)
    assert workspace.keys.check(secret).scopes == ("infer", "train")
    assert workspace.keys.list()[0].last_used_at is not None
    assert workspace.keys.revoke("ci").id == record.id
    with pytest.raises(Unauthorized, match="revoked"):
        workspace.keys.check(secret)
    with pytest.raises(UnknownKey, match="There is no key ci"):
        workspace.keys.revoke("ci")


def test_the_database_does_not_hold_the_key(workspace: Workspace, settings):
    _, secret = workspace.keys.create("ci")
    workspace.store.close()
    content = b"".join(path.read_bytes() for path in settings.home.iterdir() if path.is_file())
    assert secret.encode() not in content
    assert secret[20:].encode() not in content


def test_a_key_is_over_after_its_days(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    _, secret = workspace.keys.create("ci", days=1)
    workspace.keys.check(secret)
    later = time.time() + 86_401
    monkeypatch.setattr(module, "time", lambda: later)
    with pytest.raises(Unauthorized, match="time is over"):
        workspace.keys.check(secret)


@pytest.mark.parametrize("secret", ["", "tamis_", "x" * 100_000, "\ud800", "ü"])
def test_what_is_no_key_is_refused(workspace: Workspace, secret: str):
    workspace.keys.create("ci")
    with pytest.raises(Unauthorized, match="not known"):
        workspace.keys.check(secret)


def test_what_cannot_be_meant_is_refused(workspace: Workspace):
    for said in ({"scopes": ["root"]}, {"scopes": []}, {"days": 0}, {"name": ""}, {"name": "a\nb"}):
        with pytest.raises(InvalidSetting):
            workspace.keys.create(**{"name": "ci", **said})


def test_a_name_that_two_keys_have_does_not_say_which(workspace: Workspace):
    first, _ = workspace.keys.create("ci")
    workspace.keys.create("ci")
    with pytest.raises(UnknownKey, match="2 keys are called ci"):
        workspace.keys.revoke("ci")
    assert workspace.keys.revoke(first.id).id == first.id
