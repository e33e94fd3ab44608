import numpy as np
import pytest

from ml.static.odd_words import ODD_WORDS
from tamis.ml.static import long, runs
from tamis.ml.static.long import LEAST_CHARACTERS, is_long, logits_of_long
from tamis.schema import Message

WORDS = [*ODD_WORDS, "\0"]


@pytest.fixture(params=[(200_000, 500_000), (40, 7), (1, 1)], ids=["whole", "pieces", "crumbs"])
def pieces(request, monkeypatch):
    monkeypatch.setattr(long, "PIECE_CHARACTERS", request.param[0])
    monkeypatch.setattr(long, "_PIECE_PAIRS", request.param[1])
    monkeypatch.setattr(long, "_PIECE_CELLS", request.param[1])


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("model", ["tiny_model", "chat_model"])
def test_it_is_as_in_a_batch(request, model):
    static = request.getfixturevalue(model)._scorer.model
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice([*WORDS, *map(str, range(30))], size)) for size in (0, 1, 2, 5, 60, 200)]
    turns = tuple(Message(("user", "assistant", "user", "system")[i % 4], text) for i, text in enumerate(texts))
    inputs = [*texts, "?!", "\ud800 x", (), turns, turns[::-1]]
    batch = static.logits(inputs)
    for row, given in enumerate(inputs):
        for name, logits in logits_of_long(static, given).items():
            assert logits.shape == (1, batch[name].shape[1])
            assert logits.dtype == np.float32
            np.testing.assert_allclose(logits[0], batch[name][row], atol=1e-5)


def test_a_run_without_end_is_cut_as_in_a_batch(tiny_model, monkeypatch):
    static = tiny_model._scorer.model
    monkeypatch.setattr(runs, "LONGEST_RUN", 20)
    texts = ["where " + "x" * 20 + "parcel" * 10, "where " + "x" * 20 + " " + "parcel" * 3 + "pa rcel" + "parcel" * 6]
    batch = static.logits(texts)
    for row, text in enumerate(texts):
        for name, logits in logits_of_long(static, text).items():
            np.testing.assert_allclose(logits[0], batch[name][row], atol=1e-5)
    without = static.logits(["where " + "x" * 20])
    for name in static.columns:
        assert np.abs(batch[name][0] - without[name]).max() > 1e-3  # the rest was read too


def test_what_is_long_is_read_in_pieces_whatever_is_beside_it(tiny_model, monkeypatch):
    text = "where is my parcel " * (LEAST_CHARACTERS // 19 + 1)
    assert is_long(text)
    assert is_long((Message("user", text),))
    assert not is_long(text[: LEAST_CHARACTERS - 1])
    alone = tiny_model.scores([text])
    beside = tiny_model.scores(["refund", text, "card"])
    in_one = tiny_model._scorer.model.logits([text])
    for name in alone:
        np.testing.assert_array_equal(alone[name][0], beside[name][1])
        np.testing.assert_allclose(tiny_model.predictor.scores_of(in_one)[name], alone[name], atol=1e-5)
        np.testing.assert_allclose(beside[name][[0, 2]], tiny_model.scores(["refund", "card"])[name], atol=1e-6)
