import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import softmax

from tamis.data.dataset import build
from tamis.data.loading import load_splits
from tamis.errors import (
    DamagedArtifact,
    DataError,
    GoldenRowsDrift,
    OutputExists,
    TamisError,
    TooManyBadRows,
    UnknownModel,
)
from tamis.evaluation.calibration import ece
from tamis.ml.artifact import open_artifact, write_artifact
from tamis.ml.manifest import Manifest
from tamis.ml.model import Model, load
from tamis.ml.registry import register
from tamis.ml.scorer import Contents
from tamis.ml.static.scorer import StaticScorer
from tamis.ml.static.tier import restore
from tamis.schema import Example, Message, Prediction

ROWS = [
    {"text": "where is my parcel please", "labels": {"intent": "where", "topics": ["delivery"]}},
    {"text": "please refund the card now", "labels": {"intent": "refund", "topics": ["billing"]}},
    {"text": "thank you for the box it is fine", "labels": {"intent": "thanks", "topics": ["none"]}},
    {"text": "what is this", "labels": {"intent": "something new", "topics": []}},
    {"text": "how do i change my email", "labels": {"intent": "change"}},
]


def test_what_is_known_of_a_loaded_model(tiny_model, tiny_folder):
    assert tiny_model.name == "support"
    assert [target.name for target in tiny_model.targets] == ["intent", "topics"]
    assert tiny_model.folder == tiny_folder
    assert tiny_model.run is None
    assert "intent (4 labels), topics (4 labels)" in repr(tiny_model)


def test_one_text_or_chat_gives_one_prediction_and_a_list_gives_a_list(tiny_model):
    text, chat = "where is my parcel please", [{"role": "user", "content": "where is my parcel please"}]
    for one in (text, chat, (Message("user", text),)):
        found = tiny_model.classify(one)
        assert isinstance(found, Prediction)
        assert found["intent"].label == "where"
    several = tiny_model.classify([text, chat])
    assert [prediction["intent"].label for prediction in several] == ["where", "where"]


class TestEvaluating:
    def test_a_file(self, tiny_model, tmp_path):
        path = tmp_path / "test.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        report = tiny_model.evaluate(path)
        assert report.n == 5
        assert report.targets["intent"].n == 5
        assert report.targets["intent"].unseen_labels == ("something new",)
        assert report.targets["intent"].accuracy == 0.8
        assert report.targets["topics"].n == 4
        assert report.targets["topics"].unknown == 1
        assert report.targets["intent"].coverage < 1
        assert report.seconds >= 0

    def test_the_calibration_error_is_told_before_calibration_too(self, tiny_model):
        report = tiny_model.evaluate(ROWS)
        logits = tiny_model.predictor.logits([row["text"] for row in ROWS])
        raw = softmax(logits["intent"].astype(np.float64), axis=1)
        labels = tiny_model.targets[0].labels
        right = [labels[code] == row["labels"]["intent"] for code, row in zip(raw.argmax(axis=1), ROWS, strict=True)]
        assert report.targets["intent"].ece_before == pytest.approx(ece(raw.max(axis=1), np.array(right)), abs=1e-6)
        known, topics = [0, 1, 2, 3], tiny_model.targets[1].labels
        carried = np.array([[label in ROWS[row]["labels"]["topics"] for label in topics] for row in known])
        raw = 1 / (1 + np.exp(-logits["topics"][known].astype(np.float64)))
        assert report.targets["topics"].ece_before == pytest.approx(ece(raw, carried), abs=1e-6)

    def test_without_a_calibration_there_is_no_error_before_it(self, tiny_model, monkeypatch):
        monkeypatch.setattr(Model, "_is_calibrated", lambda self, target: target == "topics")
        targets = tiny_model.evaluate(ROWS).targets
        assert targets["intent"].ece_before is None
        assert targets["topics"].ece_before is not None

    def test_python_data_and_datasets(self, tiny_model, tmp_path):
        wanted = tiny_model.evaluate(ROWS).model_dump(exclude={"seconds"})
        examples = [
            Example(row["text"], {name: (v,) if isinstance(v, str) else tuple(v) for name, v in row["labels"].items()})
            for row in ROWS
        ]
        assert tiny_model.evaluate(build(examples, tiny_model.targets)).model_dump(exclude={"seconds"}) == wanted

    def test_chunks_change_nothing_and_are_shown(self, tiny_model, monkeypatch):
        whole = tiny_model.evaluate(ROWS * 5).model_dump(exclude={"seconds"})
        monkeypatch.setattr("tamis.ml.model.ROWS_AT_ONCE", 7)
        seen = []
        parts = tiny_model.evaluate(ROWS * 5, visit=lambda first, scores: seen.append((first, scores)))
        assert [first for first, _ in seen] == [0, 7, 14, 21]
        assert sum(len(scores["topics"]) for _, scores in seen) == 25
        again = parts.model_dump(exclude={"seconds"})
        assert again["targets"]["intent"]["accuracy"] == whole["targets"]["intent"]["accuracy"]
        assert again["targets"]["topics"]["micro_f1"] == whole["targets"]["topics"]["micro_f1"]

    def test_a_target_without_rows_is_told(self, tiny_model):
        report = tiny_model.evaluate([{"text": "where is my parcel", "labels": {"intent": "where"}}])
        assert report.targets["topics"].n == 0
        assert report.targets["topics"].micro_f1 is None

    def test_label_codes_of_another_dataset_are_refused(self, tiny_model):
        other = build([Example("a", {"intent": ("x",)}), Example("b", {"intent": ("y",)})])
        with pytest.raises(DataError, match="other labels"):
            tiny_model.evaluate(other)
        with pytest.raises(DataError, match="Name them alike"):
            tiny_model.evaluate(build([Example("a", {"one": ("x",)}), Example("b", {"two": ("y",)})]))

    def test_bad_rows(self, tiny_model, tmp_path):
        path = tmp_path / "test.jsonl"
        path.write_text("nonsense\n" + "".join(json.dumps(row) + "\n" for row in ROWS))
        with pytest.raises(TooManyBadRows):
            tiny_model.evaluate(path)
        rejects = tmp_path / "rejects.jsonl"
        assert tiny_model.evaluate(path, max_bad_share=0.5, rejects=rejects).n == 5
        assert rejects.read_text().count("\n") == 1


class TestLoading:
    def test_no_model_there(self, tmp_path):
        with pytest.raises(UnknownModel):
            load(tmp_path / "nothing")

    def test_by_name_in_a_home(self, tiny_folder, tmp_path):
        register(tmp_path, "mail", tiny_folder)
        found = load("mail@1", home=tmp_path)
        assert found.folder == tmp_path / "models" / "mail" / "1"
        assert load(str(tiny_folder), home=tmp_path).folder == tiny_folder

    def test_scores_that_drifted_are_refused(self, tiny_folder, tmp_path):
        artifact = open_artifact(tiny_folder)
        tensors = {name: np.array(tensor) for name, tensor in artifact.tensors.items()}
        tensors["network.head_bias"] += np.linspace(0, 0.01, 8, dtype=np.float32)
        write_artifact(tmp_path / "model", artifact.manifest, Contents(tensors, artifact.tokenizer_json))
        with pytest.raises(GoldenRowsDrift, match="'support'"):
            load(tmp_path / "model")

    def test_a_released_format_still_gives_its_scores(self):
        for folder in sorted((Path(__file__).parent / "fixtures").glob("format-*")):
            assert load(folder).manifest.golden

    def test_a_manifest_of_nonsense_gives_our_errors_or_a_model_that_works(self, tiny_folder):
        """Each entry of what the model computes with, at any depth, replaced by each kind of nonsense."""
        artifact = open_artifact(tiny_folder)
        original = artifact.manifest.model_dump(mode="json", include={"architecture", "targets", "base_model"})
        for path in paths(original):
            for nonsense in (None, -1, 0, "x", [], {}, 1e308, 1 << 70):
                document = json.loads(json.dumps(original))
                put(document, path, nonsense)
                try:
                    changes = document | {"golden": ()}
                    manifest = Manifest.model_validate({**dict(artifact.manifest), **changes})
                    model = Model(restore(replace(artifact, manifest=manifest)), manifest)
                except (TamisError, ValidationError):
                    continue
                assert len(model.classify(["where is my parcel", ""])) == 2


def paths(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


def put(document, path, value):
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


class TestSaving:
    def test_a_copy_is_the_same(self, tiny_model, tiny_folder, tmp_path):
        copy = tiny_model.save(tmp_path / "copy")
        assert copy.folder == tmp_path / "copy"
        for name in ("model.safetensors", "tokenizer.json", "manifest.json"):
            assert (tmp_path / "copy" / name).read_bytes() == (tiny_folder / name).read_bytes()

    def test_what_is_there_stays(self, tiny_model, tmp_path):
        tiny_model.save(tmp_path / "copy")
        with pytest.raises(OutputExists):
            tiny_model.save(tmp_path / "copy")
        assert isinstance(tiny_model.save(tmp_path / "copy", overwrite=True), Model)

    def test_over_itself(self, tiny_folder, tmp_path):
        shutil.copytree(tiny_folder, tmp_path / "model")
        model = load(tmp_path / "model")
        before = model.scores(["where is my parcel"])["intent"]
        again = model.save(tmp_path / "model", overwrite=True)
        np.testing.assert_array_equal(again.scores(["where is my parcel"])["intent"], before)
        np.testing.assert_array_equal(model.scores(["where is my parcel"])["intent"], before)


@pytest.mark.parametrize("weight", [1e38, -3e38])
def test_weights_too_large_to_compute_with_are_refused(tiny_model, tmp_path, weight):
    manifest = tiny_model.manifest.model_copy(update={"golden": ()})
    model = tiny_model._scorer.model
    static = StaticScorer(replace(model, weights=np.full_like(model.weights, weight)))
    with pytest.raises(DamagedArtifact, match="weights are too large"):
        Model(static, manifest).save(tmp_path / "model")
    with pytest.raises(DamagedArtifact, match="weights are too large"):
        load(tmp_path / "model")
    usual = Model(tiny_model._scorer, manifest).save(tmp_path / "usual")
    assert usual.scores(["where"])["intent"].shape == (1, 4)


def test_the_test_split_of_training_data_can_be_evaluated(tiny_rows, tiny_model):
    loaded = load_splits(build_examples(tiny_rows), test=build_examples(ROWS))
    assert loaded.test is not None
    assert tiny_model.evaluate(loaded.test).n == 5


def build_examples(rows):
    return [
        Example(
            row["text"],
            {name: (v,) if isinstance(v, str) else tuple(v) for name, v in row["labels"].items()},
            listed=frozenset(name for name, v in row["labels"].items() if isinstance(v, list)),
        )
        for row in rows
    ]
