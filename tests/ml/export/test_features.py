"""The script of a static export reads texts exactly as the model does, odd ones too."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.ml.artifact import open_artifact
from tamis.ml.export import features, onnx_static
from tamis.ml.export.exporting import export
from tamis.ml.manifest import FORMAT
from tamis.ml.model import load
from tamis.ml.predictor import checked
from tamis.ml.static.ngrams import fold_case
from tamis.ml.static.runs import split as runs_of

TESTS = Path(__file__).parents[1]
MODEL = TESTS / "fixtures" / f"format-{FORMAT}"
ODD_WORDS = runpy.run_path(str(TESTS / "static" / "odd_words.py"))["ODD_WORDS"]
ODD = [
    *ODD_WORDS,
    "",
    " \0 ",
    "refund " * 3_000,
    "x" * 25_000,
    "n" * 300 + " where",
    "é" * 40 + "\u0301" * 60 + "e",
    "\ud800 lone",
    "\u00a8 \ufdfa ǅ İ ﬀ",
    "where\u2028is\u3000my parcel",
]
CHATS = [
    [{"role": "system", "content": "be nice"}, {"role": "user", "content": "hello where"}],
    [
        {"role": "user", "content": "my parcel is late"},
        {"role": "assistant", "content": "which parcel?"},
        {"role": "user", "content": "the one you sent"},
        {"role": "assistant", "content": "thank you"},
    ],
    [{"role": "assistant", "content": "nobody asked"}],
    [],
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export(MODEL, "onnx", tmp_path_factory.mktemp("export") / "onnx")


def test_odd_texts_and_chats_have_the_models_scores(exported):
    wanted = load(MODEL).scores([*ODD, *CHATS])
    found = onnx_static.scores(open_artifact(MODEL), exported, checked([*ODD, *CHATS]))
    for name, scores in wanted.items():
        np.testing.assert_allclose(found[name], scores, atol=1e-6)


def test_chats_of_a_model_of_chats(chat_model, tmp_path):
    stored = chat_model.save(tmp_path / "chat")
    folder = stored.export("onnx", tmp_path / "onnx")
    found = onnx_static.scores(open_artifact(stored.folder), folder, checked([*ODD, *CHATS]))
    for name, scores in stored.scores([*ODD, *CHATS]).items():
        np.testing.assert_allclose(found[name], scores, atol=1e-6)


def test_texts_do_not_depend_on_each_other(exported):
    artifact = open_artifact(MODEL)
    together = onnx_static.scores(artifact, exported, ["refund please", "where is my parcel " * 50, ""])
    alone = onnx_static.scores(artifact, exported, ["refund please"])
    np.testing.assert_allclose(together["intent"][:1], alone["intent"], atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_runs_and_folding_are_the_models(text):
    assert features.split(text) == runs_of(text)
    assert [features.fold(run) for run in features.split(text)] == [fold_case(run) for run in runs_of(text)]


def test_the_script_needs_neither_tamis_nor_scipy(exported):
    code = (
        "import sys\nsys.modules['tamis'] = sys.modules['scipy'] = None\nfrom features import Features\n"
        "made = Features('.')(['where is my parcel', 'refund'])\nprint({k: v.shape for k, v in made.items()})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=exported, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'columns': (2," in done.stdout
