"""Served by torch: the scores that ONNX Runtime gives."""

import dataclasses

import numpy as np
import pytest
import torch

from tamis.ml.artifact import open_artifact
from tamis.ml.encoder import restoring, torch_scorer
from tamis.ml.encoder.onnx_scorer import OnnxScorer
from tamis.ml.encoder.torch_scorer import TorchScorer

FP16, BF16 = torch.float16, torch.bfloat16


def test_it_gives_the_same_logits(stored):
    artifact = open_artifact(stored)
    served = restoring.restore(artifact)
    assert isinstance(served, OnnxScorer)
    scorer = TorchScorer(stored, served.reader)
    texts = ["", "baba bebe", "x" * 900, "dada"]
    found, wanted = scorer.logits(texts), served.logits(texts)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], atol=0.05)
    assert scorer.contents().files == served.contents().files
    assert not scorer.quick


def test_it_serves_where_there_is_no_graph(stored):
    artifact = open_artifact(stored)
    files = {name: raw for name, raw in artifact.files.items() if not name.startswith("model.onnx")}
    scorer = restoring.restore(dataclasses.replace(artifact, files=files))
    assert isinstance(scorer, TorchScorer)
    assert scorer.logits(["a"])["thing"].shape == (1, 3)


@pytest.mark.parametrize(("halves", "tolerance"), [((FP16, BF16), 0.005), ((BF16,), 0.02)])
def test_in_half_precision_its_tolerance_holds(stored, monkeypatch, halves, tolerance):
    monkeypatch.setattr(torch_scorer, "halves_of", lambda _: halves)
    reader = restoring.restore(open_artifact(stored)).reader
    texts = ["", "baba bebe", "x" * 900, "dada"]
    scorer = TorchScorer(stored, reader)
    assert scorer.tolerance == tolerance
    assert TorchScorer(stored, reader, form="int8").tolerance == tolerance + 0.1, "its golden scores are of integers"
    monkeypatch.setattr(torch_scorer, "halves_of", lambda _: ())
    plain = TorchScorer(stored, reader)
    assert plain.tolerance == 1e-4
    found, wanted = scorer.logits(texts)["thing"], plain.logits(texts)["thing"]
    off = np.abs(softmax(found) - softmax(wanted)).max()
    assert 0 < off < tolerance
    alone = np.concatenate([scorer.logits([text])["thing"] for text in texts])
    assert np.abs(softmax(alone) - softmax(found)).max() < tolerance / 2


def softmax(logits):
    made = np.exp(logits - logits.max(1, keepdims=True))
    return made / made.sum(1, keepdims=True)
