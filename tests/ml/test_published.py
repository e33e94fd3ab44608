"""Models of the hub: found, fetched no more than needed, used from the cache, refused where they are none."""

from pathlib import Path

import pytest

from tamis.errors import DamagedArtifact, HubFailed, MissingExtra, UnknownModel
from tamis.ml.manifest import FORMAT
from tamis.ml.model import load
from tamis.ml.published import fetch_model, is_repository
from tamis.ml.registry import register
from writable_hub import Repository, WritableHub, use

MODEL = Path(__file__).parent / "fixtures" / f"format-{FORMAT}"
FILES = {path.name: path.read_bytes() for path in MODEL.iterdir()}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = WritableHub()
    use(hub, tmp_path, monkeypatch, token="")
    hub.repositories["me/shop"] = Repository(commits=[dict(FILES)])
    yield hub
    hub.close()


def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def fetched(hub) -> set[str]:
    return {path.split("/", 4)[4] for method, path in hub.asked if method == "GET" and "/resolve/" in path}


def test_only_what_the_manifest_lists_is_fetched_and_once(hub):
    hub.repositories["me/shop"].files.update({"picture.png": b"x" * 1000, "onnx/model.onnx": b"y"})
    assert load("me/shop").name == "support"
    assert fetched(hub) == set(FILES)
    hub.asked.clear()
    assert load("me/shop").name == "support"
    assert not fetched(hub)


def test_a_new_commit_is_noticed_and_an_old_one_can_be_pinned(hub):
    repository = hub.repositories["me/shop"]
    pinned = f"me/shop@{repository.sha}"
    load("me/shop")
    repository.commits.append({**FILES, "README.md": b"another card"})
    assert (fetch_model("me/shop") / "README.md").read_bytes() == b"another card"
    hub.asked.clear()
    assert (fetch_model(pinned) / "README.md").read_bytes() == FILES["README.md"]
    assert not hub.asked, "a commit that is in the cache is not asked for"


def test_without_the_hub_the_cache_is_used(hub, monkeypatch):
    load("me/shop")
    offline(monkeypatch)
    assert load("me/shop").name == "support"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    hub.close()
    assert load("me/shop").name == "support"


def test_nothing_in_the_cache_and_no_hub(hub, monkeypatch):
    offline(monkeypatch)
    with pytest.raises(HubFailed, match=r"me/shop cannot be fetched.*HF_HUB_OFFLINE"):
        load("me/shop")


def test_a_download_that_was_broken_off_is_not_taken_for_whole(hub, monkeypatch):
    (fetch_model("me/shop") / "tokenizer.json").unlink()
    offline(monkeypatch)
    with pytest.raises(HubFailed):
        load("me/shop")


def test_unknown_and_private_repositories(hub):
    hub.repositories["me/secret"] = Repository(private=True, commits=[FILES])
    for name in ("me/nothing", "me/secret"):
        with pytest.raises(UnknownModel, match=rf"There is no model {name}: no such folder is here.*or it is private"):
            load(name)
    with pytest.raises(HubFailed, match="no such revision"):
        load("me/shop@v9")


def test_what_is_no_model_of_tamis_is_refused_with_the_cure(hub):
    hub.repositories["me/bert"] = Repository(commits=[{"config.json": b"{}", "model.safetensors": b"x" * 10_000}])
    with pytest.raises(UnknownModel, match=r"no manifest\.json.*tamis train FILE --base me/bert"):
        load("me/bert")
    assert not fetched(hub)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model.safetensors": b"x"}, r"it has 1 bytes, and manifest\.json says"),
        ({"tokenizer.json": None}, "it is not in the repository"),
        ({"tokenizer.json": b" " * len(FILES["tokenizer.json"])}, "does not match the hash"),
        ({"manifest.json": b"{}"}, "format number"),
        ({"manifest.json": FILES["manifest.json"].replace(b"support", b"sapport")}, "hash at its end"),
    ],
)
def test_hostile_repositories(hub, change, said):
    files = {**FILES, **change}
    hub.repositories["me/shop"].commits.append(
        {name: content for name, content in files.items() if content is not None}
    )
    with pytest.raises(DamagedArtifact, match=said):
        load("me/shop")


def test_a_manifest_that_is_too_large_is_not_fetched(hub, monkeypatch):
    monkeypatch.setattr("tamis.ml.published.MAX_MANIFEST", 1000)
    with pytest.raises(DamagedArtifact, match=r"manifest\.json is damaged: it has 17,"):
        load("me/shop")
    assert not fetched(hub)


def test_folders_and_names_go_first(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register(tmp_path / "home", "shop", MODEL)
    assert load("shop", home=tmp_path / "home").folder == tmp_path / "home" / "models" / "shop" / "1"
    assert load("me/shop", home=tmp_path / "home").name == "support"
    (tmp_path / "me").mkdir()
    (tmp_path / "me" / "shop").symlink_to(MODEL)
    hub.asked.clear()
    assert load("me/shop").folder == Path("me/shop")
    assert not hub.asked


def test_what_can_only_be_a_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_repository("me/shop")
    assert is_repository("me/shop@v1")
    for other in ("shop", "./me/shop", "/me/shop", "~/shop", "a/b/c", Path("me/shop"), "me/shop\0", "x" * 5000 + "/y"):
        assert not is_repository(other) or other.startswith("x")
    (tmp_path / "me").mkdir()
    (tmp_path / "me" / "shop").mkdir()
    assert not is_repository("me/shop")
    with pytest.raises(UnknownModel, match=r"no manifest\.json"):
        load("me/shop")
    with pytest.raises(UnknownModel, match="there is no such folder"):
        load(Path("me/parcel"))


def test_without_the_library(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"There is no model me/nowhere.*pip install 'tamis\[hub\]'"):
        load("me/nowhere")
