import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tamis.data.loading import load_splits
from tamis.data.splits import split_rows
from tamis.errors import Cancelled
from tamis.examples import example_path
from tamis.ml.base_models import load_base
from tamis.ml.holding_out import FEW_ROWS, NOTHING_TO_VALIDATE
from tamis.ml.progress import Progress, nobody
from tamis.ml.restart import RestartPoints
from tamis.ml.schedule import EVALUATIONS, Plan, hyperparameters
from tamis.ml.static import encoded, fits, fitting, packed, sampled, updates
from tamis.ml.static import training as module
from tamis.ml.static.judging import loss_at_best_temperature, some_rows
from tamis.ml.static.losses import loss_of
from tamis.ml.static.model import Semantics, tensors_of
from tamis.ml.static.tokens import RunTokenizer
from tamis.ml.static.training import StaticTrainer
from tamis.ml.trained import Attended

EVERY = slice(None)
WHERE = ("step", "epoch", "update", "tokens", "learning_rate")
TRAIN = ("train_loss", "t.train_accuracy", "m.train_micro_f1", "train_metric")


@pytest.fixture(scope="module")
def run(semantics, data_of):
    """A function: train on rows (and validation rows), and insist on finite logits for hostile texts too."""

    def train(rows, validation=None, *, listener=lambda _: None, **chosen):
        data = data_of(rows)
        watched = data_of(validation, data.targets) if validation else None
        trained = StaticTrainer(semantics, hyperparameters(**chosen), {}, Attended(listener)).train(data, watched)
        found = trained.scorer.model.logits([*(given for given, _ in rows[:50]), "", "unheard of", "\ud800 👋"])
        for target in data.targets:
            assert found[target.name].shape[1] == len(target.labels)
            assert np.isfinite(found[target.name]).all()
        for row in trained.checkpoints:
            assert all(np.isfinite(value) for value in row.values())
        return trained

    return train


@pytest.fixture(scope="module")
def rows_of(texts_about):
    """A function: rows of a single-label and a multi-label target."""
    return lambda n, k=3, seed=0: [
        (text, {"t": label, "m": [label[-1], *(["odd"] if row % 2 else [])]})
        for row, (text, label) in enumerate(texts_about(n, k, seed))
    ]


def single(rows):
    return [(text, {"t": labels["t"]}) for text, labels in rows]


def grow(checkpoints):
    steps = [row["step"] for row in checkpoints]
    return steps[0] > 0 and all(a < b for a, b in zip(steps, steps[1:], strict=False))  # noqa: RUF007


class TestWaysToHoldOut:
    """Each ends with a model that learnt, and with logits of rows that its judge did not see."""

    def judge(self, trained, n, rows_of):
        held = trained.held_out
        assert held.n == n
        assert {name: logits.shape for name, logits in held.logits.items()} == {"t": (n, 3), "m": (n, 4)}
        assert {name: len(truth) for name, truth in held.truth.items()} == {"t": n, "m": n}
        right = held.logits["t"].argmax(axis=1) == held.truth["t"].codes
        assert right.mean() > 0.85
        assert (held.logits["t"].argmax(axis=1) == held.truth["t"].codes)[: n // 2].mean() > 0.8
        new = rows_of(90, seed=8)
        found = trained.scorer.model.logits([text for text, _ in new])["t"].argmax(axis=1)
        assert (found == np.arange(90) % 3).mean() > 0.85
        assert grow(trained.checkpoints)
        for row in trained.checkpoints:
            rates = {f"{name}{rate}" for name in ("t.", "m.", "valid_") for rate in ("precision", "recall")}
            figures = {"valid_loss", "t.accuracy", "m.micro_f1", "valid_metric"}
            assert {*WHERE, *TRAIN, *figures, *rates} == set(row)
        first, last = trained.checkpoints[0], trained.checkpoints[-1]
        assert first["train_metric"] < last["train_metric"] == (last["t.train_accuracy"] + last["m.train_micro_f1"]) / 2
        assert trained.facts["tokens"] == 5 * 200
        assert set(trained.facts["shares"]) == {"t", "m"}

    def test_cross_validation(self, run, rows_of):
        trained = run(rows_of(200))
        assert trained.held_out.rows == "5-fold cross-validation"
        self.judge(trained, 200, rows_of)

    def test_once(self, run, rows_of, monkeypatch):
        monkeypatch.setattr(module, "MANY_ROWS", 100)
        trained = run(rows_of(200))
        assert trained.held_out.rows == f"{trained.held_out.n} of the training rows, held out"
        assert 15 <= trained.held_out.n <= 25
        self.judge(trained, trained.held_out.n, rows_of)

    def test_validation_data(self, run, rows_of):
        trained = run(rows_of(200), rows_of(70, seed=3))
        assert trained.held_out.rows == "the validation data"
        self.judge(trained, 70, rows_of)

    def test_too_few_rows(self, run, rows_of):
        trained = run(rows_of(FEW_ROWS - 1))
        assert trained.held_out is None
        assert len(trained.checkpoints) >= EVALUATIONS
        assert {*WHERE, *TRAIN} == set(trained.checkpoints[-1])
        assert trained.facts["shares"] == {"t": 0.5, "m": 0.5}

    def test_the_best_state_on_validation_data_is_kept(self, run, rows_of):
        """The model gives the logits that were judged best, not those of its last update."""
        turned = {"label 0": "label 1", "label 1": "label 2", "label 2": "label 0"}
        half_wrong = enumerate(rows_of(70, seed=3))
        watched = [
            (text, labels | {"t": turned[labels["t"]]} if row % 2 else labels) for row, (text, labels) in half_wrong
        ]
        trained = run(rows_of(200), watched)
        losses = [row["valid_loss"] for row in trained.checkpoints]
        assert losses.index(min(losses)) < len(losses) - 1, "this run goes on past its best"
        said = trained.scorer.model.logits([text for text, _ in watched])
        for name, logits in trained.held_out.logits.items():
            np.testing.assert_allclose(said[name], logits, atol=1e-3)
        if set(trained.facts["shares"].values()) == {0.5}:
            total = 0.0
            for name, truth in trained.held_out.truth.items():
                rows = some_rows(truth)
                logits = trained.held_out.logits[name][rows]
                total += loss_at_best_temperature(logits, loss_of(truth, 0.0), rows) / len(rows)
            assert total == pytest.approx(min(losses), rel=1e-3)


class TestLength:
    def test_twenty_evaluations_where_nothing_stops_it(self, run, rows_of, monkeypatch):
        monkeypatch.setattr(Plan, "patience", property(lambda _: 10**6))
        for chosen in ({}, {"epochs": 3}, {"training_steps": 250}):
            trained = run(rows_of(120), rows_of(30, seed=3), **chosen)
            assert len(trained.checkpoints) >= EVALUATIONS
            assert grow(trained.checkpoints)

    def test_epochs_end_it(self, run, rows_of):
        trained = run(rows_of(100), rows_of(30, seed=3), epochs=1)
        assert 0 < trained.checkpoints[-1]["epoch"] <= 1
        assert not any("were planned" in remark for remark in trained.remarks)

    def test_far_too_many_steps_are_told_capped_and_stopped(self, run, rows_of):
        trained = run(rows_of(100), rows_of(30, seed=3), training_steps=250)
        assert "were planned, since more only overfit" in trained.remarks[0]
        assert "32,768 passes" in trained.remarks[0]
        assert any(remark.startswith("Stopped early") for remark in trained.remarks)

    @pytest.mark.parametrize("chosen", [{}, {"epochs": 1e-6}, {"training_steps": 1}, {"warmup_fraction": 1.0}])
    @pytest.mark.parametrize("extreme", [{}, {"learning_rate": 1.0}, {"weight_decay": 1.0}])
    def test_extremes(self, run, rows_of, chosen, extreme):
        trained = run(rows_of(30), rows_of(9, seed=3), **chosen, **extreme)
        assert trained.checkpoints

    def test_what_is_told_on_the_way(self, run, rows_of):
        told = []
        run(rows_of(60), listener=told.append)
        shares = [progress.share for progress in told]
        assert shares == sorted(shares)
        assert shares[0] == 0
        assert 0.8 <= shares[-1] <= 1
        assert {progress.stage for progress in told} >= {"reading texts", "fitting meanings", "using all rows"}


@pytest.fixture(scope="module")
def examples():
    """The packaged messages, a quarter of them held out."""
    data = load_splits(str(example_path("support")), max_bad_share=0.2).train
    split = split_rows(data, {"train": 0.75, "held": 0.25}, 0)
    base = load_base("static-en")
    semantics = Semantics(base.matrix, RunTokenizer(base.tokenizer_json, base.unknown_id))
    return semantics, data.select(split["train"]), data.select(split["held"])


class TestPackagedExamples:
    def test_250_steps_stop_early_and_do_not_overfit(self, examples):
        semantics, train, held = examples
        losses, updates = {}, {}
        for name, chosen in (("default", {}), ("far", {"training_steps": 250})):
            trained = StaticTrainer(semantics, hyperparameters(**chosen), {}).train(train, held)
            assert trained.held_out.n == len(held) > 100
            updates[name] = trained.checkpoints[-1]["update"]
            for target, truth in trained.held_out.truth.items():
                rows = some_rows(truth)
                value = loss_at_best_temperature(trained.held_out.logits[target][rows], loss_of(truth, 0.0), rows)
                losses[name, target] = value / len(rows)
        assert any("passes over the data were allowed" in remark for remark in trained.remarks)
        assert any("Stopped early" in remark for remark in trained.remarks)
        assert updates["far"] <= 3 * max(updates["default"], 150)
        for target in held.truth:
            assert losses["far", target] < losses["default", target] * 1.1 + 0.02


def digest_of(trained):
    tensors = tensors_of(trained.scorer.model)
    return hashlib.sha256(b"".join(name.encode() + tensors[name].tobytes() for name in sorted(tensors))).hexdigest()


SCRIPT = """
import json, sys
from tamis.data.dataset import build
from tamis.schema import Example
from tamis.ml.base_models import load_base
from tamis.ml.schedule import hyperparameters
from tamis.ml.static.model import Semantics
from tamis.ml.static.tokens import RunTokenizer
from tamis.ml.static.training import StaticTrainer
from tamis.ml.static.model import tensors_of
import hashlib
base = load_base(sys.argv[1])
rows = json.loads(sys.stdin.read())
data = build([Example(text, {"t": (label,)}) for text, label in rows])
semantics = Semantics(base.matrix, RunTokenizer(base.tokenizer_json, base.unknown_id))
trained = StaticTrainer(semantics, hyperparameters(epochs=3), {}).train(data)
tensors = tensors_of(trained.scorer.model)
print(hashlib.sha256(b"".join(name.encode() + tensors[name].tobytes() for name in sorted(tensors))).hexdigest())
"""


class TestTheSameAgain:
    def test_the_same_bytes(self, run, rows_of):
        one, same, other = (run(rows_of(60), epochs=2, seed=seed) for seed in (5, 5, 6))
        assert digest_of(one) == digest_of(same) != digest_of(other)
        for name in one.held_out.logits:
            np.testing.assert_array_equal(one.held_out.logits[name], same.held_out.logits[name])
        assert one.checkpoints == same.checkpoints

    def test_whatever_the_number_of_threads(self, tiny_base, texts_about):
        rows = json.dumps(texts_about(60, 20))  # from 16 labels on, the descent is cut in two
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(tiny_base)],
                env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": seed},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for threads, seed in (("1", "1"), ("2", "2"))
        ]
        digests = [run.communicate(rows)[0].strip() for run in runs]
        assert len(digests[0]) == 64
        assert digests[0] == digests[1]


class TestOddData:
    def test_texts_without_any_known_token(self, run):
        trained = run([(f"unheard{row % 2} of{row}", {"t": "ab"[row % 2]}) for row in range(24)])
        assert trained.facts["tokens"] == 0
        assert (trained.held_out.logits["t"].argmax(axis=1) == np.arange(24) % 2).mean() > 0.9

    def test_empty_and_hostile_texts(self, run, hostile):
        run([(text, {"t": "ab"[row % 2], "m": ["x"] * (row % 2)}) for row, text in enumerate([*hostile, "", "b"])])

    @pytest.mark.parametrize("n", [2, 12, 40])
    @pytest.mark.parametrize("texts", [[""], [" ", "\t"], ["same"], ["Same", "same", " SAME "]])
    def test_one_text_often(self, run, texts, n):
        trained = run([(texts[row % len(texts)], {"t": "ab"[row % 2]}) for row in range(n)])
        assert trained.held_out is None, "nothing can be held out of one text"

    def test_one_text_very_often(self, run, monkeypatch):
        monkeypatch.setattr(module, "MANY_ROWS", 20)
        trained = run([("same", {"t": "ab"[row % 2]}) for row in range(40)])
        assert trained.held_out is None

    @pytest.mark.parametrize("different", [2, 3, 4])
    def test_a_few_texts_often(self, run, different):
        trained = run([(f"text{row % different}", {"t": "ab"[row % 2]}) for row in range(40)])
        assert trained.held_out.rows == f"{different}-fold cross-validation"

    def test_labels_of_one_row(self, run, texts_about):
        rows = [(text, {"t": f"label {row}"}) for row, (text, _) in enumerate(texts_about(30, 5))]
        found = run(rows).scorer.model.logits([text for text, _ in rows])["t"].argmax(axis=1)
        names = sorted(labels["t"] for _, labels in rows)
        assert np.mean([names[code] == labels["t"] for code, (_, labels) in zip(found, rows, strict=True)]) > 0.9

    @pytest.mark.parametrize("labels", [20, 100])
    def test_two_rows_a_label(self, run, words, labels):
        rows = [
            (f"{words[row % labels]} {words[-1 - row // labels]} x", {"t": f"{row % labels:03}"})
            for row in range(2 * labels)
        ]
        trained = run(rows)
        found = trained.scorer.model.logits([text for text, _ in rows])["t"].argmax(axis=1)
        assert (found == np.arange(2 * labels) % labels).mean() > 0.95

    def test_very_many_labels_go_by_batches(self, run, words, monkeypatch):
        monkeypatch.setattr(fitting, "MOST_AT_ONCE", 100_000)
        monkeypatch.setattr(module, "MANY_SCORES", 100_000)
        labels = 400
        rows = [
            (f"{words[n % 199]} {words[n // 199]} {words[-1 - half]}", {"t": str(n)})
            for half in (0, 1)
            for n in range(labels)
        ]
        trained = run(rows)
        assert trained.scorer.model.vocabulary.n_owners == 0
        assert trained.held_out.rows.endswith("held out")

    @pytest.mark.parametrize("way", ["once", "validation", "blind"])
    def test_targets_that_are_wide(self, run, texts_about, monkeypatch, way):
        for each in (fitting, module, updates):
            monkeypatch.setattr(each, "WIDE", 20)
        monkeypatch.setattr(sampled, "OTHERS", 6)
        monkeypatch.setattr(module, "MANY_ROWS", 20)
        monkeypatch.setattr(module, "LEAST_HELD_OUT", 30)
        monkeypatch.setattr(module, "MOST_HELD_SCORES", 40 * 31)
        made = texts_about(30 if way == "blind" else 600, 30)
        rows = [(text, {"t": label, "m": [label, "a"], "few": label[-1]}) for text, label in made]
        rows = single(rows) if way == "blind" else rows
        heard = []
        validation = rows[:100] if way == "validation" else None
        trained = run(rows, validation, listener=heard.append)
        again = run(rows, validation)
        for name, tensor in tensors_of(trained.scorer.model).items():
            np.testing.assert_array_equal(tensor, tensors_of(again.scorer.model)[name])
        told = [progress.share for progress in heard if progress.stage == "fitting words and n-grams"]
        assert len(told) > 1
        assert told == sorted(told)
        others = texts_about(60, 30, seed=5)
        found, names = trained.scorer.model.logits([text for text, _ in others]), sorted({label for _, label in made})
        right = (np.array(names)[found["t"].argmax(axis=1)] == [label for _, label in others]).mean()
        if way == "blind":  # a sixth of the labels' words are known
            assert trained.held_out is None
            assert right > 0.06
        else:
            assert 30 < trained.held_out.n <= 40
            assert trained.held_out.logits["t"].shape == (trained.held_out.n, 30)
            assert right > 0.7

    def test_a_target_that_few_rows_know(self, run, rows_of):
        rows = [(text, labels if row < 6 else {"t": labels["t"]}) for row, (text, labels) in enumerate(rows_of(90))]
        trained = run(rows)
        assert trained.held_out.truth["m"].known.sum() == 6
        assert (trained.held_out.logits["t"].argmax(axis=1) == np.arange(90) % 3).mean() > 0.8

    def test_a_target_with_one_label_beside_others(self, run, rows_of):
        rows = [(text, {"t": labels["t"], "only": "one", "tag": ["one"]}) for text, labels in rows_of(60)]
        trained = run(rows)
        assert trained.held_out.logits["only"].shape == (60, 1)
        assert (trained.held_out.logits["tag"] > 0).all()

    def test_a_multi_label_target_without_any_label(self, run, rows_of):
        rows = [
            (text, {"t": labels["t"], "m": [labels["t"]] if row == 0 else []})
            for row, (text, labels) in enumerate(rows_of(60))
        ]
        trained = run(rows)
        assert (trained.held_out.logits["m"][1:] < 0).mean() > 0.9


class TestOddValidation:
    def test_labels_that_training_never_saw(self, run, rows_of):
        watched = [(text, {"t": "odd" if row % 2 else labels["t"]}) for row, (text, labels) in enumerate(rows_of(120))]
        trained = run(single(rows_of(60)), watched)
        assert trained.held_out.truth["t"].unseen == ("odd",)
        assert trained.held_out.logits["t"].shape == (120, 3)

    def test_a_target_is_missing(self, run, rows_of):
        trained = run(rows_of(60), single(rows_of(80, seed=4)))
        assert trained.held_out.rows == "the validation data, 5-fold cross-validation for m"
        assert len(trained.held_out.truth["t"]) == len(trained.held_out.logits["t"]) == trained.held_out.n == 80
        assert len(trained.held_out.truth["m"]) == len(trained.held_out.logits["m"]) == 60
        assert "m.micro_f1" not in trained.checkpoints[0]

    @pytest.mark.parametrize(("many", "told"), [(False, "5-fold cross-validation"), (True, "of the training rows")])
    def test_few_rows_choose_the_state_and_training_rows_calibrate(self, run, rows_of, monkeypatch, many, told):
        monkeypatch.setattr(module, "MANY_ROWS", 60 if many else 5_000)
        heard = []
        trained = run(rows_of(120), rows_of(6, seed=4), listener=heard.append)
        alone = run(rows_of(120), rows_of(60, seed=4))
        assert told in trained.held_out.rows
        assert trained.held_out.rows.endswith("; the validation data is small")
        assert trained.held_out.n == len(trained.held_out.truth["m"]) == len(trained.held_out.logits["t"]) >= 12
        assert any("fewer than 50 rows of a target (t: 6, m: 6)" in remark for remark in trained.remarks)
        assert not any("fewer than 50" in remark for remark in alone.remarks)
        np.testing.assert_array_equal(trained.scorer.model.weights, alone.scorer.model.weights)
        assert all(row["valid_loss"] > 0 for row in trained.checkpoints)
        assert [progress.share for progress in heard] == sorted(progress.share for progress in heard)

    def test_few_rows_of_both(self, run, rows_of):
        assert run(rows_of(9), rows_of(6)).held_out.rows == "the validation data"

    def test_one_row(self, run, rows_of):
        trained = run(rows_of(60), rows_of(1))
        assert trained.held_out.n == 60

    @pytest.mark.parametrize("labels", [{"t": "odd"}, {"other": "x"}])
    def test_data_that_says_nothing_is_left_aside_and_told(self, run, rows_of, labels):
        heard = []
        trained = run(single(rows_of(60)), [("text", labels)], listener=heard.append)
        assert trained.remarks.count(NOTHING_TO_VALIDATE) == 1
        assert [progress.remark for progress in heard if progress.remark] == [NOTHING_TO_VALIDATE]
        assert trained.held_out.rows == "5-fold cross-validation"
        assert trained.held_out.n == 60

    def test_texts_without_a_word(self, run, rows_of):
        run(rows_of(60), [("", {"t": "label 0"}), ("\ud800", {"t": "label 1", "m": []})])


class TestLongInputs:
    def test_they_are_cut_and_told(self, run, rows_of):
        filler = " unheard" * 10 + " " + " ".join(rows_of(3)[0][0] for _ in range(40))
        rows = [(text + (filler if row % 4 == 0 else ""), labels) for row, (text, labels) in enumerate(rows_of(40))]
        cut, whole = run(rows, seq_len=100), run(rows)
        assert cut.facts["cut_share"] == 0.25
        assert cut.facts["tokens"] == 30 * 5 + 10 * 100
        assert whole.facts["tokens"] == 40 * 5 + 10 * 200
        assert "cut_share" not in whole.facts
        assert any("10 of 40 training inputs (25.0%) were longer than 100 tokens" in told for told in cut.remarks)

    def test_where_none_is_that_long_nothing_changes(self, run, rows_of):
        text = [rows_of(5)[0][0]]
        one, other = run(rows_of(40), seq_len=100), run(rows_of(40))
        assert one.facts["cut_share"] == 0
        assert one.remarks == other.remarks
        for name, logits in one.scorer.model.logits(text).items():
            np.testing.assert_array_equal(logits, other.scorer.model.logits(text)[name])


class TestGoingOnWithAllRows:
    """Rows are held out once, and the network then goes on with all of them: within what is allowed."""

    @pytest.fixture
    def spent(self, monkeypatch):
        """Rows that were looked at, by each pass."""
        monkeypatch.setattr(module, "MANY_ROWS", 100)
        passes = []

        class Counted(fits.Updates):
            def run(self, after, pulse, end=None):
                super().run(after, pulse, end)
                passes.append(self.update * self.plan.batch)

        monkeypatch.setattr(fits, "Updates", Counted)
        return passes

    @pytest.mark.parametrize("epochs", [0.5, 1, 1.7, 3, 8])
    def test_no_more_than_the_epochs_that_are_allowed(self, run, rows_of, spent, epochs):
        run(rows_of(200), epochs=epochs)
        assert len(spent) == 2
        assert spent[0] > 0
        assert sum(spent) <= max(epochs, 0.1) * 208, "200 rows are 13 batches of 16, 180 are 12"

    def test_no_more_than_the_steps_that_are_allowed(self, run, rows_of, spent):
        filler = " ".join(rows_of(3)[0][0] for _ in range(200))
        trained = run([(f"{text} {filler}", labels) for text, labels in rows_of(200)], training_steps=4)
        assert sum(spent) / 200 * trained.facts["tokens"] <= 4 * 65_536 * 1.04

    def test_a_pass_more_where_nothing_is_said(self, run, rows_of, spent):
        run(rows_of(200))
        assert 150 <= spent[1] <= 208


LONGEST_STAGE = 65  # checks
WAYS = ["few rows", "cross-validation", "held out once", "validation data", "packed", "packed, validation data"]


# Runs that are killed at any moment and started again end with the bytes of a run that nothing interrupted.


class Killed(BaseException):
    """As abrupt as a test can be."""


def pack_from(patch, rows):
    """Let so many rows be very many, and twenty-one of them a portion."""
    patch.setattr(encoded, "MOST_WHOLE", rows - 1)
    patch.setattr(encoded, "FEW", rows - 1)
    patch.setattr(packed, "PORTION", 21)


class Counter:
    """Counts how often it is called, and kills the run at one of them."""

    def __init__(self, at=None):
        self.calls, self.at = 0, at

    def __call__(self, *_):
        self.calls += 1
        if self.calls == self.at:
            raise Killed


def print_of(trained):
    """All that a run leaves, as one hash."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors_of(trained.scorer.model).items()):
        digest.update(name.encode() + np.ascontiguousarray(tensor).tobytes())
    if trained.held_out:
        for name, logits in trained.held_out.logits.items():
            digest.update(name.encode() + logits.tobytes())
    digest.update(repr((trained.checkpoints, trained.remarks, trained.facts)).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module", params=WAYS)
def attempt_at(request, semantics, data_of, texts_about, tmp_path_factory):
    """A function: one attempt at a run in one of the ways to hold rows out."""
    few = request.param == "few rows"
    rows = [
        (text, {"t": label, "m": [label[-1], *(["odd"] if row % 2 else [])]})
        for row, (text, label) in enumerate(texts_about(8 if few else 40, 3))
    ]
    data = data_of(rows)
    watched = data_of(rows[::3], data.targets) if "validation data" in request.param else None

    def attempt(points=None, check=None, listener=nobody):
        if points:
            points.begin("mine")
        attended = Attended(listener, check or (lambda: None), points or RestartPoints(None))
        with pytest.MonkeyPatch.context() as patch:
            if request.param in ("held out once", "packed"):
                patch.setattr(module, "MANY_ROWS", 20)
            if "packed" in request.param:
                pack_from(patch, 3)
            trainer = StaticTrainer(semantics, hyperparameters(epochs=3), {}, attended)
            return trainer.train(data, watched)

    attempt.folder = lambda: tmp_path_factory.mktemp("restart")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tamis.ml.restart.sync", lambda _: None)  # what is killed here is no machine
        yield attempt


@pytest.fixture(scope="module")
def whole(attempt_at):
    """A run that nothing interrupts: its hash, how often it may be stopped, and what it tells."""
    counter, told = Counter(), []
    trained = attempt_at(check=counter, listener=told.append)
    return print_of(trained), counter.calls, told


def test_keeping_restart_points_changes_nothing(attempt_at, whole):
    assert print_of(attempt_at(RestartPoints(attempt_at.folder(), every=0))) == whole[0]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.75, 0.97, 1.0])
def test_killed_once(attempt_at, whole, share):
    wanted, calls, _ = whole
    folder = attempt_at.folder()
    with pytest.raises(Killed):
        attempt_at(RestartPoints(folder, every=0), Counter(max(1, round(share * calls))))
    points = RestartPoints(folder, every=0)
    again = Counter()
    assert print_of(attempt_at(points, again)) == wanted
    assert points.remarks == []
    if share > 0.7:
        assert points.resumed
        assert again.calls < calls, "what was done is not done again"


def test_killed_again_and_again(attempt_at, whole):
    wanted, calls, _ = whole
    folder, attempts = attempt_at.folder(), 0
    done = None
    while done is None:
        attempts += 1
        assert attempts < 40, "each attempt gets further"
        try:
            done = attempt_at(RestartPoints(folder, every=0), Counter(max(calls // 5, LONGEST_STAGE)))
        except Killed:
            continue
    assert attempts > 1
    assert print_of(done) == wanted


def test_killed_by_whoever_listens(attempt_at, whole):
    wanted, _, told = whole
    for at in range(2, len(told) + 1, max(1, len(told) // 3)):
        folder = attempt_at.folder()
        with pytest.raises(Killed):
            attempt_at(RestartPoints(folder, every=0), listener=Counter(at))
        heard: list[Progress] = []
        assert print_of(attempt_at(RestartPoints(folder, every=0), listener=heard.append)) == wanted
        steps = [row.checkpoint["step"] for row in heard if row.checkpoint]
        assert steps == sorted(set(steps))
        if told[-1].checkpoint or any(row.checkpoint for row in told[at:]):
            assert steps[-1] == max(row.checkpoint["step"] for row in told if row.checkpoint)


def test_a_run_that_is_cancelled_is_over_at_once(attempt_at):
    def cancel():
        raise Cancelled

    with pytest.raises(Cancelled):
        attempt_at(check=cancel)
