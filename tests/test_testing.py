"""The doubles that ship."""

import subprocess
import sys

import numpy as np
import pytest

import tamis
from tamis import testing
from tamis.labelers.labeler import Outcome
from tamis.ml.base_models import load_base
from tamis.schema import Kind, Target
from tamis.testing import ScriptedLabeler


def test_the_tiny_base_is_a_base_model_like_any_other(tmp_path):
    base = load_base(str(testing.tiny_base(tmp_path / "deep" / "tiny")))
    assert base.matrix.shape == (len(testing.WORDS.split()) + 3, testing.DIMENSIONS)
    assert base.unknown_id == 0
    assert base.card.id == "tiny"


def test_the_same_words_give_the_same_bytes(tmp_path):
    first, second = (testing.tiny_base(tmp_path / name) for name in "ab")
    for name in ("model.safetensors", "tokenizer.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_words_of_ones_own(tmp_path):
    folder = testing.tiny_base(tmp_path / "own", ["cat", "dog", "cat"], dimensions=3)
    assert load_base(str(folder)).matrix.shape == (5, 3)
    with pytest.raises(FileExistsError):
        testing.tiny_base(folder)


def test_it_trains_in_no_time_and_learns(tmp_path):
    base = testing.tiny_base(tmp_path / "tiny")
    texts = ["where is my parcel", "refund the fee", "where is the box", "refund my card"] * 10
    model = tamis.train((texts, ["delivery", "billing"] * 20), base=str(base), epochs=3)
    assert model.classify("where is the van")["label"].scores.keys() == {"billing", "delivery"}
    assert np.isclose(sum(model.classify("parcel")["label"].scores.values()), 1, atol=1e-5)


def test_tamis_does_without_them():
    code = "import sys, tamis.cli, tamis.ml.training, tamis.ml.estimator; sys.exit('tamis.testing' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_scripted_labeler_says_what_its_script_says() -> None:
    targets = [Target.of("intent", Kind.SINGLE_LABEL, ("refund", "other")), Target.of("tags", Kind.MULTI_LABEL, ("a",))]
    script = {"good": {"intent": ("refund",), "tags": ()}, "odd": {"intent": ("fraud",), "tags": ("a",)}}
    labeler = ScriptedLabeler(targets, script.get)
    told: list[tuple[int, int]] = []
    found = labeler.label(["good", "odd", "bad"], told=lambda done, total: told.append((done, total)))
    assert [labelled.outcome for labelled in found] == [Outcome.ANSWERED, Outcome.INVALID, Outcome.REFUSED]
    assert found[0].prediction
    assert found[0].prediction["intent"].labels == ("refund",)
    assert found[1].prediction
    assert set(found[1].prediction.answers) == {"tags"}
    assert found[2].prediction is None
    assert labeler.asked == ["good", "odd", "bad"]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert found[0].prompt_tokens == 100
