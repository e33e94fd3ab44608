"""What calibration is fitted on is what the form that is served says of rows that the fit did not see."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tamis.ml.encoder import finishing, variants
from tamis.ml.encoder.options import EncoderOptions
from tamis.ml.encoder.trainer import EncoderTrainer
from tamis.ml.schedule import hyperparameters
from tamis.ml.trained import Attended, Task


@pytest.fixture(scope="module")
def task(dataset_of, rows_of):
    return Task(dataset_of([(text, {"t": label}) for text, label in rows_of(24)]), None, hyperparameters(epochs=1))


@pytest.fixture(scope="module")
def finished(base_of, task):
    return EncoderTrainer(base_of("bert"), task, Attended()).train()


def float_logits(network, encoded):
    made = []
    for row in range(len(encoded)):
        ids = torch.from_numpy(encoded.ids[encoded.offsets[row] : encoded.offsets[row + 1]].astype(np.int64))[None]
        with torch.inference_mode():
            made.append(network(input_ids=ids).logits[0].numpy())
    return np.array(made)


@pytest.mark.parametrize("most_asked", [5_000, 9])
def test_held_out_logits_are_those_of_the_form_that_is_served(finished, task, base_of, monkeypatch, most_asked):
    monkeypatch.setattr(variants, "MOST_CHANGED", 1.0)
    monkeypatch.setattr(finishing, "MOST_ASKED", most_asked)
    monkeypatch.setattr(finishing, "AT_ONCE", 4)
    trained = finishing.finish(finished, base_of("bert"), task, Attended())
    assert trained.architecture["served"] == "int8"
    held, rows = finished.held, np.unique(np.linspace(0, 23, min(24, most_asked)).astype(int))
    encoded = trained.scorer.reader.encoding.encode([held.data.inputs[row] for row in rows])
    moved = trained.scorer.of_tokens(encoded) - float_logits(finished.network, encoded)
    assert np.abs(moved).max() > 1e-5, "else nothing is tested"
    np.testing.assert_allclose(trained.held_out.logits["t"], held.said["logits"][rows] + moved, atol=1e-5)
    assert len(trained.held_out.truth["t"]) == len(rows) == trained.held_out.n


def test_in_32_bit_numbers_they_are_what_they_were(finished, task, base_of, monkeypatch):
    monkeypatch.setattr(variants, "MOST_CHANGED", -1.0)
    trained = finishing.finish(finished, base_of("bert"), task, Attended())
    assert trained.architecture["served"] == "float32"
    np.testing.assert_array_equal(trained.held_out.logits["t"], finished.held.said["logits"])


def test_who_wants_no_integers_gets_floats_untried(finished, task, base_of, monkeypatch):
    monkeypatch.setattr(variants, "MOST_CHANGED", 1.0)  # else they would be served
    wish = replace(task, chosen=task.chosen.model_copy(update={"encoder": EncoderOptions(int8=False)}))
    trained = finishing.finish(finished, base_of("bert"), wish, Attended())
    assert trained.architecture["served"] == "float32"
    assert trained.facts["served"] == "Served on a CPU by ONNX Runtime in 32-bit numbers."
    np.testing.assert_array_equal(trained.held_out.logits["t"], finished.held.said["logits"])


def asked_of(finished, task, base, monkeypatch):
    """Run `finish`, and return what forms are judged by, and what 32-bit numbers say of it."""
    seen = []

    def choose(folder, logits_of, question):
        seen.append((logits_of(folder / variants.FLOAT), question))
        return variants.Choice(variants.FLOAT)

    monkeypatch.setattr(finishing, "choose_form", choose)
    finishing.finish(finished, base, task, Attended())
    return seen[0]


def test_forms_are_judged_by_all_rows_as_folds_see_them(finished, task, base_of, monkeypatch):
    said, question = asked_of(finished, task, base_of("bert"), monkeypatch)
    np.testing.assert_array_equal(question.said, finished.held.said["logits"])
    assert question.truth["t"].codes.tolist() == task.train.truth["t"].codes.tolist()
    assert np.abs(said - question.said).max() > 1e-3, "the network that is served has learnt them"


def test_with_validation_data_the_network_itself_is_judged(base_of, task, dataset_of, rows_of, monkeypatch):
    others = dataset_of([(text, {"t": label}) for text, label in rows_of(60, seed=3)], task.train.targets)
    watched = Task(task.train, others, task.chosen)
    finished = EncoderTrainer(base_of("bert"), watched, Attended()).train()
    said, question = asked_of(finished, watched, base_of("bert"), monkeypatch)
    assert len(said) == 60
    np.testing.assert_allclose(said, question.said, atol=1e-4)


def test_of_a_small_validation_file_and_more_rows_the_latter_judge(base_of, task, dataset_of, rows_of, monkeypatch):
    monkeypatch.setattr(variants, "MOST_CHANGED", 1.0)
    others = dataset_of([(text, {"t": label}) for text, label in rows_of(6, seed=3)], task.train.targets)
    watched = Task(task.train, others, task.chosen)
    finished = EncoderTrainer(base_of("bert"), watched, Attended()).train()
    rows = finished.held.instead["t"]
    assert len(rows.data) == 24
    trained = finishing.finish(finished, base_of("bert"), watched, Attended())
    encoded = trained.scorer.reader.encoding.encode(rows.data.inputs)
    moved = trained.scorer.of_tokens(encoded) - float_logits(finished.network, encoded)
    np.testing.assert_allclose(trained.held_out.logits["t"], rows.said["logits"] + moved, atol=1e-5)
    _, question = asked_of(finished, watched, base_of("bert"), monkeypatch)
    np.testing.assert_array_equal(question.said, rows.said["logits"])


def test_without_held_out_rows_those_that_were_learnt_judge(base_of, dataset_of, rows_of, monkeypatch):
    few = Task(dataset_of([(text, {"t": label}) for text, label in rows_of(6)]), None, hyperparameters(epochs=1))
    finished = EncoderTrainer(base_of("bert"), few, Attended()).train()
    said, question = asked_of(finished, few, base_of("bert"), monkeypatch)
    assert question.said is None
    assert len(said) == 6


def test_what_a_static_model_adds_is_in_the_answers(base_of, dataset_of, rows_of, monkeypatch):
    rows = [(text, {"t": label}) for text, label in rows_of(24)]
    both = Task(dataset_of(rows), None, hyperparameters(epochs=1, encoder=EncoderOptions(ensemble=True)))
    finished = EncoderTrainer(base_of("bert"), both, Attended()).train()
    share = finished.static[1].shares["t"]
    assert share > 0
    _, question = asked_of(finished, both, base_of("bert"), monkeypatch)
    said = finished.held.said
    np.testing.assert_allclose(question.said, said["logits"] + share * said["static"], rtol=1e-5)
