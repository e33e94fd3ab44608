"""A Space on the hub: the stand-in for it has the folder's files, and nothing of others is lost."""

from __future__ import annotations

import pytest

from tamis.demo.publishing import publish_space, refuse_repository
from tamis.errors import HubFailed, InvalidSetting, OutputExists
from writable_hub import READER, Repository, WritableHub, use

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # of the client's own upload


@pytest.fixture
def hub():
    hub = WritableHub()
    yield hub
    hub.close()


def test_it_is_made_and_renewed(hub, model, chat_model, tmp_path, monkeypatch):
    use(hub, tmp_path, monkeypatch)
    done = publish_space(model, "me/try", private=True, examples=("where is my parcel",))
    repository = hub.repositories["spaces/me/try"]
    assert (done.url, done.private, done.commit) == (f"{hub.url}/spaces/me/try", True, repository.sha)
    assert {
        "app.py",
        "README.md",
        "requirements.txt",
        "examples.jsonl",
        "model/manifest.json",
    } <= repository.files.keys()
    assert b'sdk: "gradio"' in repository.files["README.md"]
    wheels = [name for name in repository.files if name.endswith(".whl")]
    assert wheels[0].encode() in repository.files["app.py"]
    repository.files["tamis-0.0.1-py3-none-any.whl"] = b"old"
    publish_space(chat_model, "me/try", private=True)
    assert "examples.jsonl" not in repository.files
    assert [name for name in repository.files if name.endswith(".whl")] == wheels
    assert b'"chats"' in repository.files["model/manifest.json"]
    assert ".gitattributes" in repository.files


def test_what_is_of_others_stays(hub, model, tmp_path, monkeypatch):
    use(hub, tmp_path, monkeypatch)
    theirs = Repository(commits=[{"app.py": b"print()", "README.md": b""}])
    hub.repositories["spaces/me/game"] = theirs
    with pytest.raises(OutputExists, match=r"something else .*app\.py"):
        publish_space(model, "me/game")
    assert len(theirs.commits) == 1
    hub.repositories["spaces/me/new"] = Repository()
    with pytest.raises(OutputExists, match="public"):
        publish_space(model, "me/new", private=True)
    for there in ({"app.py", "model/manifest.json", "data.csv"}, {"index.html"}):
        with pytest.raises(OutputExists):
            refuse_repository("a/b", there, private=False)
    refuse_repository("a/b", {".gitattributes", "README.md"}, private=False)


def test_who_may_not(hub, model, tmp_path, monkeypatch):
    use(hub, tmp_path, monkeypatch, token=READER)
    with pytest.raises(HubFailed, match="permission to write"):
        publish_space(model, "me/try")
    with pytest.raises(InvalidSetting, match="owner/name"):
        publish_space(model, "try")
