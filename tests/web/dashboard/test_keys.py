"""Keys are made, shown once, and revoked; the first one closes the server without shutting its maker out."""

import re
from typing import Any

from tamis.workspace.workspace import Workspace


def secret_in(html: str) -> str:
    found = re.search(r"tamis_[\w-]{40,}", html)
    assert found
    return found[0]


def test_the_first_key_signs_its_maker_in(visitor: Any, workspace: Workspace) -> None:
    answer = visitor.send("/ui/keys", name="me", scopes=["admin", "train"])
    assert answer.status_code == 200
    secret = secret_in(answer.text)
    assert set(workspace.keys.check(secret).scopes) == {"train", "admin"}
    page = visitor.get("/ui/keys")
    assert page.status_code == 200
    assert "has no keys" not in page.text
    assert secret not in page.text
    assert secret[:12] in page.text


def test_the_first_key_must_be_able_to_make_others(visitor: Any, workspace: Workspace) -> None:
    answer = visitor.send("/ui/keys", name="me", scopes="infer")
    assert answer.status_code == 422
    assert "first key needs" in answer.text
    assert 'value="me"' in answer.text
    assert not workspace.keys.list()


def test_what_is_wrong_is_said_at_its_field(sign_in: Any, workspace: Workspace) -> None:
    visitor = sign_in("admin")
    for fields, at in (({"name": "", "scopes": "infer"}, "wrong-name"), ({"name": "n"}, "wrong-scopes")):
        answer = visitor.send("/ui/keys", **fields)
        assert answer.status_code == 422
        assert f'id="{at}"' in answer.text
    for days in ("0", "x", "-1", "99999999"):
        assert 'id="wrong-days"' in visitor.send("/ui/keys", name="n", scopes="infer", days=days).text
    assert len(workspace.keys.list()) == 1


def test_a_key_is_revoked(sign_in: Any, workspace: Workspace) -> None:
    visitor = sign_in("admin")
    made, _ = workspace.keys.create("other", ["infer"])
    assert visitor.send(f"/ui/keys/{made.id}/revoke").headers["location"] == "/ui/keys"
    assert workspace.keys.live(made.id) is None
    assert "The key other is revoked." in visitor.get("/ui/keys").text
