"""Share links: shown once, good for one model, until they expire or are revoked, so often a minute."""

from time import time

import pytest

from tamis.errors import InvalidSetting, Overloaded, UnknownModel, UnknownShare
from tamis.settings import Settings
from tamis.store.records import ModelRecord
from tamis.workspace import keys
from tamis.workspace import shares as module
from tamis.workspace.shares import ACTIVE, EXPIRED, KEYLESS, REVOKED, NewShare
from tamis.workspace.workspace import Workspace, open_workspace


@pytest.fixture
def model(workspace: Workspace) -> ModelRecord:
    record = ModelRecord(
        id="b2c94ac3-7a74-4de7-a11a-9808a3b8ef59",
        name="shop",
        root="r",
        base="b",
        place="folder:/nowhere",
        created_at=1,
    )
    return workspace.store.models.add(record)


def test_a_link_is_good_until_it_is_revoked(workspace: Workspace, model: ModelRecord) -> None:
    record, token = workspace.shares.create(NewShare(model_id=model.id, title=" For Ada "))
    assert record.title == "For Ada"
    assert len(token) >= 43
    found, of = workspace.shares.open(token)
    assert (found.id, of.id) == (record.id, model.id)
    assert workspace.shares.list(model.id) == [(record, ACTIVE)]
    revoked = workspace.shares.revoke(record.id)
    assert workspace.shares.list(model.id) == [(revoked, REVOKED)]
    with pytest.raises(UnknownShare, match="revoked"):
        workspace.shares.open(token)


def test_the_database_does_not_hold_the_token(workspace: Workspace, model: ModelRecord, settings: Settings) -> None:
    record, token = workspace.shares.create(NewShare(model_id=model.id))
    assert record.title == "shop"
    assert token not in repr(workspace.shares.get(record.id))
    assert token.encode() not in b"".join(path.read_bytes() for path in settings.home.glob("tamis.db*"))


def test_what_is_no_link_opens_nothing(workspace: Workspace, model: ModelRecord) -> None:
    record, token = workspace.shares.create(NewShare(model_id=model.id))
    for wrong in ("", token[:-1], token + "x", record.id, record.token_hash, "\ud800", "../" * 50):
        with pytest.raises(UnknownShare, match="not complete"):
            workspace.shares.open(wrong)


def test_links_are_looked_for_by_title_and_state(workspace: Workspace, model: ModelRecord) -> None:
    ada, bob = (workspace.shares.create(NewShare(model_id=model.id, title=f"For {who}"))[0] for who in ("Ada", "Bob"))
    workspace.shares.revoke(ada.id)
    found = {
        (search, state): [share.id for share, _ in workspace.shares.list(model.id, search, state)]
        for search in ("", "aDA")
        for state in ("", ACTIVE, REVOKED)
    }
    assert found == {
        ("", ""): [bob.id, ada.id],
        ("", ACTIVE): [bob.id],
        ("", REVOKED): [ada.id],
        ("aDA", ""): [ada.id],
        ("aDA", ACTIVE): [],
        ("aDA", REVOKED): [ada.id],
    }


def test_a_link_expires(workspace: Workspace, model: ModelRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    record, token = workspace.shares.create(NewShare(model_id=model.id, days=2))
    assert record.expires_at == record.created_at + 2 * 86_400
    monkeypatch.setattr(module, "time", lambda: time() + 2 * 86_400 + 1)
    assert workspace.shares.list() == [(record, EXPIRED)]
    with pytest.raises(UnknownShare, match="expired"):
        workspace.shares.open(token)


@pytest.mark.parametrize(
    "wrong",
    [{"days": 0}, {"days": 366}, {"per_minute": 0}, {"per_minute": 601}, {"title": "x" * 101}, {"title": "a\nb"}],
)
def test_links_have_bounds(workspace: Workspace, model: ModelRecord, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidSetting) as caught:
        workspace.shares.create(NewShare(model_id=model.id, **wrong))  # type: ignore[arg-type]
    assert caught.value.context["setting"] == next(iter(wrong))


def test_there_are_not_more_than_so_many_links(
    workspace: Workspace, model: ModelRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_LINKS", 1)
    record, _ = workspace.shares.create(NewShare(model_id=model.id))
    with pytest.raises(InvalidSetting, match="revoke some"):
        workspace.shares.create(NewShare(model_id=model.id))
    workspace.shares.revoke(record.id)
    workspace.shares.create(NewShare(model_id=model.id))


def test_all_who_have_a_link_share_its_texts_a_minute(
    workspace: Workspace, model: ModelRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1205.0]
    monkeypatch.setattr(module, "time", lambda: now[0])
    record, _ = workspace.shares.create(NewShare(model_id=model.id, per_minute=3))
    other, _ = workspace.shares.create(NewShare(model_id=model.id, per_minute=3))
    workspace.shares.take(record, 2)
    now[0] += 14
    with open_workspace(workspace.settings) as second:  # another process of the server
        with pytest.raises(Overloaded, match="wait 41 seconds") as caught:
            second.shares.take(record, 2)
        assert caught.value.context["retry_after"] == 41
        with pytest.raises(Overloaded, match="give fewer"):
            workspace.shares.take(record, 4)
        workspace.shares.take(other, 3)
        second.shares.take(record, 1)
    now[0] += 41
    workspace.shares.take(record, 2)
    used = workspace.shares.get(record.id)
    assert (used.uses, used.last_used_at) == (5, 1260)


def test_a_link_ends_with_the_key_that_it_was_made_with(
    workspace: Workspace, model: ModelRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = {}
    for name, days in (("revoked", None), ("expired", 3), ("good", None)):
        key, _ = workspace.keys.create(name, days=days)
        _, tokens[name] = workspace.shares.create(NewShare(model_id=model.id, created_by=key.id, title=name))
        workspace.shares.open(tokens[name])
    workspace.keys.revoke("revoked")
    later = time() + 4 * 86_400
    for place in (module, keys):
        monkeypatch.setattr(place, "time", lambda: later)
    for name in ("revoked", "expired"):
        with pytest.raises(UnknownShare, match="the key that it was made with was revoked, or its time is over"):
            workspace.shares.open(tokens[name])
    assert workspace.shares.open(tokens["good"])
    assert {share.title: state for share, state in workspace.shares.list()} == {
        "revoked": KEYLESS,
        "expired": KEYLESS,
        "good": ACTIVE,
    }


def test_links_go_with_their_model(workspace: Workspace, model: ModelRecord) -> None:
    _, token = workspace.shares.create(NewShare(model_id=model.id))
    workspace.models.archive(model.id)
    with pytest.raises(UnknownShare, match="put away"):
        workspace.shares.open(token)
    with pytest.raises(UnknownModel):
        workspace.shares.create(NewShare(model_id=model.id))
    workspace.models.unarchive(model.id)
    assert workspace.shares.open(token)[1].id == model.id
    workspace.models.delete(model.id)
    assert workspace.shares.list() == []
    with pytest.raises(UnknownShare):
        workspace.shares.open(token)
    with pytest.raises(UnknownShare):
        workspace.shares.revoke("nope")
