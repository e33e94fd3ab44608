"""Encoders as folders of transformers: its own classes and its pipeline give the model's scores."""

import json
import warnings

import numpy as np
import pytest
import yaml

from tamis.errors import GoldenRowsDrift, InvalidSetting
from tamis.ml.artifact import open_artifact
from tamis.ml.export import folding, hf
from tamis.ml.export.exporting import export

transformers = pytest.importorskip("transformers")


def answers(folder, texts):
    """What the pipeline says: (texts, labels) in the order of the labels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classify = transformers.pipeline("text-classification", model=str(folder), top_k=None, device=-1)
        said = classify(list(texts), truncation=True, batch_size=2)
    labels = [classify.model.config.id2label[place] for place in range(classify.model.config.num_labels)]
    return np.array(
        [[next(each["score"] for each in row if each["label"] == label) for label in labels] for row in said]
    )


def golden(folder, target):
    rows = [row for row in open_artifact(folder).manifest.golden if isinstance(row.input, str) and row.input]
    return [row.input for row in rows], np.array([row.scores[target] for row in rows])


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "modernbert"])
def test_the_pipeline_gives_the_scores_of_the_model(encoder_artifact, kind, tmp_path):
    model = encoder_artifact(kind)
    folder = export(model, "hf", tmp_path / "hf")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "intent", "topic_s"]
    for target, place in (("intent", "intent"), ("topic/s", "topic_s")):
        texts, wanted = golden(model, target)
        assert wanted.std() > 0.02, "scores that are all alike would hide mistakes"
        np.testing.assert_allclose(answers(folder / place, texts), wanted, atol=1e-5)


def test_one_target_is_the_folder_itself(encoder_artifact, one_target, tmp_path):
    folder = export(encoder_artifact("bert", one_target), "hf", tmp_path / "hf")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "refund", "1": "where", "2": "thanks <b>"}
    assert config["label2id"]["where"] == 1
    assert config["problem_type"] == "single_label_classification"
    assert str(tmp_path.parent) not in json.dumps(config), "no paths of the machine it was made on"
    assert (folder / "model.safetensors").is_file()


def test_all_files_may_be_read_by_the_same_people(encoder_artifact, one_target, tmp_path):
    folder = export(encoder_artifact("bert", one_target), "hf", tmp_path / "hf")
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_the_card_has_a_head_and_says_how_scores_become_answers(encoder_artifact, tmp_path):
    folder = export(encoder_artifact("bert"), "hf", tmp_path / "hf")
    card = (folder / "topic_s" / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card[4:].split("\n---\n")[0])
    assert head["library_name"] == "transformers"
    assert head["license"] == "apache-2.0"
    assert head["base_model"] == "someone/tiny"
    assert "| `delivery` | 0.6 |" in card
    assert "the same within 1e-05" in card
    assert "A text of more than 96 tokens is cut" in card
    assert "thanks" not in card, "labels of another target"


def test_decoders_pad_and_have_no_bias(encoder_artifact, one_target, tmp_path):
    model = encoder_artifact("llama", one_target, biases=False)
    folder = export(model, "hf", tmp_path / "hf")
    texts, wanted = golden(model, "intent")
    np.testing.assert_allclose(answers(folder, texts), wanted, atol=1e-5)
    with pytest.raises(InvalidSetting, match=r"has no bias.*target 'intent'.*--to onnx"):
        export(encoder_artifact("llama", one_target), "hf", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("kind", ["starcoder2", "gpt2"])
def test_of_decoders_with_a_norm_that_has_a_bias_this_takes_what_calibration_adds(encoder_artifact, kind, tmp_path):
    model = encoder_artifact(kind)
    folder = export(model, "hf", tmp_path / "hf")
    for target, place in (("intent", "intent"), ("topic/s", "topic_s")):
        texts, wanted = golden(model, target)
        assert wanted.std() > 0.02
        np.testing.assert_allclose(answers(folder / place, texts), wanted, atol=1e-5)


def test_labels_that_cannot_be_moved_apart_are_not(encoder_artifact, one_target, monkeypatch, tmp_path):
    fold = folding.Head.fold

    def alike(head, rows, target):
        head._weight[:] = head._weight[0]
        fold(head, rows, target)

    monkeypatch.setattr(folding.Head, "fold", alike)
    with pytest.raises(InvalidSetting, match="has no bias"):
        export(encoder_artifact("gpt2", one_target), "hf", tmp_path / "hf")


def test_chats_by_their_template(encoder_artifact, one_target, tmp_path):
    model = encoder_artifact("qwen2", one_target, biases=False, template=True)
    folder = export(model, "hf", tmp_path / "hf")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    row = next(row for row in open_artifact(model).manifest.golden if not isinstance(row.input, str))
    chat = [{"role": message.role, "content": message.content} for message in row.input]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    tokenizer.truncation_side = "left"
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    kept = ids[:, :1].tolist()[0] + ids[0, 1:][-95:].tolist()
    import torch

    with torch.inference_mode():
        scores = network(input_ids=torch.tensor([kept])).logits.softmax(1)[0].numpy()
    np.testing.assert_allclose(scores, row.scores["intent"], atol=1e-5)
    assert "chat template" in (folder / "README.md").read_text(encoding="utf-8")


def test_windows_are_for_tamis_alone_and_the_card_says_so(encoder_artifact, one_target, tmp_path):
    model = encoder_artifact("bert", one_target, windows=4, max_length=64)
    folder = export(model, "hf", tmp_path / "hf")
    assert "is cut here. Tamis itself reads such a text in up to 4 windows" in (folder / "README.md").read_text("utf-8")
    texts, wanted = golden(model, "intent")
    off = np.abs(answers(folder, texts) - wanted).max(axis=1)
    long = np.array([len(text.encode()) > 60 for text in texts])
    assert off[~long].max() < 1e-5
    assert off[long].max() > 1e-4


def test_a_model_that_is_served_in_integers_says_how_far_off_its_floats_are(encoder_artifact, one_target, tmp_path):
    model = encoder_artifact("bert", one_target, served="int8")
    artifact = open_artifact(model)
    assert [hf.allowed(_served_as(artifact.manifest, form)) for form in ("int8", "int8-tables", "float32")] == [
        0.1,
        0.01,
        1e-5,
    ]
    rows = [row.model_copy(update={"scores": _moved(row.scores)}) for row in artifact.manifest.golden]
    from tamis.ml.export.hf_card import card_of_one

    card = card_of_one(
        artifact.manifest.model_copy(update={"golden": tuple(rows)}), artifact.manifest.targets[0], 0.012
    )
    assert "served in 8-bit integers" in card
    assert "differ by up to 0.012" in card


def _served_as(manifest, form):
    return manifest.model_copy(update={"architecture": {**manifest.architecture, "served": form}})


@pytest.mark.parametrize("targets", ["one", "two"])
def test_a_wrong_fold_is_no_drift_of_integers(encoder_artifact, one_target, monkeypatch, tmp_path, targets):
    fold = folding.Head.fold

    def otherwise(head, rows, target):
        head._weight *= 1.001
        fold(head, rows, target)

    monkeypatch.setattr(folding.Head, "fold", otherwise)
    given = {"targets": one_target} if targets == "one" else {}
    with pytest.raises(GoldenRowsDrift, match="scores of the weights of the model"):
        export(encoder_artifact("bert", **given, served="int8"), "hf", tmp_path / "hf")


def _moved(scores):
    return {name: tuple(min(1.0, score + 0.01) for score in row) for name, row in scores.items()}


def test_an_export_that_says_something_else_is_refused(encoder_artifact, monkeypatch, tmp_path):
    fold = folding.Head.fold

    def otherwise(head, rows, target):
        head._weight *= 1.01
        fold(head, rows, target)

    monkeypatch.setattr(folding.Head, "fold", otherwise)
    with pytest.raises(GoldenRowsDrift, match="would not give the scores"):
        export(encoder_artifact("bert"), "hf", tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_a_tokenizer_that_reads_otherwise_is_refused(encoder_artifact, monkeypatch, tmp_path):
    number = hf.number
    monkeypatch.setattr(hf, "number", lambda artifact, name: number(artifact, name) - (name == "max_length"))
    with pytest.raises(GoldenRowsDrift, match="would read texts otherwise"):
        export(encoder_artifact("bert"), "hf", tmp_path / "hf")


def test_an_earlier_export_can_be_replaced(encoder_artifact, tmp_path):
    folder = export(encoder_artifact("bert"), "hf", tmp_path / "hf")
    assert export(encoder_artifact("bert"), "hf", folder, overwrite=True) == folder
