"""tamis keys: made, shown once, listed, revoked."""

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from tamis.errors import InvalidSetting, UnknownKey
from tamis.settings import load_settings
from tamis.workspace.workspace import open_workspace

Run = Callable[..., Result]


def test_a_key_is_shown_once(run: Run) -> None:
    done = run("keys", "create", "laptop")
    assert done.exit_code == 0
    secret = done.stdout.splitlines()[0]
    assert "infer, train" in done.stdout
    with open_workspace(load_settings()) as workspace:
        assert workspace.keys.check(secret).name == "laptop"
    listed = run("keys", "list")
    assert "laptop" in listed.stdout
    assert secret not in listed.stdout
    assert secret[:12] in listed.stdout


def test_scopes_and_days(run: Run) -> None:
    made = json.loads(run("keys", "create", "ci", "--scope", "infer", "--days", "30", "--json").stdout)
    assert made["scopes"] == ["infer"]
    assert made["expires_at"] - made["created_at"] == 30 * 86_400
    (listed,) = json.loads(run("keys", "list", "--json").stdout)["keys"]
    assert "key" not in listed
    assert listed["id"] == made["id"]


def test_revoking(run: Run) -> None:
    made = json.loads(run("keys", "create", "ci", "--json").stdout)
    assert json.loads(run("keys", "revoke", "ci", "--json").stdout) == {"revoked": made["id"]}
    assert "revoked" in run("keys", "list").stdout
    with pytest.raises(UnknownKey, match="tamis keys list"):
        run("keys", "revoke", "ci")


def test_wrong_scopes_are_told(run: Run) -> None:
    with pytest.raises(InvalidSetting, match="infer, train, admin"):
        run("keys", "create", "x", "--scope", "everything")


def test_without_any(run: Run) -> None:
    assert "There are no keys" in run("keys", "list").stdout
