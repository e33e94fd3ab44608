"""An encoder from training to a folder and back: the same scores, nothing of this machine, nothing hostile."""

import json
import shutil

import numpy as np
import pytest

import tamis
from tamis.errors import DamagedArtifact, GoldenRowsDrift, InvalidSetting, NothingToLearn
from tamis.ml.artifact import MANIFEST, open_artifact, write_artifact
from tamis.ml.encoder import onnx_scorer, restoring
from tamis.ml.encoder.placement import DATA, MODEL
from tamis.ml.scorer import Contents


@pytest.fixture
def copied(stored, tmp_path):
    """A function: a copy of the folder in which files or facts are others, sealed again."""

    def copy(files=(), **facts):
        artifact = open_artifact(stored)
        contents = {name: (stored / name) for name in artifact.files} | dict(files)
        manifest = artifact.manifest.model_copy(
            update={"architecture": {**artifact.manifest.architecture, **facts}, "files": {}}
        )
        folder = tmp_path / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        write_artifact(folder, manifest, Contents({}, None, contents))
        return folder

    return copy


def test_a_model_comes_back_as_it_was(stored, tmp_path):
    model = tamis.load(stored)
    assert not model.predictor.quick
    assert model.manifest.tier == "encoder"
    assert model.manifest.architecture["served"] in ("int8", "int8-tables", "float32")
    card = (stored / "README.md").read_text("utf-8")
    assert "Served on a CPU by ONNX Runtime" in card
    length = model.manifest.architecture["max_length"]
    assert model.manifest.tokens_read == length
    assert f"it reads the first {length} tokens; of a chat, the last {length}." in card
    again = model.save(tmp_path / "again")
    texts = ["baba", "dada dede", "x" * 500]
    for name, scores in model.scores(texts).items():
        np.testing.assert_array_equal(again.scores(texts)[name], scores)
    names = {path.name for path in stored.iterdir()}
    assert names == {
        *(MANIFEST, "README.md", MODEL, DATA, "model.safetensors", "config.json"),
        *("tokenizer.json", "tokenizer_config.json", "thresholds.safetensors"),
    }


def test_no_file_tells_where_it_was_made(stored, base_folder):
    for path in stored.iterdir():
        if path.name not in (MANIFEST, "README.md"):  # these name the base model's place, as it was given
            assert str(base_folder("bert", template=True)).encode() not in path.read_bytes()
    assert "_name_or_path" not in json.loads((stored / "config.json").read_text("utf-8"))


def test_a_graph_that_is_damaged_or_of_strangers_is_refused(stored, copied):
    for content in (b"", b"noise", (stored / MODEL).read_bytes()[:-9], b"\x3a\x00" * 2):
        with pytest.raises(DamagedArtifact, match=r"model\.onnx"):
            tamis.load(copied({MODEL: content}))
    with pytest.raises(DamagedArtifact, match="whose place"):
        tamis.load(copied({DATA: b"short"}))


@pytest.mark.parametrize("byte", [b"\0", b"A"])  # as floats 0 and 12.1, as bytes 0 and 65
def test_other_weights_are_noticed(stored, copied, byte, monkeypatch):
    """A tiny model that learnt little moves by thousandths, which 8-bit integers may do (some are served in these)."""
    monkeypatch.setattr(onnx_scorer, "TOLERANCES", {})
    raw = bytearray((stored / DATA).read_bytes())
    raw[len(raw) // 3 :] = byte * (len(raw) - len(raw) // 3)
    with pytest.raises((GoldenRowsDrift, DamagedArtifact)) as raised:  # whole numbers among them may make no sense
        tamis.load(copied({DATA: bytes(raw)}))
    if isinstance(raised.value, GoldenRowsDrift):
        assert raised.value.context["off"] > 10 * onnx_scorer.TOLERANCE
    else:
        assert "ONNX Runtime" in str(raised.value)


@pytest.mark.parametrize("fact", [{"max_length": 0}, {"windows": True}, {"pad_id": "0"}, {"empty_id": 1 << 40}])
def test_facts_that_make_no_sense_are_refused(copied, fact):
    with pytest.raises(DamagedArtifact, match=f"architecture.{next(iter(fact))}"):
        tamis.load(copied(**fact))


def test_a_gpu_is_only_looked_for_where_there_is_a_driver(monkeypatch):
    monkeypatch.setattr(restoring, "DRIVERS", ("/nowhere/at/all",))
    assert restoring._gpu() is None


@pytest.fixture
def old_and_new(rows_of):
    """The rows that the stored model learnt from, and those of a fourth thing."""
    made = [
        {"text": text, "labels": {"thing": label, "tags": [label[-1]] if row % 4 else ["0", "1"]}}
        for row, (text, label) in enumerate(rows_of(60))
    ]
    new = [
        {"text": text, "labels": {"thing": "another", "tags": ["3"]}}
        for text, label in rows_of(240, k=4, seed=5)
        if label == "thing 3"
    ]
    return made, new


def test_it_goes_on_from_its_weights_in_its_order_of_labels(stored, old_and_new):
    old, new = old_and_new
    held = [*old[::2], *new[::2]]
    model = tamis.train(new[1::2], held, start_from=stored, rehearse=old, epochs=2)
    before = tamis.load(stored)
    assert model.targets[0].labels == (*before.targets[0].labels, "another")
    assert model.manifest.parent.labels == {"thing": ("another",), "tags": ("3",)}
    assert model.manifest.base_model == before.manifest.base_model
    assert any("goes on from its weights" in remark for remark in model.run.remarks)
    name = "bert.embeddings.word_embeddings.weight"
    mine, theirs = (each.scorer.contents().files["model.safetensors"] for each in (model, before))
    np.testing.assert_allclose(weight(mine, name), weight(theirs, name), atol=0.05)


def weight(place, name):
    from safetensors.numpy import load_file

    return load_file(place)[name]


def test_labels_without_a_row_would_be_forgotten(stored, old_and_new):
    old, new = old_and_new
    some = [row for row in old if row["labels"]["thing"] != "thing 1"]
    with pytest.raises(NothingToLearn, match=r"'thing 1' first.*would forget them"):
        tamis.train(new, old, start_from=stored, rehearse=some)


def test_old_rows_and_validation_data_are_needed(stored, old_and_new):
    old, new = old_and_new
    with pytest.raises(InvalidSetting, match="would make it forget the old ones"):
        tamis.train(new, start_from=stored)
    with pytest.raises(InvalidSetting, match="validation data"):
        tamis.train(new, start_from=stored, rehearse=old)
