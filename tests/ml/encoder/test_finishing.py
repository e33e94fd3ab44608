"""What calibration is fitted on is what the form that is served says of rows that the fit did not see."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tamis.ml.encoder import finishing, variants
from tamis.ml.encoder.options import EncoderOptions
from tamis.ml.encoder.trainer import EncoderTrainer
from tamis.ml.progress import nobody
from tamis.ml.restart import RestartPoints
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


@pytest.mark.parametrize(("most_asked", "most_shifted"), [(2_000, 5_000), (5, 9)])
def test_held_out_logits_are_those_of_the_form_that_is_served(
    finished, task, base_of, monkeypatch, most_asked, most_shifted
):
    monkeypatch.setattr(variants, "MOST_CHANGED", 1.0)
    monkeypatch.setattr(finishing, "MOST_ASKED", most_asked)
    monkeypatch.setattr(finishing, "MOST_SHIFTED", most_shifted)
    monkeypatch.setattr(finishing, "AT_ONCE", 4)
    trained = finishing.finish(finished, base_of("bert"), task, Attended())
    assert trained.architecture["served"] == "int8"
    held, rows = finished.held, np.unique(np.linspace(0, 23, min(24, most_shifted)).astype(int))
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
    """Run `finish`, and return the texts that forms are judged by, and what 32-bit numbers say of them there."""
    seen = []

    def choose(folder, opened, encoded, question):
        seen.append((encoded, opened(folder / variants.FLOAT).of_tokens(encoded), question))
        return variants.Choice(variants.FLOAT, ())

    monkeypatch.setattr(finishing, "choose_form", choose)
    finishing.finish(finished, base, task, Attended())
    ((encoded, said, question),) = seen
    return encoded, said, question


@pytest.mark.parametrize("swapped", [True, False])
def test_forms_are_judged_by_rows_that_the_network_did_not_see(finished, task, base_of, monkeypatch, swapped):
    if not swapped:
        monkeypatch.setattr(finishing, "reweighted", lambda *_: False)
    encoded, said, question = asked_of(finished, task, base_of("bert"), monkeypatch)
    unseen = finished.unseen
    assert 0 < len(unseen.data) == len(encoded) < len(task.train)
    np.testing.assert_allclose(said, unseen.said["logits"], atol=1e-4)
    assert np.abs(float_logits(finished.network, encoded) - said).max() > 1e-3
    assert question.truth["t"].codes.tolist() == unseen.data.truth["t"].codes.tolist()


def test_with_validation_data_the_network_itself_is_judged(base_of, task, dataset_of, rows_of, monkeypatch):
    others = dataset_of([(text, {"t": label}) for text, label in rows_of(60, seed=3)], task.train.targets)
    watched = Task(task.train, others, task.chosen)
    finished = EncoderTrainer(base_of("bert"), watched, Attended()).train()
    encoded, said, _ = asked_of(finished, watched, base_of("bert"), monkeypatch)
    assert len(encoded) == 60
    np.testing.assert_allclose(said, float_logits(finished.network, encoded), atol=1e-4)


def test_after_a_kill_forms_are_judged_by_the_same_rows(base_of, task, tmp_path):
    class Killed(Exception):
        pass

    def kill(progress):
        if progress.stage == "using all rows":
            raise Killed

    def run(listener=nobody):
        points = RestartPoints(tmp_path)
        points.begin("the same")
        return EncoderTrainer(base_of("bert"), task, Attended(listener, points=points)).train()

    with pytest.raises(Killed):
        run(kill)
    again, whole = run(), EncoderTrainer(base_of("bert"), task, Attended()).train()
    assert again.unseen.data.inputs == whole.unseen.data.inputs
    for name, weight in whole.unseen.weights.items():
        np.testing.assert_array_equal(again.unseen.weights[name], weight)
    np.testing.assert_array_equal(again.unseen.said["logits"], whole.unseen.said["logits"])
