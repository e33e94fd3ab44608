"""What tokens alone tell, added to a network's logits."""

import numpy as np
import pytest
import torch

import tamis
from tamis.errors import DamagedArtifact, InvalidSetting
from tamis.ml.encoder.inputs import Encoded
from tamis.ml.encoder.torch_scorer import TorchScorer
from tamis.ml.encoder.words import WithWords, Words, fit_words, read_words, without_words, write_words
from tamis.ml.progress import nothing
from tamis.ml.tensors import write_tensors

BEGIN, END, RED, BLUE, ODD = 1, 2, 5, 6, 7


def encoded(*inputs):
    """Inputs as tokens: each is a list of sequences."""
    sequences = [np.array([BEGIN, *tokens, END], dtype=np.int32) for windows in inputs for tokens in windows]
    offsets = np.cumsum([0, *map(len, sequences)]).astype(np.int64)
    return Encoded(np.concatenate(sequences), offsets, np.cumsum([0, *map(len, inputs)]).astype(np.int64))


def said(words, *tokens):
    ids = torch.tensor([[BEGIN, *tokens, END]])
    return words(ids, torch.ones_like(ids))[0].numpy()


@pytest.fixture
def colours(dataset_of):
    """Rows of two colours, and a word that comes with both."""
    rows = [([RED, ODD], "red"), ([RED], "red"), ([BLUE, ODD], "blue"), ([BLUE], "blue")] * 5
    data = dataset_of([(str(number), {"t": label}) for number, (_, label) in enumerate(rows)])
    return encoded(*([tokens] for tokens, _ in rows)), data


def test_tokens_tell_their_label_and_nothing_else_does(colours):
    words = fit_words(*colours, 10, nothing)
    blue, red = said(words, RED)
    assert red > 0.5 > -0.5 > blue
    assert said(words, ODD) == pytest.approx([0, 0], abs=0.05)
    assert said(words, 9).tolist() == [0, 0]
    assert said(words).tolist() == [0, 0]
    assert not words.table[words.places[[BEGIN, END]]].any()


def test_padding_and_repetition_change_nothing(colours):
    words = fit_words(*colours, 10, nothing)
    ids, mask = torch.tensor([[BEGIN, RED, END, RED, BLUE]]), torch.tensor([[1, 1, 1, 0, 0]])
    assert words(ids, mask)[0].numpy() == pytest.approx(said(words, RED))
    assert said(words, RED, RED, RED) == pytest.approx(np.sqrt(3) * said(words, RED), rel=1e-5)
    ids = torch.tensor([[RED, BLUE], [RED, 0]])
    both = words(ids, torch.tensor([[1, 1], [1, 0]])).numpy()
    assert both[0] == pytest.approx((said(words, RED) + said(words, BLUE)) / np.sqrt(2), abs=1e-5)
    assert both[1] == pytest.approx(said(words, RED), abs=1e-6)


def test_windows_count_as_their_mean(dataset_of):
    rows = [([[RED], [ODD]], "red"), ([[BLUE], [ODD]], "blue"), ([[ODD]], "blue")] * 4
    data = dataset_of([(str(number), {"t": label}) for number, (_, label) in enumerate(rows)])
    words = fit_words(encoded(*(windows for windows, _ in rows)), data, 10, nothing)
    assert np.argmax(said(words, RED) + said(words, ODD)) == 1
    assert np.argmax(said(words, BLUE) + said(words, ODD)) == 0


def test_unknown_rows_and_rows_without_weight_say_nothing(dataset_of):
    rows = [([RED], {"t": "red"}), ([BLUE], {"t": "blue"}), ([ODD, BLUE], {}), ([9], {"t": "red"})] * 4
    data = dataset_of([(str(number), labels) for number, (_, labels) in enumerate(rows)], weights=[1, 1, 1, 0] * 4)
    words = fit_words(encoded(*([tokens] for tokens, _ in rows)), data, 10, nothing)
    assert said(words, ODD) == pytest.approx([0, 0], abs=1e-6)
    assert said(words, 9) == pytest.approx([0, 0], abs=1e-6)


def test_several_labels_tell_what_goes_beyond_how_frequent_they_are(dataset_of):
    rows = [([RED, ODD], ["red"]), ([BLUE, ODD], ["blue"]), ([ODD, 8], []), ([9, ODD], [])] * 6
    data = dataset_of([(str(number), {"m": labels}) for number, (_, labels) in enumerate(rows)])
    words = fit_words(encoded(*([tokens] for tokens, _ in rows)), data, 10, nothing)
    blue, red = said(words, RED)
    assert red > 0.5 > 0 > blue
    assert said(words, 3).tolist() == [0, 0]


def test_of_too_many_tokens_the_frequent_ones_are_kept(colours, monkeypatch):
    monkeypatch.setattr("tamis.ml.encoder.words.MOST_WEIGHTS", 4)
    words = fit_words(*colours, 10, nothing)
    assert len(words.table) == 3
    assert {token for token in range(10) if words.places[token]} <= {RED, BLUE, ODD}


def test_a_file_of_words(colours, tmp_path):
    words = fit_words(*colours, 10, nothing)
    write_words(words, tmp_path / "words.safetensors")
    again = read_words(tmp_path / "words.safetensors", 2, 10)
    assert said(again, RED, ODD).tolist() == said(words, RED, ODD).tolist()
    for n_labels, n_vocabulary in ((3, 10), (2, 11)):
        with pytest.raises(DamagedArtifact, match="get a fresh copy"):
            read_words(tmp_path / "words.safetensors", n_labels, n_vocabulary)


@pytest.mark.parametrize(
    "harm",
    [
        {"places": np.array([0, 5], dtype=np.int64)},
        {"places": np.array([0, -1], dtype=np.int64)},
        {"places": np.array([0.0, 1.0], dtype=np.float32)},
        {"squares": np.ones(3, dtype=np.float32)},
        {"squares": np.array([0, np.nan], dtype=np.float32)},
        {"squares": np.array([0, -1], dtype=np.float32)},
        {"table": np.full((2, 2), np.inf, dtype=np.float32)},
        {"more": np.zeros(1, dtype=np.float32)},
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, harm):
    sound = {
        "places": np.array([0, 1], dtype=np.int64),
        "squares": np.array([0, 1], dtype=np.float32),
        "table": np.zeros((2, 2), dtype=np.float32),
    }
    write_tensors(tmp_path / "sound", sound)
    assert isinstance(read_words(tmp_path / "sound", 2, 2), Words)
    write_tensors(tmp_path / "harmed", sound | harm)
    with pytest.raises(DamagedArtifact):
        read_words(tmp_path / "harmed", 2, 2)


@pytest.fixture(scope="module")
def trained(base_folder, rows_of, tmp_path_factory):
    """A model with words, and its folder."""
    rows = [{"text": text, "labels": {"t": label}} for text, label in rows_of(60)]
    folder = tmp_path_factory.mktemp("words") / "model"
    tamis.train(rows, base=str(base_folder("bert")), out=folder, epochs=2, encoder_options={"words": True})
    return folder


def test_a_model_answers_with_its_words_by_onnx_and_by_torch(trained, rows_of):
    texts = [text for text, _ in rows_of(20, seed=5)]
    model = tamis.load(trained)
    by_torch = TorchScorer(trained, model.scorer.reader)
    network = by_torch._opened()
    assert isinstance(network, WithWords)
    of_all, onnx = by_torch.logits(texts)["t"], model.scorer.logits(texts)["t"]
    assert np.abs(of_all - onnx).max() < 0.05
    by_torch._network = without_words(network)
    assert np.abs(by_torch.logits(texts)["t"] - of_all).max() > 0.1


def test_transformers_cannot_hold_them_and_onnx_can(trained, tmp_path):
    model = tamis.load(trained)
    with pytest.raises(InvalidSetting, match=r"words=true.*--to onnx.*words=false"):
        model.export("hf", tmp_path / "hf")
    assert (model.export("onnx", tmp_path / "onnx") / "model.onnx").is_file()


def test_a_copy_takes_its_words_along(trained, tmp_path):
    copy = tamis.load(trained).save(tmp_path / "copy")
    assert (tmp_path / "copy" / "words.safetensors").read_bytes() == (trained / "words.safetensors").read_bytes()
    assert copy.classify("first") == tamis.load(trained).classify("first")
