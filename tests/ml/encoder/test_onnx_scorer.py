"""Served by ONNX Runtime: without torch, in any company the same, in the order that was asked for."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tamis
from tamis.errors import DamagedArtifact
from tamis.ml.encoder.inputs import Encoding
from tamis.ml.encoder.onnx_scorer import OnnxScorer, Reader
from tamis.schema import Kind, Message, Target


@pytest.fixture(scope="module")
def model(stored):
    return tamis.load(stored)


TEXTS = ["", "baba bebe", "x" * 900, "dada didi dudu", "ß 你好 👋🏽", "gaga", "dedi " * 40, "\ud800"]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=12))
def test_a_texts_scores_are_the_same_alone_and_in_any_company(stored, texts):
    model = _loaded(stored)
    together = model.scores(texts)
    for row, text in enumerate(texts):
        for name, scores in model.scores([text]).items():
            np.testing.assert_allclose(together[name][row], scores[0], atol=1e-5)


_models = {}


def _loaded(folder):
    if folder not in _models:
        _models[folder] = tamis.load(folder)
    return _models[folder]


def test_it_serves_without_torch_and_transformers(stored):
    code = (
        "import sys, tamis; model = tamis.load(sys.argv[1]); "
        "model.classify(['baba', [{'role': 'user', 'content': 'hello'}]]); "
        "print([name for name in ('torch', 'transformers', 'onnx', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(stored)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_inputs_give_no_rows_and_many_come_back_in_order(model):
    assert {name: scores.shape for name, scores in model.scores([]).items()} == {"thing": (0, 3), "tags": (0, 3)}
    texts = [f"{'baba ' * (row % 17)}{row}" for row in range(2_100)]
    together = model.predictor.logits(texts)["thing"]
    for row in (0, 1, 2_047, 2_048, 2_099):
        np.testing.assert_allclose(together[row], model.predictor.logits([texts[row]])["thing"][0], atol=1e-5)


def test_chats_are_told_by_the_template_that_the_folder_holds(model):
    chat = (Message("user", "baba"),)
    as_template = model.predictor.logits([chat])["thing"]
    as_lines = model.predictor.logits(["user: baba"])["thing"]
    assert np.abs(as_template - as_lines).max() > 1e-6


def target(count):
    return Target(name="t", kind=Kind.SINGLE_LABEL, labels=tuple(map(str, range(count))))


def test_windows_of_a_text_are_averaged(exported, tokenizer_json):
    folder = exported("bert")[1]
    long = "abcdefghij" * 5
    reader = Reader(Encoding(tokenizer_json, max_length=20, windows=4), 0, (target(5),))
    scorer = OnnxScorer(folder, reader, threads=1)
    encoded = reader.encoding.encode([long, "short"])
    assert len(encoded.lengths) > 3
    found = scorer.logits(["short", long])["t"]
    parts = [
        scorer._session.run(encoded.ids[begin:end][None].astype(np.int64), np.ones((1, end - begin), np.int64))[0]
        for begin, end in zip(encoded.offsets[:-1].tolist(), encoded.offsets[1:].tolist(), strict=True)
    ]
    np.testing.assert_allclose(found[1], np.mean(parts[:-1], axis=0), atol=1e-5)
    np.testing.assert_allclose(found[0], parts[-1], atol=1e-5)


def test_a_graph_of_another_model_is_refused(exported, tokenizer_json):
    reader = Reader(Encoding(tokenizer_json, max_length=20), 0, (target(4),))
    with pytest.raises(DamagedArtifact, match="5 numbers a text, and its targets have 4"):
        OnnxScorer(exported("bert")[1], reader).logits(["a"])


def test_batches_are_computed_at_the_same_time_and_all_of_them():
    import threading

    from tamis.ml.encoder.onnx_scorer import Computing

    met = threading.Barrier(2, timeout=30)
    done = []

    def compute(places):
        if len(done) < 2:
            met.wait()  # ends only where two are at work together
        done.append(int(places[0]))

    Computing(lambda ids, mask: ids, threads=2).each([np.array([0]), np.array([1])], compute)
    assert sorted(done) == [0, 1]
    with pytest.raises(ZeroDivisionError):
        Computing(lambda ids, mask: ids, threads=2).each([np.array([0])] * 3, lambda places: 1 / 0)
