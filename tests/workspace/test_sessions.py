"""Sessions are known again by their signature, and end with their time or their key."""

from time import time

import pytest

from tamis.errors import Unauthorized
from tamis.workspace import sessions as module
from tamis.workspace.workspace import Workspace


def test_a_session_is_known_again_and_ends_with_its_key(workspace: Workspace) -> None:
    key, secret = workspace.keys.create("me", ["infer"])
    session = workspace.sessions.sign_in(secret)
    token = workspace.sessions.token_of(session)
    found = workspace.sessions.find(token)
    assert found is not None
    assert found.key is not None
    assert (found.nonce, found.key.id) == (session.nonce, key.id)
    assert secret not in token
    workspace.keys.revoke(key.id)
    assert workspace.sessions.find(token) is None


def test_a_session_ends_with_its_time(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    token = workspace.sessions.token_of(workspace.sessions.begin())
    assert workspace.sessions.find(token) is not None
    monkeypatch.setattr(module, "time", lambda: time() + module.LASTS_S + 1)
    assert workspace.sessions.find(token) is None


@pytest.mark.parametrize("token", ["", ".", "a.b", "é.é", "\ud800.x", "x" * 10_000])
def test_what_was_not_signed_here_is_nothing(workspace: Workspace, token: str) -> None:
    assert workspace.sessions.find(token) is None


def test_what_is_signed_for_one_purpose_is_nothing_for_another(workspace: Workspace) -> None:
    signed = workspace.sessions.signed("héllo \u202e", "note")
    assert workspace.sessions.unsigned(signed, "note") == "héllo \u202e"
    assert workspace.sessions.unsigned(signed, "session") is None
    assert workspace.sessions.unsigned("A" + signed, "note") is None


def test_forms_belong_to_one_session(workspace: Workspace) -> None:
    mine, other = workspace.sessions.begin(), workspace.sessions.begin()
    token = workspace.sessions.form_token(mine)
    assert workspace.sessions.made_form(mine, token)
    assert not workspace.sessions.made_form(other, token)
    assert not workspace.sessions.made_form(mine, "")


def test_a_wrong_key_begins_no_session(workspace: Workspace) -> None:
    with pytest.raises(Unauthorized):
        workspace.sessions.sign_in("tamis_nope")
