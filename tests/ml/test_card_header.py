"""The head of a card is YAML that hubs accept, whatever the names in the manifest are."""

from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from tamis.ml.artifact import open_artifact
from tamis.ml.card_header import base_repository, card_header, known_licence
from tamis.ml.cards import CARDS, MINILM_L6, STATIC_EN
from tamis.ml.manifest import FORMAT, DataFile

MANIFEST = open_artifact(Path(__file__).parent / "fixtures" / f"format-{FORMAT}").manifest


def head_of(licence=None, **changes) -> dict:
    text = card_header(MANIFEST.model_copy(update=changes), licence)
    assert text.startswith("---\n")
    assert text.endswith("\n---")
    return yaml.safe_load(text[4:-4])


def test_a_hub_finds_what_it_lists():
    head = head_of(base_model=MINILM_L6)
    assert head["license"] == "apache-2.0"
    assert head["language"] == ["en"]
    assert head["library_name"] == "tamis"
    assert head["pipeline_tag"] == "text-classification"
    assert head["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    (index,) = head["model-index"]
    intent, topics = index["results"]
    assert intent["dataset"]["name"] == "held-out rows of the training data (rows.jsonl)"
    assert {"type": "accuracy", "name": "Accuracy", "value": 1.0} in intent["metrics"]
    assert {"type": "f1", "name": "Micro F1", "value": 0.855263} in topics["metrics"]


def test_figures_name_the_files_that_they_were_measured_on():
    files = (*MANIFEST.data.files, DataFile(name="other.jsonl", split="test", rows=3))
    metrics = {**MANIFEST.metrics, "test": MANIFEST.metrics["held_out"]}
    head = head_of(metrics=metrics, data=MANIFEST.data.model_copy(update={"files": files}))
    names = {result["dataset"]["split"]: result["dataset"]["name"] for result in head["model-index"][0]["results"]}
    assert names == {"held_out": "held-out rows of the training data (rows.jsonl)", "test": "test data (other.jsonl)"}


def test_the_hubs_own_client_reads_the_results():
    card = ModelCard(card_header(MANIFEST) + "\n# card\n")
    results = {(result.task_name, result.metric_name): result.metric_value for result in card.data.eval_results}
    assert results["Text classification: intent", "Accuracy"] == 1.0
    assert card.data.model_name == "support"


def test_what_is_not_known_is_left_out():
    head = head_of(metrics={}, base_model=STATIC_EN.model_copy(update={"licence": "mine", "languages": ("x-klingon",)}))
    assert not {"license", "language", "base_model", "model-index"} & head.keys()
    assert head_of("cc-by-4.0")["license"] == "cc-by-4.0"


def test_test_data_comes_first():
    figures = {"intent": {"accuracy": 0.5}}
    head = head_of(
        metrics={"held_out": figures, "test": {"intent": {"accuracy": 0.25, "macro_f1": "high", "ece": True}}}
    )
    first, second = head["model-index"][0]["results"]
    assert first["dataset"]["split"] == "test"
    assert first["metrics"] == [{"type": "accuracy", "name": "Accuracy", "value": 0.25}]
    assert second["metrics"][0]["value"] == 0.5


@pytest.mark.parametrize("name", ['a: "b"\n---\n# c', "👋🏽", "\x7f\x80\ufeff\u2028é", "\t\\ {[", "no", "~"])
def test_names_come_through_as_they_are(name):
    assert head_of(name=name)["model_name"] == name


@pytest.mark.parametrize(
    "metrics", [{"test": []}, {"test": {"intent": 3}}, {"held_out": None}, {"test": {"intent": {}}}]
)
def test_metrics_of_another_shape_are_passed_over(metrics):
    assert "model-index" not in head_of(metrics=metrics)


def test_licences_and_repositories_of_the_known_base_models():
    assert known_licence("Apache 2.0") == "apache-2.0"
    assert known_licence("unknown") is None
    assert {card.id: base_repository(card) for card in CARDS.values()}["static-en"] is None
    assert base_repository(STATIC_EN.model_copy(update={"source": "https://huggingface.co/a/b-c.d"})) == "a/b-c.d"
