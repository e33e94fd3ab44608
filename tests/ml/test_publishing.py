"""Models go to the hub whole, and come back from there; what could lose or show something of others is refused."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tamis.errors import DamagedArtifact, HubFailed, InvalidSetting, OutputExists
from tamis.ml.artifact import MANIFEST, open_artifact
from tamis.ml.hub import hub_errors
from tamis.ml.manifest import FORMAT
from tamis.ml.model import Model, load
from tamis.ml.publishing import publish, require_repository
from tamis.ml.tiers import tier
from writable_hub import READER, WRITER, Repository, WritableHub, use

MODEL = Path(__file__).parent / "fixtures" / f"format-{FORMAT}"
TEXTS = ["where is my parcel", "refund please"]

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # of the client's own upload


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = WritableHub()
    use(hub, tmp_path, monkeypatch)
    yield hub
    hub.close()


def files_of(hub, name="me/shop"):
    return hub.repositories[name].files


def test_there_and_back(hub):
    model = load(MODEL)
    done = model.push("me/shop")
    assert (done.url, done.private) == (f"{hub.url}/me/shop", False)
    assert done.commit == hub.repositories["me/shop"].sha
    assert hub.large.keys() == {model.manifest.files["model.safetensors"].sha256}, "weights go by LFS"
    back = load("me/shop")
    assert back.manifest == model.manifest
    assert [each.to_json() for each in back.classify(TEXTS)] == [each.to_json() for each in model.classify(TEXTS)]
    assert load(f"me/shop@{done.commit}").manifest == model.manifest


def test_the_card_is_for_those_who_find_it_there(hub):
    load(MODEL).push("me/shop", licence="cc-by-4.0")
    card = files_of(hub)["README.md"].decode()
    assert yaml.safe_load(card[4:].split("\n---\n")[0])["license"] == "cc-by-4.0"
    assert 'tamis.load("me/shop")' in card
    assert "pip install 'tamis[hub]'" in card
    assert "PATH/TO" not in card


def test_a_model_that_is_in_no_folder(hub):
    artifact = open_artifact(MODEL)
    model = Model(tier("static").restore(artifact), artifact.manifest)
    model.push("me/shop")
    assert load("me/shop").manifest.targets == model.manifest.targets


def test_private_means_private(hub, monkeypatch):
    assert publish(MODEL, "me/shop", private=True).private
    assert hub.repositories["me/shop"].private
    hub.repositories["me/open"] = Repository()
    with pytest.raises(OutputExists, match=r"public: make it private in its settings.*Nothing was pushed"):
        publish(MODEL, "me/open", private=True)
    assert files_of(hub, "me/open").keys() == {".gitattributes"}


def test_a_new_version_takes_the_place_of_the_old_one(hub):
    publish(MODEL, "me/shop")
    old = json.loads(files_of(hub)[MANIFEST])
    old["files"] |= {"model.onnx": {"sha256": "0" * 64, "bytes": 1}}
    more = {MANIFEST: json.dumps(old).encode(), "model.onnx": b"x", "notes.txt": b"mine"}
    hub.repositories["me/shop"].commits.append({**files_of(hub), **more})
    publish(MODEL, "me/shop")
    assert files_of(hub).keys() == {
        ".gitattributes",
        "README.md",
        "notes.txt",
        *(path.name for path in MODEL.iterdir()),
    }
    assert files_of(hub)[MANIFEST] == (MODEL / MANIFEST).read_bytes()
    assert load("me/shop").name == "support", "what else the repository holds does not matter"


def test_something_else_is_not_overwritten(hub):
    hub.repositories["me/bert"] = Repository(commits=[{"config.json": b"{}", "model.safetensors": b""}])
    with pytest.raises(OutputExists, match=r"me/bert holds something else.*config\.json"):
        publish(MODEL, "me/bert")
    assert len(hub.repositories["me/bert"].commits) == 1


def test_a_damaged_model_is_not_pushed(hub, tmp_path):
    shutil.copytree(MODEL, tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    with pytest.raises(DamagedArtifact):
        publish(tmp_path / "model", "me/shop")
    assert not hub.asked


@pytest.mark.parametrize(
    ("token", "failing", "said"),
    [
        ("", 0, r"wants a token, and there is none here\. Log in \(hf auth login\), or set HF_TOKEN"),
        ("hf_unknown999", 0, "does not know the token that is here"),
        (READER, 0, "permission to write.*You don't have the rights"),
        (WRITER, 413, "larger than it takes"),
        (WRITER, 507, "answered 507.*the disk is full"),
    ],
)
def test_what_the_hub_refuses_is_said_in_plain_words(hub, monkeypatch, tmp_path, token, failing, said):
    use(hub, tmp_path, monkeypatch, token)
    hub.failing = failing
    with pytest.raises(HubFailed, match=said) as failed:
        publish(MODEL, "me/shop")
    assert hub.url in str(failed.value)
    assert not re.search(r"hf_\w{5}", str(failed.value)), "a token is never repeated"


def test_no_network(hub, monkeypatch, tmp_path):
    hub.close()
    with pytest.raises(HubFailed, match="Check the network, and HF_ENDPOINT"):
        publish(MODEL, "me/shop")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubFailed, match="HF_HUB_OFFLINE"):
        publish(MODEL, "me/shop")


@pytest.mark.parametrize("name", ["shop", "me/shop@main", "", "https://hub/me/shop", "a/b/c", "../x"])
def test_names_that_no_repository_has(name):
    with pytest.raises(InvalidSetting, match="owner/name"):
        require_repository(name)


@pytest.mark.parametrize("name", ["me/b--c", "me/b..c", "me/b.git", "me/b-", "me/b.", "me/" + "b" * 94])
def test_names_that_the_hub_does_not_take(name):
    with pytest.raises(InvalidSetting, match=r"has no -- and no \.\., ends with neither \.git.*at most 96 characters"):
        require_repository(name)


def test_secrets_are_not_repeated(monkeypatch):
    import huggingface_hub

    monkeypatch.setenv("HF_TOKEN", "a-token-of-a-company")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://me:secret@hub.example")
    said = "tried https://me:secret@hub.example/api with a-token-of-a-company, authorization: Bearer abc.def, hf_wxyz"
    with pytest.raises(HubFailed) as failed, hub_errors(huggingface_hub, "me/shop", "pushed to"):
        raise OSError(said)
    assert "https://...@hub.example" in str(failed.value)
    assert not re.search(r"secret|company|abc\.def|wxyz", str(failed.value))


def test_a_licence_is_a_name(hub):
    with pytest.raises(InvalidSetting, match=r"apache-2\.0"):
        publish(MODEL, "me/shop", licence="MIT License\nx: y")
