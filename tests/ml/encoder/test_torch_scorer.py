"""Served by torch: the scores that ONNX Runtime gives."""

import dataclasses

import numpy as np

from tamis.ml.artifact import open_artifact
from tamis.ml.encoder import restoring
from tamis.ml.encoder.onnx_scorer import OnnxScorer
from tamis.ml.encoder.torch_scorer import TorchScorer


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
